//! What a backup consists of: `manifest.json`, and `SHA256SUMS` for whoever checks without portcullis.
//!
//! Owns both files and the order in which they change: the manifest names only what is on disk already,
//! and what no manifest names any more is removed after it. Refuses names that lead out of the folder.
//! Driven by backup and restore.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use ring::digest;
use serde::{Deserialize, Serialize};

use super::super::journal::Day;
use super::super::lock::sync_dir;
use super::{BackupError, Sha256};

/// Readers of a later form keep reading this one.
const FORMAT: u32 = 1;

const MANIFEST: &str = "manifest.json";
const SUMS: &str = "SHA256SUMS";

/// A whole backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of this file.
    pub format: u32,
    /// When it began: whatever was durable by then is in it.
    pub began: Timestamp,
    /// The moment that the databases which are being written to are of.
    pub moment: Timestamp,
    /// The databases.
    pub databases: Vec<Database>,
    /// Days that could not be read as databases: their files are among the others, as they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// Other files of the data directory.
    pub files: Vec<Copied>,
    /// The configuration and what it names, by their paths at the time.
    pub settings: Vec<Copied>,
}

/// A database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Its folder in the data directory.
    pub name: String,
    /// Its rows, in the backup.
    pub copy: Copy,
    /// Rows in that file; of one that was changed while it was read, some more than once.
    pub rows: u64,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// Where it was: relative to the data directory, or absolute.
    pub name: String,
    /// Its octets, in the backup.
    pub copy: Copy,
    /// When it was changed last, nanoseconds since 1970 UTC.
    pub modified_ns: i128,
}

/// A file of the backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// Relative to the backup's folder.
    pub path: String,
    /// Its length.
    pub octets: u64,
    /// Its SHA-256.
    pub sha256: Sha256,
}

impl Manifest {
    pub(super) fn new(began: Timestamp) -> Self {
        let (databases, unreadable, files, settings) = Default::default();
        Self { format: FORMAT, began, moment: began, databases, unreadable, files, settings }
    }

    /// The manifest of the backup in `dir`; `None` where there is none.
    pub fn load(dir: &Path) -> Result<Option<Self>, BackupError> {
        let path = dir.join(MANIFEST);
        let text = match fs::read_to_string(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| BackupError::io(&path, "read the manifest", e))?,
        };
        let damaged = |what: String| BackupError::Damaged { path: path.clone(), what };
        let manifest: Self = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
        if manifest.format != FORMAT {
            return Err(damaged(format!("form {}: this portcullis reads {FORMAT}", manifest.format)));
        }
        if let Some((name, copy)) = manifest.paths().find(|(name, copy)| leads_out(name) || leads_out(&copy.path)) {
            return Err(damaged(format!("{name:?} or {:?} leads out of its folder", copy.path)));
        }
        Ok(Some(manifest))
    }

    /// Every file of the backup.
    pub fn copies(&self) -> impl Iterator<Item = &Copy> {
        let files = self.files.iter().chain(&self.settings).map(|file| &file.copy);
        self.databases.iter().map(|database| &database.copy).chain(files)
    }

    /// Leaves out the keys of days that it has nothing of: of one that began after the moment, say, which would look
    /// as if its rows had been lost.
    pub(super) fn leave_out_keys(&mut self) {
        let names =
            self.databases.iter().map(|database| &database.name).chain(self.files.iter().map(|file| &file.name));
        let days: HashSet<Day> = names.filter_map(|name| day_after(name, "journal/", ['/', '.'])).collect();
        self.files.retain(|file| day_after(&file.name, "keys/", ['-', '-']).is_none_or(|day| days.contains(&day)));
    }

    /// What is restored under its name, with that.
    fn paths(&self) -> impl Iterator<Item = (&str, &Copy)> {
        let settings = self.settings.iter().map(|file| ("", &file.copy));
        let files = self.files.iter().map(|file| (file.name.as_str(), &file.copy));
        self.databases.iter().map(|database| (database.name.as_str(), &database.copy)).chain(files).chain(settings)
    }

    /// Puts it in the place of the one before, and removes what only that one needed.
    pub(super) fn store(&self, dir: &Path) -> Result<(), BackupError> {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        let sum = |octets: &[u8]| super::super::evidence_files::sha256_of(octets);
        let mut sums: String = self.copies().map(|copy| format!("{}  {}\n", copy.sha256, copy.path)).collect();
        sums.push_str(&format!("{}  {MANIFEST}\n", sum(text.as_bytes())));
        for (name, text) in [(SUMS, &sums), (MANIFEST, &text)] {
            super::replace(&dir.join(name), text.as_bytes())?;
        }
        sync_dir(dir)?;
        self.remove_others(dir)
    }

    fn remove_others(&self, dir: &Path) -> Result<(), BackupError> {
        let kept: HashSet<PathBuf> = self.copies().map(|copy| dir.join(&copy.path)).collect();
        let listed = |dir: &Path| -> Result<Vec<PathBuf>, BackupError> {
            let entries = fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
            entries.map_err(|e| BackupError::io(dir, "list the backup", e))
        };
        // Only what a backup makes: folders named after their moment.
        for round in listed(dir)?.into_iter().filter(|path| super::is_round(path)) {
            super::remove_unless(&round, &|path| kept.contains(path))?;
        }
        Ok(())
    }
}

/// Whether a file is what a first backup leaves that is cut short before its manifest is in place.
pub(super) fn is_leftover(path: &Path) -> bool {
    let names = [SUMS.to_owned(), format!("{SUMS}.new"), format!("{MANIFEST}.new")];
    names.iter().any(|name| path.ends_with(name))
}

/// The day that a name below a folder begins with, up to one of these.
fn day_after(name: &str, folder: &str, ends: [char; 2]) -> Option<Day> {
    name.strip_prefix(folder)?.split(ends).next()?.parse().ok()
}

/// Whether a name would be another folder's business; an empty one is nobody's.
fn leads_out(name: &str) -> bool {
    !Path::new(name).components().all(|component| matches!(component, Component::Normal(_)))
}

impl Copy {
    /// What is wrong with the file; nothing where it is as it was written.
    pub(super) fn fault(&self, dir: &Path) -> Option<String> {
        let path = dir.join(&self.path);
        let found: io::Result<(u64, digest::Digest)> = fs::File::open(&path).and_then(|mut file| {
            let (mut digest, mut buffer) = (digest::Context::new(&digest::SHA256), vec![0; 256 << 10]);
            let mut octets = 0;
            loop {
                let read = file.read(&mut buffer)?;
                if read == 0 {
                    return Ok((octets, digest.finish()));
                }
                digest.update(&buffer[..read]);
                octets += read as u64;
            }
        });
        match found {
            Err(error) => Some(format!("{}: {error}", self.path)),
            Ok((octets, _)) if octets != self.octets => {
                Some(format!("{}: {octets} octets, the manifest says {}", self.path, self.octets))
            }
            Ok((_, found)) if found.as_ref() != self.sha256.0 => {
                Some(format!("{}: its SHA-256 is not the manifest's", self.path))
            }
            Ok(_) => None,
        }
    }
}
