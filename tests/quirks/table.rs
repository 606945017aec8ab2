//! testdata/quirks.toml held to its word.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    quirk: Vec<Quirk>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Quirk {
    number: u32,
    what: String,
    #[serde(default)]
    fixtures: Vec<String>,
    #[serde(default)]
    scripts: Vec<String>,
    #[serde(default)]
    tests: Vec<String>,
    cannot: Option<String>,
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn table() -> Vec<Quirk> {
    let file = here().join("testdata/quirks.toml");
    let text = fs::read_to_string(file).expect("the table");
    toml::from_str::<Table>(&text).unwrap_or_else(|error| panic!("testdata/quirks.toml: {error}")).quirk
}

fn fixture(name: &str) -> PathBuf {
    here().join("testdata/pdu").join(format!("{name}.hex"))
}

/// Whether `file::function` is a test of that file.
fn is_test(place: &str) -> bool {
    let Some((file, function)) = place.split_once("::") else { return false };
    let source = fs::read_to_string(here().join(file)).unwrap_or_default();
    let is_it = |line: &str| line.trim_start_matches("async ").starts_with(&format!("fn {function}()"));
    let mut pairs = source.lines().zip(source.lines().skip(1));
    let marks = |line: &str| line == "#[test]" || line.starts_with("#[tokio::test");
    pairs.any(|(attribute, line)| marks(attribute) && is_it(line))
}

#[test]
fn all_sixty_are_there() {
    let numbers: Vec<_> = table().iter().map(|quirk| quirk.number).collect();
    assert_eq!(numbers, (1..=60).collect::<Vec<_>>());
}

#[test]
fn each_is_proved_or_cannot_reach_a_gate() {
    for quirk in table() {
        let proofs = quirk.fixtures.len() + quirk.scripts.len() + quirk.tests.len();
        let reason = quirk.cannot.as_deref().is_some_and(|why| !why.is_empty());
        assert!((proofs > 0) != reason, "quirk {}: a proof, or why there cannot be one", quirk.number);
        assert!(!quirk.what.is_empty(), "quirk {}: what is it?", quirk.number);
    }
}

#[test]
fn every_place_exists() {
    for quirk in table() {
        for name in &quirk.fixtures {
            assert!(fixture(name).is_file(), "quirk {}: no fixture {name}", quirk.number);
        }
        for name in &quirk.scripts {
            let script = here().join("testdata/session").join(format!("{name}.txt"));
            assert!(script.is_file(), "quirk {}: no script {name}", quirk.number);
        }
        for place in &quirk.tests {
            assert!(is_test(place), "quirk {}: no test {place}", quirk.number);
        }
    }
}

#[test]
fn every_fixture_that_says_its_quirk_is_named() {
    let named: BTreeMap<u32, BTreeSet<String>> =
        table().into_iter().map(|quirk| (quirk.number, quirk.fixtures.into_iter().collect())).collect();
    let mut marks = 0;
    for kind in ["valid", "malformed"] {
        for case in crate::case::all(kind) {
            let name = format!("{kind}/{}", case.name);
            for number in quirks_of(&name) {
                assert!(named[&number].contains(&name), "quirk {number}: {name} is not in the table");
                marks += 1;
            }
        }
    }
    assert!(marks > 150, "only {marks} fixtures say their quirk");
}

/// The numbers behind `(quirk` or `(quirks` in a fixture's first line.
fn quirks_of(name: &str) -> Vec<u32> {
    let text = fs::read_to_string(fixture(name)).expect("a fixture");
    let first = text.lines().next().unwrap_or_default();
    let Some((_, behind)) = first.split_once("(quirk") else { return Vec::new() };
    let numbers = behind.trim_start_matches('s').split(')').next().unwrap_or_default();
    numbers.split(',').map(|number| number.trim().parse().expect("a quirk's number")).collect()
}

#[test]
fn a_place_that_is_not_there_is_noticed() {
    assert!(is_test("tests/quirks/table.rs::a_place_that_is_not_there_is_noticed"));
    assert!(!is_test("tests/quirks/table.rs::quirks_of"));
    assert!(!is_test("tests/quirks/nowhere.rs::all_sixty_are_there"));
    assert!(!fixture("valid/submit_sm/nowhere").is_file());
}
