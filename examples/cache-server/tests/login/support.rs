//! Forms and queries, and somebody who may sign in.

use std::collections::BTreeMap;

use cache_server::now;
use cachegate::{Authority, PersonalForm, TokenSpec};
use cachegate_types::{ActionSet, Description, Role, SecretText};

use crate::host::Host;

pub(crate) fn fields(text: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The personal token of a new owner of the organization, who is called Grace.
pub(crate) fn owners_token(host: &Host) -> SecretText {
    let gate = host.server.gate();
    host.runtime.block_on(async {
        let operator = Authority::Operator;
        let user =
            gate.create_user(&operator, "Grace".parse().expect("a name"), now()).await.expect("a person");
        let organization = host.server.storage().organization_by_name(&"acme".parse().expect("a name")).await;
        let organization = organization.expect("read").expect("an organization").id;
        gate.set_member(&operator, organization, user, Role::Owner, now()).await.expect("a member");
        let spec = TokenSpec::Personal { owner: user, actions: ActionSet::ALL, form: PersonalForm::Opaque };
        gate.issue(&operator, &spec, Description::default(), None, now()).await.expect("a token").token
    })
}
