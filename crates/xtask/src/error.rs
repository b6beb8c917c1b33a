use std::path::PathBuf;

/// Why a task could not be carried out at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum XtaskError {
    /// The command line names no task, or an option that the task does not have.
    #[error("{0}")]
    Usage(String),
    /// A program could not be started.
    #[error("`{program}` could not be run")]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file could not be read or written.
    #[error("`{}` could not be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// `cargo metadata` failed, or said something unexpected.
    #[error("cargo metadata: {0}")]
    Metadata(String),
    /// A source file is not Rust that this program reads.
    #[error("`{}` could not be understood: {reason}", path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A public API could not be listed.
    #[error(transparent)]
    Api(#[from] crate::ApiError),
}

impl XtaskError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
