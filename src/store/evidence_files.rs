//! The papers that prove consents, each stored once under the SHA-256 of its octets.
//!
//! Owns the folder `evidence` beside the store: `ab/cdef…` for a file whose hash is abcdef…. A file
//! is whole and on disk before it has its name, so that any process may put one at any time. Refuses
//! to change or to remove one. Driven by the command line; the consents hold the hashes.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ring::digest;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::lock::create_private_dir;

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

/// The folder of evidence files.
#[derive(Clone, Debug)]
pub struct EvidenceFiles {
    dir: PathBuf,
}

impl EvidenceFiles {
    /// The files of this data directory; nothing is created before the first is put.
    pub fn of(data: &Path) -> Self {
        Self { dir: data.join("evidence") }
    }

    /// Any folder laid out in this way, such as an export's.
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Where a file of this hash lies.
    pub fn path(&self, sha256: Sha256) -> PathBuf {
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
        if self.check(sha256)? != Found::Whole {
            self.write(sha256, &octets)?;
        }
        Ok(sha256)
    }

    fn write(&self, sha256: Sha256, octets: &[u8]) -> Result<(), StoreError> {
        let path = self.path(sha256);
        let folder = path.parent().unwrap_or(&self.dir);
        create_private_dir(folder)?;
        let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut fresh| {
            fresh.write_all(octets)?;
            fresh.as_file().sync_all()?;
            fresh.persist(&path).map_err(|e| e.error)?;
            // The name as well, and the folders' own names.
            [folder, &self.dir, self.dir.parent().unwrap_or(&self.dir)].iter().try_for_each(|dir| sync_dir(dir))
        });
        written.map_err(|e| StoreError::io(&path, "store the evidence", e))
    }

    /// Whether a file is there and what it was.
    pub fn check(&self, sha256: Sha256) -> Result<Found, StoreError> {
        let path = self.path(sha256);
        match File::open(&path).and_then(hash) {
            Ok(found) if found == sha256 => Ok(Found::Whole),
            Ok(_) => Ok(Found::Changed),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Found::Missing),
            Err(e) => Err(StoreError::io(&path, "read the evidence", e)),
        }
    }

    /// Puts a file of this folder into another one of the same layout.
    pub fn copy_to(&self, sha256: Sha256, other: &Self) -> Result<Found, StoreError> {
        let found = self.check(sha256)?;
        if found == Found::Whole && other.check(sha256)? != Found::Whole {
            let octets = fs::read(self.path(sha256));
            other.write(sha256, &octets.map_err(|e| StoreError::io(&self.path(sha256), "read the evidence", e))?)?;
        }
        Ok(found)
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

fn hash(mut file: impl Read) -> io::Result<Sha256> {
    let (mut context, mut buffer) = (digest::Context::new(&digest::SHA256), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => context.update(&buffer[..read]),
        }
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(context.finish().as_ref());
    Ok(Sha256(sha256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_stored_once_and_a_changed_one_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let files = EvidenceFiles::of(folder.path());
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
        assert!(matches!(EvidenceFiles::of(folder.path()).put(&paper), Err(StoreError::Limit { .. })));
        assert!(!folder.path().join("evidence").exists());
    }

    #[test]
    fn other_texts_are_no_hash() {
        for text in ["", "ba78", &"g".repeat(64), &"é".repeat(32), &"+1".repeat(32)] {
            assert_eq!(text.parse::<Sha256>(), Err(NoSha256), "{text}");
        }
    }
}
