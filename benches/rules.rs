//! What judging costs: `cargo bench --bench rules`.
//!
//! Budget: 3 µs for a compliant message of 160 characters; on a service port, where R10 weighs the text
//! as well, 20 µs more at most. At the end, a table with every rule's share.

#[path = "rules/shares.rs"]
mod shares;

use std::path::Path;

use divan::{Bencher, black_box};
use jiff::Timestamp;
use portcullis::register::Register;
use portcullis::rules::r10_class;
use portcullis::rules::template::{Outcome, Template, Templates};
use portcullis::rules::{Consent, Facts, Operation, Presentation, Profile, Submission, Verdict, judge};
use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::text::Text;

const COMMERCIAL: &str = "10690001230801";
const SERVICE: &str = "1065500012399";

/// 160 characters, all labels, consent.
const COMPLIANT: &str = "[QingheFresh] Members only: 20% off your fruit and vegetables this Saturday and Sunday in all our shops near you. Call 400-000-0000. Reply TD to unsubscribe....";
const COMPLIANT_CHINESE: &str = "【青禾鲜生】老会员专享：本周六全场水果满50减12，门店及小程序同享，另有阿克苏苹果、四川春见耙耙柑、云南蓝莓、海南千禧番茄等时令蔬果到店，数量有限先到先得，凭本条短信再享九五折优惠，活动时间即日起至本月三十日，详情请咨询各门店店长或致电客服热线，感谢您一直以来的支持，祝愉快。客服400-000-0000，拒收请回复R";
const PASSWORD: &str = "【云帆支付】验证码 482913，5分钟内有效，请勿告诉他人。";
const NOTICE: &str = "【云帆支付】您尾号6621的储蓄卡于11月23日10时15分在滨江路南山书店消费人民币95.50元，可用余额5,602.11元。如非本人操作，请立即致电客服冻结账户，或登录手机银行查看交易明细并修改支付密码，谨防冒充客服的诈骗电话。";
const OFFENDING: &str = "【云帆支付】您的账单已出。另有出行好礼：新用户打车立减15元，限时抢购，点 t.example/ab 领取";
const UNLABELLED: &str = "Big sale today! Visit our store for 50% off everything.";
const DISGUISED: &str = "【青禾鲜生】本周特价鲜肉，咨询④⓪⓪-⓪⓪⓪-⓪⓪⓪⓪，退\u{200B}订回\u{200B}Т";

fn main() {
    divan::main();
    // Under `cargo test` a bench only has to run.
    if std::env::args().any(|argument| argument == "--bench") {
        shares::print();
    }
}

fn register() -> Register {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/rulebook/register.toml");
    Register::load(&file).unwrap_or_else(|faults| panic!("{}", faults[0]))
}

fn now() -> Timestamp {
    Timestamp::constant(1_795_400_000, 0)
}

fn submission<'a>(source: &'a str, text: &'a str) -> Submission<'a> {
    Submission {
        operation: Operation::SubmitSm,
        source: Address::new(Ton::UNKNOWN, Npi::ISDN, source.as_bytes()),
        destination: Address::new(Ton::INTERNATIONAL, Npi::ISDN, b"8613800138001"),
        service_type: b"",
        class_tlv: None,
        sm_default_msg_id: 0,
        content: Text::Readable(text.into()),
        presentation: Presentation::Kept,
        part: None,
        deliver_at: None,
        valid_until: None,
    }
}

/// Identified and judged, for a subscriber who has agreed.
fn verdict(register: &Register, submission: &Submission<'_>, profile: &Profile) -> Verdict {
    let mut facts = Facts::new(register.identify(&register.providers()[0], submission));
    facts.consent = Consent::Active;
    judge(submission, &facts, profile, now())
}

fn measure(bencher: Bencher<'_, '_>, source: &str, text: &str) {
    let (register, profile) = (register(), Profile::default());
    let submission = submission(source, text);
    bencher.bench_local(|| verdict(&register, black_box(&submission), &profile));
}

#[divan::bench]
fn compliant_commercial_160(bencher: Bencher<'_, '_>) {
    assert_eq!(COMPLIANT.len(), 160);
    measure(bencher, COMMERCIAL, COMPLIANT);
}

#[divan::bench]
fn compliant_commercial_160_chinese(bencher: Bencher<'_, '_>) {
    assert_eq!(COMPLIANT_CHINESE.chars().count(), 160);
    measure(bencher, COMMERCIAL, COMPLIANT_CHINESE);
}

#[divan::bench]
fn one_time_password(bencher: Bencher<'_, '_>) {
    measure(bencher, SERVICE, PASSWORD);
}

#[divan::bench]
fn service_notice_115(bencher: Bencher<'_, '_>) {
    measure(bencher, SERVICE, NOTICE);
}

#[divan::bench]
fn offending_promotion_in_a_notice(bencher: Bencher<'_, '_>) {
    measure(bencher, SERVICE, OFFENDING);
}

#[divan::bench]
fn offending_unlabelled(bencher: Bencher<'_, '_>) {
    measure(bencher, COMMERCIAL, UNLABELLED);
}

#[divan::bench]
fn offending_disguised(bencher: Bencher<'_, '_>) {
    measure(bencher, COMMERCIAL, DISGUISED);
}

/// R10's look at 64 KB of runs that all have a weight, without a sentence's end.
#[divan::bench]
fn weigh_the_longest_text(bencher: Bencher<'_, '_>) {
    let weights = include_str!("../src/rules/scorer/weights.tsv");
    let runs = weights.lines().filter_map(|line| line.split_once('\t')).map(|(run, _)| run);
    let mut text = String::new();
    for run in runs.cycle() {
        if text.len() + run.len() > 65_535 {
            break;
        }
        text.push_str(run);
    }
    bencher.bench_local(|| r10_class::points(black_box(&text)));
}

/// R10's look at a text alone.
#[divan::bench(args = [PASSWORD, NOTICE, OFFENDING, COMPLIANT_CHINESE])]
fn weigh_a_text(bencher: Bencher<'_, '_>, text: &str) {
    bencher.bench_local(|| r10_class::points(black_box(text)));
}

/// A sender's templates, alike but for one word each, as filings are.
fn templates(count: usize) -> Templates {
    let all = (0..count).map(|number| {
        let text = format!(
            "尊敬的${{name:chinese,1-8}}，您办理的第{number}号业务${{no:code,4-12}}已受理，金额${{m:money}}元，请于${{d:date}}前来办理，${{any,0-20}}"
        );
        Template::parse(&number.to_string(), None, &text).unwrap_or_else(|why| panic!("{why}"))
    });
    Templates::new(all.collect()).unwrap_or_else(|why| panic!("{why}"))
}

#[divan::bench(args = [1, 100, 5_000])]
fn template_kept(bencher: Bencher<'_, '_>, count: usize) {
    let templates = templates(count);
    let number = count - 1;
    let text = format!(
        "【滨江银行】尊敬的王小明，您办理的第{number}号业务AB-123456已受理，金额1,280.50元，请于11月30日前来办理，谢谢合作"
    );
    assert!(matches!(templates.judge(&text), Outcome::Kept(_)));
    bencher.bench_local(|| matches!(templates.judge(black_box(&text)), Outcome::Kept(_)));
}

#[divan::bench(args = [1, 100, 5_000])]
fn template_missed(bencher: Bencher<'_, '_>, count: usize) {
    let templates = templates(count);
    let text = "【滨江银行】尊敬的王小明，您办理的第0号业务AB-123456已受理，金额一千元，请于11月30日前来办理，谢谢合作";
    assert!(matches!(templates.judge(text), Outcome::Stray(Some(_))));
    bencher.bench_local(|| matches!(templates.judge(black_box(text)), Outcome::Kept(_)));
}

/// Templates that share all their fixed texts, against a message that has these in every order.
#[divan::bench]
fn template_spiteful(bencher: Bencher<'_, '_>) {
    let words: Vec<String> =
        "甲乙丙丁".chars().flat_map(|one| "甲乙丙丁".chars().map(move |other| format!("{one}{other}"))).collect();
    let all = (0..5_000).map(|number: usize| {
        let picked = (0..4).map(|place| words[number >> (4 * place) & 15].clone());
        let text = picked.collect::<Vec<_>>().join("${digits,1}");
        Template::parse(&number.to_string(), None, &format!("您好${{any,0-400}}{text}。"))
            .unwrap_or_else(|why| panic!("{why}"))
    });
    let templates = Templates::new(all.collect()).unwrap_or_else(|why| panic!("{why}"));
    let text = format!("您好{}。", words.concat().repeat(6));
    bencher.bench_local(|| matches!(templates.judge(black_box(&text)), Outcome::Kept(_)));
}
