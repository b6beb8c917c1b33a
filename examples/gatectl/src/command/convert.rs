//! `convert`: a committed token leaves a tool's configuration; everything else in the file stays as it is.

use std::path::Path;

use cachegate_client::{BoundToken, edit_document};
use cachegate_types::{SecretText, TokenId};
use regex::Regex;
use serde_json::{Value, json};

use super::scan::{Found, Patterns};
use super::session::until;
use crate::cli::Convert;
use crate::context::Context;
use crate::failure::{Failed, Status};
use crate::show::{harmless, note, print, print_json};

/// How a tool keeps its token, and what its CI jobs are given instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `nxCloudAccessToken` in nx.json: the public id takes its place.
    Nx,
    /// `token` in .turbo/config.json.
    Turborepo,
    /// A `machine` line of a netrc file.
    Netrc,
    /// `NAME=TOKEN` in a .env file.
    Env,
}

/// A file without its token.
#[derive(Debug, PartialEq, Eq)]
struct Converted {
    text: String,
    /// The variable that gives the token to CI.
    variable: String,
    /// Which token: the others in the file stay for the next run.
    token: String,
}

impl Form {
    fn of(path: &Path) -> Result<Self, Failed> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        match (name, folder) {
            ("nx.json", _) => Ok(Self::Nx),
            ("config.json", Some(".turbo")) => Ok(Self::Turborepo),
            (".netrc" | "netrc" | "_netrc", _) => Ok(Self::Netrc),
            (name, _) if name == ".env" || name.starts_with(".env.") || name.ends_with(".env") => {
                Ok(Self::Env)
            }
            _ => Err(Failed::usage(
                format!("`{}` is none of the files that are known here", path.display()),
                "give it nx.json, .turbo/config.json, a netrc file or a .env file; take the token out of others by hand",
            )),
        }
    }
}

pub(super) async fn convert(context: &Context, convert: &Convert) -> Result<(), Failed> {
    let path = &convert.file;
    let form = Form::of(path)?;
    let old = std::fs::read_to_string(path).map_err(|error| {
        Failed::usage(format!("`{}` could not be read: {error}", path.display()), "check its name")
    })?;
    let found = Patterns::new()?.find(path, old.as_bytes());
    let Some(first) = found.first() else {
        return Err(Failed::new(
            Status::Refused,
            "no_token",
            format!("`{}` holds no token", path.display()),
            "there is nothing to do",
        ));
    };
    let workspace = match (form, &convert.workspace_id) {
        (Form::Nx, None) => Some(workspace_of(context, first).await?),
        (Form::Nx, Some(id)) => Some(id.clone()),
        _ => None,
    };
    let converted = without_token(form, &old, first, workspace.as_deref())?;
    // Whatever becomes of the file, the token that CI needs is told first.
    let (token, former) = match convert.rotate {
        false => (SecretText::new(converted.token.clone()), None),
        true => rotated(context, first, convert).await.map(|(token, id)| (token, Some(id)))?,
    };
    let line = format!("{}={}", converted.variable, token.expose_secret());
    if context.global.json {
        print_json(&json!({
            "file": path.display().to_string(),
            "variable": converted.variable,
            "token": SecretText::expose_secret(&token),
            "workspace": workspace,
            "rotated": convert.rotate,
            "changed": !convert.dry_run,
        }))?;
    } else {
        print(&format!("{line}\n"))?;
    }
    if convert.dry_run {
        note(&format!("`{}` would be changed; nothing was", path.display()));
        return Ok(());
    }
    edit_document(path, |now| {
        if now == old.as_bytes() {
            return Ok(Some(converted.text.clone().into_bytes()));
        }
        let what = format!(
            "`{}` was changed by somebody else in the meantime, and was left as it is",
            path.display()
        );
        Err(Failed::new(Status::Refused, "changed", what, "run it again without `--rotate`"))
    })?;
    if form == Form::Netrc {
        note(
            "there, before the build: `printf %s \"$CACHEGATE_TOKEN\" | gatectl login --token-file - --server URL`",
        );
    }
    let left = found.len() - found.iter().filter(|other| other.text == first.text).count();
    note(&format!("took the token out of `{}`; give CI the line above as a secret", path.display()));
    if left > 0 {
        note(&format!("{left} more in this file: run it again"));
    }
    if let Some((id, ends)) = former {
        note(&format!("the committed token {id} counts until {ends}, then it is over"));
    } else if first.id.is_none() {
        note("the history still holds this token: replace it where it was made");
    } else {
        note("the history still holds this token: rotate it (`--rotate`), or revoke it once CI has another");
    }
    Ok(())
}

/// The workspace that the token belongs to, asked with the token itself.
async fn workspace_of(context: &Context, found: &Found) -> Result<String, Failed> {
    let advice = "name the public id with `--workspace-id`";
    if found.kind == "nx-cloud" {
        let what = "the token in this file is one of another service, which alone knows its workspace";
        return Err(Failed::usage(what, advice));
    }
    let origin = context
        .origin()
        .map_err(|error| Failed { advice: format!("{}; or {advice}", error.advice), ..error })?;
    let token = BoundToken::new(origin.clone(), SecretText::new(found.text.clone()));
    let asked = context.anonymous(&origin)?.with_token(token)?.whoami().await;
    let who = asked.map_err(|error| {
        let failed = Failed::from(error);
        let what = format!("the token in the file was not taken by {origin}: {}", failed.what);
        Failed { what, advice: advice.to_owned(), ..failed }
    })?;
    let workspace = who.workspace.map(|id| id.to_string());
    workspace.ok_or_else(|| Failed::usage("the token belongs to no single workspace", advice))
}

/// A successor, made with the rights of whoever runs this.
async fn rotated(
    context: &Context,
    found: &Found,
    convert: &Convert,
) -> Result<(SecretText, (TokenId, String)), Failed> {
    let id = found.id.as_deref().and_then(|id| id.parse::<TokenId>().ok());
    let id = id.ok_or_else(|| {
        Failed::usage(
            "this token has no public id, and cannot be rotated by it",
            "leave `--rotate` out, and make another with `gatectl auth token`",
        )
    })?;
    let server = context.server().await?;
    let issued = server.rotate_token(id, convert.overlap, None).await?;
    let former = server.token(id).await?;
    Ok((issued.token, (id, former.overlap_until.map_or_else(|| "soon".to_owned(), until))))
}

/// The file without this token.
fn without_token(form: Form, old: &str, found: &Found, workspace: Option<&str>) -> Result<Converted, Failed> {
    let token = found.text.clone();
    let quoted = regex::escape(&token);
    let converted = |text: String, variable: &str| Converted {
        text,
        variable: variable.to_owned(),
        token: token.clone(),
    };
    match form {
        Form::Nx => {
            let workspace = workspace.unwrap_or_default();
            if !workspace.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
                return Err(Failed::usage(
                    "the workspace id holds what is in no such id",
                    "check `--workspace-id`",
                ));
            }
            let property = matcher(&format!(r#""(nxCloudAccessToken|accessToken)"(\s*:\s*)"{quoted}""#))?;
            let text = if old.contains("\"nxCloudId\"") {
                without_property(old, &property)
            } else {
                property.replace(old, format!("\"nxCloudId\"${{2}}\"{workspace}\"")).into_owned()
            };
            checked(old, &text, &token)?;
            Ok(converted(text, "NX_CLOUD_ACCESS_TOKEN"))
        }
        Form::Turborepo => {
            let text = without_property(old, &matcher(&format!(r#""token"\s*:\s*"{quoted}""#))?);
            checked(old, &text, &token)?;
            Ok(converted(text, "TURBO_TOKEN"))
        }
        Form::Netrc => {
            let line = format!(
                r"(?m)^[ \t]*machine[ \t]+\S+[ \t]+login[ \t]+\S+[ \t]+password[ \t]+{quoted}[ \t]*(\r?\n|\z)"
            );
            let text = matcher(&line)?.replace_all(old, "").into_owned();
            gone(&text, &token)?;
            Ok(converted(text, "CACHEGATE_TOKEN"))
        }
        Form::Env => {
            let line = format!(
                r#"(?m)^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(?:"{quoted}"|'{quoted}'|{quoted})[ \t]*(#[^\r\n]*)?(\r?\n|\z)"#
            );
            let line = matcher(&line)?;
            let name =
                line.captures(old).and_then(|captures| captures.get(1)).map(|name| name.as_str().to_owned());
            let text = line.replace_all(old, "").into_owned();
            gone(&text, &token)?;
            Ok(converted(text, name.as_deref().unwrap_or("CACHEGATE_TOKEN")))
        }
    }
}

fn matcher(pattern: &str) -> Result<Regex, Failed> {
    Regex::new(pattern)
        .map_err(|_| Failed::usage("the token is too long to be looked for", "take it out by hand"))
}

/// The document without this member: with the comma behind it, or the one before it, and its own line.
fn without_property(old: &str, property: &Regex) -> String {
    let Some(found) = property.find(old) else { return old.to_owned() };
    let (before, behind) =
        (old.get(..found.start()).unwrap_or_default(), old.get(found.end()..).unwrap_or_default());
    let rest = behind.trim_start();
    if let Some(rest) = rest.strip_prefix(',') {
        // The next member takes its place.
        return format!("{before}{}", rest.trim_start());
    }
    match before.trim_end().strip_suffix(',') {
        Some(before) => format!("{before}{behind}"),
        None => format!("{}{rest}", before.trim_end()),
    }
}

/// Nothing but the token and the id that takes its place may differ, as a JSON reader sees it.
fn checked(old: &str, new: &str, token: &str) -> Result<(), Failed> {
    gone(new, token)?;
    // A file with comments is read by Nx, and not here: the edit touched one member of it all the same.
    let Ok(mut before) = serde_json::from_str::<Value>(old) else { return Ok(()) };
    let same = serde_json::from_str::<Value>(new).is_ok_and(|mut after| {
        drop_members(&mut before, token);
        drop_members(&mut after, token);
        before == after
    });
    if same {
        Ok(())
    } else {
        Err(by_hand("the file could not be edited without touching more than its token"))
    }
}

/// Takes out what may differ: the token's member, and the public id's.
fn drop_members(value: &mut Value, token: &str) {
    match value {
        Value::Object(members) => {
            members.retain(|name, value| value.as_str() != Some(token) && name != "nxCloudId");
            members.values_mut().for_each(|value| drop_members(value, token));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| drop_members(item, token)),
        _ => {}
    }
}

fn gone(text: &str, token: &str) -> Result<(), Failed> {
    if text.contains(token) {
        return Err(by_hand(
            "the token stands where it is not known how to take it out; nothing was changed",
        ));
    }
    Ok(())
}

fn by_hand(what: &str) -> Failed {
    Failed::new(
        Status::Refused,
        "by_hand",
        harmless(what),
        "take it out by hand, and run `gatectl scan` afterwards",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "cgc_not-a-real-one";

    fn found() -> Found {
        let text = TOKEN.to_owned();
        Found { file: "x".into(), line: 1, column: 1, kind: "ci", id: None, text }
    }

    fn text(form: Form, old: &str) -> String {
        without_token(form, old, &found(), Some("0190a5d1")).unwrap().text
    }

    #[test]
    fn the_public_id_takes_the_place_of_the_token_and_every_other_byte_stays() {
        let old = format!(
            "{{\r\n\t\"a\" : [1,2],  \n  // why\n \"nxCloudAccessToken\" :\"{TOKEN}\" ,\n \"z\":null}}\n\n"
        );
        let new = old.replace("nxCloudAccessToken", "nxCloudId").replace(TOKEN, "0190a5d1");
        assert_eq!(text(Form::Nx, &old), new);
    }

    #[test]
    fn where_the_public_id_stands_already_the_token_just_goes() {
        for (old, new) in [
            (
                "{\n  \"nxCloudId\": \"i\",\n  \"nxCloudAccessToken\": \"@\"\n}\n",
                "{\n  \"nxCloudId\": \"i\"\n}\n",
            ),
            (
                "{\n  \"nxCloudAccessToken\": \"@\",\n  \"nxCloudId\": \"i\"\n}\n",
                "{\n  \"nxCloudId\": \"i\"\n}\n",
            ),
            ("{\"nxCloudId\":\"i\",\"nxCloudAccessToken\":\"@\",\"b\":1}", "{\"nxCloudId\":\"i\",\"b\":1}"),
        ] {
            assert_eq!(text(Form::Nx, &old.replace('@', TOKEN)), new);
        }
    }

    #[test]
    fn turborepo_keeps_its_team() {
        let old = format!("{{\n  \"teamid\": \"team_1\",\n  \"token\": \"{TOKEN}\"\n}}\n");
        assert_eq!(text(Form::Turborepo, &old), "{\n  \"teamid\": \"team_1\"\n}\n");
        assert_eq!(text(Form::Turborepo, &format!("{{ \"token\": \"{TOKEN}\" }}")), "{}");
    }

    #[test]
    fn a_line_of_env_or_netrc_goes_and_names_its_variable() {
        let old = format!("A=1\nexport CACHE_TOKEN='{TOKEN}' # ours\r\nB=2");
        let converted = without_token(Form::Env, &old, &found(), None).unwrap();
        assert_eq!((converted.text.as_str(), converted.variable.as_str()), ("A=1\nB=2", "CACHE_TOKEN"));
        let old =
            format!("# mine\nmachine a login b password c\nmachine d login cachegate password {TOKEN}\n");
        assert_eq!(text(Form::Netrc, &old), "# mine\nmachine a login b password c\n");
    }

    #[test]
    fn a_token_in_an_unknown_place_is_left_for_a_person() {
        for (form, old) in [
            (Form::Nx, format!("{{\"other\": \"{TOKEN}\"}}")),
            (Form::Env, format!("URL=https://x:{TOKEN}@host/")),
            (Form::Netrc, format!("machine a\n  login b\n  password {TOKEN}\n")),
        ] {
            assert_eq!(without_token(form, &old, &found(), Some("i")).unwrap_err().code, "by_hand", "{old}");
        }
    }
}
