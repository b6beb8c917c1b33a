//! Every decision and every act, each one record; and every record that is tampered with, found.

use cachegate::{Authority, Issued, PersonalForm, TokenSpec};
use cachegate_policy::LockScope;
use cachegate_storage::{AuditRecord, MarkScope, codec, verify_chain};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, Lane, LockId, MarkId, Role, SecretText, Timestamp,
};

use crate::Numbers;

const OPERATOR: Authority<'_> = Authority::Operator;

struct World {
    scene: Scene,
    numbers: Numbers,
    tokens: Vec<Issued>,
    locks: Vec<LockId>,
    marks: Vec<MarkId>,
    /// How many records there must be.
    acts: u64,
    decisions: usize,
    secrets: Vec<String>,
}

impl World {
    fn now(&self) -> Timestamp {
        NOW.into()
    }

    fn secret(&mut self, text: &SecretText) {
        let text = text.expose_secret();
        self.secrets.push(text[text.len() - 30..].to_owned());
    }

    async fn decide(&mut self) {
        let action = *self.numbers.one(&Action::ALL);
        let key = ["a", "b", "\u{e9}"][self.numbers.below(3)];
        let token = match self.numbers.below(8) {
            0 => None,
            _ => Some(self.numbers.one(&self.tokens).token.clone()),
        };
        let _ = self.scene.ask(token.as_ref(), action, key).await;
        self.decisions += 1;
    }

    async fn act(&mut self) {
        let (now, why) = (self.now(), Description::default());
        let gate = self.scene.gate.clone();
        let (workspace, organization) = (self.scene.workspace, self.scene.organization);
        match self.numbers.below(8) {
            0 | 1 => {
                let lane = ["main", "release", "pull/7"][self.numbers.below(3)].parse().expect("a lane");
                let level = [AccessLevel::ReadOnly, AccessLevel::ReadWrite][self.numbers.below(2)];
                let spec = match self.numbers.below(3) {
                    0 => TokenSpec::Personal {
                        owner: self.scene.owner,
                        actions: ActionSet::ALL,
                        form: PersonalForm::Opaque,
                    },
                    _ => TokenSpec::Ci { workspace, level, lane },
                };
                let issued = gate.issue(&OPERATOR, &spec, why, None, now).await.expect("issued");
                self.secret(&issued.token);
                if self.tokens.len() < 64 {
                    self.tokens.push(issued);
                }
            }
            2 => {
                // Revoking again is no act.
                let id = self.numbers.one(&self.tokens).record.id;
                let before = self.scene.storage.token(id).await.expect("read").expect("a token");
                gate.revoke(&OPERATOR, id, why, now).await.expect("revoked");
                self.acts -= u64::from(before.revoked.is_some());
            }
            3 => {
                let scope = LockScope::Workspace(workspace);
                let actions = ActionSet::of(&[Action::Delete]);
                let (id, _) = gate.lock(&OPERATOR, scope, actions, None, why, now).await.expect("locked");
                self.locks.push(id);
            }
            4 => match self.locks.pop() {
                Some(id) => drop(gate.lift_lock(&OPERATOR, id, now).await.expect("lifted")),
                None => self.acts -= 1,
            },
            5 => {
                let scope = MarkScope::Token(self.numbers.one(&self.tokens).record.id);
                let (id, _) = gate.distrust(&OPERATOR, scope, why, now).await.expect("marked");
                self.marks.push(id);
            }
            6 => match self.marks.pop() {
                Some(id) => drop(gate.trust_again(&OPERATOR, id, now).await.expect("trusted")),
                None => self.acts -= 1,
            },
            _ => {
                let user = gate.create_user(&OPERATOR, why, now).await.expect("a user");
                gate.set_member(&OPERATOR, organization, user, Role::Member, now).await.expect("a member");
                self.acts += 1;
            }
        }
        self.acts += 1;
    }
}

/// `steps` random decisions and acts; the whole audit afterwards.
fn audited(steps: usize) -> Vec<AuditRecord> {
    block_on(async {
        let scene = Scene::new().await;
        let first = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        let before = scene.gate.verify_audit(&OPERATOR, NOW.into()).await.expect("whole").number;
        let mut world = World {
            secrets: Vec::new(),
            tokens: vec![first],
            scene,
            numbers: Numbers(5),
            locks: Vec::new(),
            marks: Vec::new(),
            acts: before,
            decisions: 0,
        };
        let administrator = world.scene.administrator.clone();
        world.secret(&administrator);
        world.scene.recorder.take();
        for _ in 0..steps {
            // Each step leaves one record, where it belongs.
            if world.numbers.below(4) == 0 {
                world.act().await;
            } else {
                world.decide().await;
                let told = world.scene.recorder.take();
                assert_eq!(told.len(), 1, "a decision is told of once");
                world.scene.gate.audit_decisions(&told).await.expect("appended");
            }
        }
        let records = world.scene.storage.audit(0, usize::MAX).await.expect("read");
        let expected = world.acts + u64::try_from(world.decisions).expect("a number");
        assert_eq!(u64::try_from(records.len()), Ok(expected), "each act and each decision is one record");
        let end = world.scene.gate.verify_audit(&OPERATOR, NOW.into()).await.expect("whole");
        assert_eq!(end.number, expected);
        let decisions = records.iter().filter(|record| &*record.entry.code == "decision").count();
        assert_eq!(decisions, world.decisions);
        // What was planted is found where it is, and is in no record.
        let holds = |record: &AuditRecord, secret: &str| {
            let bytes = codec::encode_audit_entry(&record.entry);
            bytes.windows(secret.len()).any(|part| part == secret.as_bytes())
        };
        let mut planted = records[0].clone();
        planted.entry.detail = world.secrets[0].parse().expect("a description");
        assert!(holds(&planted, &world.secrets[0]), "the search finds what is there");
        let mut whole = Vec::new();
        for record in &records {
            whole.extend(codec::encode_audit_entry(&record.entry));
        }
        // All secrets are of one length: one look at each place.
        let secrets: std::collections::HashSet<_> = world.secrets.iter().map(String::as_bytes).collect();
        assert!(!whole.windows(30).any(|part| secrets.contains(part)), "a secret is in the audit");
        println!(
            "{steps} steps: {} decisions, {} acts, {} records, {} secrets looked for",
            world.decisions,
            world.acts,
            records.len(),
            secrets.len(),
        );
        records
    })
}

/// Every record changed, dropped, doubled and moved: each is found.
fn tampering_is_found(records: &[AuditRecord]) {
    for index in 0..records.len() {
        let previous = index.checked_sub(1).map(|index| &records[index]);
        let window = &records[index..records.len().min(index + 3)];
        assert_eq!(verify_chain(window, previous), Ok(()));
        let changes: [fn(&mut AuditRecord); 5] = [
            |record| record.entry.act.at = Timestamp::from(1),
            |record| record.entry.target = "another".into(),
            |record| record.entry.code = "another".into(),
            |record| record.entry.detail = "another".parse().expect("a description"),
            |record| record.digest[7] ^= 1,
        ];
        for change in changes {
            let mut changed = window.to_vec();
            change(&mut changed[0]);
            assert!(verify_chain(&changed, previous).is_err(), "record {index} changed");
        }
        if window.len() > 1 {
            assert!(verify_chain(&window[1..], previous).is_err(), "record {index} dropped");
            let mut renumbered = window[1..].to_vec();
            renumbered.iter_mut().for_each(|record| record.number -= 1);
            assert!(
                verify_chain(&renumbered, previous).is_err(),
                "record {index} dropped, the rest renumbered"
            );
            let mut moved = window.to_vec();
            moved.swap(0, 1);
            assert!(verify_chain(&moved, previous).is_err(), "record {index} moved");
            let doubled = [&window[..1], window].concat();
            assert!(verify_chain(&doubled, previous).is_err(), "record {index} doubled");
        }
    }
}

#[test]
fn each_decision_and_each_act_is_one_record_and_tampering_is_found() {
    tampering_is_found(&audited(2_000));
}

#[test]
#[ignore = "long: a hundred thousand decisions and acts"]
fn a_hundred_thousand_decisions_and_acts_are_each_one_record() {
    tampering_is_found(&audited(100_000));
}
