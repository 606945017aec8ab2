//! Why the store could not do what it was asked.
//!
//! Every variant says what was tried, on which path, and what the owner of the machine can do.

use std::path::{Path, PathBuf};

use super::engine::{EngineError, Fault};

/// A store operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another handle of this one, has the store open.
    #[error("{} is held by another process: stop it, or talk to it through its socket", path.display())]
    Held {
        /// The folder that is locked.
        path: PathBuf,
    },
    /// A file or folder could not be used.
    #[error("{}: {what}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system refused the engine something: disk full, folder gone, not permitted.
    #[error("{}: {what}", path.display())]
    Engine {
        /// The database folder.
        path: PathBuf,
        /// What the engine said.
        what: String,
    },
    /// Something on disk does not read back as it was written.
    #[error("{}: damaged: {what}", path.display())]
    Damaged {
        /// The database folder.
        path: PathBuf,
        /// Where, and what was expected.
        what: String,
    },
    /// A key that is needed cannot be had.
    #[error("{} {what}", path.display())]
    Key {
        /// Its file, or where it was to come from.
        path: PathBuf,
        /// What is the matter with it.
        what: String,
    },
    /// The key of what is asked for was deleted: it is gone, for good and on purpose.
    #[error("{}: its key was deleted, nothing in it can be read any more", path.display())]
    Expired {
        /// The folder.
        path: PathBuf,
    },
    /// A limit that keeps the store bounded was reached.
    #[error("{what}: limit {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
}

impl StoreError {
    pub(crate) fn io(path: &Path, what: &'static str, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), what, source }
    }

    pub(crate) fn engine(path: &Path, error: &EngineError) -> Self {
        let (path, what) = (path.to_owned(), error.what.clone());
        match error.fault {
            Fault::Held => Self::Held { path },
            Fault::System => Self::Engine { path, what },
            Fault::Broken => Self::Damaged { path, what },
        }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }
}
