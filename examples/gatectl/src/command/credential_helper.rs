//! `credential-helper get`: Bazel's protocol, one JSON document in, one out.

use std::io::{self, Read};

use cachegate_client::{BoundToken, Origin, TokenStore};
use cachegate_types::SecretText;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::context::Context;
use crate::failure::Failed;
use crate::show::{in_order, note, print};

/// The longest request that is read.
const LONGEST: u64 = 64 * 1024;

#[derive(Deserialize)]
struct Request {
    uri: String,
}

pub(super) async fn get(context: &Context) -> Result<(), Failed> {
    let mut text = String::new();
    let request = io::stdin().take(LONGEST).read_to_string(&mut text).ok();
    let request = request.and_then(|_| serde_json::from_str::<Request>(&text).ok());
    let Request { uri } = request.ok_or_else(|| {
        Failed::usage(
            "standard input holds no request",
            "give it a document such as `{\"uri\":\"https://cache.example.org/\"}`",
        )
    })?;
    // Bazel asks for every host that it speaks to, and an address that no token can be for has none.
    let token = match uri.parse::<Origin>() {
        Ok(origin) => token_for(context, &origin).await?,
        Err(_) => None,
    };
    print(&format!("{}\n", in_order(answer(token.as_ref()))))
}

/// The token for this origin and no other; `None` where there is none.
async fn token_for(context: &Context, origin: &Origin) -> Result<Option<BoundToken>, Failed> {
    if context.global.server.as_ref().is_some_and(|named| named != origin) {
        return Ok(None);
    }
    // A token from a file says nothing of its server: that must be named, or be the one that there is a login for.
    if context.global.token_file.is_some() && context.origin()? != *origin {
        return Ok(None);
    }
    if context.global.token_file.is_none() && context.tokens().token(origin)?.is_none() {
        note(&format!("gatectl: you are not logged in to {origin}"));
        return Ok(None);
    }
    context.token(&context.anonymous(origin)?).await.map(Some)
}

fn answer(token: Option<&BoundToken>) -> Value {
    let Some((token, text)) = token.and_then(|token| Some((token, token.token_for(token.origin())?))) else {
        return json!({ "headers": {} });
    };
    let mut answer =
        json!({ "headers": { "Authorization": [format!("Bearer {}", SecretText::expose_secret(text))] } });
    let expires = token.expires_at().and_then(|at| OffsetDateTime::from(at).format(&Rfc3339).ok());
    if let (Some(expires), Some(members)) = (expires, answer.as_object_mut()) {
        members.insert("expires".to_owned(), json!(expires));
    }
    answer
}
