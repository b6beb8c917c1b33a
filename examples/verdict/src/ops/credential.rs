//! `credential`: what a request's header fields carry.

use cachegate_token::{Brand, Credential};
use cachegate_types::{TokenId, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::request::Refusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct In {
    authorization: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    brand: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Out {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_id: Option<TokenId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<WorkspaceId>,
}

pub(super) fn credential(In { authorization, headers, brand }: In) -> Result<Out, Refusal> {
    let brand = match &brand {
        Some(brand) => brand.parse().map_err(|error| Refusal::bad_request(format!("`brand`: {error}")))?,
        None => Brand::default(),
    };
    let authorization = authorization.iter().map(|value| ("authorization", value.as_bytes()));
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let Some(credential) = Credential::from_fields(authorization.chain(headers), &brand)? else {
        return Ok(Out { kind: "none", token_kind: None, public_id: None, workspace: None });
    };
    let (token_kind, workspace) = match &credential {
        Credential::Opaque(token) => (Some(token.kind().as_str()), None),
        Credential::NxCloud { workspace, token } => (Some(token.kind().as_str()), Some(*workspace)),
        Credential::IssuedJwt(_) | Credential::ForeignJwt(_) => (None, None),
    };
    Ok(Out { kind: credential.kind(), token_kind, public_id: credential.public_id(), workspace })
}
