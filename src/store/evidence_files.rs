//! The papers that prove consents, each stored once, found by the SHA-256 of its octets.
//!
//! Owns the folder `evidence` beside the store, where files are sealed under names derived from key and hash: the
//! hash itself would tell whoever can guess a paper that it is there. And folders for handing over, where
//! they are plain: `ab/cdef…` for a file whose hash is abcdef…. A file is whole and on disk before it
//! has its name, so that any process may put one at any time. Refuses to change one. Driven by the
//! command line and the retention; the consents hold the hashes.

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use jiff::Timestamp;
use ring::digest;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::keys::{Key, Keys};
use super::lock::create_private_dir;
use crate::clock;

/// The largest file that is taken.
pub const LARGEST_FILE: u64 = 32 * 1024 * 1024;

/// A SHA-256, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(pub [u8; 32]);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

impl FromStr for Sha256 {
    type Err = NoSha256;

    fn from_str(text: &str) -> Result<Self, NoSha256> {
        let text = text.trim();
        let digits = text.bytes().all(|octet| octet.is_ascii_hexdigit());
        let mut octets = [0; 32];
        if text.len() != 2 * octets.len() || !digits {
            return Err(NoSha256);
        }
        for (at, octet) in octets.iter_mut().enumerate() {
            *octet = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| NoSha256)?;
        }
        Ok(Self(octets))
    }
}

impl TryFrom<String> for Sha256 {
    type Error = NoSha256;

    fn try_from(text: String) -> Result<Self, NoSha256> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(sha256: Sha256) -> Self {
        sha256.to_string()
    }
}

/// A text that is no SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("is no SHA-256: expected 64 hexadecimal digits")]
pub struct NoSha256;

/// What there is of a file that a consent names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// There, and what it was.
    Whole,
    /// There, and no longer what it was.
    Changed,
    /// Not there.
    Missing,
}

/// The name of the key that evidence is sealed with.
const KEY: &str = "evidence";

/// The ending of sealed files; plain ones have none.
const SEALED: &str = "sealed";

/// A folder of evidence files.
#[derive(Clone, Debug)]
pub struct EvidenceFiles {
    dir: PathBuf,
    /// What they are sealed with; `None` where they are plain.
    key: Option<Key>,
}

impl EvidenceFiles {
    /// The files of this data directory; no folder is created before the first is put.
    pub fn of(data: &Path, keys: &Keys) -> Result<Self, StoreError> {
        let dir = data.join("evidence");
        let key = match keys.get(KEY)? {
            Some(key) => key,
            // Another key would find none of them, and take all of them for what nobody needs.
            None if has_sealed(&dir)? => {
                let what = "is missing: the evidence that was sealed with it cannot be read".to_owned();
                return Err(StoreError::Key { path: keys.path(KEY), what });
            }
            None => keys.make(KEY)?,
        };
        Ok(Self { dir, key: Some(key) })
    }

    /// Any folder of plain files laid out in this way, such as an export's.
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), key: None }
    }

    /// Where a file of this hash lies.
    pub fn path(&self, sha256: Sha256) -> PathBuf {
        match &self.key {
            None => self.plain_path(sha256),
            Some(key) => {
                let name = Sha256(key.derive(&format!("name {sha256}")).into_octets());
                self.plain_path(name).with_added_extension(SEALED)
            }
        }
    }

    fn plain_path(&self, sha256: Sha256) -> PathBuf {
        let name = sha256.to_string();
        self.dir.join(&name[..2]).join(&name[2..])
    }

    /// Takes in a file: on disk under its hash when this returns. One that is there already is left as it is.
    pub fn put(&self, file: &Path) -> Result<Sha256, StoreError> {
        let mut octets = Vec::new();
        let opened = File::open(file).map_err(|e| StoreError::io(file, "open the evidence", e))?;
        opened
            .take(LARGEST_FILE + 1)
            .read_to_end(&mut octets)
            .map_err(|e| StoreError::io(file, "read the evidence", e))?;
        if octets.len() as u64 > LARGEST_FILE {
            let limit = usize::try_from(LARGEST_FILE).unwrap_or(usize::MAX);
            return Err(StoreError::Limit { what: "octets of an evidence file", limit });
        }
        let sha256 = sha256_of(&octets);
        match self.check(sha256)? {
            // Young again, so that it is not taken for one that nobody needs before an event names it.
            Found::Whole => self.touch(sha256)?,
            _ => self.write(sha256, &octets)?,
        }
        Ok(sha256)
    }

    fn touch(&self, sha256: Sha256) -> Result<(), StoreError> {
        let path = self.path(sha256);
        let now = SystemTime::try_from(clock::wall()).map_err(io::Error::other);
        let touched = File::options().append(true).open(&path).and_then(|file| file.set_modified(now?));
        touched.map_err(|e| StoreError::io(&path, "touch the evidence", e))
    }

    /// Removes the files that are not among these and were last put before `before`; says how many there were.
    pub fn remove_others(&self, needed: &HashSet<Sha256>, before: Timestamp) -> Result<u64, StoreError> {
        // Under its plain name there may be one that was damaged, and is all that is left.
        let needed: HashSet<PathBuf> =
            needed.iter().flat_map(|sha256| [self.path(*sha256), self.plain_path(*sha256)]).collect();
        let failed = |e| StoreError::io(&self.dir, "list the evidence", e);
        let before = SystemTime::try_from(before).map_err(io::Error::other).map_err(failed)?;
        let mut removed = 0;
        for folder in entries(&self.dir).map_err(failed)? {
            for file in entries(&folder.map_err(failed)?.path()).map_err(failed)? {
                let path = file.map_err(failed)?.path();
                let modified = fs::metadata(&path).and_then(|metadata| metadata.modified()).map_err(failed)?;
                if !needed.contains(&path) && modified < before {
                    fs::remove_file(&path).map_err(|e| StoreError::io(&path, "remove the evidence", e))?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    fn write(&self, sha256: Sha256, octets: &[u8]) -> Result<(), StoreError> {
        let path = self.path(sha256);
        let folder = path.parent().unwrap_or(&self.dir);
        create_private_dir(folder)?;
        let sealed = self.key.as_ref().map(|key| key.sealer().seal(&sha256.0, octets));
        let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut fresh| {
            fresh.write_all(sealed.as_deref().unwrap_or(octets))?;
            fresh.as_file().sync_all()?;
            fresh.persist(&path).map_err(|e| e.error)?;
            // The name as well, and the folders' own names.
            [folder, &self.dir, self.dir.parent().unwrap_or(&self.dir)].iter().try_for_each(|dir| sync_dir(dir))
        });
        written.map_err(|e| StoreError::io(&path, "store the evidence", e))
    }

    /// The octets of a file, where it is there and what it was.
    pub fn read(&self, sha256: Sha256) -> Result<Result<Vec<u8>, Found>, StoreError> {
        let path = self.path(sha256);
        let mut octets = match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Err(Found::Missing)),
            other => other.map_err(|e| StoreError::io(&path, "read the evidence", e))?,
        };
        let plain = match &self.key {
            None => Some(octets),
            Some(key) => key.sealer().open(&sha256.0, &mut octets).map(|plain| plain.to_vec()),
        };
        Ok(plain.filter(|plain| sha256_of(plain) == sha256).ok_or(Found::Changed))
    }

    /// Whether a file is there and what it was.
    pub fn check(&self, sha256: Sha256) -> Result<Found, StoreError> {
        Ok(self.read(sha256)?.err().unwrap_or(Found::Whole))
    }

    /// Puts a file of this folder into another one.
    pub fn copy_to(&self, sha256: Sha256, other: &Self) -> Result<Found, StoreError> {
        let octets = match self.read(sha256)? {
            Ok(octets) => octets,
            Err(found) => return Ok(found),
        };
        if other.check(sha256)? != Found::Whole {
            other.write(sha256, &octets)?;
        }
        Ok(Found::Whole)
    }

    /// Seals the files that an earlier program left plain, and says how many there were. One that is no longer
    /// what it was stays as it is.
    pub fn seal_plain(&self) -> Result<usize, StoreError> {
        let plain = Self { dir: self.dir.clone(), key: None };
        let mut sealed = 0;
        for sha256 in plain.names()? {
            if plain.copy_to(sha256, self)? == Found::Whole {
                let path = plain.path(sha256);
                fs::remove_file(&path).map_err(|e| StoreError::io(&path, "remove the plain evidence", e))?;
                sealed += 1;
            }
        }
        Ok(sealed)
    }

    /// The hashes that stand as names of plain files.
    fn names(&self) -> Result<Vec<Sha256>, StoreError> {
        let failed = |e| StoreError::io(&self.dir, "list the evidence", e);
        let mut names = Vec::new();
        for folder in entries(&self.dir).map_err(failed)? {
            let folder = folder.map_err(failed)?;
            for file in entries(&folder.path()).map_err(failed)? {
                let mut name = folder.file_name();
                name.push(file.map_err(failed)?.file_name());
                names.extend(name.to_str().and_then(|name| name.parse::<Sha256>().ok()));
            }
        }
        Ok(names)
    }
}

/// Whether there is a sealed file.
fn has_sealed(dir: &Path) -> Result<bool, StoreError> {
    let failed = |e| StoreError::io(dir, "list the evidence", e);
    for folder in entries(dir).map_err(failed)? {
        for file in entries(&folder.map_err(failed)?.path()).map_err(failed)? {
            if file.map_err(failed)?.path().extension().is_some_and(|ending| ending == SEALED) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// What is in a folder; nothing where there is none.
fn entries(dir: &Path) -> io::Result<Box<dyn Iterator<Item = io::Result<fs::DirEntry>>>> {
    match fs::read_dir(dir) {
        Ok(entries) => Ok(Box::new(entries)),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Box::new(std::iter::empty()))
        }
        Err(e) => Err(e),
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

/// The SHA-256 of octets.
pub fn sha256_of(octets: &[u8]) -> Sha256 {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest::digest(&digest::SHA256, octets).as_ref());
    Sha256(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MasterSource;

    fn files(data: &Path) -> EvidenceFiles {
        EvidenceFiles::of(data, &Keys::open(&data.join("keys"), &MasterSource::Beside).unwrap()).unwrap()
    }

    #[test]
    fn a_file_is_stored_once_and_a_changed_one_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let paper = folder.path().join("form.pdf");
        fs::write(&paper, b"abc").unwrap();
        let sha256 = files.put(&paper).unwrap();
        assert_eq!(sha256.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(sha256.to_string().parse(), Ok(sha256));
        assert_eq!(files.put(&paper).unwrap(), sha256);
        assert_eq!(files.check(sha256).unwrap(), Found::Whole);
        fs::write(files.path(sha256), b"abd").unwrap();
        assert_eq!(files.check(sha256).unwrap(), Found::Changed);
        assert_eq!(files.put(&paper).unwrap(), sha256, "put again, it is mended");
        assert_eq!(files.check(sha256).unwrap(), Found::Whole);
        assert_eq!(files.check(Sha256([7; 32])).unwrap(), Found::Missing);
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let paper = folder.path().join("film.mp4");
        File::create(&paper).and_then(|file| file.set_len(LARGEST_FILE + 1)).unwrap();
        assert!(matches!(files(folder.path()).put(&paper), Err(StoreError::Limit { .. })));
        assert!(!folder.path().join("evidence").exists());
    }

    #[test]
    fn plain_files_are_sealed_under_names_that_say_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (paper, dir) = (folder.path().join("form.txt"), folder.path().join("evidence"));
        fs::write(&paper, b"I agree, 13800138000").unwrap();
        let plain = EvidenceFiles::at(&dir);
        let sha256 = plain.put(&paper).unwrap();
        let other = plain.path(Sha256([9; 32]));
        fs::create_dir_all(other.parent().unwrap()).unwrap();
        fs::write(&other, b"no longer what it was").unwrap();
        let files = files(folder.path());
        assert_eq!(files.seal_plain().unwrap(), 1);
        assert_eq!(files.seal_plain().unwrap(), 0);
        assert_eq!(plain.check(sha256).unwrap(), Found::Missing);
        assert_eq!(files.read(sha256).unwrap().unwrap(), b"I agree, 13800138000");
        let needed = [sha256, Sha256([9; 32])].into();
        assert_eq!(files.remove_others(&needed, Timestamp::MAX).unwrap(), 0);
        assert!(other.exists(), "what is damaged is not thrown away");
        let sealed = fs::read(files.path(sha256)).unwrap();
        assert!(!sealed.windows(11).any(|octets| octets == b"13800138000"));
        assert!(!files.path(sha256).to_string_lossy().contains(&sha256.to_string()[2..]));
        fs::copy(
            files.path(sha256),
            files
                .path(Sha256([8; 32]))
                .parent()
                .map(|dir| {
                    fs::create_dir_all(dir).unwrap();
                    files.path(Sha256([8; 32]))
                })
                .unwrap(),
        )
        .unwrap();
        assert_eq!(files.check(Sha256([8; 32])).unwrap(), Found::Changed, "a file opens under its own name alone");
        let out = EvidenceFiles::at(&folder.path().join("out"));
        assert_eq!(files.copy_to(sha256, &out).unwrap(), Found::Whole);
        assert_eq!(out.read(sha256).unwrap().unwrap(), b"I agree, 13800138000");
    }

    #[test]
    fn a_missing_key_is_not_made_anew_where_files_wait_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let paper = folder.path().join("form.pdf");
        fs::write(&paper, b"abc").unwrap();
        let sha256 = files(folder.path()).put(&paper).unwrap();
        let (key, aside) = (folder.path().join("keys/evidence.key"), folder.path().join("aside"));
        fs::rename(&key, &aside).unwrap();
        let keys = Keys::open(&folder.path().join("keys"), &MasterSource::Beside).unwrap();
        let error = EvidenceFiles::of(folder.path(), &keys).unwrap_err().to_string();
        assert!(error.contains("evidence.key is missing") && !key.exists(), "{error}");
        fs::rename(&aside, &key).unwrap();
        assert_eq!(files(folder.path()).check(sha256).unwrap(), Found::Whole);
    }

    #[test]
    fn other_texts_are_no_hash() {
        for text in ["", "ba78", &"g".repeat(64), &"é".repeat(32), &"+1".repeat(32)] {
            assert_eq!(text.parse::<Sha256>(), Err(NoSha256), "{text}");
        }
    }
}
