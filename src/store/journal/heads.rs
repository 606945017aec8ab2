//! What is signed of each day, so that no later change of it goes unnoticed.
//!
//! Owns the folder of heads: a small JSON file a day, with a detached Ed25519 signature and the public key
//! beside, each head naming the SHA-256 of the one made before it. Nothing is written over: what becomes
//! of a day later is a further head. They outlive their days. Driven by whoever seals, rewrites or deletes
//! a day; read by whoever verifies.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Day;
use super::chain::sum;
use crate::clock;
use crate::store::StoreError;
use crate::store::keys::{Keys, verify};
use crate::store::lock::{create_private_dir, sync_dir};

mod tips;

pub(super) use tips::Kept;

/// What is said of a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It is over; all of it is there.
    Sealed,
    /// It has expired but for what is held.
    Held,
    /// It has expired.
    Expired,
}

/// What a day's chain comes to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extent {
    /// Entries.
    pub entries: u64,
    /// Blocks they lie in.
    pub blocks: u32,
    /// The earliest moment of an entry; none where there is no entry.
    pub first: Option<Timestamp>,
    /// The latest.
    pub last: Option<Timestamp>,
    /// The value of the chain at its end, in hexadecimal.
    pub chain: String,
    /// SHA-256 of the index and of whatever else is not in a block, in hexadecimal.
    pub index: String,
}

/// One head.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Its place among all heads, from 1.
    pub serial: u64,
    /// SHA-256 of the head before it, in hexadecimal.
    pub before: Option<String>,
    /// The day, as in `20261124`.
    pub day: String,
    /// How many heads the day has with this one.
    pub revision: u32,
    /// The layout of the day.
    pub layout: u8,
    /// What is said of it.
    pub standing: Standing,
    /// Whether its signalling has expired.
    pub signalling_expired: bool,
    /// What is there of it; nothing once it has expired.
    pub extent: Option<Extent>,
    /// When this was signed.
    pub made: Timestamp,
}

/// A head with the SHA-256 of its file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KnownHead {
    /// The head.
    #[serde(flatten)]
    pub head: Head,
    /// SHA-256 of its file, in hexadecimal.
    pub sha256: String,
}

/// How far the day being written has come, signed now and then.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Running {
    /// The day.
    pub day: String,
    /// What is there of it.
    pub entries: u64,
    /// Blocks they lie in.
    pub blocks: u32,
    /// The value of the chain then, in hexadecimal.
    pub chain: String,
    /// The serial of the last head then, and its SHA-256.
    pub head: Option<(u64, String)>,
    /// When this was signed.
    pub made: Timestamp,
    /// The same of days before, whose heads do not speak of all of it yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<Reached>,
}

/// How far a day had come when that was signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reached {
    /// The day.
    pub day: String,
    /// What is there of it.
    pub entries: u64,
    /// Blocks they lie in.
    pub blocks: u32,
    /// The value of the chain then, in hexadecimal.
    pub chain: String,
}

/// The folder of heads.
#[derive(Debug)]
pub(super) struct Heads {
    dir: PathBuf,
    keys: Keys,
    /// Why the journal is not what the tip was signed for, until that is kept.
    doubt: Mutex<Option<String>>,
    /// All of them, once they were read.
    known: Mutex<Option<Vec<KnownHead>>>,
}

/// A head's or a tip's file that is not as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wrong {
    pub(super) file: String,
    pub(super) what: String,
}

const PUBLIC_KEY: &str = "key.pem";

impl Heads {
    pub(super) fn new(dir: PathBuf, keys: Keys) -> Self {
        Self { dir, keys, doubt: Mutex::new(None), known: Mutex::new(None) }
    }

    /// Signs what is to be said of a day, unless the last head of that day says it already.
    pub(super) fn note(
        &self,
        day: Day,
        layout: u8,
        standing: Standing,
        signalling_expired: bool,
        extent: Option<Extent>,
    ) -> Result<(), StoreError> {
        let mut cached = self.known()?;
        let known = cached.get_or_insert_default();
        let last = known.last();
        let of_day = known.iter().rev().find(|known| known.head.day == day.to_string());
        if of_day.is_some_and(|KnownHead { head, .. }| {
            (head.standing, head.signalling_expired, &head.extent) == (standing, signalling_expired, &extent)
        }) {
            return Ok(());
        }
        let head = Head {
            serial: last.map_or(0, |last| last.head.serial).max(self.named_by_tips()?) + 1,
            before: last.map(|last| last.sha256.clone()),
            day: day.to_string(),
            revision: self.free_revision(day, of_day.map_or(0, |of_day| of_day.head.revision)),
            layout,
            standing,
            signalling_expired,
            extent,
            made: clock::wall(),
        };
        let text = serde_json::to_string_pretty(&head).map_err(io::Error::other);
        let text = text.map_err(|e| StoreError::io(&self.dir, "write the head", e))? + "\n";
        if let Err(e) = self.write(&name(day, head.revision), text.as_bytes()) {
            // It may be there all the same: whoever looks next reads what is.
            let _ = fs::remove_file(self.dir.join(format!("{}.json", name(day, head.revision))));
            *cached = None;
            return Err(e);
        }
        known.push(KnownHead { sha256: HEXLOWER.encode(&sum(text.as_bytes())), head });
        if let Err(e) = self.name_in_tip(known) {
            tracing::error!(error = %e, "the tip could not be signed anew; it does not name the last head");
        }
        Ok(())
    }

    /// The next revision: a file that does not read as a head any more is not written over either.
    fn free_revision(&self, day: Day, last: u32) -> u32 {
        let is_free = |revision: &u32| !self.dir.join(format!("{}.json", name(day, *revision))).exists();
        (last + 1..).find(is_free).unwrap_or(u32::MAX)
    }

    /// The last head of that day.
    pub(super) fn of(&self, day: Day) -> Result<Option<KnownHead>, StoreError> {
        let known = self.known()?;
        let known = known.as_deref().unwrap_or_default();
        Ok(known.iter().rev().find(|known| known.head.day == day.to_string()).cloned())
    }

    /// All heads, in the order they were made.
    pub(super) fn list(&self) -> Result<Vec<KnownHead>, StoreError> {
        Ok(self.known()?.clone().unwrap_or_default())
    }

    /// The head's file and its signature's, the signature first: where the head is, that is.
    fn write(&self, name: &str, text: &[u8]) -> Result<(), StoreError> {
        let failed = |e| StoreError::io(&self.dir, "write the head", e);
        let signer = self.keys.signer()?;
        self.make_dir()?;
        put(&self.dir, PUBLIC_KEY, signer.public_pem().as_bytes()).map_err(failed)?;
        put(&self.dir, &format!("{name}.sig"), &signer.sign(text)).map_err(failed)?;
        put(&self.dir, &format!("{name}.json"), text).map_err(failed)?;
        sync_dir(&self.dir)
    }

    fn make_dir(&self) -> Result<(), StoreError> {
        if self.dir.is_dir() {
            return Ok(());
        }
        create_private_dir(&self.dir)?;
        self.dir.parent().map_or(Ok(()), sync_dir)
    }

    /// What is known, read where it is not.
    fn known(&self) -> Result<MutexGuard<'_, Option<Vec<KnownHead>>>, StoreError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            let (heads, wrong) = self.read()?;
            for Wrong { file, what } in wrong {
                tracing::error!(file, what, "a head of the journal; `portcullis journal verify` tells more");
            }
            *known = Some(heads);
        }
        Ok(known)
    }

    /// Reads all heads from the disk, in the order they were made, and says which are not as they were signed.
    pub(super) fn read(&self) -> Result<(Vec<KnownHead>, Vec<Wrong>), StoreError> {
        let (mut heads, mut wrong) = (Vec::new(), Vec::new());
        if !self.dir.is_dir() {
            return Ok((heads, wrong));
        }
        let public_key = self.keys.signer()?.public_key();
        let failed = |e| StoreError::io(&self.dir, "read the heads", e);
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                match read_head(&path, &public_key) {
                    Ok(head) => heads.push(head),
                    Err(what) => wrong.push(Wrong { file: file_name(&path), what }),
                }
            }
        }
        let pem = self.dir.join(PUBLIC_KEY);
        if !heads.is_empty() && fs::read_to_string(&pem).ok() != Some(self.keys.signer()?.public_pem()) {
            let what = "is not the public key of this data directory's signing key".to_owned();
            wrong.push(Wrong { file: file_name(&pem), what });
        }
        heads.sort_by_key(|known| known.head.serial);
        Ok((heads, wrong))
    }
}

fn name(day: Day, revision: u32) -> String {
    match revision {
        1 => day.to_string(),
        later => format!("{day}.{later}"),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read_head(path: &Path, public_key: &[u8; 32]) -> Result<KnownHead, String> {
    let text = fs::read(path).map_err(|e| e.to_string())?;
    let signature = fs::read(path.with_extension("sig")).map_err(|e| format!("its signature: {e}"))?;
    if !verify(public_key, &text, &signature) {
        return Err("is not as it was signed".to_owned());
    }
    let head: Head = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
    let day: Day = head.day.parse().map_err(|_| "names no day".to_owned())?;
    if path.file_stem().map(|stem| stem.to_string_lossy().into_owned()) != Some(name(day, head.revision)) {
        return Err("has another head's name".to_owned());
    }
    Ok(KnownHead { head, sha256: HEXLOWER.encode(&sum(&text)) })
}

/// Writes a file that is whole and on disk before it has its name.
fn put(dir: &Path, name: &str, octets: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix("new-").tempfile_in(dir)?;
    file.write_all(octets)?;
    file.as_file().sync_data()?;
    file.persist(dir.join(name)).map(drop).map_err(|e| e.error)
}
