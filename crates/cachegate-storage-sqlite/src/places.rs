//! Organizations and workspaces.

use async_trait::async_trait;
use cachegate_policy::{Listed, WorkspaceSettings};
use cachegate_storage::{
    Act, ChangeKind, OrganizationRecord, Organizations, StoreError, WorkspaceRecord, Workspaces, acts, codec,
    rules,
};
use cachegate_types::{Name, OrganizationId, Revision, WorkspaceId};

use crate::SqliteStorage;
use crate::cell::{cells, start};
use crate::table::{Cells, ORGANIZATIONS, WORKSPACES};
use crate::transaction::{Stored, Transaction, View};

fn organization(cells: &mut Cells<'_>) -> Stored<OrganizationRecord> {
    Ok(OrganizationRecord {
        id: cells.take()?,
        name: cells.take()?,
        personal_of: cells.take()?,
        created_at: cells.take()?,
    })
}

fn workspace(cells: &mut Cells<'_>) -> Stored<WorkspaceRecord> {
    Ok(WorkspaceRecord {
        id: cells.take()?,
        organization: cells.take()?,
        name: cells.take()?,
        settings: cells.decoded(codec::decode_settings)?,
        listed: cells.decoded(codec::decode_listed)?,
        created_at: cells.take()?,
    })
}

impl View<'_> {
    /// That the organization is there.
    pub(crate) fn need_organization(&self, id: OrganizationId) -> Stored<()> {
        if self.has(&ORGANIZATIONS, "WHERE id = ?", &cells![id])? {
            Ok(())
        } else {
            Err(StoreError::Missing { what: "organization" })
        }
    }

    /// The workspace, which has to be there.
    pub(crate) fn need_workspace(&self, id: WorkspaceId) -> Stored<WorkspaceRecord> {
        let found = self.one(&WORKSPACES, "WHERE id = ?", &cells![id], workspace)?;
        found.ok_or(StoreError::Missing { what: "workspace" })
    }
}

impl Transaction<'_> {
    fn replace_workspace(&mut self, record: &WorkspaceRecord) -> Stored<()> {
        self.replace(
            &WORKSPACES,
            &cells![
                record.id,
                record.organization,
                record.name,
                codec::encode_settings(&record.settings),
                codec::encode_listed(&record.listed),
                record.created_at,
            ],
        )
    }
}

#[async_trait]
impl Organizations for SqliteStorage {
    async fn create_organization(&self, record: &OrganizationRecord, act: &Act) -> Stored<()> {
        let (record, act) = (record.clone(), act.clone());
        self.act(move |tx| {
            if tx.has(&ORGANIZATIONS, "WHERE id = ? OR name = ?", &cells![record.id, record.name])? {
                return Err(StoreError::Exists { what: "organization" });
            }
            let OrganizationRecord { id, name, personal_of, created_at } = &record;
            tx.add(&ORGANIZATIONS, &cells![id, name, personal_of, created_at])?;
            tx.note(&acts::create_organization(&record, &act))
        })
        .await
    }

    async fn organization(&self, id: OrganizationId) -> Stored<Option<OrganizationRecord>> {
        self.look(move |view| view.one(&ORGANIZATIONS, "WHERE id = ?", &cells![id], organization)).await
    }

    async fn organization_by_name(&self, name: &Name) -> Stored<Option<OrganizationRecord>> {
        let name = name.clone();
        self.look(move |view| view.one(&ORGANIZATIONS, "WHERE name = ?", &cells![name], organization)).await
    }

    async fn organizations(
        &self,
        after: Option<OrganizationId>,
        limit: usize,
    ) -> Stored<Vec<OrganizationRecord>> {
        let condition = "WHERE id > ? ORDER BY id LIMIT ?";
        self.look(move |view| view.all(&ORGANIZATIONS, condition, &cells![start(after), limit], organization))
            .await
    }
}

#[async_trait]
impl Workspaces for SqliteStorage {
    async fn create_workspace(&self, record: &WorkspaceRecord, act: &Act) -> Stored<()> {
        let (record, act) = (record.clone(), act.clone());
        self.act(move |tx| {
            let condition = "WHERE id = ? OR (organization = ? AND name = ?)";
            if tx.has(&WORKSPACES, condition, &cells![record.id, record.organization, record.name])? {
                return Err(StoreError::Exists { what: "workspace" });
            }
            tx.need_organization(record.organization)?;
            tx.replace_workspace(&record)?;
            tx.note(&acts::create_workspace(&record, &act))
        })
        .await
    }

    async fn workspace(&self, id: WorkspaceId) -> Stored<Option<WorkspaceRecord>> {
        self.look(move |view| view.one(&WORKSPACES, "WHERE id = ?", &cells![id], workspace)).await
    }

    async fn workspace_by_name(
        &self,
        organization: OrganizationId,
        name: &Name,
    ) -> Stored<Option<WorkspaceRecord>> {
        let name = name.clone();
        let condition = "WHERE organization = ? AND name = ?";
        self.look(move |view| view.one(&WORKSPACES, condition, &cells![organization, name], workspace)).await
    }

    async fn workspaces(
        &self,
        organization: OrganizationId,
        after: Option<WorkspaceId>,
        limit: usize,
    ) -> Stored<Vec<WorkspaceRecord>> {
        let condition = "WHERE organization = ? AND id > ? ORDER BY id LIMIT ?";
        self.look(move |view| {
            view.all(&WORKSPACES, condition, &cells![organization, start(after), limit], workspace)
        })
        .await
    }

    async fn set_settings(
        &self,
        id: WorkspaceId,
        settings: &WorkspaceSettings,
        expected: Option<&WorkspaceRecord>,
        act: &Act,
    ) -> Stored<Revision> {
        let (settings, expected, act) = (settings.clone(), expected.cloned(), act.clone());
        self.act(move |tx| {
            let found = tx.need_workspace(id)?;
            rules::workspace_as_expected(&found, expected.as_ref())?;
            let settings = rules::settings_to_keep(&found.settings, &settings)?;
            tx.replace_workspace(&WorkspaceRecord { settings, ..found })?;
            tx.commit(&ChangeKind::Workspace(id), &acts::set_settings(id, &act))
        })
        .await
    }

    async fn set_listed(
        &self,
        id: WorkspaceId,
        listed: &[Listed],
        expected: Option<&WorkspaceRecord>,
        act: &Act,
    ) -> Stored<Revision> {
        let (listed, expected, act) = (listed.to_vec(), expected.cloned(), act.clone());
        self.act(move |tx| {
            let entry = acts::set_listed(id, listed.len(), &act);
            let found = tx.need_workspace(id)?;
            rules::workspace_as_expected(&found, expected.as_ref())?;
            tx.replace_workspace(&WorkspaceRecord { listed, ..found })?;
            tx.commit(&ChangeKind::Workspace(id), &entry)
        })
        .await
    }
}
