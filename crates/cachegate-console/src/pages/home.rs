//! The organizations of who is signed in.

use askama::Template;
use cachegate_types::Role;

use super::{View, here};
use crate::app::{Answered, Call};

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    organizations: Vec<Organization>,
    next: Option<String>,
}

struct Organization {
    name: String,
    role: &'static str,
    personal: bool,
    url: String,
    /// Where its device tokens are, for those who manage them.
    tokens: Option<String>,
}

pub(crate) async fn show(call: &Call) -> Answered {
    let after = call.query.get("after").and_then(|text| text.parse().ok());
    let page = call.gate().organizations(&call.by(), after, 100, call.now).await?;
    let organizations = page.items.iter().map(|found| Organization {
        name: found.record.name.to_string(),
        role: found.role.map_or("", |role| role.as_str()),
        personal: found.record.personal_of.is_some(),
        url: here(found, View::Workspaces, &[]),
        tokens: (found.role != Some(Role::Member)).then(|| here(found, View::DeviceTokens, &[])),
    });
    let main = Home {
        organizations: organizations.collect(),
        next: page.next.map(|next| crate::fields::address("/", &[("after", &next.to_string())])),
    };
    call.page("Organizations", None, &main)
}
