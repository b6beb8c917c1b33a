//! How a command ends: what happened, what to do, and the exit status that says it to a script.

use std::error::Error;
use std::process::ExitCode;

use cachegate_client::{
    AmbientError, Failure, FileError, NetrcEditError, NetrcError, OriginError, ServerError, TokenStoreError,
};

/// The exit statuses; the README lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// The answer is no, or it could not be done.
    Refused = 1,
    /// The command line, or a file that it names, is wrong.
    Usage = 2,
    /// There is no token, or the server does not take it.
    Unauthenticated = 3,
    /// The server could not be reached or could not answer.
    Unavailable = 4,
    /// Something was looked for, and found.
    Found = 5,
}

/// A command that did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) status: Status,
    /// What happened. Empty where the output says it already.
    pub(crate) what: String,
    /// What to do next.
    pub(crate) advice: String,
    /// A stable code, for `--json`.
    pub(crate) code: String,
}

impl Failed {
    pub(crate) fn new(
        status: Status,
        code: &str,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { status, what: what.into(), advice: advice.into(), code: code.to_owned() }
    }

    pub(crate) fn usage(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Status::Usage, "usage", what, advice)
    }

    /// An error that carries its advice in its own words.
    fn with_causes(status: Status, code: &str, error: &dyn Error) -> Self {
        Self::new(status, code, causes(error), "")
    }

    pub(crate) fn exit(&self) -> ExitCode {
        ExitCode::from(self.status as u8)
    }
}

/// An error's words, and those of what caused it.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl From<ServerError> for Failed {
    fn from(error: ServerError) -> Self {
        let status = match error.failure() {
            Failure::Unauthenticated => Status::Unauthenticated,
            Failure::Refused => Status::Refused,
            Failure::Unavailable => Status::Unavailable,
        };
        let advice = match error.decision() {
            Some(id) => format!("{}; `gatectl explain {id}` says more", error.advice()),
            None => error.advice().to_owned(),
        };
        Self::new(status, error.code(), causes(&error), advice)
    }
}

impl From<TokenStoreError> for Failed {
    fn from(error: TokenStoreError) -> Self {
        Self::with_causes(Status::Refused, "token_store", &error)
    }
}

impl From<FileError> for Failed {
    fn from(error: FileError) -> Self {
        Self::with_causes(Status::Refused, "file", &error)
    }
}

impl From<NetrcError> for Failed {
    fn from(error: NetrcError) -> Self {
        match &error {
            NetrcError::Edit { source: NetrcEditError::Foreign { host, line }, path } => Self::new(
                Status::Refused,
                "netrc_foreign",
                format!(
                    "line {line} of `{}` holds another credential for `{host}`, and was left as it is",
                    path.display()
                ),
                "`--replace` replaces it, `--netrc-file` names another file, `--no-netrc` leaves all of them alone",
            ),
            _ => Self::with_causes(Status::Refused, "netrc", &error),
        }
    }
}

impl From<AmbientError> for Failed {
    fn from(error: AmbientError) -> Self {
        Self::with_causes(Status::Unauthenticated, "ambient_identity", &error)
    }
}

impl From<OriginError> for Failed {
    fn from(error: OriginError) -> Self {
        Self::with_causes(Status::Usage, "bad_server", &error)
    }
}
