#![doc = include_str!("../README.md")]

mod authenticate;
mod browser;
mod clock;
mod decisions;
mod device_login;
mod established;
mod explain;
mod gate;
mod guard;
mod held;
mod introspect;
mod issue;
mod keys;
mod manage;
mod provenance;
mod purge;
mod release;
mod session;
mod sink;
#[cfg(feature = "federation")]
mod trust;
mod usage;
mod vault;
mod verdict;
#[cfg(feature = "federation")]
mod workload;

pub use authenticate::AuthenticateError;
pub use browser::{BROWSER_SESSION_IDLE, BROWSER_SESSION_LIFE};
pub use cachegate_policy::{Candour, Reason};
pub use cachegate_token::{Brand, Credential, CredentialError, Digester};
pub use clock::{Clock, MonotonicClock, Ticks};
pub use decisions::Refusal;
pub use device_login::{
    DEVICE_LOGIN_INTERVAL, DEVICE_LOGIN_LIFE, DeviceLogin, DeviceLoginError, WaitingLogin,
};
pub use established::{Authentication, Method};
pub use explain::{Access, AccessCursor, AccessParty, TokenRights};
pub use gate::{BuildError, Degraded, Gate, GateBuilder, Reuse};
pub use introspect::{Asking, Introspection, Shown};
pub use issue::{DEVICE_TOKEN_LIFE, DeviceAccess, IssueError, Issued, LongestLives, PersonalForm, TokenSpec};
pub use keys::PUBLISH_BEFORE_USE;
pub use manage::{
    AuditEnd, AuditFilter, AuditFrom, Authority, Departure, DyingToken, FirstStart, Made, ManageError,
    MemberView, Once, OrganizationView, Page, Source, TokenState, TokenView, WorkspaceView,
};
#[cfg(feature = "federation")]
pub use manage::{MOST_TRUST_RULES, RulesTrial, TrustRules, TrustRulesError};
pub use provenance::{AtHand, Labelled, NotAdmitted, Provenance, SealError};
pub use purge::{Purged, TOKEN_RETENTION};
pub use release::{
    CLOSURE_TOKEN_LIFE, LARGEST_CLOSURE, OutputSpec, PublishError, ReleaseSpec, ResolveError, StoredEntry,
};
pub use session::{LONGEST_SESSION_LIFE, LoggedIn, REFRESH_LIFE, SESSION_LIFE, SessionSpec};
pub use sink::{DecisionEvent, DecisionSink, NotRecorded, Overflow, QueueSink};
pub use vault::{FileVault, KeyVault, MemoryVault, SealedVault, VaultError};
pub use verdict::{Allowed, Denied, NotAuthenticated, Request, Ticket, Unavailable, Verdict};
#[cfg(feature = "federation")]
pub use workload::{ExchangeError, Exchanged, WorkloadToken, Workloads};
