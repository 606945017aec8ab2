//! Consents as an earlier program left them, and what their files say to who has no key.

use std::fs;
use std::path::{Path, PathBuf};

use crate::gate::Folder;
use crate::stage::REGISTER;

/// A database of layout 2, and every event in it as the program of that layout exported it.
fn fixture(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/consents/layout-2").join(file)
}

fn unpacked(file: &str) -> Vec<u8> {
    let packed = fs::read(fixture(file)).expect("the fixture");
    zstd::decode_all(packed.as_slice()).expect("a fixture that is whole")
}

/// A folder whose consents are of layout 2.
fn old_folder() -> Folder {
    let folder = Folder::new(REGISTER, ([127, 0, 0, 1], 9).into());
    let dir = folder.path().join("data/consents/db");
    fs::create_dir_all(&dir).expect("a folder");
    fs::write(dir.join("db"), unpacked("db.zst")).expect("the database");
    fs::copy(fixture("conf"), dir.join("conf")).expect("its settings");
    folder
}

fn history(folder: &Folder) -> Vec<String> {
    let exported = folder.run(&["consent", "export", "--history", "--json", "--whole"]).ok();
    let mut lines: Vec<String> = exported.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// Whatever is in the files under a folder, the names of the files included.
fn everything(dir: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry")) {
        all.extend_from_slice(entry.file_name().as_encoded_bytes());
        match entry.file_type().expect("a type").is_dir() {
            true => all.extend(everything(&entry.path())),
            false => all.extend(fs::read(entry.path()).expect("a file")),
        }
    }
    all
}

fn holds(all: &[u8], sought: &[u8]) -> bool {
    all.windows(sought.len()).any(|octets| octets == sought)
}

/// A number as a file could hold it.
fn spellings(number: u64) -> Vec<Vec<u8>> {
    let digits = number.to_string();
    let mut varint = Vec::new();
    let mut left = number;
    while left >= 0x80 {
        varint.push(left.to_le_bytes()[0] | 0x80);
        left >>= 7;
    }
    varint.push(left.to_le_bytes()[0]);
    vec![
        digits.clone().into_bytes(),
        digits[2..].into(),
        number.to_le_bytes()[..6].into(),
        number.to_be_bytes()[2..].into(),
        varint,
    ]
}

#[test]
fn consents_of_layout_2_are_brought_up_without_a_loss() {
    let folder = old_folder();
    let was = String::from_utf8(unpacked("history.jsonl.zst")).expect("text");
    let mut was: Vec<&str> = was.lines().collect();
    was.sort_unstable();
    assert_eq!(history(&folder), was);
    assert_eq!(history(&folder), was, "opened again");
    let shown = folder.run(&["consent", "show", "13800138000", "--history", "--json", "--whole"]).ok();
    assert!(shown.contains("we write twice a week") && shown.contains("4/month") && shown.contains("anna"), "{shown}");
}

#[test]
fn what_lies_on_disk_shows_neither_numbers_nor_texts() {
    let (number, texts) = (8_613_800_138_000, ["fresh food", "form-118", "we write twice a week", "qinghe", "anna"]);
    let folder = old_folder();
    let dir = folder.path().join("data/consents");
    let old = everything(&dir);
    assert!(texts.iter().any(|text| holds(&old, text.as_bytes())), "the old files do, so that the search is one");
    folder.run(&["consent", "refuse", "--msisdn", "13800138000", "--sender", "bakery", "--evidence", "form-119"]).ok();
    let new = everything(&dir);
    for spelling in spellings(number).into_iter().chain(spellings(8_613_900_000_077)) {
        assert!(!holds(&new, &spelling), "{spelling:x?}");
    }
    for text in texts.into_iter().chain(["form-119", "bakery"]) {
        assert!(!holds(&new, text.as_bytes()), "{text}");
    }
}

#[test]
fn without_the_key_nothing_is_read_and_nothing_is_replaced() {
    let folder = old_folder();
    let was = history(&folder);
    let key = folder.path().join("data/keys/consents.key");
    let aside = folder.path().join("aside");
    fs::rename(&key, &aside).expect("a key");
    let said = folder.run(&["consent", "show", "13800138000"]);
    assert!(said.code == Some(1) && said.stderr.contains("consents.key is missing"), "{}", said.stderr);
    assert!(!key.exists(), "no other is made in its place");
    fs::copy(folder.path().join("data/keys/signing.key"), &key).expect("a copy");
    let said = folder.run(&["consent", "show", "13800138000"]);
    assert!(said.code == Some(1) && said.stderr.contains("consents.key"), "{}", said.stderr);
    fs::rename(&aside, &key).expect("the key");
    assert_eq!(history(&folder), was);
}
