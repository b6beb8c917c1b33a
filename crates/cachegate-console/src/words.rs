//! How things are said on the pages.

use std::time::Duration;

use cachegate::TokenState;
use cachegate_policy::OpenTo;
use cachegate_storage::{TokenKind, TokenRecord};
use cachegate_types::{AccessLevel, ActionSet, GrantSource, Principal, Restriction, Timestamp};
use time::format_description::well_known::Rfc3339;

/// A text that somebody else wrote, with what cannot be seen made visible. Markup is escaped where it is shown.
pub(crate) fn shown(text: &str) -> String {
    let treacherous = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        if treacherous(letter) {
            out.extend(letter.escape_unicode());
        } else {
            out.push(letter);
        }
        out
    })
}

/// What people call somebody.
pub(crate) fn named(display: &str) -> String {
    if display.is_empty() { "without a name".to_owned() } else { shown(display) }
}

/// What a token is called.
pub(crate) fn named_token(description: &str) -> String {
    if description.is_empty() { "without a description".to_owned() } else { shown(description) }
}

/// So many people.
pub(crate) fn people(number: usize) -> String {
    if number == 1 { "1 person".to_owned() } else { format!("{number} people") }
}

/// The units of a span, longest first, each with its seconds.
pub(crate) const UNITS: [(&str, u64); 4] =
    [("days", 24 * 60 * 60), ("hours", 60 * 60), ("minutes", 60), ("seconds", 1)];

/// A span of time in the longest unit that tells it whole.
pub(crate) fn span(span: Duration) -> (u64, &'static str) {
    let seconds = span.as_secs();
    let whole = UNITS.into_iter().find(|(_, unit)| seconds.is_multiple_of(*unit));
    whole.map_or((seconds, "seconds"), |(name, unit)| (seconds / unit, name))
}

/// The same for a text of several lines.
pub(crate) fn shown_lines(text: &str) -> String {
    text.lines().map(shown).collect::<Vec<_>>().join("\n")
}

/// A moment, to the minute.
pub(crate) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time}"),
        _ => text,
    }
}

/// A moment of a day that somebody wrote, such as `2026-01-31`.
pub(crate) fn day_at(day: &str, time: &str) -> Option<Timestamp> {
    let moment = time::OffsetDateTime::parse(&format!("{day}T{time}Z"), &Rfc3339).ok()?;
    Timestamp::try_from(moment).ok()
}

/// A day.
pub(crate) fn day(at: Timestamp) -> String {
    at.to_string().get(..10).unwrap_or_default().to_owned()
}

pub(crate) fn state(state: &TokenState) -> String {
    match state {
        TokenState::Live => "live".to_owned(),
        TokenState::Revoked(None) => "revoked".to_owned(),
        TokenState::Revoked(Some(revoked)) => match revoked.reason.as_str() {
            "" => format!("revoked {}", moment(revoked.at)),
            reason => format!("revoked {}: {reason}", moment(revoked.at)),
        },
        TokenState::Expired { at } => format!("expired {}", moment(*at)),
        TokenState::Superseded { at } => format!("replaced; its overlap ended {}", moment(*at)),
        other => other.code().to_owned(),
    }
}

/// What a kind of token is called.
pub(crate) fn kind_name(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Refresh => "login in a terminal",
        kind => kind.as_str(),
    }
}

/// A device token's type, a CI token's level and lane, or what a personal token may do at most.
pub(crate) fn kind(record: &TokenRecord) -> String {
    match record.kind {
        TokenKind::Device => {
            let bound = record.restrictions.iter().find_map(|restriction| match restriction {
                Restriction::Releases { requirement, .. } => Some(requirement),
                _ => None,
            });
            match bound {
                Some(requirement) if record.reads_closures => {
                    format!("resolve-only {requirement}, with closures")
                }
                Some(requirement) => format!("resolve-only {requirement}"),
                None => "normal".to_owned(),
            }
        }
        TokenKind::Ci => {
            let actions = record.grants.iter().fold(ActionSet::EMPTY, |all, grant| all.union(grant.actions));
            match &record.lane {
                Some(lane) => format!("{}, lane {}", actions.level(), shown(&lane.to_string())),
                None => actions.level().to_string(),
            }
        }
        TokenKind::Personal => {
            let limit = record.restrictions.iter().find_map(|restriction| match restriction {
                Restriction::Actions(actions) => Some(*actions),
                _ => None,
            });
            limit.map_or_else(|| "everything that you may".to_owned(), |limit| limit.to_string())
        }
        kind @ (TokenKind::Session | TokenKind::Closure | TokenKind::Refresh | TokenKind::Browser) => {
            kind_name(kind).to_owned()
        }
    }
}

pub(crate) fn principal(principal: &Principal) -> String {
    shown(&match principal {
        // The operator acts as nobody.
        Principal::Anonymous => "the operator".to_owned(),
        other => other.to_string(),
    })
}

pub(crate) fn source(source: &GrantSource) -> &'static str {
    match source {
        GrantSource::AnonymousLevel => "the anonymous level",
        GrantSource::Membership => "membership",
        GrantSource::Role(_) => "the role",
        GrantSource::Listed => "the workspace's list",
        GrantSource::Group(_) => "a group on the workspace's list",
        GrantSource::CiToken(_) | GrantSource::DeviceToken(_) => "the token",
        GrantSource::Rule(_) => "a trust rule",
        GrantSource::Session(_) => "the session",
    }
}

/// What the anonymous level lets strangers do.
pub(crate) fn anonymous(level: AccessLevel) -> &'static str {
    match level {
        AccessLevel::None => "Nobody gets anything without a token.",
        AccessLevel::ResolveOnly => "Anyone may ask which release is the newest, and gets none of it.",
        AccessLevel::ReadOnly => {
            "Anyone may read what trusted builds stored. Nobody stores anything without a token."
        }
        AccessLevel::ReadWrite => {
            "Anyone may read what trusted builds stored, and store entries that other strangers read."
        }
    }
}

/// What the personal level lets members do with their own tokens.
pub(crate) fn personal(level: AccessLevel) -> &'static str {
    match level {
        AccessLevel::None => "Members' own tokens do nothing here; CI tokens alone count.",
        AccessLevel::ResolveOnly => "Members may ask which release is the newest.",
        AccessLevel::ReadOnly => "Members read what builds stored, and store nothing.",
        AccessLevel::ReadWrite => "Members read what builds stored, and store what other members read.",
    }
}

pub(crate) fn open_to(open_to: OpenTo) -> &'static str {
    match open_to {
        OpenTo::Members => "Every member of the organization gets read-write here.",
        OpenTo::Listed => {
            "Only the people and groups on its list get anything here; administrators always do."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_shown() {
        assert_eq!(shown("a\u{202e}b\n\u{0}é<i>"), "a\\u{202e}b\\u{a}\\u{0}é<i>");
    }

    #[test]
    fn a_day_is_read_as_it_is_told() {
        let moment = day_at("2023-11-14", "23:59:59").expect("a moment");
        assert_eq!(day(moment), "2023-11-14");
        for wrong in ["", "14.11.2023", "2023-02-30", "2023-11-14T00:00:00Z"] {
            assert_eq!(day_at(wrong, "00:00:00"), None, "{wrong}");
        }
    }

    #[test]
    fn a_span_is_told_whole() {
        for (seconds, told) in [(0, (0, "days")), (90 * 86400, (90, "days")), (90000, (25, "hours"))] {
            assert_eq!(span(Duration::from_secs(seconds)), told);
        }
        assert_eq!(span(Duration::from_secs(61)), (61, "seconds"));
    }

    #[test]
    fn a_moment_is_told_to_the_minute() {
        assert_eq!(moment(Timestamp::from(1_700_000_000)), "2023-11-14 22:13");
    }
}
