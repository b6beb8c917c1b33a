//! `ambient`: which CI job or cloud machine this is.

use cachegate_client::{Platform, ambient_token};
use serde_json::json;

use super::login::not_here;
use crate::cli::Ambient;
use crate::context::{Context, environment, surroundings};
use crate::failure::Failed;
use crate::show::{print, print_json};

pub(super) async fn ambient(context: &Context, ambient: &Ambient) -> Result<(), Failed> {
    let environment = environment();
    let here = Platform::ALL.into_iter().find(|platform| platform.is_here(&environment));
    let platform = here.ok_or_else(not_here)?;
    if !ambient.print {
        return match context.global.json {
            true => print_json(&json!({ "platform": platform.as_str() })),
            false => print(&format!("{platform}\n")),
        };
    }
    let origin = context.origin();
    let audience = match (&ambient.audience, &origin) {
        (Some(audience), _) => audience.as_str(),
        (None, Ok(origin)) => origin.as_str(),
        (None, Err(_)) => {
            return Err(Failed::usage(
                "an identity token needs an audience: whom is it for?",
                "name it with `--audience`, or name the server with `--server`",
            ));
        }
    };
    // Who asks for the token is the platform itself: no server is asked for anything.
    let fetch = context.platform_fetch()?;
    let token = ambient_token(audience, &surroundings(&environment, &*fetch)).await?.ok_or_else(not_here)?;
    if context.global.json {
        return print_json(&json!({
            "platform": token.platform().as_str(),
            "audience": audience,
            "token": token.expose_secret(),
        }));
    }
    print(&format!("{}\n", token.expose_secret()))
}
