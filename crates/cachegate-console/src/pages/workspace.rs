//! The settings of a workspace, each choice with what it lets whom do.

use askama::Template;
use cachegate::{OrganizationView, WorkspaceView};
use cachegate_policy::{LaneOrder, OpenTo, PersonalLane, ReadOnlyCiWrites, WorkspaceSettings};
use cachegate_types::{AccessLevel, Action, LaneClass};

use super::{Tabs, View, beside, done, here_in};
use crate::app::{Answered, Call, Failure, see, sentence};
use crate::words;

#[derive(Template)]
#[template(path = "workspace.html")]
struct Settings<'a> {
    call: &'a Call,
    name: &'a str,
    id: String,
    action: String,
    listed: String,
    done: Option<&'static str>,
    problem: Option<String>,
    seen: String,
    choices: Vec<Choice>,
    order: Vec<Position>,
    warnings: Vec<&'static str>,
}

/// One setting.
struct Choice {
    name: &'static str,
    label: &'static str,
    options: Vec<Value>,
}

/// One of its values.
struct Value {
    value: &'static str,
    told: &'static str,
    chosen: bool,
}

/// A place in the order of lanes.
struct Position {
    number: usize,
    options: Vec<(&'static str, bool)>,
}

pub(super) async fn serve(call: &Call, organization: &OrganizationView, act: Option<&str>) -> Answered {
    let workspace = call.workspace(organization).await?;
    // Settings are for those who administer the workspace: what others see of them they see by what they may do.
    if !workspace.actions.contains(Action::Administer) {
        return Err(Failure::denied(
            "The settings of a workspace are for its organization's administrators.".to_owned(),
        ));
    }
    let kept = &workspace.record.settings;
    let (settings, problem) = match act {
        None => (kept.clone(), None),
        Some(act) => match read(call) {
            Err(failure) => (kept.clone(), Some(beside(failure)?)),
            Ok(wanted) if act == "check" => (wanted, None),
            Ok(wanted) => match save(call, &workspace, &wanted).await {
                Ok(()) => {
                    return see(&here_in(organization, &workspace, View::Workspace, &[("done", "saved")]));
                }
                Err(failure) => (wanted, Some(beside(failure)?)),
            },
        },
    };
    let wrong = problem.is_some();
    let main = Settings {
        call,
        name: workspace.record.name.as_str(),
        id: workspace.record.id.to_string(),
        action: here_in(organization, &workspace, View::Workspace, &[]),
        listed: here_in(organization, &workspace, View::Listed, &[]),
        done: done(call),
        problem,
        seen: as_text(kept),
        choices: choices(&settings),
        order: order(&settings),
        warnings: warnings(kept, &settings),
    };
    let tabs = Tabs::new(organization, View::Workspace).in_workspace(&workspace);
    if wrong { call.again("Settings", Some(&tabs), &main) } else { call.page("Settings", Some(&tabs), &main) }
}

async fn save(call: &Call, workspace: &WorkspaceView, wanted: &WorkspaceSettings) -> Result<(), Failure> {
    let record = &workspace.record;
    if call.value("seen") != as_text(&record.settings) {
        return Err(Failure::form("Somebody else changed these settings meanwhile. Open the page anew."));
    }
    call.gate().set_settings_over(&call.by(), record.id, wanted, Some(record), call.now).await?;
    Ok(())
}

fn read(call: &Call) -> Result<WorkspaceSettings, Failure> {
    let level = |name: &str| call.value(name).parse().map_err(|error| Failure::form(sentence(&error)));
    let unclear = || Failure::form("Choose one value for each setting.");
    let classes = (1..=LaneClass::ALL.len()).map(|place| call.value(&format!("lane-{place}")).parse());
    let classes = classes.collect::<Result<Vec<LaneClass>, _>>().map_err(|_| unclear())?;
    Ok(WorkspaceSettings {
        anonymous: level("anonymous")?,
        personal: level("personal")?,
        personal_lane: match call.value("personal-lane") {
            "dev" => PersonalLane::Dev,
            "main" => PersonalLane::Main,
            _ => return Err(unclear()),
        },
        open_to: match call.value("open-to") {
            "members" => OpenTo::Members,
            "listed" => OpenTo::Listed,
            _ => return Err(unclear()),
        },
        read_only_ci_writes: match call.value("read-only-ci-writes") {
            "refuse" => ReadOnlyCiWrites::Refuse,
            "own-lane" => ReadOnlyCiWrites::OwnLane,
            _ => return Err(unclear()),
        },
        lanes: LaneOrder::new(&classes).map_err(|error| Failure::form(sentence(&error)))?,
        // The generation is the store's own.
        lane_generation: 0,
    })
}

fn personal_lane(lane: PersonalLane) -> &'static str {
    match lane {
        PersonalLane::Dev => "dev",
        PersonalLane::Main => "main",
    }
}

fn open_to(open: OpenTo) -> &'static str {
    match open {
        OpenTo::Members => "members",
        OpenTo::Listed => "listed",
    }
}

fn own_writes(writes: ReadOnlyCiWrites) -> &'static str {
    match writes {
        ReadOnlyCiWrites::Refuse => "refuse",
        ReadOnlyCiWrites::OwnLane => "own-lane",
    }
}

/// The settings as one text, by which a form says what it was filled in over.
fn as_text(settings: &WorkspaceSettings) -> String {
    let lanes = settings.lanes.classes().map(LaneClass::as_str).join(" ");
    let WorkspaceSettings { anonymous, personal, lane_generation, .. } = settings;
    let (lane, open) = (personal_lane(settings.personal_lane), open_to(settings.open_to));
    let writes = own_writes(settings.read_only_ci_writes);
    format!("{anonymous} {personal} {lane} {open} {writes} {lanes} {lane_generation}")
}

fn choices(settings: &WorkspaceSettings) -> Vec<Choice> {
    let levels = |chosen: AccessLevel, told: fn(AccessLevel) -> &'static str| {
        let option =
            |level: AccessLevel| Value { value: level.as_str(), told: told(level), chosen: level == chosen };
        AccessLevel::ALL.into_iter().map(option).collect()
    };
    let option = |value, told, chosen: &str| Value { value, told, chosen: value == chosen };
    let lane = personal_lane(settings.personal_lane);
    let open = open_to(settings.open_to);
    let writes = own_writes(settings.read_only_ci_writes);
    vec![
        Choice {
            name: "anonymous",
            label: "Without a token",
            options: levels(settings.anonymous, words::anonymous),
        },
        Choice {
            name: "personal",
            label: "Personal tokens of members",
            options: levels(settings.personal, words::personal),
        },
        Choice {
            name: "personal-lane",
            label: "What members store goes to",
            options: vec![
                option("dev", "Other members read it. No build does.", lane),
                option("main", "Everybody reads it, every build included.", lane),
            ],
        },
        Choice {
            name: "open-to",
            label: "Open to",
            options: vec![
                option("members", words::open_to(OpenTo::Members), open),
                option("listed", words::open_to(OpenTo::Listed), open),
            ],
        },
        Choice {
            name: "read-only-ci-writes",
            label: "What read-only CI tokens try to store",
            options: vec![
                option("refuse", "It is refused, and the build goes on.", writes),
                option(
                    "own-lane",
                    "A session exchanged for such a token stores into a lane of its own that nobody else reads.",
                    writes,
                ),
            ],
        },
    ]
}

fn order(settings: &WorkspaceSettings) -> Vec<Position> {
    let position = |(index, held): (usize, &LaneClass)| Position {
        number: index + 1,
        options: LaneClass::ALL.into_iter().map(|class| (class.as_str(), class == *held)).collect(),
    };
    settings.lanes.classes().iter().enumerate().map(position).collect()
}

/// What is dangerous in these settings, and what follows from changing to them.
fn warnings(kept: &WorkspaceSettings, settings: &WorkspaceSettings) -> Vec<&'static str> {
    let mut found = Vec::new();
    if settings.anonymous == AccessLevel::ReadWrite {
        found.push(
            "Anonymous read-write: any stranger can store an entry that misleads every other stranger. Builds with a \
             token do not read it.",
        );
    }
    if settings.personal_lane == PersonalLane::Main && settings.personal == AccessLevel::ReadWrite {
        found.push("Personal tokens write main: any member's machine can mislead every build and every other member.");
    }
    let rank = |class| settings.lanes.rank(class);
    if rank(LaneClass::Main) < rank(LaneClass::Release) {
        found.push("main is above release: release builds then read what builds of main stored.");
    }
    if rank(LaneClass::Dev) < rank(LaneClass::Main) {
        found.push(
            "dev is above main: members whose tokens write main then read what members' machines stored.",
        );
    }
    let lowly = [LaneClass::Branch, LaneClass::Pull, LaneClass::Own, LaneClass::Anonymous];
    if lowly.into_iter().any(|class| rank(class) < rank(LaneClass::Main)) {
        found.push(
            "A lane that outsiders may write is above main: jobs in it no longer read what main stored.",
        );
    }
    if settings.lanes != kept.lanes {
        found.push("Another order begins anew: what is stored under the present one is no longer read.");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_safe_settings_warn_of_nothing_and_each_dangerous_one_is_named() {
        let safe = WorkspaceSettings::default();
        assert!(warnings(&safe, &safe).is_empty());
        let told = |change: fn(&mut WorkspaceSettings)| {
            let mut settings = safe.clone();
            change(&mut settings);
            warnings(&settings, &settings).join(" ")
        };
        assert!(told(|settings| settings.anonymous = AccessLevel::ReadWrite).contains("any stranger"));
        assert!(
            told(|settings| settings.personal_lane = PersonalLane::Main).contains("any member's machine")
        );
        let swapped = |one: usize, other: usize| {
            let mut classes = LaneClass::ALL;
            classes.swap(one, other);
            let lanes = LaneOrder::new(&classes).expect("an order");
            warnings(&safe, &WorkspaceSettings { lanes, ..safe.clone() }).join(" ")
        };
        assert!(swapped(0, 1).contains("main is above release") && swapped(0, 1).contains("begins anew"));
        assert!(swapped(1, 2).contains("dev is above main"));
        assert!(swapped(1, 4).contains("outsiders may write"));
    }
}
