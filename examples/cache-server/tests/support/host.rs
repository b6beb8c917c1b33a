//! The server in this process, over a storage that fails on demand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cache_server::{Config, DirectoriesEntry, LoginEntry, Server, now, serve};
use cachegate::{Authority, Gate, MemoryVault, TokenSpec};
use cachegate_directory::Stores;
use cachegate_policy::WorkspaceSettings;
use cachegate_storage::{MemoryStorage, Storage};
use cachegate_testkit::{Faults, FaultyAccounts, FaultyStorage, ManualClock, Recorder};
use cachegate_types::{AccessLevel, Description, Epoch, Lane};

/// A server in this process, on a port of its own.
pub(crate) struct Host {
    pub(crate) server: Arc<Server>,
    pub(crate) address: SocketAddr,
    pub(crate) faults: Arc<Faults>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) runtime: tokio::runtime::Runtime,
    _data: tempfile::TempDir,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::configured(|_| ())
    }

    pub(crate) fn with_limit(entry_limit: u64) -> Self {
        Self::configured(|config| config.entry_limit = entry_limit)
    }

    pub(crate) fn configured(change: impl FnOnce(&mut Config)) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket that waits for nothing");
        let address = listener.local_addr().expect("its address");
        let mut config = Config {
            listen: address,
            data: data.path().to_owned(),
            entry_limit: 1024 * 1024,
            organization: "acme".parse().expect("a name"),
            workspace: "app".parse().expect("a name"),
            anchors: Vec::new(),
            rules: Vec::new(),
            tenants: Vec::new(),
            issuer: Some("http://cache.test".to_owned()),
            services: Vec::new(),
            leak_reporters: Vec::new(),
            login: LoginEntry::default(),
            directories: DirectoriesEntry::default(),
        };
        change(&mut config);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let (recorder, clock) = (Arc::new(Recorder::default()), Arc::new(ManualClock::default()));
        let memory = Arc::new(MemoryStorage::new(Epoch(1)));
        let (storage, faults) = FaultyStorage::new(memory.clone());
        let accounts = Arc::new(FaultyAccounts::new(memory.clone(), Arc::clone(&faults)));
        let storage: Arc<dyn Storage> = Arc::new(storage);
        let stores = Stores { storage: Arc::clone(&storage), accounts, directories: memory };
        let server = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let gate = Gate::builder(Arc::clone(&storage), Arc::new(MemoryVault::default()))
                .issuer(&config.issuer())
                .clock(clock.clone())
                .sink(recorder.clone())
                .build(now())
                .await
                .expect("a gate");
            let server = Server::compose(&config, stores, gate).await.expect("a server");
            let server = Arc::new(server);
            tokio::spawn(serve(listener, Arc::clone(&server), std::future::pending()));
            server
        });
        Self { server, address, faults, clock, recorder, runtime, _data: data }
    }

    pub(crate) fn token(&self, level: AccessLevel, lane: &str) -> String {
        self.token_for(level, lane, None)
    }

    pub(crate) fn token_for(&self, level: AccessLevel, lane: &str, life: Option<Duration>) -> String {
        let spec = TokenSpec::Ci {
            workspace: self.server.default_workspace(),
            level,
            lane: lane.parse::<Lane>().expect("a lane"),
        };
        let issued = self.runtime.block_on(self.server.gate().issue(
            &Authority::Operator,
            &spec,
            Description::default(),
            life,
            now(),
        ));
        issued.expect("a token").token.expose_secret().to_owned()
    }

    pub(crate) fn settings(&self, settings: &WorkspaceSettings) {
        let workspace = self.server.default_workspace();
        self.runtime
            .block_on(self.server.gate().set_settings(&Authority::Operator, workspace, settings, now()))
            .expect("new settings");
    }
}
