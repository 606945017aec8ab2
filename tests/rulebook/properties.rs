//! What holds for every submission, whatever the text, the facts and the settings.

use std::path::Path;
use std::sync::LazyLock;

use jiff::Timestamp;
use portcullis::register::{Provider, Register};
use portcullis::rules::{
    Consent, Decision, Effect, Facts, Mode, Operation, Presentation, Profile, Refusal, Rule, Submission, judge,
};
use portcullis_protocol::CommandStatus;
use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::text::{Concatenation, Opaque, Text};
use proptest::prelude::*;

static REGISTER: LazyLock<Register> = LazyLock::new(|| {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/rulebook/register.toml");
    Register::load(&file).unwrap_or_else(|faults| panic!("{}", faults[0]))
});

/// Everything a verdict depends on.
#[derive(Clone, Debug)]
struct World {
    provider: usize,
    source: String,
    ton: u8,
    destination: String,
    text: String,
    opaque: bool,
    canned: u8,
    part: Option<(u8, u8)>,
    consent: Consent,
    refusal: Option<Refusal>,
    asked_before: bool,
    now: i64,
    profile: &'static str,
    profile_modes: Vec<(usize, Mode)>,
    provider_modes: Vec<(usize, Mode)>,
    provider_mode: Mode,
}

/// Pieces that the rules look for, and pieces that look like them.
const PIECES: [&str; 40] = [
    "【青禾鲜生】",
    "【云帆支付】",
    "【临湖区应急局】",
    "【南山书店】",
    "【】",
    "︻青禾鲜生︼",
    "[QingheFresh] ",
    "[",
    "】",
    "全场五折，满100减50",
    "限时秒杀",
    "验证码 482913",
    "您的账单已出",
    "客服400-000-0000",
    "010-00000000转8",
    "④⓪⓪-⓪⓪⓪-⓪⓪⓪⓪",
    "四零零零零零零零零零",
    "1390000",
    "拒收请回复R",
    "退订回T",
    "退\u{200B}订回Т",
    "退订请登录官网",
    "Reply TD to unsubscribe",
    "退订",
    "，",
    "。",
    " ",
    "同意请回复Y",
    "促销短信，每月4条，为期一年",
    "不回复视为不同意",
    "t.example/x",
    "微信abc12345",
    "QQ 123456",
    "谨防诈骗",
    "低息贷款极速放款",
    "\u{202E}",
    "\u{3164}",
    "您购买的",
    "20% off, shop now",
    "🎉",
];

const SOURCES: [&str; 12] = [
    "10690001230801",
    "1065500012399",
    "1065500012398",
    "10639000001",
    "10690001230811",
    "NANSHAN",
    "QINGHE",
    "",
    "10690003001",
    "106900041",
    "106900042",
    "999999999999999999999999",
];

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Off), Just(Mode::Observe), Just(Mode::Enforce)]
}

fn modes() -> impl Strategy<Value = Vec<(usize, Mode)>> {
    prop::collection::vec((0..26_usize, mode()), 0..6)
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![4 => prop::sample::select(&PIECES[..]).prop_map(str::to_owned), 1 => ".{0,6}"];
    prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
}

fn facts() -> impl Strategy<Value = (Consent, Option<Refusal>, bool)> {
    let consent = prop_oneof![Just(Consent::None), Just(Consent::Active), Just(Consent::Expired)];
    let refusal = prop_oneof![Just(None), Just(Some(Refusal::Sender { at: None })), Just(Some(Refusal::DoNotDisturb))];
    (consent, refusal, any::<bool>())
}

prop_compose! {
    fn world()(
        (source, ton, destination) in (
            prop::sample::select(&SOURCES[..]), 0..8_u8, prop::sample::select(&["8613800138001", "13800138001", "", "12321"][..]),
        ),
        (text, opaque, canned) in (text(), prop::bool::weighted(0.1), prop_oneof![9 => Just(0), 1 => any::<u8>()]),
        part in prop::option::weighted(0.2, (any::<u8>(), any::<u8>())),
        (consent, refusal, asked_before) in facts(),
        (provider, now) in (0..4_usize, 1_700_000_000_i64..1_900_000_000),
        profile in prop::sample::select(&["cn-2020-draft", "cn-2015-31", "cn-2026-74"][..]),
        (profile_modes, provider_modes, provider_mode) in (modes(), modes(), mode()),
    ) -> World {
        let (source, destination) = (source.to_owned(), destination.to_owned());
        World {
            provider, source, ton, destination, text, opaque, canned, part, consent, refusal, asked_before, now, profile,
            profile_modes, provider_modes, provider_mode,
        }
    }
}

impl World {
    /// An agreed message without a text, from the first provider.
    fn plain(source: &str) -> Self {
        Self {
            provider: 0,
            source: source.to_owned(),
            ton: 0,
            destination: "8613800138001".to_owned(),
            text: String::new(),
            opaque: false,
            canned: 0,
            part: None,
            consent: Consent::Active,
            refusal: None,
            asked_before: false,
            now: 1_800_000_000,
            profile: "cn-2020-draft",
            profile_modes: Vec::new(),
            provider_modes: Vec::new(),
            provider_mode: Mode::Enforce,
        }
    }

    fn provider(&self) -> Provider {
        let mut provider = REGISTER.providers()[self.provider].clone();
        provider.mode = self.provider_mode;
        for &(rule, mode) in &self.provider_modes {
            provider.rules.set(nth(rule), mode);
        }
        provider
    }

    fn profile(&self) -> Profile {
        let mut profile = Profile::built_in(self.profile).unwrap();
        for &(rule, mode) in &self.profile_modes {
            profile.set_mode(nth(rule), mode);
        }
        profile
    }

    fn submission(&self) -> Submission<'_> {
        let content =
            if self.opaque { Text::Opaque(Opaque::Binary) } else { Text::Readable(self.text.as_str().into()) };
        Submission {
            operation: Operation::SubmitSm,
            source: Address::new(Ton(self.ton), Npi::ISDN, self.source.as_bytes()),
            destination: Address::new(Ton::UNKNOWN, Npi::ISDN, self.destination.as_bytes()),
            service_type: b"",
            class_tlv: None,
            sm_default_msg_id: self.canned,
            content,
            presentation: Presentation::Kept,
            part: self.part.map(|(number, total)| Concatenation { reference: 1, total, number }),
            deliver_at: None,
            valid_until: None,
        }
    }

    fn verdict(&self) -> portcullis::rules::Verdict {
        let (provider, submission) = (self.provider(), self.submission());
        let identity = REGISTER.identify(&provider, &submission);
        let facts = Facts {
            consent: self.consent,
            refusal: self.refusal,
            asked_before: self.asked_before,
            ..Facts::new(identity)
        };
        judge(&submission, &facts, &self.profile(), Timestamp::from_second(self.now).unwrap())
    }

    fn sheltered(&self) -> bool {
        REGISTER.port(self.source.as_bytes()).is_some_and(|port| port.class.is_sheltered())
    }
}

fn nth(rule: usize) -> Rule {
    Rule::all().nth(rule).unwrap()
}

/// Codes that peers try again after.
const RETRIED: [u32; 5] = [0x04, 0x08, 0x14, 0x58, 0x64];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn judging_again_changes_nothing(world in world()) {
        prop_assert_eq!(world.verdict(), world.verdict());
    }

    #[test]
    fn the_decision_follows_from_the_findings(world in world()) {
        let verdict = world.verdict();
        let first = |effect| verdict.findings.iter().find(|finding| finding.effect == effect);
        prop_assert!(verdict.findings.windows(2).all(|pair| pair[0].rule < pair[1].rule), "in order, each rule once");
        match (first(Effect::Failed), first(Effect::Held)) {
            (Some(failed), _) => {
                prop_assert_eq!((verdict.decision, verdict.status), (Decision::Reject, failed.status));
                prop_assert!(!RETRIED.contains(&verdict.status.0), "{:?}", verdict);
            }
            (None, Some(held)) => {
                prop_assert_eq!((verdict.decision, verdict.status), (Decision::Hold, held.status));
                prop_assert!(RETRIED.contains(&verdict.status.0), "{:?}", verdict);
            }
            (None, None) => prop_assert_eq!((verdict.decision, verdict.status), (Decision::Forward, CommandStatus::ESME_ROK)),
        }
        prop_assert_eq!(verdict.permit().is_some(), verdict.decision == Decision::Forward);
        prop_assert!(verdict.findings.iter().all(|finding| !finding.why.is_empty()));
    }

    /// R13, whatever the settings, the consents and the refusals.
    #[test]
    fn marketing_rules_are_silent_on_service_and_public_ports(mut world in world(), sheltered in prop::sample::select(&["1065500012399", "10639000001", "106900042"][..])) {
        sheltered.clone_into(&mut world.source);
        prop_assert!(world.sheltered());
        let verdict = world.verdict();
        prop_assert!(verdict.findings.iter().all(|finding| !finding.rule.is_marketing()), "{:?}", verdict);
    }

    /// Consent and refusal make no difference at all there.
    #[test]
    fn a_refusal_never_stops_a_notice(mut world in world()) {
        "1065500012399".clone_into(&mut world.source);
        let refused = World { consent: Consent::None, refusal: Some(Refusal::DoNotDisturb), ..world.clone() };
        let agreed = World { consent: Consent::Active, refusal: None, ..world };
        prop_assert_eq!(refused.verdict(), agreed.verdict());
    }

    /// Every failed rule is listed: no rule that speaks of the text alone hides behind another.
    #[test]
    fn silencing_one_rule_leaves_the_others(world in world(), silenced in prop::sample::select(&[Rule::R03, Rule::R06, Rule::R07, Rule::R08, Rule::R15, Rule::R16, Rule::R18][..])) {
        let index = Rule::all().position(|rule| rule == silenced).unwrap();
        let mut without = world.clone();
        without.provider_modes.push((index, Mode::Off));
        let mut expected = world.verdict().findings;
        expected.retain(|finding| finding.rule != silenced);
        prop_assert_eq!(without.verdict().findings, expected);
    }

    /// An observed provider is never refused, and its findings are those of an enforced one.
    #[test]
    fn observing_forwards_and_records(world in world()) {
        let observed = World { provider_mode: Mode::Observe, ..world };
        let verdict = observed.verdict();
        prop_assert_eq!(verdict.decision, Decision::Forward);
        prop_assert!(verdict.findings.iter().all(|finding| matches!(finding.effect, Effect::Observed | Effect::Alert)));
    }

    /// Nothing commercial reaches who has not agreed, where all rules are enforced.
    #[test]
    fn without_consent_only_a_complete_request_passes(
        mut world in world(),
        commercial in prop::sample::select(&["10690001230801", "NANSHAN", "10690003001", "1065599", "FRUIT", ""][..]),
    ) {
        commercial.clone_into(&mut world.source);
        let strict = World {
            consent: Consent::None, profile_modes: Vec::new(), provider_modes: Vec::new(), provider_mode: Mode::Enforce, ..world
        };
        let verdict = strict.verdict();
        let request = verdict.rules().any(|rule| rule == Rule::R12) && !strict.asked_before && strict.refusal.is_none();
        prop_assert!(verdict.decision != Decision::Forward || request, "{:?}", verdict);
    }
}

/// The longest text there is, made of what costs most to look at: judged all the same, on every kind of port.
#[test]
fn no_text_takes_the_gate_out() {
    let pieces = PIECES.iter().copied().chain([
        "-",
        "#-",
        "退",
        "1 ",
        "1-",
        "a.a",
        ".",
        "(",
        "一",
        "四零-",
        "回",
        "【",
        "您购买的秒",
        "to unsubscribe, and ",
        "\u{200B}",
        "a.a@",
        "a://",
        "a.a:",
        "a点",
        "微信",
        "四-",
        "Ŕ",
    ]);
    for piece in pieces {
        let text = piece.repeat(65_535 / piece.len());
        for source in ["10690001230801", "1065500012399", "FRUIT"] {
            let world = World { text: text.clone(), ..World::plain(source) };
            is_judged(&world);
        }
    }
}

fn is_judged(world: &World) {
    let verdict = world.verdict();
    assert_eq!(verdict.decision == Decision::Forward, verdict.permit().is_some());
    assert!(verdict.decision == Decision::Forward || !verdict.findings.is_empty());
}
