//! `netrc doctor`.

use std::path::Path;

use serde_json::json;

use crate::context::Context;
use crate::failure::{Failed, Status};
use crate::show::{GREEN, RED, YELLOW, print, print_json, styled};

pub(super) fn doctor(context: &Context, file: Option<&Path>) -> Result<(), Failed> {
    let netrc = context.netrc(file)?;
    let path = netrc.path().display();
    if !netrc.path().exists() {
        return Err(Failed::new(
            Status::Refused,
            "no_file",
            format!("there is no file `{path}`"),
            "`gatectl login` makes one, or name another",
        ));
    }
    let findings = netrc.doctor()?;
    if context.global.json {
        let list: Vec<_> = findings
            .iter()
            .map(|finding| {
                json!({
                    "code": finding.problem().code(),
                    "line": finding.line(),
                    "fatal": finding.problem().is_fatal(),
                    "detail": finding.to_string(),
                })
            })
            .collect();
        print_json(&json!({ "file": path.to_string(), "findings": list }))?;
    } else if findings.is_empty() {
        print(&format!("{path}: {}\n", styled(GREEN, "every known reader agrees on it")))?;
    }
    if findings.is_empty() {
        return Ok(());
    }
    if !context.global.json {
        for finding in &findings {
            let (style, name) =
                if finding.problem().is_fatal() { (RED, "error") } else { (YELLOW, "warning") };
            print(&format!("{} {path}: {finding}\n", styled(style, name)))?;
        }
    }
    Err(Failed::new(Status::Found, "findings", "", ""))
}
