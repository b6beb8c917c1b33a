//! `seal` and `admit`: the provenance label of an entry, written and held against what is at hand.

use cachegate::{AtHand, NotAdmitted};
use cachegate_jwt::{Label, LabelFields, LabelKey};
use cachegate_storage::MarkScope;
use cachegate_types::{Lane, MarkId, SecretBytes, Timestamp, TokenId, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::request::Refusal;
use crate::words::{Digest, Key, Who, b64, unb64};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SealIn {
    label_key: String,
    workspace: WorkspaceId,
    lane: Lane,
    #[serde(default)]
    lane_generation: u32,
    key: Key,
    digest: Digest,
    length: u64,
    #[serde(default)]
    ancestors: Vec<TokenId>,
    token: Option<TokenId>,
    principal: Who,
    run: Option<String>,
    now: Timestamp,
}

#[derive(Serialize)]
pub(super) struct SealOut {
    label: String,
    label_key_id: String,
}

pub(super) fn seal(request: SealIn) -> Result<SealOut, Refusal> {
    let key = label_key("label_key", &request.label_key)?;
    let fields = LabelFields {
        workspace: request.workspace,
        lane: request.lane,
        lane_generation: request.lane_generation,
        key: request.key.0,
        digest: request.digest.0,
        length: request.length,
        ancestors: request.ancestors,
        token: request.token,
        principal: request.principal.into(),
        run: request.run,
        time: request.now,
    };
    let label = Label::seal(&fields, &key)?;
    Ok(SealOut { label: b64(label), label_key_id: key.id().to_string() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdmitIn {
    label: Option<String>,
    label_keys: Vec<String>,
    workspace: WorkspaceId,
    #[serde(default)]
    lane_generation: u32,
    key: Key,
    digest: Digest,
    lanes: Vec<Lane>,
    #[serde(default)]
    distrust: Vec<Mark>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    id: MarkId,
    scope: Scope,
}

/// Whose entries are distrusted.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Scope {
    Token(TokenId),
    Principal(Who),
    Run(String),
    Window { workspace: Option<WorkspaceId>, from: Timestamp, to: Timestamp },
}

impl From<Scope> for MarkScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Token(token) => Self::Token(token),
            Scope::Principal(who) => Self::Principal(who.into()),
            Scope::Run(run) => Self::Run(run.into()),
            Scope::Window { workspace, from, to } => Self::Window { workspace, from, to },
        }
    }
}

#[derive(Serialize)]
pub(super) struct AdmitOut {
    lane: Lane,
    length: u64,
    token: Option<TokenId>,
    principal: Who,
    run: Option<String>,
    at: Timestamp,
}

pub(super) fn admit(request: AdmitIn) -> Result<AdmitOut, Refusal> {
    let keys =
        request.label_keys.iter().map(|key| label_key("label_keys", key)).collect::<Result<Vec<_>, _>>()?;
    let label = request.label.as_deref().ok_or(NotAdmitted::NoLabel)?;
    let marks: Vec<(MarkId, MarkScope)> =
        request.distrust.into_iter().map(|mark| (mark.id, mark.scope.into())).collect();
    let at_hand = AtHand {
        workspace: Some(request.workspace),
        lane_generation: request.lane_generation,
        key: &request.key.0,
        digest: &request.digest.0,
    };
    let found = at_hand.admit(
        &unb64("label", label)?,
        |id| keys.iter().find(|key| key.id() == id),
        request.lanes.iter(),
        marks.iter().map(|(id, scope)| (*id, scope)),
    )?;
    Ok(AdmitOut {
        lane: found.lane,
        length: found.length,
        token: found.token,
        principal: found.writer.into(),
        run: found.run,
        at: found.at,
    })
}

fn label_key(member: &str, text: &str) -> Result<LabelKey, Refusal> {
    let bytes = <[u8; 32]>::try_from(unb64(member, text)?).map_err(|bytes| {
        Refusal::bad_request(format!("`{member}`: expected 32 bytes, got {}", bytes.len()))
    })?;
    Ok(LabelKey::from_bytes(SecretBytes::new(bytes)))
}
