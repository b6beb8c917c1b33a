//! Why nobody was signed in, and why a provider cannot be set up.

use cachegate::IssueError;
use cachegate_federation::{AnchorError, KeysError, Refusal};
use cachegate_fetch::{FetchError, UrlError};
use cachegate_storage::StoreError;
use cachegate_types::Timestamp;

/// Why a login was not begun or not finished. Nobody was signed in, and no account was made or changed; the attempt
/// itself may be used up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// No provider of this name is configured.
    #[error("no provider of this name is configured here")]
    UnknownProvider,
    /// The provider has no device flow, or it is not switched on.
    #[error("this provider is not set up for the device flow")]
    NoDeviceFlow,
    /// A place to return to that is no path of this host.
    #[error("the place to return to is no path of this host")]
    ReturnTarget,
    /// What came back from the provider is no answer to anything.
    #[error("the answer cannot be read: {what}")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// This browser has not begun a login, or so long ago that nothing is known of it.
    #[error("no login was begun in this browser")]
    NoAttempt,
    /// The login was finished before.
    #[error("this login was finished before; begin anew")]
    Finished,
    /// It took longer than ten minutes.
    #[error("this login took too long; begin anew")]
    Expired,
    /// The login was begun with another provider than the one that answers.
    #[error("this login was begun with another provider")]
    OtherProvider,
    /// `state` is not the one that this browser began with.
    #[error("the answer belongs to a login that was not begun in this browser")]
    State,
    /// `iss` (RFC 9207) names another issuer, or is missing where the provider says that it sends it.
    #[error("the answer does not come from the issuer that was asked")]
    Issuer,
    /// The provider, or the person there, said no.
    #[error("the provider refused: `{code}`")]
    Refused {
        /// The provider's word (RFC 6749, sections 4.1.2.1 and 5.2), cut to letters that can be shown.
        code: String,
    },
    /// The provider could not be reached, or did not answer in time. A later try may succeed.
    #[error("the provider does not answer")]
    Unreachable {
        /// Why.
        #[source]
        source: FetchError,
    },
    /// The provider answers with a status that says that something is wrong there. A later try may succeed.
    #[error("the provider answers with status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// The provider failed a moment ago, and is not asked again yet. A later try may succeed.
    #[error("the provider failed a moment ago and is not asked again yet")]
    Failing,
    /// The provider's answer cannot be read.
    #[error("the provider's answer cannot be read: {what}")]
    Garbage {
        /// Which answer.
        what: &'static str,
    },
    /// The provider's keys are not to be had. A later try may succeed.
    #[error("the provider's keys are not to be had")]
    Keys {
        /// Why.
        #[source]
        source: KeysError,
    },
    /// The ID token was refused.
    #[error("the provider's ID token was refused: {refusal}")]
    IdToken {
        /// By which step, and why.
        refusal: Refusal,
    },
    /// The ID token was made for another attempt.
    #[error("the ID token was made for another login")]
    Nonce,
    /// The ID token was made at the asking of another application.
    #[error("the ID token was made for another application")]
    AuthorizedParty,
    /// The person authenticated longer ago than is accepted, or nobody says when.
    #[error("the provider does not say that the person authenticated lately")]
    AuthenticatedAt {
        /// When, as the ID token says.
        at: Option<Timestamp>,
    },
    /// What was verified does not name the person by an id that is never given to anyone else.
    #[error("the provider does not say who it is by an id that stays: no `{claim}`")]
    NoIdentity {
        /// What is missing.
        claim: &'static str,
    },
    /// The access token was made for another application.
    #[error("the provider's token is not this application's")]
    OtherApplication,
    /// Only members of certain groups or organizations are let in, and this person is in none of them.
    #[error("only members of certain groups may sign in here")]
    NotAdmitted,
    /// Only members of certain groups or organizations are let in, and the provider does not tell all of this person's.
    #[error(
        "only members of certain groups may sign in here, and the provider does not tell all of this person's"
    )]
    GroupsUnknown,
    /// The system gave no randomness.
    #[error("no randomness is to be had")]
    Randomness,
    /// The store did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No session was made.
    #[error(transparent)]
    Session(#[from] IssueError),
}

impl LoginError {
    /// A stable name in snake case.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownProvider => "login_unknown_provider",
            Self::NoDeviceFlow => "login_no_device_flow",
            Self::ReturnTarget => "login_return_target",
            Self::Malformed { .. } => "login_malformed",
            Self::NoAttempt => "login_no_attempt",
            Self::Finished => "login_finished",
            Self::Expired => "login_expired",
            Self::OtherProvider => "login_other_provider",
            Self::State => "login_state",
            Self::Issuer => "login_issuer",
            Self::Refused { .. } => "login_refused",
            Self::Unreachable { .. } => "login_provider_unreachable",
            Self::Status { .. } => "login_provider_status",
            Self::Failing => "login_provider_failing",
            Self::Garbage { .. } => "login_provider_garbage",
            Self::Keys { .. } => "login_provider_keys",
            Self::IdToken { refusal } => refusal.code(),
            Self::Nonce => "login_nonce",
            Self::AuthorizedParty => "login_authorized_party",
            Self::AuthenticatedAt { .. } => "login_auth_time",
            Self::NoIdentity { .. } => "login_no_identity",
            Self::OtherApplication => "login_other_application",
            Self::NotAdmitted => "login_not_admitted",
            Self::GroupsUnknown => "login_groups_unknown",
            Self::Randomness => "login_no_randomness",
            Self::Store(_) => "login_store",
            Self::Session(_) => "login_session",
        }
    }

    /// Whether nobody did anything wrong: the provider or the store is out of reach, and a later try may succeed.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Status { .. } | Self::Failing | Self::Garbage { .. } => true,
            Self::Keys { .. } | Self::Randomness | Self::Store(_) | Self::Session(_) => true,
            Self::UnknownProvider
            | Self::NoDeviceFlow
            | Self::ReturnTarget
            | Self::Malformed { .. }
            | Self::NoAttempt
            | Self::Finished
            | Self::Expired
            | Self::OtherProvider
            | Self::State
            | Self::Issuer
            | Self::Refused { .. }
            | Self::IdToken { .. }
            | Self::Nonce
            | Self::AuthorizedParty
            | Self::AuthenticatedAt { .. }
            | Self::NoIdentity { .. }
            | Self::OtherApplication
            | Self::NotAdmitted
            | Self::GroupsUnknown => false,
        }
    }

    /// The provider's own word for a refusal, without what could break a page or a log.
    pub(crate) fn refused(word: &str) -> Self {
        let plain = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
        Self::Refused { code: word.chars().filter(plain).take(64).collect() }
    }
}

impl From<Refusal> for LoginError {
    fn from(refusal: Refusal) -> Self {
        Self::IdToken { refusal }
    }
}

/// Why a provider, or the login itself, cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// The anchor that its ID tokens are verified under cannot be built.
    #[error("the provider's issuer, keys or client id: {source}")]
    Anchor {
        /// Why.
        source: AnchorError,
    },
    /// An address that cannot be fetched from.
    #[error("the provider's {what}: {source}")]
    Address {
        /// Which.
        what: &'static str,
        /// Why.
        source: UrlError,
    },
    /// Neither discovery nor the configuration says where the endpoints are.
    #[error("nothing says where the provider's endpoints are: name both, or let them be discovered")]
    NoEndpoints,
    /// Microsoft's issuers have ids of their own, which only `entra` reads.
    #[error("an issuer of Microsoft Entra is set up as `entra`")]
    IsEntra,
    /// A client id or a client secret that is empty.
    #[error("the {what} is empty")]
    Empty {
        /// Which.
        what: &'static str,
    },
    /// Two providers of one name.
    #[error("two providers have one name")]
    DuplicateName,
}

impl ProviderError {
    /// A stable name in snake case.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Anchor { source } => source.code(),
            Self::Address { .. } => "provider_address",
            Self::NoEndpoints => "provider_no_endpoints",
            Self::IsEntra => "provider_is_entra",
            Self::Empty { .. } => "provider_empty",
            Self::DuplicateName => "duplicate_provider",
        }
    }
}

impl From<AnchorError> for ProviderError {
    fn from(source: AnchorError) -> Self {
        Self::Anchor { source }
    }
}
