//! People, their places in organizations, and groups.

use async_trait::async_trait;
use cachegate_storage::{
    Act, ChangeKind, GroupRecord, MemberRecord, Members, MembershipRecord, StoreError, UserRecord, acts,
    rules,
};
use cachegate_types::{GroupId, OrganizationId, Revision, Role, Timestamp, UserId};
use rusqlite::types::Value;

use crate::SqliteStorage;
use crate::cell::{cells, start};
use crate::table::{Cells, DEPARTURES, MEMBERS, TEAM_MEMBERS, TEAMS, USERS};
use crate::transaction::{Stored, View};

fn user(cells: &mut Cells<'_>) -> Stored<UserRecord> {
    Ok(UserRecord { id: cells.take()?, display: cells.take()?, created_at: cells.take()? })
}

fn member(cells: &mut Cells<'_>) -> Stored<MemberRecord> {
    Ok(MemberRecord {
        organization: cells.take()?,
        user: cells.take()?,
        role: cells.take()?,
        tokens_since: cells.take()?,
    })
}

impl View<'_> {
    /// The person's place in the organization.
    pub(crate) fn member(&self, organization: OrganizationId, user: UserId) -> Stored<Option<MemberRecord>> {
        self.one(&MEMBERS, "WHERE organization = ? AND person = ?", &cells![organization, user], member)
    }

    /// Since when the tokens of somebody who left and comes back count.
    fn departure(&self, organization: OrganizationId, user: UserId) -> Stored<Option<Timestamp>> {
        let condition = "WHERE organization = ? AND person = ?";
        self.one(&DEPARTURES, condition, &cells![organization, user], |cells| {
            let _: (OrganizationId, UserId) = (cells.take()?, cells.take()?);
            cells.take()
        })
    }

    fn memberships(&self, condition: &str, values: &[Value]) -> Stored<Vec<MembershipRecord>> {
        let members = self.all(&MEMBERS, condition, values, member)?;
        let membership = |member: MemberRecord| {
            let condition =
                "WHERE person = ? AND team IN (SELECT id FROM teams WHERE organization = ?) ORDER BY team";
            let values = cells![member.user, member.organization];
            let groups = self.all(&TEAM_MEMBERS, condition, &values, |cells| cells.take())?;
            Ok(MembershipRecord { member, groups })
        };
        members.into_iter().map(membership).collect()
    }

    fn group(&self, id: GroupId) -> Stored<Option<GroupRecord>> {
        self.one(&TEAMS, "WHERE id = ?", &cells![id], group)
    }
}

/// The group without its members.
fn group(cells: &mut Cells<'_>) -> Stored<GroupRecord> {
    Ok(GroupRecord {
        id: cells.take()?,
        organization: cells.take()?,
        name: cells.take()?,
        members: Vec::new(),
    })
}

#[async_trait]
impl Members for SqliteStorage {
    async fn create_user(&self, record: &UserRecord, act: &Act) -> Stored<()> {
        let (record, act) = (record.clone(), act.clone());
        self.act(move |tx| {
            let UserRecord { id, display, created_at } = &record;
            if tx.has(&USERS, "WHERE id = ?", &cells![id])? {
                return Err(StoreError::Exists { what: "user" });
            }
            tx.add(&USERS, &cells![id, display, created_at])?;
            tx.note(&acts::create_user(&record, &act))
        })
        .await
    }

    async fn user(&self, id: UserId) -> Stored<Option<UserRecord>> {
        self.look(move |view| view.one(&USERS, "WHERE id = ?", &cells![id], user)).await
    }

    async fn set_member(
        &self,
        organization: OrganizationId,
        user: UserId,
        role: Role,
        act: &Act,
    ) -> Stored<Revision> {
        let act = act.clone();
        self.act(move |tx| {
            tx.need_organization(organization)?;
            if !tx.has(&USERS, "WHERE id = ?", &cells![user])? {
                return Err(StoreError::Missing { what: "user" });
            }
            let tokens_since = tx.departure(organization, user)?;
            tx.replace(&MEMBERS, &cells![organization, user, role, tokens_since])?;
            tx.commit(&ChangeKind::User(user), &acts::set_member(organization, user, role, &act))
        })
        .await
    }

    async fn remove_member(&self, organization: OrganizationId, user: UserId, act: &Act) -> Stored<Revision> {
        let act = act.clone();
        self.act(move |tx| {
            let Some(member) = tx.member(organization, user)? else {
                return Err(StoreError::Missing { what: "membership" });
            };
            let since = rules::tokens_since(member.tokens_since, act.at);
            tx.replace(&DEPARTURES, &cells![organization, user, since])?;
            tx.delete(
                "DELETE FROM members WHERE organization = ? AND person = ?",
                &cells![organization, user],
            )?;
            tx.delete(
                "DELETE FROM team_members
                 WHERE person = ? AND team IN (SELECT id FROM teams WHERE organization = ?)",
                &cells![user, organization],
            )?;
            tx.commit(&ChangeKind::User(user), &acts::remove_member(organization, user, &act))
        })
        .await
    }

    async fn memberships(&self, user: UserId) -> Stored<Vec<MembershipRecord>> {
        self.read(move |view| view.memberships("WHERE person = ? ORDER BY organization", &cells![user])).await
    }

    async fn members(
        &self,
        organization: OrganizationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Stored<Vec<MembershipRecord>> {
        let condition = "WHERE organization = ? AND person > ? ORDER BY person LIMIT ?";
        self.read(move |view| view.memberships(condition, &cells![organization, start(after), limit])).await
    }

    async fn put_group(&self, record: &GroupRecord, act: &Act) -> Stored<Revision> {
        let (record, act) = (rules::group_to_keep(record), act.clone());
        self.act(move |tx| {
            let GroupRecord { id, organization, name, members } = &record;
            let elsewhere = tx.group(*id)?.is_some_and(|found| found.organization != *organization);
            let condition = "WHERE organization = ? AND name = ? AND id != ?";
            if elsewhere || tx.has(&TEAMS, condition, &cells![organization, name, id])? {
                return Err(StoreError::Exists { what: "group" });
            }
            tx.need_organization(*organization)?;
            tx.replace(&TEAMS, &cells![id, organization, name])?;
            tx.delete("DELETE FROM team_members WHERE team = ?", &cells![id])?;
            for member in members {
                tx.add(&TEAM_MEMBERS, &cells![id, member])?;
            }
            tx.commit(&ChangeKind::Group(*id), &acts::put_group(&record, &act))
        })
        .await
    }

    async fn remove_group(&self, id: GroupId, act: &Act) -> Stored<Revision> {
        let act = act.clone();
        self.act(move |tx| {
            let found = tx.group(id)?.ok_or(StoreError::Missing { what: "group" })?;
            tx.delete("DELETE FROM team_members WHERE team = ?", &cells![id])?;
            tx.delete("DELETE FROM teams WHERE id = ?", &cells![id])?;
            tx.commit(&ChangeKind::Group(id), &acts::remove_group(found.organization, id, &act))
        })
        .await
    }

    async fn groups(&self, organization: OrganizationId) -> Stored<Vec<GroupRecord>> {
        self.read(move |view| {
            let condition = "WHERE organization = ? ORDER BY id";
            let mut groups = view.all(&TEAMS, condition, &cells![organization], group)?;
            for group in &mut groups {
                let condition = "WHERE team = ? ORDER BY person";
                group.members = view.all(&TEAM_MEMBERS, condition, &cells![group.id], |cells| {
                    let _: GroupId = cells.take()?;
                    cells.take()
                })?;
            }
            Ok(groups)
        })
        .await
    }
}
