//! The management API.

use std::time::Duration;

use cachegate_types::{Action, DecisionId, OrganizationId, SecretText, TokenId, WorkspaceId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::record::{
    DeviceAccess, Explained, IssuedToken, Listed, OrganizationRecord, RefusalRecord, TokenOrder, TokenQuery,
    TokenRecord, WhoAmI, WorkspaceRecord,
};
use super::{Server, ServerError};

/// The most that a page holds.
const PAGE: usize = 100;
/// The most pages that are read for one answer: a server that never comes to an end is not followed there.
const MAX_PAGES: usize = 1_000;

impl Server {
    /// Who presents the token.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub async fn whoami(&self) -> Result<WhoAmI, ServerError> {
        self.get("/whoami").await
    }

    /// Tokens, oldest first: the caller's own, or those of an organization or a workspace; so many at most.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub async fn tokens(&self, query: &TokenQuery, limit: usize) -> Result<Vec<TokenRecord>, ServerError> {
        let mut path = format!("/tokens?state={}", if query.all { "all" } else { "live" });
        if let Some(id) = query.organization {
            path.push_str(&format!("&organization={id}"));
        }
        if let Some(id) = query.workspace {
            path.push_str(&format!("&workspace={id}"));
        }
        if let Some(kind) = query.kind {
            path.push_str(&format!("&kind={kind}"));
        }
        self.listed(&path, limit).await
    }

    /// One token.
    ///
    /// # Errors
    ///
    /// [`ServerError::NoSuch`] where there is none that the caller may see.
    pub async fn token(&self, id: TokenId) -> Result<TokenRecord, ServerError> {
        self.named(&format!("/tokens/{id}"), "token", &id.to_string()).await
    }

    /// Makes a token. Where the answer is lost, so is the token: revoke it, and make another.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub async fn create_token(
        &self,
        order: &TokenOrder,
        description: &str,
        life: Option<Duration>,
    ) -> Result<IssuedToken, ServerError> {
        let mut body = match order {
            TokenOrder::Ci { workspace, level, lane } => {
                json!({ "kind": "ci", "workspace": workspace, "level": level, "lane": lane })
            }
            TokenOrder::Personal { jwt } => {
                json!({ "kind": "personal", "form": if *jwt { "jwt" } else { "opaque" } })
            }
            TokenOrder::Device { organization, access } => {
                let access = match access {
                    DeviceAccess::Normal => json!({ "type": "normal" }),
                    DeviceAccess::ResolveOnly { workspace, requirement, closure } => json!({
                        "type": "resolve-only",
                        "workspace": workspace,
                        "requirement": requirement,
                        "closure": closure.then_some("read"),
                    }),
                };
                json!({ "kind": "device", "organization": organization, "access": access })
            }
        };
        if let Some(members) = body.as_object_mut() {
            members.insert("description".to_owned(), json!(description));
            members.insert("expires_in".to_owned(), json!(life.map(|life| life.as_secs())));
        }
        self.issued(&self.post("/tokens", &body).await?)
    }

    /// Makes a successor; the token lives on beside it for the overlap.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub async fn rotate_token(
        &self,
        id: TokenId,
        overlap: Duration,
        life: Option<Duration>,
    ) -> Result<IssuedToken, ServerError> {
        let body = json!({ "overlap": overlap.as_secs(), "expires_in": life.map(|life| life.as_secs()) });
        self.issued(&self.post(&format!("/tokens/{id}/rotate"), &body).await?)
    }

    /// Revokes a token and all that came of it; where the whole line goes, its predecessors and successors too.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub async fn revoke_token(&self, id: TokenId, reason: &str, line: bool) -> Result<(), ServerError> {
        let body = json!({ "reason": reason, "line": line });
        self.post(&format!("/tokens/{id}/revoke"), &body).await.map(|_| ())
    }

    /// The organizations that the caller is in.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub async fn organizations(&self) -> Result<Vec<OrganizationRecord>, ServerError> {
        self.listed("/organizations?", usize::MAX).await
    }

    /// The organization of this name or id.
    ///
    /// # Errors
    ///
    /// [`ServerError::NoSuch`] where there is none that the caller is in.
    pub async fn organization(&self, name: &str) -> Result<OrganizationRecord, ServerError> {
        let id = name.parse::<OrganizationId>().ok();
        let found = self.organizations().await?.into_iter();
        let mut found = found.filter(|record| Some(record.id) == id || record.name == name);
        found
            .next()
            .ok_or_else(|| ServerError::NoSuch { what: "organization", name: super::error::shown(name) })
    }

    /// The workspaces of an organization in which the caller may do anything.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub async fn workspaces(
        &self,
        organization: OrganizationId,
    ) -> Result<Vec<WorkspaceRecord>, ServerError> {
        self.listed(&format!("/organizations/{organization}/workspaces?"), usize::MAX).await
    }

    /// The workspace of this `ORGANIZATION/WORKSPACE`, or of this id.
    ///
    /// # Errors
    ///
    /// [`ServerError::NoSuch`] where there is none that the caller may use.
    pub async fn workspace(&self, name: &str) -> Result<WorkspaceRecord, ServerError> {
        if let Ok(id) = name.parse::<WorkspaceId>() {
            return self.named(&format!("/workspaces/{id}"), "workspace", name).await;
        }
        let missing = || ServerError::NoSuch { what: "workspace", name: super::error::shown(name) };
        let (organization, workspace) = name.split_once('/').ok_or_else(missing)?;
        let organization = self.organization(organization).await?.id;
        let mut found = self.workspaces(organization).await?.into_iter();
        found.find(|record| record.name == workspace).ok_or_else(missing)
    }

    /// May the token do this in the workspace, to one of its entries or releases?
    ///
    /// # Errors
    ///
    /// [`ServerError`]; a plain "no" is none.
    pub async fn explain(
        &self,
        action: Action,
        workspace: WorkspaceId,
        key: Option<&str>,
        version: Option<&str>,
    ) -> Result<Explained, ServerError> {
        let body = json!({ "action": action, "workspace": workspace, "key": key, "version": version });
        self.read(&self.post("/explain", &body).await?)
    }

    /// Why was it refused?
    ///
    /// # Errors
    ///
    /// [`ServerError::NoSuch`] where it is not remembered, or not the caller's to know.
    pub async fn decision(&self, id: DecisionId) -> Result<RefusalRecord, ServerError> {
        self.named(&format!("/decisions/{id}"), "decision", &id.to_string()).await
    }

    /// Reads what a name stands for, and says which name it was where there is nothing.
    async fn named<T: DeserializeOwned>(
        &self,
        path: &str,
        what: &'static str,
        name: &str,
    ) -> Result<T, ServerError> {
        self.get(path).await.map_err(|error| match error.code() {
            "not_found" => ServerError::NoSuch { what, name: super::error::shown(name) },
            _ => error,
        })
    }

    fn issued(&self, response: &cachegate_fetch::Response) -> Result<IssuedToken, ServerError> {
        #[derive(Deserialize)]
        struct Issued {
            token: String,
            record: TokenRecord,
        }
        let Issued { token, record } = self.read(response)?;
        Ok(IssuedToken { token: SecretText::new(token), record })
    }

    /// Page by page, until there are enough. The path has its `?` already.
    async fn listed<T: DeserializeOwned>(&self, path: &str, limit: usize) -> Result<Vec<T>, ServerError> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        for _ in 0..MAX_PAGES {
            let size = PAGE.min(limit.saturating_sub(items.len()));
            if size == 0 {
                break;
            }
            let page: Listed<T> = self.get(&format!("{path}&limit={size}{cursor}")).await?;
            items.extend(page.items);
            match page.next {
                Some(next) => cursor = format!("&cursor={}", crate::ambient::percent_encoded(&next)),
                None => break,
            }
        }
        items.truncate(limit);
        Ok(items)
    }
}
