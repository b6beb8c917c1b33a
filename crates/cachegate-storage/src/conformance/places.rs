//! Organizations and workspaces.

use cachegate_policy::{
    LaneOrder, Listed, ListedParty, OpenTo, PersonalLane, ReadOnlyCiWrites, WorkspaceSettings,
};
use cachegate_types::{AccessLevel, ActionSet, LaneClass};

use super::Violation;
use super::fixtures::{
    act, furnish, group, listed, name, organization, organization_record, trace, untouched, user, workspace,
    workspace_record,
};
use super::outcome::{Refusal, equal, refused};
use crate::{OrganizationRecord, WorkspaceRecord};

cases! {
    /// An organization is found by its id and by its name, whole.
    async fn an_organization_reads_back(storage) {
        let record = OrganizationRecord { personal_of: Some(user(1)), ..organization_record(1)? };
        let unknown = storage.organization(organization(1)).await?;
        equal("an unknown organization", &unknown, &None)?;
        equal("an unknown name", &storage.organization_by_name(&record.name).await?, &None)?;
        storage.create_organization(&record, &act(0)).await?;
        storage.create_organization(&organization_record(2)?, &act(0)).await?;
        equal("by id", &storage.organization(record.id).await?, &Some(record.clone()))?;
        equal("by name", &storage.organization_by_name(&record.name).await?, &Some(record))?;
    }

    /// No two organizations share an id or a name.
    async fn organization_ids_and_names_are_unique(storage) {
        let record = organization_record(1)?;
        storage.create_organization(&record, &act(0)).await?;
        let before = trace(&*storage).await?;
        let same_id = OrganizationRecord { name: name("other")?, ..record.clone() };
        refused("a taken id", storage.create_organization(&same_id, &act(1)).await, Refusal::Exists)?;
        let same_name = OrganizationRecord { id: organization(2), ..record.clone() };
        refused("a taken name", storage.create_organization(&same_name, &act(1)).await, Refusal::Exists)?;
        equal("the first", &storage.organization(record.id).await?, &Some(record))?;
        equal("the second", &storage.organization(organization(2)).await?, &None)?;
        equal("the other name", &storage.organization_by_name(&name("other")?).await?, &None)?;
        untouched(&*storage, before).await?;
    }

    /// Pages of organizations follow one another by ascending id, each organization once.
    async fn organizations_page_by_ascending_id(storage) {
        let mut expected = Vec::new();
        for number in [5, 3, 9, 1, 7] {
            let record = organization_record(number)?;
            storage.create_organization(&record, &act(0)).await?;
            expected.push(record);
        }
        expected.sort_by_key(|record| record.id);
        for limit in [1, 2, 5, usize::MAX] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = storage.organizations(after, limit).await?;
                check!(page.len() <= limit, "{} organizations where {limit} were asked for", page.len());
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                found.extend(page);
                check!(found.len() <= expected.len(), "a page repeats organizations: {found:?}");
            }
            equal("the pages", &found, &expected)?;
        }
        equal("a page of none", &storage.organizations(None, 0).await?, &Vec::new())?;
        let behind = storage.organizations(Some(organization(4)), 2).await?;
        equal("behind an id that is not there", &behind.first().map(|record| record.id), &Some(organization(5)))?;
    }

    /// A workspace is found by its id and by its name, whole.
    async fn a_workspace_reads_back(storage) {
        storage.create_organization(&organization_record(1)?, &act(0)).await?;
        let settings = unusual_settings(3)?;
        let record = WorkspaceRecord { settings, listed: listed(), ..workspace_record(1, 1)? };
        equal("an unknown workspace", &storage.workspace(record.id).await?, &None)?;
        storage.create_workspace(&record, &act(0)).await?;
        equal("by id", &storage.workspace(record.id).await?, &Some(record.clone()))?;
        let found = storage.workspace_by_name(organization(1), &record.name).await?;
        equal("by name", &found, &Some(record.clone()))?;
        equal("of another organization", &storage.workspace_by_name(organization(2), &record.name).await?, &None)?;
        equal("another name", &storage.workspace_by_name(organization(1), &name("x")?).await?, &None)?;
    }

    /// No two workspaces share an id, and none of one organization a name.
    async fn workspace_ids_and_names_are_unique(storage) {
        furnish(&*storage).await?;
        let before = trace(&*storage).await?;
        let same_id = WorkspaceRecord { name: name("other")?, ..workspace_record(1, 2)? };
        refused("a taken id", storage.create_workspace(&same_id, &act(1)).await, Refusal::Exists)?;
        let same_name = WorkspaceRecord { id: workspace(9), ..workspace_record(1, 1)? };
        refused("a taken name", storage.create_workspace(&same_name, &act(1)).await, Refusal::Exists)?;
        untouched(&*storage, before).await?;
        let elsewhere = WorkspaceRecord { organization: organization(2), ..same_name };
        storage.create_workspace(&elsewhere, &act(1)).await?;
        let found = storage.workspace_by_name(organization(2), &elsewhere.name).await?;
        equal("the name in another organization", &found, &Some(elsewhere))?;
        equal("the first", &storage.workspace(workspace(1)).await?, &Some(workspace_record(1, 1)?))?;
    }

    /// A workspace is made in an organization that exists.
    async fn a_workspace_needs_its_organization(storage) {
        let answer = storage.create_workspace(&workspace_record(1, 1)?, &act(0)).await;
        refused("a workspace of nobody", answer, Refusal::Missing)?;
        equal("the workspace", &storage.workspace(workspace(1)).await?, &None)?;
    }

    /// Pages of workspaces follow one another by ascending id, of one organization alone.
    async fn workspaces_page_by_ascending_id(storage) {
        for number in [1, 2] {
            storage.create_organization(&organization_record(number)?, &act(0)).await?;
        }
        let mut expected = Vec::new();
        for number in [5, 3, 9, 1, 7] {
            let record = workspace_record(number, 1)?;
            storage.create_workspace(&record, &act(0)).await?;
            storage.create_workspace(&workspace_record(number + 1, 2)?, &act(0)).await?;
            expected.push(record);
        }
        expected.sort_by_key(|record| record.id);
        for limit in [1, 2, 5, usize::MAX] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = storage.workspaces(organization(1), after, limit).await?;
                check!(page.len() <= limit, "{} workspaces where {limit} were asked for", page.len());
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                found.extend(page);
                check!(found.len() <= expected.len(), "a page repeats workspaces: {found:?}");
            }
            equal("the pages", &found, &expected)?;
        }
        equal("a page of none", &storage.workspaces(organization(1), None, 0).await?, &Vec::new())?;
        equal("of nobody", &storage.workspaces(organization(9), None, 9).await?, &Vec::new())?;
    }

    /// New settings leave nothing of the former ones, and nothing else changes.
    async fn settings_are_replaced_whole(storage) {
        furnish(&*storage).await?;
        let wanted = WorkspaceSettings { lanes: LaneOrder::default(), lane_generation: 0, ..unusual_settings(0)? };
        for settings in [wanted, WorkspaceSettings::default()] {
            storage.set_settings(workspace(1), &settings, None, &act(1)).await?;
            let expected = WorkspaceRecord { settings, ..workspace_record(1, 1)? };
            equal("the workspace", &storage.workspace(workspace(1)).await?, &Some(expected))?;
        }
        equal("the other one", &storage.workspace(workspace(2)).await?, &Some(workspace_record(2, 2)?))?;
    }

    /// What was stored under another order of trust is never read under this one.
    async fn a_changed_lane_order_takes_the_next_generation(storage) {
        furnish(&*storage).await?;
        let (usual, unusual) = (WorkspaceSettings::default(), unusual_settings(0)?);
        for (settings, generation) in [(&unusual, 1), (&usual, 2), (&unusual, 3), (&unusual, 3)] {
            storage.set_settings(workspace(1), settings, None, &act(1)).await?;
            let found = storage.workspace(workspace(1)).await?.map(|found| found.settings);
            let expected = WorkspaceSettings { lane_generation: generation, ..settings.clone() };
            equal("the settings", &found, &Some(expected))?;
        }
    }

    /// The generation that the caller names counts for nothing.
    async fn the_lane_generation_is_the_stores_own(storage) {
        furnish(&*storage).await?;
        let generation = |found: Option<WorkspaceRecord>| found.map(|found| found.settings.lane_generation);
        let usual = WorkspaceSettings { lane_generation: 77, ..WorkspaceSettings::default() };
        storage.set_settings(workspace(1), &usual, None, &act(1)).await?;
        equal("with the same order", &generation(storage.workspace(workspace(1)).await?), &Some(0))?;
        storage.set_settings(workspace(1), &unusual_settings(77)?, None, &act(1)).await?;
        equal("with another order", &generation(storage.workspace(workspace(1)).await?), &Some(1))?;
        storage.set_settings(workspace(1), &unusual_settings(0)?, None, &act(1)).await?;
        equal("with that order again", &generation(storage.workspace(workspace(1)).await?), &Some(1))?;
    }

    /// There are no settings without a workspace.
    async fn settings_need_their_workspace(storage) {
        furnish(&*storage).await?;
        let answer = storage.set_settings(workspace(9), &WorkspaceSettings::default(), None, &act(1)).await;
        refused("settings of nothing", answer, Refusal::Missing)?;
    }

    /// Whoever changes what somebody else has changed since they looked is told, and changes nothing.
    async fn a_workspace_that_changed_meanwhile_is_not_written_over(storage) {
        furnish(&*storage).await?;
        let seen = workspace_record(1, 1)?;
        storage.set_listed(workspace(1), &[], Some(&seen), &act(1)).await?;
        let now = WorkspaceRecord { listed: Vec::new(), ..seen.clone() };
        equal("the workspace", &storage.workspace(workspace(1)).await?, &Some(now.clone()))?;
        let answer = storage.set_listed(workspace(1), &listed(), Some(&seen), &act(2)).await;
        refused("a list over another", answer, Refusal::Precondition)?;
        let settings = unusual_settings(0)?;
        let answer = storage.set_settings(workspace(1), &settings, Some(&seen), &act(2)).await;
        refused("settings over another list", answer, Refusal::Precondition)?;
        equal("the workspace", &storage.workspace(workspace(1)).await?, &Some(now.clone()))?;
        storage.set_settings(workspace(1), &settings, Some(&now), &act(2)).await?;
        let answer = storage.set_settings(workspace(1), &settings, Some(&now), &act(2)).await;
        refused("settings over others", answer, Refusal::Precondition)?;
    }

    /// A new list leaves nothing of the former one, and keeps its order.
    async fn a_list_is_replaced_whole(storage) {
        furnish(&*storage).await?;
        let other = vec![
            Listed { party: ListedParty::User(user(9)), actions: ActionSet::ALL },
            Listed { party: ListedParty::Group(group(3)), actions: ActionSet::EMPTY },
        ];
        for listed in [other, Vec::new()] {
            storage.set_listed(workspace(1), &listed, None, &act(1)).await?;
            let expected = WorkspaceRecord { listed, ..workspace_record(1, 1)? };
            equal("the workspace", &storage.workspace(workspace(1)).await?, &Some(expected))?;
        }
    }

    /// There is no list without a workspace.
    async fn a_list_needs_its_workspace(storage) {
        furnish(&*storage).await?;
        let answer = storage.set_listed(workspace(9), &listed(), None, &act(1)).await;
        refused("a list of nothing", answer, Refusal::Missing)?;
    }
}

/// Settings none of which is the default.
fn unusual_settings(lane_generation: u32) -> Result<WorkspaceSettings, Violation> {
    let mut classes = LaneClass::ALL;
    classes.swap(1, 2);
    let lanes =
        LaneOrder::new(&classes).map_err(|error| Violation::new(format!("the suite's order: {error}")))?;
    Ok(WorkspaceSettings {
        anonymous: AccessLevel::ResolveOnly,
        personal: AccessLevel::ReadOnly,
        personal_lane: PersonalLane::Main,
        open_to: OpenTo::Listed,
        read_only_ci_writes: ReadOnlyCiWrites::OwnLane,
        lanes,
        lane_generation,
    })
}
