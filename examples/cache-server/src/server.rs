//! The gate, the entries and the routes, composed.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::serve::ListenerExt;
use cachegate::{
    Authority, BuildError, DecisionSink, FileVault, Gate, IssueError, ManageError, TokenSpec, VaultError,
};
use cachegate_console::Console;
use cachegate_directory::{Github, Stores};
use cachegate_http::oauth;
use cachegate_storage::{Storage, StoreError};
use cachegate_storage_sqlite::{OpenError, SqliteStorage};
use cachegate_types::{
    AccessLevel, Lane, Name, OrganizationId, SecretText, Timestamp, WorkspaceId, WorkspacePath,
};
use tokio::net::TcpListener;

use crate::config::Config;
use crate::count::Counting;
use crate::directories::{self, DirectoryConfigError};
use crate::entries::Entries;
use crate::first_start::{ADMINISTRATOR, write_secret};
use crate::identity::{self, IdentityError};
use crate::log::note;
use crate::login::{self, LoginConfigError};
use crate::workloads::{self, WorkloadsError};
use crate::{bazel, gradle, nix, nx, plain, releases, turborepo, webdav};

/// How often the feed of changes is read: a revocation by another process is known after this long.
const FEED_POLL: Duration = Duration::from_millis(250);

/// How often issuers' keys are looked at for their age.
const KEYS_POLL: Duration = Duration::from_secs(10);

/// How often uses are noted, and what has no more effect is forgotten.
const UPKEEP: Duration = Duration::from_secs(5 * 60);

/// How many workspaces are remembered, by name and by id.
const NAMES: usize = 1024;

/// A cache server over one data folder.
pub struct Server {
    pub(crate) gate: Gate,
    pub(crate) entries: Arc<Entries>,
    pub(crate) entry_limit: u64,
    pub(crate) default_workspace: WorkspaceId,
    storage: Arc<dyn Storage>,
    // Names never change hands, so a known one stays known.
    names: Mutex<BTreeMap<WorkspacePath, WorkspaceId>>,
    // Nor do workspaces move from one organization to another.
    homes: Mutex<BTreeMap<WorkspaceId, Home>>,
    first_token: Option<SecretText>,
    /// Who somebody is, and where they belong.
    identity: Router,
    /// GitHub, and how often it is asked.
    github: Option<(Github, Duration)>,
}

/// A workspace's organization: its id and its name.
type Home = (OrganizationId, Name);

/// Why the server cannot run, in one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The data folder cannot be used.
    #[error(
        "cannot use the data folder `{path}`: {source}; check its permissions or name another with --data"
    )]
    Data {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database cannot be opened.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// The database is empty and entries are there.
    #[error(
        "the data folder `{path}` holds entries, but its database is new: nothing says who wrote them; restore the \
         database, or move `{path}/entries` away to begin anew"
    )]
    Emptied {
        /// The data folder.
        path: PathBuf,
    },
    /// The keys cannot be used.
    #[error("{}", with_causes(.0))]
    Vault(#[from] VaultError),
    /// The gate cannot be built.
    #[error("{}", with_causes(.0))]
    Build(#[from] BuildError),
    /// The first organization could not be made.
    #[error("the first start failed: {0}; start again to finish it")]
    FirstStart(#[from] IssueError),
    /// The configuration's anchors and rules cannot be used.
    #[error("{0}; mend the configuration and start again")]
    Workloads(#[from] WorkloadsError),
    /// The configuration of the server as an identity provider cannot be used.
    #[error("{0}; mend the configuration and start again")]
    Identity(#[from] IdentityError),
    /// Nobody could sign in as the configuration says.
    #[error("{0}; mend the configuration and start again")]
    Login(#[from] LoginConfigError),
    /// A directory cannot be connected.
    #[error("{0}; mend the configuration and start again")]
    Directory(#[from] DirectoryConfigError),
    /// A command was not done.
    #[error("{0}")]
    Manage(#[from] ManageError),
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another with --listen ADDRESS:PORT")]
    Listen {
        /// Which.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Connections cannot be taken any more.
    #[error("the server stopped: {0}")]
    Serve(io::Error),
}

pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The wall clock.
pub fn now() -> Timestamp {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_unix_seconds(seconds).ok())
        .unwrap_or(Timestamp::MAX)
}

impl Server {
    /// Opens the data folder, and makes what a first start makes.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub async fn open(config: &Config, sink: Arc<dyn DecisionSink>) -> Result<Self, ServerError> {
        let data_error = |source| ServerError::Data { path: config.data.clone(), source };
        std::fs::create_dir_all(&config.data).map_err(data_error)?;
        let database = config.data.join("cachegate.sqlite");
        let is_new = !database.exists();
        if is_new && Entries::any(&config.data.join("entries")).map_err(data_error)? {
            return Err(ServerError::Emptied { path: config.data.clone() });
        }
        let sqlite = Arc::new(SqliteStorage::open(&database)?);
        let storage: Arc<dyn Storage> = sqlite.clone();
        let stores = Stores { storage: sqlite.clone(), accounts: sqlite.clone(), directories: sqlite };
        let vault = FileVault::open(&config.data.join("keys"))?;
        let issuer = config.issuer();
        let audiences = identity::audiences(config, &issuer);
        let gate = Gate::builder(Arc::clone(&storage), Arc::new(vault))
            .issuer(&issuer)
            .services(&audiences)
            .sink(sink)
            .build(now())
            .await?;
        Self::compose(config, stores, gate).await
    }

    /// Composes a server over a store, and a gate over that store, of the caller's choice.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub async fn compose(config: &Config, stores: Stores, gate: Gate) -> Result<Self, ServerError> {
        let storage = Arc::clone(&stores.storage);
        let data_error = |source| ServerError::Data { path: config.data.clone(), source };
        let entries = Arc::new(Entries::open(&config.data.join("entries")).map_err(data_error)?);
        let owner = "administrator".parse().unwrap_or_default();
        let first = gate.first_start(&config.organization, &config.workspace, &owner, now()).await?;
        let mut first_token = None;
        if let Some(administrator) = &first.administrator {
            let path = config.data.join(ADMINISTRATOR);
            write_secret(&path, &format!("{}\n", administrator.token.expose_secret())).map_err(data_error)?;
            let spec = TokenSpec::Ci {
                workspace: first.workspace,
                level: AccessLevel::ReadWrite,
                lane: Lane::main(),
            };
            let description = "the first start's".parse().unwrap_or_default();
            let issued = gate.issue(&Authority::Operator, &spec, description, None, now()).await?;
            first_token = Some(issued.token);
        }
        workloads::let_in(config, &gate, &*storage).await?;
        let oauth = oauth::router(gate.clone(), now, identity::settings(config, &gate)?)
            .map_err(IdentityError::from)?;
        let login = login::login(config, &gate, &storage, Arc::clone(&stores.accounts))?;
        let login = cachegate_http::login::router(gate.clone(), now, login);
        let mut directories = directories::routes(config, &gate, &stores).await?;
        let github = directories::github(config, &gate, &stores).await?;
        if let Some(github) = &github {
            directories = directories.merge(cachegate_http::github::router(github.clone(), now));
        }
        let console = Console::new(gate.clone(), now)
            .protocols_at(gate.issuer())
            .accounts(stores.accounts)
            .entries(Arc::new(Counting::new(gate.clone(), Arc::clone(&entries))));
        Ok(Self {
            gate,
            identity: oauth.merge(login).merge(directories).merge(console.router()),
            github: github.map(|github| (github, config.directories.github_every())),
            entries,
            entry_limit: config.entry_limit,
            default_workspace: first.workspace,
            storage,
            names: Mutex::new(BTreeMap::new()),
            homes: Mutex::new(BTreeMap::new()),
            first_token,
        })
    }

    /// The gate.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The workspace that the first start made.
    pub fn default_workspace(&self) -> WorkspaceId {
        self.default_workspace
    }

    /// The CI token that the first start made; `None` on later starts.
    pub fn first_token(&self) -> Option<&SecretText> {
        self.first_token.as_ref()
    }

    /// The routes: each protocol's below `/organization/workspace`, and those of the clients whose tokens can name the
    /// workspace below the root as well.
    pub fn router(self: &Arc<Self>) -> Router {
        let rooted = nx::routes().merge(turborepo::routes());
        let plain = plain::routes()
            .merge(bazel::routes())
            .merge(gradle::routes())
            .merge(nix::routes())
            .merge(webdav::routes());
        Router::new()
            .nest("/{organization}/{workspace}", rooted.clone().merge(plain))
            .merge(rooted)
            .merge(releases::routes())
            .with_state(Arc::clone(self))
            .merge(cachegate_http::api::router(self.gate.clone(), now))
            .merge(self.identity.clone())
    }

    /// The workspace of this path, if there is one.
    pub(crate) async fn workspace(
        &self,
        organization: &str,
        workspace: &str,
    ) -> Result<Option<WorkspaceId>, StoreError> {
        let (Ok(organization), Ok(workspace)) = (organization.parse::<Name>(), workspace.parse::<Name>())
        else {
            return Ok(None);
        };
        self.find(&WorkspacePath { organization, workspace }).await
    }

    /// The workspace of this path, if there is one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store does not answer.
    pub async fn find(&self, path: &WorkspacePath) -> Result<Option<WorkspaceId>, StoreError> {
        let known = self.names.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied();
        if known.is_some() {
            return Ok(known);
        }
        let Some(organization) = self.storage.organization_by_name(&path.organization).await? else {
            return Ok(None);
        };
        let found = self.storage.workspace_by_name(organization.id, &path.workspace).await?;
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = &found
            && names.len() < NAMES
        {
            names.insert(path.clone(), found.id);
        }
        Ok(found.map(|found| found.id))
    }

    /// The organization of this workspace, if there is such a workspace.
    pub(crate) async fn home(&self, workspace: WorkspaceId) -> Result<Option<Home>, StoreError> {
        let known = self.homes.lock().unwrap_or_else(PoisonError::into_inner).get(&workspace).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let Some(found) = self.storage.workspace(workspace).await? else { return Ok(None) };
        let Some(organization) = self.storage.organization(found.organization).await? else {
            return Ok(None);
        };
        let home = (organization.id, organization.name);
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        if homes.len() < NAMES {
            homes.insert(workspace, home.clone());
        }
        Ok(Some(home))
    }

    /// The store, for the commands that work on it.
    pub fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    /// Replaces the administrator's token, and the file that keeps it.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub async fn recover(&self, data: &Path) -> Result<PathBuf, ServerError> {
        let issued = self.gate.recover(now()).await?;
        let path = data.join(ADMINISTRATOR);
        write_secret(&path, &format!("{}\n", issued.token.expose_secret()))
            .map_err(|source| ServerError::Data { path: path.clone(), source })?;
        Ok(path)
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("gate", &self.gate)
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

/// Serves until `stop` completes, following the feed of changes.
///
/// # Errors
///
/// [`ServerError::Serve`].
pub async fn serve(
    listener: TcpListener,
    server: Arc<Server>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServerError> {
    let gate = server.gate.clone();
    let feed = tokio::spawn(async move { gate.follow_feed(|| tokio::time::sleep(FEED_POLL)).await });
    let gate = server.gate.clone();
    let keys = tokio::spawn(async move { gate.refresh_keys(|| tokio::time::sleep(KEYS_POLL)).await });
    let gate = server.gate.clone();
    let upkeep = tokio::spawn(async move { keep_up(&gate).await });
    let github = server.github.clone();
    let github = tokio::spawn(async move {
        if let Some((github, every)) = github {
            directories::follow(github, every).await;
        }
    });
    // Head and body are two writes: held back for one another they would take 40 ms.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            note(&format!("a connection stays slow: {error}"));
        }
    });
    let served = axum::serve(listener, server.router()).with_graceful_shutdown(stop).await;
    feed.abort();
    keys.abort();
    upkeep.abort();
    github.abort();
    served.map_err(ServerError::Serve)
}

async fn keep_up(gate: &Gate) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        // Whatever fails is tried again the next time.
        if let Err(error) = gate.flush_last_used(now()).await {
            note(&format!("uses of tokens are not noted: {error}"));
        }
        if let Err(error) = gate.purge(now()).await {
            note(&format!("what has no more effect is not forgotten: {error}"));
        }
    }
}
