//! Random histories, decided by the gate and by a naive model, and compared answer by answer.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a step that fails is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use cachegate::{Authority, Gate, PersonalForm, TokenSpec, Verdict};
use cachegate_policy::LockScope;
use cachegate_storage::MassScope;
use cachegate_testkit::{ManualClock, NOW, Scene, block_on};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, Lane, LaneClass, LockId, Principal, Role, SecretText,
    Timestamp, TokenId, UserId,
};
use proptest::collection::vec;
use proptest::prelude::*;

const OPERATOR: Authority<'_> = Authority::Operator;
const PEOPLE: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    Ci { write: bool, lane: usize, life: Option<u32> },
    Personal { person: usize, actions: u8, life: Option<u32> },
    Revoke { token: usize },
    Rotate { token: usize, overlap: u32 },
    Mass { person: Option<usize> },
    Join { person: usize, admin: bool },
    Leave { person: usize },
    Anonymous { level: usize },
    PersonalLevel { level: usize },
    Lock { scope: usize, actions: u8, life: Option<u32> },
    Lift { lock: usize },
    Wait { seconds: u32 },
    Ask { token: usize, action: usize },
    AskNode { token: usize, action: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let life = || proptest::option::of(1..60_u32);
    prop_oneof![
        2 => (any::<bool>(), 0..4_usize, life()).prop_map(|(write, lane, life)| Step::Ci { write, lane, life }),
        2 => (0..PEOPLE, 0..128_u8, life())
            .prop_map(|(person, actions, life)| Step::Personal { person, actions, life }),
        2 => any::<usize>().prop_map(|token| Step::Revoke { token }),
        2 => (any::<usize>(), 0..30_u32).prop_map(|(token, overlap)| Step::Rotate { token, overlap }),
        1 => proptest::option::of(0..PEOPLE).prop_map(|person| Step::Mass { person }),
        2 => (0..PEOPLE, any::<bool>()).prop_map(|(person, admin)| Step::Join { person, admin }),
        1 => (0..PEOPLE).prop_map(|person| Step::Leave { person }),
        1 => (0..4_usize).prop_map(|level| Step::Anonymous { level }),
        1 => (0..4_usize).prop_map(|level| Step::PersonalLevel { level }),
        1 => (0..6_usize, 0..128_u8, life())
            .prop_map(|(scope, actions, life)| Step::Lock { scope, actions, life }),
        1 => any::<usize>().prop_map(|lock| Step::Lift { lock }),
        3 => (0..20_u32).prop_map(|seconds| Step::Wait { seconds }),
        8 => (any::<usize>(), 0..7_usize).prop_map(|(token, action)| Step::Ask { token, action }),
        3 => (any::<usize>(), 0..7_usize).prop_map(|(token, action)| Step::AskNode { token, action }),
    ]
}

/// Who a token is, as the model sees it.
#[derive(Clone, Debug)]
enum Holder {
    Ci { actions: ActionSet, lane: Lane },
    Person { person: usize, actions: ActionSet },
}

#[derive(Clone, Debug)]
struct Token {
    text: SecretText,
    id: TokenId,
    holder: Holder,
    issued: u32,
    /// When its line of rotations began.
    rooted: u32,
    life: Option<u32>,
    family: usize,
    superseded: Option<u32>,
    revoked: bool,
}

impl Token {
    fn has_ended(&self, now: u32) -> bool {
        self.revoked || self.life.is_some_and(|life| now >= self.issued + life)
    }
}

#[derive(Clone, Debug, Default)]
struct Person {
    role: Option<Role>,
    since: Option<u32>,
}

/// The naive model: lists, and one function that asks every question in turn.
struct Model {
    now: u32,
    people: [Person; PEOPLE],
    ids: [UserId; PEOPLE],
    tokens: Vec<Token>,
    anonymous: AccessLevel,
    personal: AccessLevel,
    /// Whose tokens (CI's: `None`), issued until when, are revoked: one of that same second is too.
    masses: Vec<(Option<usize>, u32)>,
    locks: Vec<(LockId, LockScope, ActionSet, Option<u32>)>,
}

impl Model {
    fn pick(&self, token: usize) -> Option<usize> {
        (token.checked_rem(self.tokens.len() + 1)).filter(|token| *token < self.tokens.len())
    }

    fn expected(&self, token: Option<usize>, action: Action) -> (&'static str, Option<LaneClass>) {
        let token = token.map(|token| &self.tokens[token]);
        if let Some(token) = token {
            if token.revoked {
                return ("revoked", None);
            }
            if token.superseded.is_some_and(|until| self.now >= until) {
                return ("superseded", None);
            }
            if token.has_ended(self.now) {
                return ("expired", None);
            }
        }
        let member = |person: usize, rooted: u32| {
            let Person { role, since } = &self.people[person];
            role.filter(|_| since.is_none_or(|since| rooted >= since))
        };
        let (principal, lane) = match token.map(|token| &token.holder) {
            None => (Principal::Anonymous, Some(LaneClass::Anonymous)),
            Some(Holder::Ci { lane, .. }) => (Principal::Anonymous, Some(lane.class())),
            Some(Holder::Person { person, .. }) => {
                let role = member(*person, token.map_or(0, |token| token.rooted));
                (Principal::User(self.ids[*person]), role.map(|_| LaneClass::Dev))
            }
        };
        let is_anonymous = token.is_none();
        for (_, scope, actions, until) in &self.locks {
            let within = match scope {
                LockScope::Everything | LockScope::Organization(_) | LockScope::Workspace(_) => true,
                LockScope::Principal(Principal::Anonymous) => is_anonymous,
                LockScope::Principal(locked) => *locked == principal,
                LockScope::Lane(class) => lane == Some(*class),
            };
            if within && actions.contains(action) && until.is_none_or(|until| self.now < until) {
                return ("locked", None);
            }
        }
        let granted = match token.map(|token| &token.holder) {
            None => self.anonymous.actions(),
            Some(Holder::Ci { actions, .. }) => *actions,
            Some(Holder::Person { person, actions }) => {
                if !actions.contains(action) {
                    return ("restricted", None);
                }
                let Some(role) = member(*person, token.map_or(0, |token| token.rooted)) else {
                    return ("not_a_member", None);
                };
                let granted = role.actions().union(AccessLevel::ReadWrite.actions());
                if granted.contains(action) && !self.personal_leaves(action) {
                    return ("personal_level", None);
                }
                granted
            }
        };
        if !granted.contains(action) {
            return ("action_not_granted", None);
        }
        let writes = matches!(action, Action::Write | Action::Replace | Action::Delete | Action::Publish);
        ("allowed", lane.filter(|_| writes))
    }

    fn sweep(&mut self) {
        for token in &mut self.tokens {
            let person = match &token.holder {
                Holder::Ci { .. } => None,
                Holder::Person { person, .. } => Some(*person),
            };
            token.revoked |=
                self.masses.iter().any(|(meant, until)| *meant == person && token.issued <= *until);
        }
    }

    fn personal_leaves(&self, action: Action) -> bool {
        match (self.personal, action) {
            (AccessLevel::ReadWrite, _) | (_, Action::Administer | Action::Publish) => true,
            (level, action) => level.actions().contains(action),
        }
    }
}

struct History {
    scene: Scene,
    node: Gate,
    node_clock: Arc<ManualClock>,
    model: Model,
}

fn lane(index: usize) -> Lane {
    ["main", "release", "pull/42", "branch/next"][index % 4].parse().expect("a lane")
}

impl History {
    async fn new() -> Self {
        let scene = Scene::new().await;
        let (node, _, node_clock) = scene.other_node().await;
        let mut ids = Vec::new();
        for _ in 0..PEOPLE {
            let id = scene.gate.create_user(&OPERATOR, Description::default(), NOW.into()).await;
            ids.push(id.expect("a person"));
        }
        let model = Model {
            now: NOW,
            people: Default::default(),
            ids: ids.try_into().expect("so many"),
            tokens: Vec::new(),
            anonymous: AccessLevel::None,
            personal: AccessLevel::ReadWrite,
            masses: Vec::new(),
            locks: Vec::new(),
        };
        Self { scene, node, node_clock, model }
    }

    async fn issue(&mut self, spec: TokenSpec, holder: Holder, life: Option<u32>) {
        let span = life.map(|life| Duration::from_secs(life.into()));
        let now = self.model.now;
        let issued = self
            .scene
            .gate
            .issue(&OPERATOR, &spec, Description::default(), span, now.into())
            .await
            .expect("a token");
        let family = self.model.tokens.len();
        self.model.tokens.push(Token {
            text: issued.token,
            id: issued.record.id,
            holder,
            issued: now,
            rooted: now,
            life,
            family,
            superseded: None,
            revoked: false,
        });
        self.model.sweep();
    }

    async fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let gate = self.scene.gate.clone();
        let (organization, workspace) = (self.scene.organization, self.scene.workspace);
        let now: Timestamp = self.model.now.into();
        let why = Description::default;
        match *step {
            Step::Ci { write, lane: index, life } => {
                let level = if write { AccessLevel::ReadWrite } else { AccessLevel::ReadOnly };
                let holder = Holder::Ci { actions: level.actions(), lane: lane(index) };
                self.issue(TokenSpec::Ci { workspace, level, lane: lane(index) }, holder, life).await;
            }
            Step::Personal { person, actions, life } => {
                let actions = ActionSet::from_bits(actions).expect("a set");
                let owner = self.model.ids[person];
                let form =
                    if actions.contains(Action::Read) { PersonalForm::Jwt } else { PersonalForm::Opaque };
                // A JWT without a life gets the longest: no history lasts so long.
                self.issue(
                    TokenSpec::Personal { owner, actions, form },
                    Holder::Person { person, actions },
                    life,
                )
                .await;
            }
            Step::Revoke { token } => {
                let Some(token) = self.model.pick(token) else { return Ok(()) };
                gate.revoke(&OPERATOR, self.model.tokens[token].id, why(), now).await.expect("revoked");
                let Token { family, superseded, .. } = self.model.tokens[token];
                for (index, other) in self.model.tokens.iter_mut().enumerate() {
                    other.revoked |= index == token || (superseded.is_some() && other.family == family);
                }
            }
            Step::Rotate { token, overlap } => {
                let Some(token) = self.model.pick(token) else { return Ok(()) };
                let old = self.model.tokens[token].clone();
                let span = Duration::from_secs(overlap.into());
                let rotated = gate.rotate(&OPERATOR, old.id, span, None, now).await;
                let may = !old.has_ended(self.model.now) && old.superseded.is_none();
                prop_assert_eq!(rotated.is_ok(), may, "rotation of {:?}", old);
                if let Ok(new) = rotated {
                    self.model.tokens[token].superseded = Some(self.model.now + overlap);
                    self.model.tokens.push(Token {
                        text: new.token,
                        id: new.record.id,
                        issued: self.model.now,
                        superseded: None,
                        ..old
                    });
                    self.model.sweep();
                }
            }
            Step::Mass { person } => {
                let scope = match person {
                    Some(person) => MassScope::Principal(Principal::User(self.model.ids[person])),
                    None => MassScope::Workspace(workspace),
                };
                gate.revoke_many(&OPERATOR, scope, Some(now), why(), now).await.expect("revoked");
                self.model.masses.push((person, self.model.now));
                self.model.sweep();
            }
            Step::Join { person, admin } => {
                let role = if admin { Role::Admin } else { Role::Member };
                let user = self.model.ids[person];
                gate.set_member(&OPERATOR, organization, user, role, now).await.expect("a member");
                self.model.people[person].role = Some(role);
            }
            Step::Leave { person } => {
                let user = self.model.ids[person];
                let left = gate.remove_member(&OPERATOR, organization, user, now).await;
                prop_assert_eq!(left.is_ok(), self.model.people[person].role.is_some());
                if left.is_ok() {
                    self.model.people[person] = Person { role: None, since: Some(self.model.now + 1) };
                }
            }
            Step::Anonymous { level } => {
                self.model.anonymous = AccessLevel::ALL[level];
                self.set_settings().await;
            }
            Step::PersonalLevel { level } => {
                self.model.personal = AccessLevel::ALL[level];
                self.set_settings().await;
            }
            Step::Lock { scope, actions, life } => {
                let scope = match scope {
                    0 => LockScope::Everything,
                    1 => LockScope::Organization(organization),
                    2 => LockScope::Workspace(workspace),
                    3 => LockScope::Principal(Principal::User(self.model.ids[0])),
                    4 => LockScope::Principal(Principal::Anonymous),
                    _ => LockScope::Lane(LaneClass::Main),
                };
                let actions = ActionSet::from_bits(actions).expect("a set");
                let until = life.map(|life| self.model.now + life);
                let (id, _) = gate
                    .lock(&OPERATOR, scope.clone(), actions, until.map(Into::into), why(), now)
                    .await
                    .expect("locked");
                self.model.locks.push((id, scope, actions, until));
            }
            Step::Lift { lock } => {
                if let Some(lock) = lock.checked_rem(self.model.locks.len()) {
                    let (id, ..) = self.model.locks.remove(lock);
                    gate.lift_lock(&OPERATOR, id, now).await.expect("lifted");
                }
            }
            Step::Wait { seconds } => {
                self.model.now += seconds;
                self.scene.clock.advance(Duration::from_secs(seconds.into()));
            }
            Step::Ask { token, action } => {
                self.ask(self.model.pick(token), Action::ALL[action]).await?;
            }
            Step::AskNode { token, action } => {
                // Whatever it was told before: by now it has to ask.
                self.node_clock.advance(Duration::from_secs(4));
                let (token, action) = (self.model.pick(token), Action::ALL[action]);
                let text = token.map(|token| self.model.tokens[token].text.clone());
                let verdict = self.scene.ask_gate(&self.node, text.as_ref(), action, "k", now).await;
                self.compare(&verdict, token, action)?;
            }
        }
        Ok(())
    }

    async fn set_settings(&self) {
        let (anonymous, personal) = (self.model.anonymous, self.model.personal);
        self.scene
            .settings(|settings| {
                settings.anonymous = anonymous;
                settings.personal = personal;
            })
            .await;
    }

    async fn ask(&self, token: Option<usize>, action: Action) -> Result<(), TestCaseError> {
        let text = token.map(|token| &self.model.tokens[token].text);
        let now: Timestamp = self.model.now.into();
        // Held or not at all, never something older.
        if let Some(held) = self.scene.ask_held(text, action, "k", now) {
            self.compare(&held, token, action)?;
        }
        let verdict = self.scene.ask_at(text, action, "k", now).await;
        self.compare(&verdict, token, action)?;
        // Once it was asked, whoever is believed is answered without waiting.
        let believed = matches!(verdict, Verdict::Allowed(_) | Verdict::Denied(_));
        let held = self.scene.ask_held(text, action, "k", now);
        prop_assert_eq!(held.is_some(), believed, "held after {}", verdict.code());
        Ok(())
    }

    fn compare(&self, verdict: &Verdict, token: Option<usize>, action: Action) -> Result<(), TestCaseError> {
        let written = match verdict {
            Verdict::Allowed(allowed) => allowed.write_lane().map(Lane::class),
            Verdict::Denied(_) | Verdict::NotAuthenticated(_) | Verdict::Unavailable(_) => None,
        };
        let expected = self.model.expected(token, action);
        // A JWT that nobody remembers is refused by its own claims, before anybody asks what became of its row.
        let by_its_claims = token.is_some_and(|token| {
            let Token { issued, life, .. } = self.model.tokens[token];
            life.is_some_and(|life| self.model.now >= issued + life + 30)
        });
        if by_its_claims && verdict.code() == "expired" {
            return Ok(());
        }
        prop_assert_eq!((verdict.code(), written), expected, "{} by {:?}", action, token);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_gate_and_a_naive_model_agree_on_every_history(steps in vec(step(), 1..50)) {
        block_on(async {
            let mut history = History::new().await;
            for step in &steps {
                history.take(step).await?;
            }
            let everyone = std::iter::once(None).chain((0..history.model.tokens.len()).map(Some));
            for token in everyone.collect::<Vec<_>>() {
                for action in Action::ALL {
                    history.ask(token, action).await?;
                }
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
