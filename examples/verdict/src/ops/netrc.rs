//! `netrc`: what a netrc file holds for a host, or the file with a token for it.

use cachegate_client::{Finding, Host, Netrc, Replace};
use cachegate_token::Brand;
use cachegate_types::SecretText;
use serde::{Deserialize, Serialize};

use crate::request::Refusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct In {
    text: String,
    host: String,
    token: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Out {
    Read { login: Option<String>, password: Option<String>, warnings: Vec<Warning> },
    Written { text: String },
}

#[derive(Serialize)]
pub(super) struct Warning {
    line: Option<usize>,
    code: &'static str,
    detail: String,
}

impl From<&Finding> for Warning {
    fn from(finding: &Finding) -> Self {
        Self { line: finding.line(), code: finding.problem().code(), detail: finding.to_string() }
    }
}

pub(super) fn netrc(In { text, host, token }: In) -> Result<Out, Refusal> {
    let file = Netrc::parse(text.as_bytes());
    if let Some(token) = token {
        let host: Host = host.parse()?;
        // netrc has room for one credential a host: whatever it holds gives way.
        let written = file.with_token(&host, &SecretText::new(token), Replace::Any, &Brand::default())?;
        return Ok(Out::Written { text: String::from_utf8_lossy(&written).into_owned() });
    }
    let found = file.login(&host)?;
    Ok(Out::Read {
        login: found.as_ref().map(|found| found.login().to_owned()),
        password: found.as_ref().map(|found| found.password().expose_secret().to_owned()),
        warnings: file.findings().iter().map(Warning::from).collect(),
    })
}
