//! The master key: where it comes from.
//!
//! Owns the three sources (a file, the environment, a file beside the data) and the form, 64 hexadecimal
//! digits. Refuses anything else, and says which source was at fault. Driven by [`super::Keys`].

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use super::key::{Key, Sealer};
use super::write_whole;
use crate::store::StoreError;

/// The environment variable that may hold the master key.
pub const MASTER_VARIABLE: &str = "PORTCULLIS_MASTER_KEY";

/// The master's file where no other is named.
const BESIDE: &str = "master";

/// Where the master key comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum MasterSource {
    /// A file.
    File(PathBuf),
    /// The text of an environment variable.
    Text(String),
    /// A file beside the data, made where there is none: whoever copies the folder has it as well.
    Beside,
}

impl MasterSource {
    /// The file where one is configured, else the environment's, else the one beside the data.
    pub fn configured(file: Option<&Path>) -> Self {
        match (file, std::env::var(MASTER_VARIABLE)) {
            (Some(file), _) => Self::File(file.to_owned()),
            (None, Ok(text)) => Self::Text(text),
            (None, Err(_)) => Self::Beside,
        }
    }
}

impl fmt::Debug for MasterSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => f.debug_tuple("File").field(file).finish(),
            Self::Text(_) => f.write_str("Text(…)"),
            Self::Beside => f.write_str("Beside"),
        }
    }
}

/// The key that wraps all others.
#[derive(Clone, Debug)]
pub struct Master {
    key: Key,
}

impl Master {
    pub(super) fn obtain(source: &MasterSource, dir: &Path) -> Result<Self, StoreError> {
        let beside = dir.join(BESIDE);
        if *source != MasterSource::Beside && beside.exists() {
            tracing::warn!(file = %beside.display(), "a master key lies beside the data still, where whoever copies the data has it: remove it once it is kept elsewhere");
        }
        match source {
            MasterSource::File(file) => Self::load(file),
            MasterSource::Text(text) => Self::parse(text).ok_or_else(|| fault(Path::new(MASTER_VARIABLE), FORM)),
            MasterSource::Beside => {
                let file = dir.join(BESIDE);
                if !file.exists() && !Self::has_wrapped(dir) {
                    Self::create(&file)?;
                    tracing::warn!(file = %file.display(), "a master key was made beside the data: keep it elsewhere, and name it under [keys]");
                }
                Self::load(&file)
            }
        }
    }

    /// Reads a master key's file.
    pub fn load(file: &Path) -> Result<Self, StoreError> {
        let failed = |e| StoreError::io(file, "read the master key", e);
        let text = Zeroizing::new(fs::read_to_string(file).map_err(failed)?);
        let mode = fs::metadata(file).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(file = %file.display(), mode = format!("{:o}", mode & 0o777), "others can read the master key");
        }
        Self::parse(&text).ok_or_else(|| fault(file, FORM))
    }

    /// Makes a master key's file, readable by its owner alone; one that is there is an error.
    pub fn create(file: &Path) -> Result<Self, StoreError> {
        let master = Self { key: Key::random().map_err(|what| fault(file, what))? };
        master.write(file, false).map_err(|e| StoreError::io(file, "make the master key", e))?;
        Ok(master)
    }

    /// What it is known by; says nothing about it.
    pub fn id(&self) -> String {
        HEXLOWER.encode(&self.key.derive("id").octets()[..8])
    }

    /// The master whose octets these are.
    pub(super) fn of(key: Key) -> Self {
        Self { key }
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    pub(super) fn sealer(&self) -> Sealer {
        self.key.derive("wrap").sealer()
    }

    /// Takes the place of a master that lies beside the data, so that the next start finds the right one.
    pub(super) fn replace_beside(&self, dir: &Path) -> Result<(), StoreError> {
        let file = dir.join(BESIDE);
        if !file.exists() {
            return Ok(());
        }
        self.write(&file, true).map_err(|e| StoreError::io(&file, "replace the master key", e))
    }

    /// Whether keys are there already: a master that is missing then must not be replaced by a new one.
    fn has_wrapped(dir: &Path) -> bool {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.path().extension().is_some_and(|ending| ending == super::ENDING))
    }

    fn parse(text: &str) -> Option<Self> {
        let octets = Zeroizing::new(HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok()?);
        Some(Self { key: Key::read(&octets)? })
    }

    fn write(&self, file: &Path, replace: bool) -> io::Result<()> {
        let text = Zeroizing::new(format!("{}\n", HEXLOWER.encode(self.key.octets())));
        let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        write_whole(dir, file, text.as_bytes(), replace)
    }
}

const FORM: &str = "is no master key: expected 64 hexadecimal digits, as of `openssl rand -hex 32`";

fn fault(path: &Path, what: &str) -> StoreError {
    StoreError::Key { path: path.to_owned(), what: what.to_owned() }
}
