//! What a text is written with does not matter: neither to the honest, nor to the others.
//!
//! Every case of this folder takes part. A compliant one keeps its verdict when it is folded, cut and coded
//! anew; a prohibited one never passes, whatever disguise is put into it.
//!
//! To search farther: `PROPTEST_CASES=200000 cargo test --test rulebook disguise_never`, with another
//! `PROPTEST_RNG_SEED` each time (without one it is drawn). What a search finds becomes a case of testdata/rulebook.

use std::collections::HashMap;
use std::sync::LazyLock;

use portcullis::register::Register;
use portcullis::rules::{Decision, folded};
use portcullis_protocol::field::{DataCoding, EsmClass};
use portcullis_protocol::text::{Alphabet, Piece, TextSettings, gb18030, gsm7, latin1, read, read_joined, ucs2};
use proptest::prelude::*;
use proptest::sample::Index;

use super::case::Case;
use crate::{cases, files, register};

struct World {
    register: Register,
    compliant: Vec<Case>,
    prohibited: Vec<Case>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let all: Vec<Case> = files().iter().flat_map(|file| cases(file)).filter(|case| case.text().is_some()).collect();
    let (passing, prohibited): (Vec<_>, Vec<_>) = all.into_iter().partition(|case| case.expected().0);
    // One that passes with an alert for its spelling is not written plainly.
    let compliant = passing.into_iter().filter(|case| !case.expected().1.iter().any(|rule| rule == "R15")).collect();
    World { register: register(), compliant, prohibited }
});

fn outcome(case: &Case) -> (Decision, Vec<&'static str>) {
    let verdict = case.verdict(&WORLD.register);
    (verdict.decision, verdict.rules().map(|rule| rule.id()).collect())
}

#[test]
fn folding_a_compliant_message_changes_nothing() {
    assert!(WORLD.compliant.len() > 250, "only {} cases", WORLD.compliant.len());
    for case in &WORLD.compliant {
        let text = case.text().unwrap();
        assert_eq!(outcome(&case.with_text(&folded(text))), outcome(case), "{}: {text}", case.name());
    }
}

/// `data_coding`, what 0 stands for, and the octets where the text fits.
type Encoding = (u8, Alphabet, fn(&str) -> Option<Vec<u8>>);

const ENCODINGS: [Encoding; 7] = [
    (0, Alphabet::Gsm7, gsm7::encode),
    (1, Alphabet::Gsm7, |text| text.is_ascii().then(|| text.as_bytes().to_vec())),
    (3, Alphabet::Gsm7, latin1),
    (8, Alphabet::Gsm7, |text| Some(ucs2::encode(text))),
    (15, Alphabet::Gsm7, |text| Some(gb18030(text))),
    (0, Alphabet::Gb18030, |text| Some(gb18030(text))),
    (0, Alphabet::Utf8, |text| Some(text.as_bytes().to_vec())),
];

/// Invisible characters, fillers and overrides, to be put anywhere.
const INSERTED: [&str; 24] = [
    "\u{200B}",
    "\u{200C}",
    "\u{200D}",
    "\u{200E}",
    "\u{200F}",
    "\u{2060}",
    "\u{2063}",
    "\u{FEFF}",
    "\u{AD}",
    "\u{34F}",
    "\u{61C}",
    "\u{180E}",
    "\u{FE0F}",
    "\u{E0001}",
    "\u{E0054}",
    "\u{3164}",
    "\u{115F}",
    "\u{FFA0}",
    "\u{2800}",
    "\u{202E}",
    "\u{202D}",
    "\u{2067}",
    "\u{332}",
    "\u{8}",
];

/// Ideographs by their common form, with those that are taken for them.
static VARIANTS: LazyLock<HashMap<char, Vec<char>>> = LazyLock::new(|| {
    let table = include_str!("../../src/rules/fold/variants.txt");
    let letters: Vec<char> = table.lines().filter(|line| !line.starts_with('#')).flat_map(str::chars).collect();
    let mut variants: HashMap<char, Vec<char>> = HashMap::new();
    for pair in letters.chunks_exact(2) {
        variants.entry(pair[1]).or_default().push(pair[0]);
    }
    variants
});

/// What may stand for a character.
fn stand_ins(c: char) -> Vec<String> {
    const LOOK_ALIKES: [(char, &str); 24] = [
        ('A', "АΑᎪ"),
        ('B', "ВΒ"),
        ('C', "С"),
        ('E', "ЕΕ"),
        ('H', "НΗ"),
        ('K', "КΚ"),
        ('M', "МΜ"),
        ('N', "Ν"),
        ('O', "ОΟ"),
        ('P', "РΡ"),
        ('R', "ЯŔᎡ"),
        ('S', "Ѕ"),
        ('T', "ТΤᎢꓔ"),
        ('X', "ХΧ"),
        ('a', "аά"),
        ('c', "сç"),
        ('e', "еéё"),
        ('i', "іí"),
        ('o', "оοö"),
        ('p', "рρ"),
        ('s', "ѕś"),
        ('u', "ùü"),
        ('x', "х"),
        ('y', "уý"),
    ];
    let shifted = |base: u32, first: char| char::from_u32(base + u32::from(c) - u32::from(first)).map(String::from);
    let mut all: Vec<String> = Vec::new();
    match c {
        '0' => all.extend(["⓪", "⓿", "🄋", "０", "𝟎", "⁰", "₀", "0\u{FE0F}\u{20E3}", "٠"].map(str::to_owned)),
        '1'..='9' => {
            let bases = [0x2460, 0x2776, 0x2780, 0x278A, 0x2474, 0x2488, 0xFF11, 0x1D7CF, 0x661];
            all.extend(bases.into_iter().filter_map(|base| shifted(base, '1')));
            all.push(format!("{c}\u{FE0F}\u{20E3}"));
        }
        'A'..='Z' => all.extend(
            [0x24B6, 0xFF21, 0x1D400, 0x1F130, 0x1F170, 0x1F1E6].into_iter().filter_map(|base| shifted(base, 'A')),
        ),
        'a'..='z' => all.extend([0x24D0, 0xFF41, 0x1D41A, 0x249C].into_iter().filter_map(|base| shifted(base, 'a'))),
        '!'..='/' | ':'..='@' => all.extend(shifted(0xFF01, '!')),
        _ => {}
    }
    all.extend(
        LOOK_ALIKES.iter().filter(|(known, _)| *known == c).flat_map(|(_, alike)| alike.chars().map(String::from)),
    );
    all.extend(VARIANTS.get(&c).into_iter().flatten().map(|c| c.to_string()));
    all
}

/// One piece of disguise: where, and which.
#[derive(Clone, Debug)]
enum Disguise {
    Insert(Index, Index),
    Replace(Index, Index),
}

fn disguises() -> impl Strategy<Value = Vec<Disguise>> {
    let insert = any::<(Index, Index)>().prop_map(|(at, which)| Disguise::Insert(at, which));
    let replace = any::<(Index, Index)>().prop_map(|(at, which)| Disguise::Replace(at, which));
    prop::collection::vec(prop_oneof![1 => insert, 3 => replace], 1..24)
}

fn disguised(text: &str, disguises: &[Disguise]) -> String {
    let mut letters: Vec<String> = text.chars().map(String::from).collect();
    for disguise in disguises {
        match disguise {
            Disguise::Insert(at, which) => {
                let at = at.index(letters.len() + 1);
                letters.insert(at, INSERTED[which.index(INSERTED.len())].to_owned());
            }
            Disguise::Replace(at, which) => {
                let replaceable: Vec<(usize, Vec<String>)> = (0..letters.len())
                    .filter_map(|at| Some((at, stand_ins(single(&letters[at])?))))
                    .filter(|(_, all)| !all.is_empty())
                    .collect();
                if !replaceable.is_empty() {
                    let (at, all) = &replaceable[at.index(replaceable.len())];
                    letters[*at].clone_from(&all[which.index(all.len())]);
                }
            }
        }
    }
    letters.concat()
}

fn single(letter: &str) -> Option<char> {
    let mut chars = letter.chars();
    chars.next().filter(|_| chars.next().is_none())
}

/// At least 4000 cases; more where the environment asks for them.
fn settings() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(4000), failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(settings())]

    /// Cut anywhere and coded in whatever holds it, a compliant message keeps its verdict.
    #[test]
    fn cutting_and_coding_a_compliant_message_changes_nothing(
        which in any::<Index>(), encoding in any::<Index>(), seams in prop::collection::vec(any::<Index>(), 0..5),
    ) {
        let case = which.get(&WORLD.compliant);
        let text = case.text().unwrap();
        let (data_coding, default_alphabet, encode) = *encoding.get(&ENCODINGS[..]);
        let Some(octets) = encode(text) else { return Ok(()) };
        let settings = TextSettings { default_alphabet, ..TextSettings::default() };
        let mut cuts: Vec<usize> = seams.iter().map(|seam| seam.index(octets.len() + 1)).chain([0, octets.len()]).collect();
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|ends| Piece {
            data_coding: DataCoding(data_coding), esm_class: EsmClass(0), octets: &octets[ends[0]..ends[1]],
        });
        let joined = read_joined(pieces, &settings);
        let whole = read(DataCoding(data_coding), EsmClass(0), &octets, &settings).text;
        prop_assert_eq!(joined.readable(), Some(text), "{:#x}, cut at {:?}", data_coding, cuts);
        prop_assert_eq!(whole.readable(), Some(text), "{:#x}", data_coding);
        prop_assert_eq!(outcome(&case.with_text(joined.readable().unwrap())), outcome(case));
    }

    /// No disguise lets a prohibited message pass.
    #[test]
    fn disguise_never_makes_a_prohibited_message_pass(which in any::<Index>(), disguises in disguises()) {
        let case = which.get(&WORLD.prohibited);
        let text = disguised(case.text().unwrap(), &disguises);
        let verdict = case.with_text(&text).verdict(&WORLD.register);
        prop_assert!(verdict.decision != Decision::Forward, "{} passes as {:?}: {:?}", case.name(), text, verdict);
    }
}
