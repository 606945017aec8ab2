//! The retention's files: each replaced whole, and, where it names anybody, sealed.
//!
//! Owns how they are written and read. Refuses to say what an unusable one means: its owner does.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use data_encoding::BASE64;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::store::keys::Sealer;

/// Readers of a later form keep reading this one.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Sealed {
    version: u32,
    /// What the file says, sealed, in base64.
    sealed: String,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}")]
    Form(String),
}

impl From<serde_json::Error> for Unusable {
    fn from(error: serde_json::Error) -> Self {
        Self::Form(error.to_string())
    }
}

/// `None` where there is no such file.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Unusable> {
    match fs::read(path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The same for a sealed one.
pub(super) fn read_sealed<T: DeserializeOwned>(
    path: &Path,
    sealer: &Sealer,
    bound: &str,
) -> Result<Option<T>, Unusable> {
    let Some(file) = read::<Sealed>(path)? else { return Ok(None) };
    if file.version != VERSION {
        return Err(Unusable::Form(format!("version {}: this portcullis reads {VERSION}", file.version)));
    }
    let octets = BASE64.decode(file.sealed.as_bytes());
    let mut octets = octets.map_err(|error| Unusable::Form(error.to_string()))?;
    let plain = sealer.open(bound.as_bytes(), &mut octets);
    let plain = plain.ok_or_else(|| Unusable::Form("does not open: damaged, or sealed with another key".to_owned()))?;
    Ok(Some(serde_json::from_slice(plain)?))
}

/// Old or new after a crash, never half of either.
pub(super) fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let fresh = path.with_extension("json.new");
    let mut file = File::create(&fresh)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// The same, sealed.
pub(super) fn write_sealed(path: &Path, value: &impl Serialize, sealer: &Sealer, bound: &str) -> io::Result<()> {
    let sealed = sealer.seal(bound.as_bytes(), &serde_json::to_vec(value)?);
    write(path, &Sealed { version: VERSION, sealed: BASE64.encode(&sealed) })
}
