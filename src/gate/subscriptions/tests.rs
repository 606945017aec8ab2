use std::fs;

use super::*;
use crate::store::consents::{ConsentsOptions, Event, Status};
use crate::store::evidence_files::Found;
use crate::store::{Keys, MasterSource};

const REGISTER: &str = r#"
[[provider]]
system_id = "agg1"
ports = ["10690001"]

[[sender]]
id = "bakery"
former_ids = ["baker"]
name = "Bakery Ltd"
credential = "91310000TEST000077"
signatures = ["Bakery"]
phones = ["400-000-0077"]
"#;

struct Scene {
    folder: tempfile::TempDir,
    consents: Consents,
    papers: EvidenceFiles,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(&folder.path().join("keys"), &MasterSource::Beside).unwrap();
        let options = ConsentsOptions { cache_bytes: 8 << 20, keys: Some(keys.clone()), ..ConsentsOptions::default() };
        let consents = Consents::open(&folder.path().join("consents"), &options).unwrap();
        let papers = EvidenceFiles::of(folder.path(), &keys).unwrap();
        Self { folder, consents, papers }
    }

    fn let_go(&self, day: &str, is_held: &dyn Fn(&Held) -> bool, is_trial: bool) -> LetGo {
        let today: Date = day.parse().unwrap();
        let register = Register::parse(Path::new("register.toml"), REGISTER).unwrap();
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let order = Order {
            evidence_months: 5,
            subscription_months: 5,
            now: zone.to_timestamp(today.at(0, 0, 0, 0)).unwrap(),
            zone: &zone,
            today,
            register: &register,
            is_held,
            is_trial,
        };
        let_go(&self.consents, &self.papers, self.folder.path(), &order, &mut || true).unwrap()
    }
}

fn at(day: &str) -> i64 {
    format!("{day}T12:00:00+08:00").parse::<Timestamp>().unwrap().as_millisecond()
}

fn event<'e>(msisdn: u64, sender: &'e str, status: Status, day: &str, evidence: &'e str) -> Event<'e> {
    let at_ms = at(day);
    Event { msisdn, sender, status, at_ms, evidence, method: "web", recorded_at_ms: Some(at_ms), ..Event::default() }
}

fn nobody(_: &Held) -> bool {
    false
}

#[test]
fn what_is_over_goes_with_its_proof_and_its_paper_and_nothing_else() {
    let scene = Scene::new();
    let paper = |name: &str| {
        let file = scene.folder.path().join(name);
        fs::write(&file, name).unwrap();
        scene.papers.put(&file).unwrap()
    };
    let (old, young) = (paper("old form"), paper("young form"));
    let events = [
        Event { sha256: Some(old), ..event(1, "bakery", Status::Consent, "2025-01-10", "an old form") },
        event(1, "bakery", Status::Refusal, "2025-03-10", "R"),
        Event { sha256: Some(young), ..event(2, "baker", Status::Consent, "2025-01-10", "a young form") },
        event(3, "", Status::HolderChange, "2025-02-01", "list"),
        event(3, "bakery", Status::Consent, "2025-01-10", "an old form"),
        event(4, "provider:agg1", Status::Refusal, "2025-01-10", "0000"),
        event(5, "florist", Status::Consent, "2025-01-10", "of one who left"),
        event(6, "bakery", Status::Consent, "2025-01-10", "disputed"),
        event(6, "bakery", Status::Refusal, "2025-01-11", "disputed"),
    ];
    scene.consents.apply(&events).unwrap();
    let is_held = |held: &Held| held.msisdn == 6;
    let trial = scene.let_go("2126-11-01", &is_held, true);
    assert_eq!((trial.events, trial.held, scene.consents.export(true).count()), (2, 1, 9), "a trial takes nothing");
    let done = scene.let_go("2126-11-01", &is_held, false);
    assert_eq!((done.seen, done.events, done.held, done.is_whole), (9, 2, 1, true));
    // Both consents had the same evidence, but not the same paper.
    assert_eq!(done.proofs, 2);
    let left: Vec<Held> = scene.consents.export(true).map(Result::unwrap).collect();
    assert_eq!(left.len(), 7);
    assert!(left.iter().all(|held| held.evidence != "an old form" && !held.evidence.is_empty()), "{left:?}");
    assert_eq!(scene.papers.check(old).unwrap(), Found::Missing);
    assert_eq!(scene.papers.check(young).unwrap(), Found::Whole);
    assert_eq!(scene.let_go("2126-11-01", &is_held, false).events, 0, "once");
    // Whoever left the register is remembered to have left then.
    assert_eq!(scene.let_go("2127-04-01", &nobody, false).events, 1, "the hold is lifted");
    assert_eq!(scene.let_go("2127-04-02", &nobody, false).events, 1, "the florist's");
    assert_eq!(scene.consents.export(true).count(), 5);
}

#[test]
fn a_walk_that_ends_early_is_made_anew() {
    let scene = Scene::new();
    let mut import = scene.consents.import();
    let texts: Vec<String> = (0..4_000).map(|n| format!("form {n}")).collect();
    for (text, n) in texts.iter().zip(0..) {
        import.push(&event(n, "bakery", Status::Consent, "2025-01-10", text)).unwrap();
        if n % 2 == 0 {
            import.push(&event(n, "bakery", Status::Refusal, "2025-02-10", "R")).unwrap();
        }
    }
    import.finish().unwrap();
    let register = Register::parse(Path::new("register.toml"), REGISTER).unwrap();
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let mut steps = 0;
    let today: Date = "2126-11-01".parse().unwrap();
    let order = Order {
        evidence_months: 5,
        subscription_months: 5,
        now: zone.to_timestamp(today.at(0, 0, 0, 0)).unwrap(),
        zone: &zone,
        today,
        register: &register,
        is_held: &nobody,
        is_trial: false,
    };
    let mut three = || {
        steps += 1;
        steps < 3
    };
    let begun = let_go(&scene.consents, &scene.papers, scene.folder.path(), &order, &mut three).unwrap();
    assert!(!begun.is_whole && begun.events > 0 && begun.events < 2_000 && begun.proofs == 0, "{begun:?}");
    // Refusals and new consents that come while it walks are untouched by it, proofs of old texts among them.
    let mut came = 0;
    let mut meanwhile = || {
        let n = 10_000 + came;
        let text = &texts[usize::try_from(came).unwrap() * 2 % texts.len()];
        scene.consents.apply(&[event(n, "bakery", Status::Consent, "2026-10-01", text)]).unwrap();
        came += 1;
        true
    };
    let done = let_go(&scene.consents, &scene.papers, scene.folder.path(), &order, &mut meanwhile).unwrap();
    assert!(done.is_whole);
    assert_eq!((begun.events + done.events, done.proofs), (2_000, 2_000));
    let left: Vec<Held> = scene.consents.export(true).map(Result::unwrap).collect();
    assert_eq!(left.len() as u64, 4_000 + came);
    for held in left {
        let expected = match (held.status, held.msisdn) {
            (Status::Refusal, _) => "R".to_owned(),
            (_, n @ 10_000..) => texts[usize::try_from(n - 10_000).unwrap() * 2 % texts.len()].clone(),
            (_, n) => format!("form {n}"),
        };
        assert_eq!(held.evidence, expected);
    }
    assert_eq!(scene.consents.held().unwrap(), 4_000 + came);
}
