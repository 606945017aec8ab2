//! Every rule in every mode, set in every place: what is enforced fails, what is observed is recorded as what
//! would have been, what is off says nothing. The cases of the rulebook are the messages.

use std::collections::BTreeSet;

use portcullis::register::{Provider, Register};
use portcullis::rules::{Class, Effect, Mode, Modes, Rule, Verdict};

use super::case::Case;

/// Where a mode can be set, from the widest place to the nearest; the nearest counts.
const PLACES: [&str; 4] = ["profile", "profile's class", "provider", "provider's class"];

/// Rules that have no case here: they speak of replies (R23, R24), of what was counted (R19, R25), of what the
/// register or the carrier keeps (R20-R22), or have one mode (R13, R14, R26). Each has tests of its own.
const ELSEWHERE: [Rule; 10] =
    [Rule::R13, Rule::R14, Rule::R19, Rule::R20, Rule::R21, Rule::R22, Rule::R23, Rule::R24, Rule::R25, Rule::R26];

fn cases() -> Vec<Case> {
    crate::files().iter().flat_map(|file| crate::cases(file)).collect()
}

fn word(mode: Mode) -> &'static str {
    Mode::WORDS.iter().find(|(_, known)| *known == mode).map_or("", |(word, _)| word)
}

/// The verdict with the rule in these modes, by place; `None` leaves a place as it is.
fn under(case: &Case, register: &Register, rule: Rule, modes: [Option<Mode>; 4], cap: Mode) -> Verdict {
    let class = case.port_class(register);
    let line = |mode: Option<Mode>| mode.map(|mode| format!("{rule} = \"{}\"\n", word(mode))).unwrap_or_default();
    let own = line(modes[1]);
    let table = if own.is_empty() { own } else { format!("[profile.{class}]\n{own}") };
    let set = |modes: &mut Modes, mode: Option<Mode>| {
        if let Some(mode) = mode {
            modes.set(rule, mode);
        }
    };
    case.verdict_under(register, &format!("{}{table}", line(modes[0])), |provider: &mut Provider| {
        set(&mut provider.rules, modes[2]);
        set(&mut provider.class_rules[class as usize], modes[3]);
        provider.mode = cap;
    })
}

fn effects(verdict: &Verdict, rule: Rule) -> Vec<Effect> {
    verdict.findings.iter().filter(|found| found.rule == rule).map(|found| found.effect).collect()
}

/// Whether the rule does in a verdict what its mode says. The class (R10) acts through R03.
fn shows(verdict: &Verdict, rule: Rule, mode: Mode, port_class: Class) -> bool {
    if rule == Rule::R10 {
        let observed = effects(verdict, rule) == [Effect::Observed];
        let stopped = effects(verdict, Rule::R03) == [Effect::Failed];
        let commercial = verdict.class == Class::Commercial && port_class != Class::Commercial;
        return match mode {
            Mode::Enforce => stopped && commercial && !observed,
            Mode::Observe => observed && !stopped && !commercial,
            Mode::Off => !observed && !stopped && !commercial,
        };
    }
    matches!(
        (mode, effects(verdict, rule).as_slice()),
        (Mode::Enforce, [Effect::Failed | Effect::Held]) | (Mode::Observe, [Effect::Observed]) | (Mode::Off, [])
    )
}

/// The first case in which a rule stops the message, in its own circumstances.
fn stopped_by(cases: &[Case], register: &Register, rule: Rule) -> Option<usize> {
    cases.iter().position(|case| {
        case.leaves(rule)
            && case.leaves(Rule::R03)
            && shows(&case.verdict(register), rule, Mode::Enforce, case.port_class(register))
            // Of two rules that find the same, the one that is off leaves it to the other.
            && (rule != Rule::R10 || effects(&case.verdict(register), Rule::R17).is_empty())
    })
}

#[test]
fn every_rule_has_every_mode_in_every_place_and_the_nearest_counts() {
    let (register, cases) = (crate::register(), cases());
    let mut wrong = Vec::new();
    let mut tried = BTreeSet::new();
    for rule in Rule::all().filter(|rule| !ELSEWHERE.contains(rule)) {
        let Some(place) = stopped_by(&cases, &register, rule) else {
            wrong.push(format!("{rule}: no case in which it stops a message"));
            continue;
        };
        let case = &cases[place];
        let class = case.port_class(&register);
        let mut check = |modes: [Option<Mode>; 4], cap: Mode| {
            tried.insert((rule, modes.map(|mode| mode.map(word)), word(cap)));
            let nearest = modes.into_iter().rev().flatten().next().unwrap_or(Mode::Enforce);
            // Where everything of a provider is observed the class is found all the same: R03 is observed then.
            let expected = if rule == Rule::R10 { nearest } else { nearest.min(cap) };
            let verdict = under(case, &register, rule, modes, cap);
            let shown = match (rule, cap) {
                (Rule::R10, Mode::Observe) if expected == Mode::Enforce => {
                    effects(&verdict, Rule::R03) == [Effect::Observed] && verdict.class == Class::Commercial
                }
                (Rule::R10, Mode::Off) => verdict.findings.is_empty(),
                _ => shows(&verdict, rule, expected, class),
            };
            if !shown {
                let places: Vec<_> = PLACES.iter().zip(modes).filter(|(_, mode)| mode.is_some()).collect();
                wrong.push(format!("{rule} {places:?} capped at {cap:?}, {}: {:?}", case.name(), verdict.findings));
            }
        };
        const MODES: [Mode; 3] = [Mode::Enforce, Mode::Observe, Mode::Off];
        for near in 0..PLACES.len() {
            for mode in MODES {
                let mut modes = [None; 4];
                modes[near] = Some(mode);
                check(modes, Mode::Enforce);
                for wide in 0..near {
                    for other in MODES {
                        modes[wide] = Some(other);
                        check(modes, Mode::Enforce);
                    }
                    modes[wide] = None;
                }
            }
        }
        for cap in MODES {
            check([None; 4], cap);
            check([None, None, None, Some(Mode::Observe)], cap);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried.len() > 16 * 60, "{} combinations", tried.len());
}

/// R13: no mode anywhere lets a marketing rule stop what goes out on a service or public port.
#[test]
fn no_place_lets_a_marketing_rule_stop_service_or_public_messages() {
    let (register, cases) = (crate::register(), cases());
    let sheltered: Vec<&Case> = cases.iter().filter(|case| case.port_class(&register).is_sheltered()).collect();
    assert!(sheltered.len() > 100);
    for rule in Rule::all().filter(|rule| rule.is_marketing()) {
        for case in sheltered.iter().filter(|case| case.leaves(rule)) {
            let enforced = Some(Mode::Enforce);
            // In a class's own table it is a fault of the file: `check` refuses it; see below.
            let verdict = under(case, &register, rule, [enforced, None, enforced, enforced], Mode::Enforce);
            assert!(effects(&verdict, rule).is_empty(), "{rule} {}: {:?}", case.name(), verdict.findings);
        }
    }
}

#[test]
fn a_register_that_would_have_it_otherwise_is_a_fault_with_line_and_key() {
    let text = |rules: &str| {
        format!("[[provider]]\nsystem_id = \"p\"\nports = [\"1069\"]\n[provider.rules]\nR05 = \"observe\"\n{rules}\n")
    };
    let path = std::path::Path::new("register.toml");
    let fine = text(
        "[provider.rules.service]\nR09 = \"off\"\nR03 = \"enforce\"\n[provider.rules.commercial]\nR09 = \"enforce\"",
    );
    let register = Register::parse(path, &fine).unwrap_or_else(|faults| panic!("{}", faults[0]));
    assert_eq!(register.providers()[0].class_rules[Class::Service as usize].get(Rule::R09), Some(Mode::Off));
    for class in ["service", "public"] {
        for rule in Rule::all().filter(|rule| rule.is_marketing()) {
            let faults =
                Register::parse(path, &text(&format!("[provider.rules.{class}]\n{rule} = \"enforce\""))).unwrap_err();
            let told = faults[0].to_string();
            assert!(told.starts_with(&format!("register.toml:7: provider[0].rules.{class}.{rule}: R13:")), "{told}");
        }
    }
    for rule in ["R13", "R14", "R26"] {
        let faults = Register::parse(path, &text(&format!("{rule} = \"off\""))).unwrap_err();
        assert!(faults[0].to_string().starts_with(&format!("register.toml:6: provider[0].rules.{rule}: ")));
    }
}
