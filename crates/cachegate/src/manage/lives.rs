//! How long an organization lets tokens live at most.

use std::time::Duration;

use cachegate_storage::{RulesDocument, StoreError};
use cachegate_types::{Action, Name, OrganizationId, Principal, Resource, Revision, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::gate::Inner;
use crate::manage::{Authority, ManageError};
use crate::{Gate, LongestLives};

/// What the names of the documents that keep it begin with.
pub(crate) const DOCUMENTS: &str = "longest-lives-";

/// What is kept, in seconds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    ci: Option<u64>,
    personal: Option<u64>,
}

impl Gate {
    /// How long an organization lets tokens live at most, as its administrators chose; at first as long as the gate
    /// does.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn longest_lives(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<LongestLives, ManageError> {
        self.inner.may(by, Action::Administer, &Resource::Organization(organization), now).await?;
        Ok(self.inner.lives_of(organization).await?.0)
    }

    /// How long a token that the caller makes now lives at most: a CI token of this workspace or, without one, a personal
    /// token of their own; `None`: until it is revoked.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn longest_life(
        &self,
        by: &Authority<'_>,
        workspace: Option<WorkspaceId>,
        now: Timestamp,
    ) -> Result<Option<Duration>, ManageError> {
        let inner = &*self.inner;
        let Some(id) = workspace else {
            inner.alive(by, now).await?;
            return Ok(inner.longest_lives_for(&by.principal(), None).await?.personal);
        };
        inner.may(by, Action::Administer, &Resource::Workspace(id), now).await?;
        let found = inner.held.workspace(id).await?.ok_or(ManageError::Missing { what: "workspace" })?;
        Ok(inner.longest_lives_for(&Principal::Ci(id), Some(found.organization)).await?.ci)
    }

    /// Sets how long tokens made from now on live at most: the CI tokens of the organization's workspaces, and the
    /// personal tokens of its members. What the gate itself allows bounds it, and of several organizations of one
    /// person the strictest counts. Tokens that there are keep their ends.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn set_longest_lives(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        lives: LongestLives,
        now: Timestamp,
    ) -> Result<Revision, ManageError> {
        let inner = &*self.inner;
        inner.may(by, Action::Administer, &Resource::Organization(organization), now).await?;
        if inner.held.storage().organization(organization).await?.is_none() {
            return Err(ManageError::Missing { what: "organization" });
        }
        let (_, before) = inner.lives_of(organization).await?;
        // A token that ends as it is made is none.
        let seconds = |life: Option<Duration>| life.map(|life| life.as_secs().max(1));
        let kept = Kept { ci: seconds(lives.ci), personal: seconds(lives.personal) };
        // Nothing in it can fail to be JSON.
        let bytes = serde_json::to_vec(&kept).unwrap_or_default();
        let (name, act) = (document_of(organization)?, by.act(now));
        let revision = inner.held.storage().put_rules(&name, &bytes, before, &act).await?;
        Ok(inner.take_in(revision).await)
    }
}

impl Inner {
    /// What an organization chose, and at which revision.
    async fn lives_of(
        &self,
        organization: OrganizationId,
    ) -> Result<(LongestLives, Option<Revision>), StoreError> {
        let name = document_of(organization)?;
        let Some(RulesDocument { bytes, revision, .. }) = self.held.storage().rules(&name).await? else {
            return Ok((LongestLives::default(), None));
        };
        let kept: Kept = serde_json::from_slice(&bytes).map_err(corrupt)?;
        let life = |seconds: Option<u64>| seconds.map(Duration::from_secs);
        Ok((LongestLives { ci: life(kept.ci), personal: life(kept.personal) }, Some(revision)))
    }

    /// The longest lives of what is made for this owner in this organization: the gate's, cut by each organization that
    /// it concerns.
    pub(crate) async fn longest_lives_for(
        &self,
        owner: &Principal,
        organization: Option<OrganizationId>,
    ) -> Result<LongestLives, StoreError> {
        let mut organizations: Vec<_> = organization.into_iter().collect();
        if let Principal::User(user) = owner {
            organizations.extend(self.held.user(*user).await?.iter().map(|place| place.member.organization));
        }
        let mut longest = self.longest_lives;
        let shorter = |one: Option<Duration>, other: Option<Duration>| one.into_iter().chain(other).min();
        for organization in organizations {
            let (lives, _) = self.lives_of(organization).await?;
            longest = LongestLives {
                ci: shorter(longest.ci, lives.ci),
                personal: shorter(longest.personal, lives.personal),
            };
        }
        Ok(longest)
    }
}

fn document_of(organization: OrganizationId) -> Result<Name, StoreError> {
    format!("{DOCUMENTS}{organization}").parse().map_err(corrupt)
}

fn corrupt(error: impl std::error::Error) -> StoreError {
    StoreError::Corrupt { what: "longest lives", detail: error.to_string() }
}
