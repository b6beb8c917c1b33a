//! `auth token device|ci|personal create|list|revoke|rotate`.

use cachegate_client::{
    DeviceAccess, IssuedToken, OrganizationRecord, Server, TokenOrder, TokenQuery, TokenRecord,
};
use cachegate_types::TokenId;
use serde::Serialize;

use super::session::until;
use crate::cli::{
    Ci, CreateCi, CreateDevice, CreatePersonal, Device, List, ListIn, Made, Personal, Revoke, Rotate, Token,
};
use crate::context::Context;
use crate::failure::{Failed, Status};
use crate::show::{harmless, moment, note, print, print_json, spinner, table};

const DEVICE: &str = "device";
const CI: &str = "ci";
const PERSONAL: &str = "personal";

pub(super) async fn token(context: &Context, token: Token) -> Result<(), Failed> {
    let server = context.server().await?;
    match token {
        Token::Device(Device::Create(create)) => create_device(context, &server, create).await,
        Token::Ci(Ci::Create(create)) => create_ci(context, &server, create).await,
        Token::Personal(Personal::Create(create)) => create_personal(context, &server, &create).await,
        Token::Device(Device::List(list)) => list_in(context, &server, DEVICE, &list).await,
        Token::Ci(Ci::List(list)) => list_in(context, &server, CI, &list).await,
        Token::Personal(Personal::List(list)) => {
            listed(context, &server, TokenQuery { kind: Some(PERSONAL), ..TokenQuery::default() }, &list)
                .await
        }
        Token::Device(Device::Revoke(revoke)) => revoked(context, &server, DEVICE, &revoke).await,
        Token::Ci(Ci::Revoke(revoke)) => revoked(context, &server, CI, &revoke).await,
        Token::Personal(Personal::Revoke(revoke)) => revoked(context, &server, PERSONAL, &revoke).await,
        Token::Device(Device::Rotate(rotate)) => rotated(context, &server, DEVICE, &rotate).await,
        Token::Ci(Ci::Rotate(rotate)) => rotated(context, &server, CI, &rotate).await,
        Token::Personal(Personal::Rotate(rotate)) => rotated(context, &server, PERSONAL, &rotate).await,
    }
}

async fn create_device(context: &Context, server: &Server, create: CreateDevice) -> Result<(), Failed> {
    let (organization, access) = match (create.workspace, create.requirement) {
        (Some(workspace), Some(requirement)) => {
            let workspace = server.workspace(&workspace).await?;
            if let Some(name) = &create.org {
                let named = server.organization(name).await?.id;
                if named != workspace.organization {
                    return Err(Failed::usage(
                        format!("the workspace `{}` is not one of `{name}`", harmless(&workspace.name)),
                        "leave `--org` out",
                    ));
                }
            }
            let access = DeviceAccess::ResolveOnly {
                workspace: workspace.id,
                requirement: requirement.to_string(),
                closure: create.closure,
            };
            (workspace.organization, access)
        }
        _ => (organization(server, create.org.as_deref()).await?.id, DeviceAccess::Normal),
    };
    make(context, server, &TokenOrder::Device { organization, access }, &create.made).await
}

async fn create_ci(context: &Context, server: &Server, create: CreateCi) -> Result<(), Failed> {
    let workspace = server.workspace(&create.workspace).await?.id;
    let order = TokenOrder::Ci { workspace, level: create.level, lane: create.lane };
    make(context, server, &order, &create.made).await
}

async fn create_personal(context: &Context, server: &Server, create: &CreatePersonal) -> Result<(), Failed> {
    make(context, server, &TokenOrder::Personal { jwt: create.jwt }, &create.made).await
}

async fn make(context: &Context, server: &Server, order: &TokenOrder, made: &Made) -> Result<(), Failed> {
    let waiting = spinner("making the token");
    let issued = server.create_token(order, made.description.as_str(), made.expires_in).await;
    waiting.finish_and_clear();
    hand_over(context, &issued?)
}

/// The token alone on standard output, what it is beside it.
fn hand_over(context: &Context, issued: &IssuedToken) -> Result<(), Failed> {
    #[derive(Serialize)]
    struct Made<'a> {
        token: &'a str,
        record: &'a TokenRecord,
    }
    let IssuedToken { token, record } = issued;
    if context.global.json {
        return print_json(&Made { token: token.expose_secret(), record });
    }
    print(&format!("{}\n", token.expose_secret()))?;
    let ends = record
        .expires_at
        .map_or_else(|| "counts until it is revoked".to_owned(), |at| format!("counts until {}", until(at)));
    note(&format!(
        "made the {} token {} ({}); it {ends} and is not shown again",
        harmless(&record.kind),
        record.id,
        kind_of(record)
    ));
    Ok(())
}

async fn list_in(
    context: &Context,
    server: &Server,
    kind: &'static str,
    list: &ListIn,
) -> Result<(), Failed> {
    let mut query = TokenQuery { kind: Some(kind), ..TokenQuery::default() };
    match &list.workspace {
        Some(name) => query.workspace = Some(server.workspace(name).await?.id),
        None => query.organization = Some(organization(server, list.org.as_deref()).await?.id),
    }
    listed(context, server, query, &list.list).await
}

async fn listed(
    context: &Context,
    server: &Server,
    mut query: TokenQuery,
    list: &List,
) -> Result<(), Failed> {
    query.all = list.all;
    let waiting = spinner("reading the list");
    let tokens = server.tokens(&query, list.limit.unwrap_or(usize::MAX)).await;
    waiting.finish_and_clear();
    let tokens = tokens?;
    if context.global.json {
        return print_json(&tokens);
    }
    if tokens.is_empty() {
        let kind = query.kind.unwrap_or_default();
        note(&match list.all {
            true => format!("no {kind} tokens"),
            false => {
                format!("no {kind} tokens; `--all` also lists those that are revoked, expired or replaced")
            }
        });
        return Ok(());
    }
    let mut head = vec![
        "ID",
        "DESCRIPTION",
        "EXPIRES (UTC)",
        "ISSUED (UTC)",
        if query.kind == Some(CI) { "LANE" } else { "TYPE" },
    ];
    head.extend(list.all.then_some("STATE"));
    let rows: Vec<_> = tokens.iter().map(|token| row(token, list.all)).collect();
    print(&table(&head, &rows))
}

fn row(token: &TokenRecord, all: bool) -> Vec<String> {
    let mut row = vec![
        token.id.to_string(),
        harmless(&token.description),
        token.expires_at.map_or_else(|| "never".to_owned(), moment),
        moment(token.issued_at),
        kind_of(token),
    ];
    row.extend(all.then(|| match &token.revoked {
        Some(revoked) => format!("revoked: {}", harmless(&revoked.reason)),
        None => harmless(&token.state),
    }));
    row
}

/// What tells one token of a kind from another.
fn kind_of(token: &TokenRecord) -> String {
    let lane = token.lane.as_deref();
    harmless(&match (token.kind.as_str(), token.requirement(), lane) {
        (DEVICE, Some(requirement), _) => format!("resolve-only {requirement}"),
        (DEVICE, None, _) => "normal".to_owned(),
        (CI, _, Some(lane)) => lane.to_owned(),
        _ => token.form.clone(),
    })
}

async fn revoked(context: &Context, server: &Server, kind: &str, revoke: &Revoke) -> Result<(), Failed> {
    let record = of_kind(server, kind, revoke.token_id).await?;
    if let Some(name) = &revoke.org {
        let named = server.organization(name).await?;
        if record.organization != Some(named.id) {
            return Err(Failed::new(
                Status::Refused,
                "other_organization",
                format!(
                    "the token {} is not one of `{}`, and was not revoked",
                    record.id,
                    harmless(&named.name)
                ),
                "check the id with `list`",
            ));
        }
    }
    let name = match record.description.as_str() {
        "" => record.id.to_string(),
        description => format!("{} ({})", record.id, harmless(description)),
    };
    if let (Some(revoked), false) = (&record.revoked, revoke.line || context.global.json) {
        return print(&format!("{name} was revoked before: {}\n", harmless(&revoked.reason)));
    }
    server.revoke_token(record.id, revoke.reason.as_str(), revoke.line).await?;
    if context.global.json {
        return print_json(&server.token(record.id).await?);
    }
    print(&format!("revoked {name}: refused everywhere within a second\n"))
}

async fn rotated(context: &Context, server: &Server, kind: &str, rotate: &Rotate) -> Result<(), Failed> {
    let record = of_kind(server, kind, rotate.token_id).await?;
    let issued = server.rotate_token(record.id, rotate.overlap, rotate.expires_in).await?;
    hand_over(context, &issued)?;
    if !context.global.json {
        let former = server.token(record.id).await?;
        let ends = former.overlap_until.map_or_else(|| "a while".to_owned(), until);
        note(&format!("the former token {} counts until {ends}", record.id));
    }
    Ok(())
}

/// The token, if it is of this kind: an id that was copied from another list does nothing here.
async fn of_kind(server: &Server, kind: &str, id: TokenId) -> Result<TokenRecord, Failed> {
    let record = server.token(id).await?;
    if record.kind == kind {
        return Ok(record);
    }
    let found = harmless(&record.kind);
    Err(Failed::new(
        Status::Refused,
        "other_kind",
        format!("the token {id} is a {found} token, not a {kind} token; nothing was changed"),
        format!("use `gatectl auth token {found}`"),
    ))
}

/// The organization of this name, or the only one.
async fn organization(server: &Server, name: Option<&str>) -> Result<OrganizationRecord, Failed> {
    if let Some(name) = name {
        return Ok(server.organization(name).await?);
    }
    let mut found = server.organizations().await?;
    match (found.len(), found.pop()) {
        (1, Some(only)) => Ok(only),
        (0, _) | (_, None) => Err(Failed::new(
            Status::Refused,
            "no_organization",
            "you are in no organization",
            "ask an administrator to add you",
        )),
        (count, Some(_)) => {
            Err(Failed::usage(format!("you are in {count} organizations"), "say which with `--org NAME`"))
        }
    }
}
