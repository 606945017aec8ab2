//! The rulebook's cases: every line of testdata/rulebook/*.jsonl is a message and what must become of it,
//! every line of its replies-*.jsonl a reply and what it must be taken for.

#![expect(clippy::unwrap_used, reason = "a case that cannot be read is a failed test")]

mod rulebook {
    pub(crate) mod case;
    mod disguise;
    mod modes;
    mod properties;
    pub(crate) mod reply;
}

use std::path::{Path, PathBuf};

use portcullis::register::Register;
use portcullis::rules::Profile;
use rulebook::case::Case;
use rulebook::reply::Reply;

/// The replies that are sent over the wire, by tests/replies.rs.
const ON_THE_WIRE: &str = "replies-samples.jsonl";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/rulebook")
}

pub(crate) fn register() -> Register {
    Register::load(&folder().join("register.toml")).unwrap_or_else(|faults| panic!("{}", faults[0]))
}

pub(crate) fn cases(file: &Path) -> Vec<Case> {
    read(file, Case::read)
}

fn replies() -> Vec<Reply> {
    all_files().iter().filter(|file| is_of_replies(file)).flat_map(|file| read(file, Reply::read)).collect()
}

fn read<T>(file: &Path, read: impl Fn(&str, &str) -> T) -> Vec<T> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| read(&format!("{}:{}", file.display(), number + 1), line)).collect()
}

fn is_of_replies(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("replies-") && name != ON_THE_WIRE)
}

pub(crate) fn files() -> Vec<PathBuf> {
    let mut files = all_files();
    files.retain(|file| !is_of_replies(file) && file.file_name().is_some_and(|name| name != ON_THE_WIRE));
    files
}

fn all_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    files
}

#[test]
fn every_case_comes_out_as_it_says() {
    let register = register();
    let mut wrong = Vec::new();
    let mut judged = 0;
    for file in files() {
        for case in cases(&file) {
            judged += 1;
            wrong.extend(case.difference(&register));
        }
    }
    assert!(wrong.is_empty(), "{} of {judged} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(judged >= 1150, "only {judged} cases were found");
}

#[test]
fn every_reply_is_taken_for_what_it_is() {
    let register = register();
    for name in Profile::built_in_names() {
        let profile = Profile::built_in(name).unwrap();
        let replies = replies();
        let wrong: Vec<String> = replies.iter().filter_map(|reply| reply.difference(&register, &profile)).collect();
        assert!(wrong.is_empty(), "{name}: {} of {} replies:\n{}", wrong.len(), replies.len(), wrong.join("\n"));
        assert!(replies.len() >= 300, "only {} replies were found", replies.len());
    }
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let mut names: Vec<String> =
        files().iter().flat_map(|file| cases(file)).map(|case| case.name().to_owned()).collect();
    names.extend(replies().iter().map(|reply| reply.name().to_owned()));
    names.sort();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

/// Every rule that judges is met by a case that fails it.
#[test]
fn every_rule_fails_somewhere() {
    let register = register();
    let mut met: Vec<&str> = Vec::new();
    for case in files().iter().flat_map(|file| cases(file)) {
        met.extend(case.verdict(&register).rules().map(|rule| rule.id()));
    }
    for id in [
        "R01", "R02", "R03", "R04", "R05", "R06", "R07", "R08", "R09", "R11", "R12", "R15", "R16", "R17", "R18", "R19",
        "R20", "R21", "R22",
    ] {
        assert!(met.contains(&id), "no case fails {id}");
    }
}
