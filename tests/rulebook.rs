//! The rulebook's cases: every line of testdata/rulebook/*.jsonl is a message and what must become of it.

#![expect(clippy::unwrap_used, reason = "a case that cannot be read is a failed test")]

mod rulebook {
    pub(crate) mod case;
    mod properties;
}

use std::path::{Path, PathBuf};

use portcullis::register::Register;
use rulebook::case::Case;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/rulebook")
}

fn register() -> Register {
    Register::load(&folder().join("register.toml")).unwrap_or_else(|faults| panic!("{}", faults[0]))
}

fn cases(file: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| Case::read(&format!("{}:{}", file.display(), number + 1), line)).collect()
}

fn files() -> Vec<PathBuf> {
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
    assert!(judged >= 500, "only {judged} cases were found");
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let mut names: Vec<String> =
        files().iter().flat_map(|file| cases(file)).map(|case| case.name().to_owned()).collect();
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
    for id in ["R01", "R02", "R03", "R04", "R05", "R06", "R07", "R08", "R09", "R11", "R12", "R15", "R16", "R17", "R18"]
    {
        assert!(met.contains(&id), "no case fails {id}");
    }
}
