//! A decision allocates nothing, allowed or denied, however many grants there are.

use cachegate_policy::{
    Decision, Lock, LockScope, Place, Question, Rights, Standing, Workspace, WorkspaceSettings, decide,
};
use cachegate_types::{
    AccessLevel, Action, ActionSet, EntryKey, Grant, GrantSource, Lane, LaneClass, LockId, OrganizationId,
    Principal, Resource, Restriction, Scope, TokenId, WorkspaceId,
};

#[test]
fn a_decision_allocates_nothing() {
    let workspace = Workspace {
        id: WorkspaceId::from_bytes([1; 16]),
        organization: OrganizationId::from_bytes([2; 16]),
        settings: WorkspaceSettings::default(),
    };
    let grant = |level: AccessLevel| Grant {
        source: GrantSource::Session(TokenId::from_bytes([3; 16])),
        scope: Scope::Workspace(workspace.id),
        actions: level.actions(),
        until: Some(2_000.into()),
    };
    let mut grants = vec![grant(AccessLevel::ResolveOnly); 9];
    grants.push(grant(AccessLevel::ReadWrite));
    let lane = Lane::named(LaneClass::Pull, None, b"17").expect("a lane");
    let standing =
        Standing::Granted { grants: &grants, lane: &lane, base: None, floor: Some(LaneClass::Pull) };
    let restrictions = [Restriction::Workspaces(vec![workspace.id]), Restriction::Until(1_500.into())];
    let rights = Rights::compile(&Place::Workspace(&workspace), &standing, &restrictions);
    let lock = |byte, scope| Lock {
        id: LockId::from_bytes([byte; 16]),
        scope,
        actions: ActionSet::of(&[Action::Resolve]),
        until: None,
    };
    let locks = [lock(1, LockScope::Lane(LaneClass::Pull)), lock(2, LockScope::Everything)];
    let principal = Principal::Ci(workspace.id);
    let here = Resource::entry(workspace.id, EntryKey::new(b"1234").expect("a key"));
    let elsewhere = Resource::Workspace(WorkspaceId::from_bytes([9; 16]));
    let mut answers = Vec::with_capacity(Action::ALL.len() * 4);
    for action in Action::ALL {
        for (resource, now) in [(&here, 1_000), (&here, 1_500), (&here, 2_000), (&elsewhere, 1_000)] {
            let floor = Some(LaneClass::Main);
            let question = Question { principal: &principal, action, resource, floor, now: now.into() };
            let mut lanes = 0;
            let mut decided = None;
            let counted = allocation_counter::measure(|| {
                let decision = decide(&rights, &locks, &question);
                if let Decision::Allow(allow) = &decision {
                    lanes = allow.read().count() + allow.write().iter().count();
                }
                decided = Some(decision);
            });
            assert_eq!(counted.count_total, 0, "{action} at {now}: {decided:?}");
            answers.push((decided.is_some_and(|decision| decision.is_allow()), lanes));
        }
    }
    // It measured allowed and denied requests both, and the counter does count.
    assert!(answers.contains(&(true, 2)) && answers.contains(&(true, 3)), "{answers:?}");
    assert!(answers.contains(&(false, 0)), "{answers:?}");
    assert!(allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1)))).count_total > 0);
}
