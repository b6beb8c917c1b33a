//! Groups, and whom a workspace lists.

use cachegate_policy::Listed;
use cachegate_storage::{GroupRecord, StoreError, WorkspaceRecord};
use cachegate_types::{
    Action, ActionSet, GroupId, Name, OrganizationId, Resource, Revision, Role, Timestamp, UserId,
    WorkspaceId,
};

use crate::Gate;
use crate::gate::Inner;
use crate::manage::{Authority, Made, ManageError, Once};

impl Gate {
    /// Adds a group of people to an organization.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn create_group(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        name: Name,
        members: Vec<UserId>,
        once: Option<&Once<'_>>,
        now: Timestamp,
    ) -> Result<Made<GroupRecord>, ManageError> {
        let inner = &*self.inner;
        inner.may_group(by, organization, now).await?;
        let planned = inner.plan(by, once, now).await?;
        if planned.again
            && let Some(record) = inner.group(organization, planned.group()).await?
        {
            return Ok(Made::Before(record));
        }
        let record = GroupRecord { id: planned.group(), organization, name, members };
        let revision = inner.held.storage().put_group(&record, &by.act(now)).await?;
        inner.take_in(revision).await;
        Ok(Made::Now(inner.group(organization, record.id).await?.unwrap_or(record)))
    }

    /// Gives a group another name and other members.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn set_group(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        group: GroupId,
        name: Name,
        members: Vec<UserId>,
        now: Timestamp,
    ) -> Result<Revision, ManageError> {
        let inner = &*self.inner;
        inner.may_group(by, organization, now).await?;
        inner.group(organization, group).await?.ok_or(ManageError::Missing { what: "group" })?;
        let record = GroupRecord { id: group, organization, name, members };
        let revision = inner.held.storage().put_group(&record, &by.act(now)).await?;
        Ok(inner.take_in(revision).await)
    }

    /// Removes a group.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn remove_group(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        group: GroupId,
        now: Timestamp,
    ) -> Result<Revision, ManageError> {
        let inner = &*self.inner;
        inner.may(by, Action::Administer, &Resource::Organization(organization), now).await?;
        inner.group(organization, group).await?.ok_or(ManageError::Missing { what: "group" })?;
        let revision = inner.held.storage().remove_group(group, &by.act(now)).await?;
        Ok(inner.take_in(revision).await)
    }

    /// Replaces the list of people and groups that a workspace is open to, each with what it gets: at most what
    /// whoever lists them holds. `publish`, which no role brings, is given by name by an administrator whose own
    /// credential was not cut to less.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn set_listed(
        &self,
        by: &Authority<'_>,
        workspace: WorkspaceId,
        listed: &[Listed],
        now: Timestamp,
    ) -> Result<Revision, ManageError> {
        self.set_listed_over(by, workspace, listed, None, now).await
    }

    /// The same, if settings and list are still as `seen`.
    ///
    /// # Errors
    ///
    /// [`ManageError`]; `Changed` where they are not.
    pub async fn set_listed_over(
        &self,
        by: &Authority<'_>,
        workspace: WorkspaceId,
        listed: &[Listed],
        seen: Option<&WorkspaceRecord>,
        now: Timestamp,
    ) -> Result<Revision, ManageError> {
        let inner = &*self.inner;
        let place = Resource::Workspace(workspace);
        inner.may(by, Action::Administer, &place, now).await?;
        let before =
            inner.held.workspace(workspace).await?.ok_or(ManageError::Missing { what: "workspace" })?;
        // What was given before is not given anew.
        let given = listed.iter().filter(|line| !before.listed.contains(line));
        let wanted = given.fold(ActionSet::EMPTY, |all, line| all.union(line.actions));
        inner.holds(by, &place, wanted, now).await?;
        let revision = inner.held.storage().set_listed(workspace, listed, seen, &by.act(now)).await?;
        Ok(inner.take_in(revision).await)
    }
}

impl Inner {
    /// Whether somebody may say who is in a group: whatever workspaces list the group with, they must hold.
    async fn may_group(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<(), ManageError> {
        let place = Resource::Organization(organization);
        self.may(by, Action::Administer, &place, now).await?;
        self.holds(by, &place, Role::Admin.actions(), now).await
    }

    async fn group(
        &self,
        organization: OrganizationId,
        id: GroupId,
    ) -> Result<Option<GroupRecord>, StoreError> {
        let groups = self.held.storage().groups(organization).await?;
        Ok(groups.into_iter().find(|group| group.id == id))
    }
}
