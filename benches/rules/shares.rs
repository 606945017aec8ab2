//! Each rule's share of the cost of a verdict: what it costs less with that rule off, all others on.
//!
//! What the rules share (folding, the look for hint words, the facts' identity) is in the row "none", which is
//! a verdict with every rule off. Best of many rounds, each rule in turn, so that a busy machine errs alike.

use std::time::{Duration, Instant};

use divan::black_box;
use portcullis::register::Register;
use portcullis::rules::{Mode, Profile, Rule, Submission};

use super::{
    COMMERCIAL, COMPLIANT, COMPLIANT_CHINESE, DISGUISED, NOTICE, OFFENDING, PASSWORD, SERVICE, UNLABELLED, register,
    submission, verdict,
};

const SHAPES: [(&str, &str, &str); 7] = [
    ("ad en 160", COMMERCIAL, COMPLIANT),
    ("ad zh 160", COMMERCIAL, COMPLIANT_CHINESE),
    ("code 29", SERVICE, PASSWORD),
    ("notice 115", SERVICE, NOTICE),
    ("hidden ad", SERVICE, OFFENDING),
    ("unlabelled", COMMERCIAL, UNLABELLED),
    ("disguised", COMMERCIAL, DISGUISED),
];

const ROUNDS: usize = 40;
const VERDICTS: u32 = 500;

/// Everything that costs is on, settings included.
const SETTINGS: &str = "quiet_hours = \"00:00-23:59\"\nreply_route_dead_after = \"24h\"\n\
                        registered_contacts = [\"url\", \"qq\", \"wechat\", \"phone\"]";

fn everything() -> Profile {
    let text = format!(
        "register = \"r\"\n[[listen]]\naddress = \"127.0.0.1:1\"\n[carrier]\naddresses = [\"h:1\"]\n[profile]\n{SETTINGS}\n"
    );
    let config = portcullis::config::Config::parse(std::path::Path::new("bench"), &text);
    let mut profile = config.unwrap_or_else(|faults| panic!("{}", faults[0])).profile;
    Rule::all().for_each(|rule| profile.set_mode(rule, Mode::Enforce));
    profile
}

/// The profiles that are compared: all rules, none, and all but each.
fn profiles() -> Vec<(String, Profile)> {
    let all = everything();
    let mut none = all.clone();
    Rule::all().for_each(|rule| none.set_mode(rule, Mode::Off));
    let mut profiles = vec![("all".to_owned(), all.clone()), ("none".to_owned(), none)];
    profiles.extend(Rule::all().map(|rule| {
        let mut without = all.clone();
        without.set_mode(rule, Mode::Off);
        (format!("{rule} {}", rule.name()), without)
    }));
    profiles
}

pub(super) fn print() {
    let (register, profiles) = (register(), profiles());
    let columns: Vec<Vec<f64>> =
        SHAPES.iter().map(|(_, source, text)| costs(&register, &submission(source, text), &profiles)).collect();
    let heads: String = SHAPES.iter().map(|(name, ..)| format!("{name:>12}")).collect();
    println!("\nns a verdict; of each rule, what is saved without it\n{:<24}{heads}", "");
    for (row, (name, _)) in profiles.iter().enumerate() {
        let cells: Vec<f64> =
            columns.iter().map(|costs| if row < 2 { costs[row] } else { (costs[0] - costs[row]).max(0.0) }).collect();
        // A rule that speaks of sessions or stored traffic is no part of a verdict.
        if row < 2 || cells.iter().any(|cell| *cell >= 1.0) {
            println!("{name:<24}{}", cells.iter().map(|cell| format!("{cell:>12.0}")).collect::<String>());
        }
    }
}

/// Nanoseconds a verdict by each profile.
fn costs(register: &Register, submission: &Submission<'_>, profiles: &[(String, Profile)]) -> Vec<f64> {
    let mut best = vec![Duration::MAX; profiles.len()];
    for _ in 0..ROUNDS {
        for (best, (_, profile)) in best.iter_mut().zip(profiles) {
            let start = clock();
            for _ in 0..VERDICTS {
                black_box(verdict(register, black_box(submission), profile));
            }
            *best = (*best).min(start.elapsed());
        }
    }
    best.into_iter().map(|time| time.as_secs_f64() * 1e9 / f64::from(VERDICTS)).collect()
}

fn clock() -> Instant {
    portcullis::clock::monotonic()
}
