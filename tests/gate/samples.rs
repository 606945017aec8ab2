//! The sample messages, each judged by `portcullis judge --jsonl` and by a running gate.

use std::collections::HashMap;

use portcullis::clock;
use portcullis::register::Register;
use portcullis::simulator::Simulator;
use portcullis_protocol::field::DataCoding;
use portcullis_protocol::text::{gb18030, ucs2};
use portcullis_protocol::{CommandId, Frame};
use serde::Deserialize;
use serde_json::Value;

use crate::gate::Folder;
use crate::parts::{Form, Long};
use crate::provider::{Provider, submit};
use crate::sample::{PROVIDER, REGISTER, SAMPLES, Sample, china, samples};
use crate::stage;

#[derive(Deserialize)]
struct Answer {
    id: String,
    verdict: String,
    rules: Vec<String>,
    status: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_gets_its_verdict_from_judge() {
    let carrier = Simulator::start(stage::options()).await.expect("the carrier listens");
    let folder = Folder::new(REGISTER, carrier.address());
    folder.configure("", carrier.address(), "[profile]\nquiet_hours = \"08:00-21:00\"");
    let named = |line: &str| {
        let mut sample: Value = serde_json::from_str(line).expect("a sample");
        sample["provider"] = PROVIDER.into();
        format!("{sample}\n")
    };
    let lines: String = SAMPLES.lines().map(named).collect();
    let answers = folder.feed(&["judge", "--jsonl"], &lines).ok();

    let answers: Vec<Answer> = answers.lines().map(|line| serde_json::from_str(line).expect("an answer")).collect();
    let samples = samples();
    assert_eq!(answers.len(), samples.len());
    for (answer, sample) in answers.iter().zip(&samples) {
        let expected = (&sample.id, &sample.expect, &sample.rules, format!("{:#010x}", sample.status().0));
        assert_eq!((&answer.id, &answer.verdict, &answer.rules, answer.status.clone()), expected);
    }
}

/// The hours of delivery are set so that it is the right time of day for each half of the samples.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_gets_its_verdict_on_the_wire() {
    let [day, night] = halves();
    send(&day.0, &day.1).await;
    send(&night.0, &night.1).await;
}

/// The same in two parts, in UCS-2 and in GB 18030; every place of a cut is met without sockets, in
/// tests/samples_seams.rs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_gets_its_verdict_on_the_wire_in_parts() {
    let [day, night] = halves();
    send_in_parts(&day.0, &day.1).await;
    send_in_parts(&night.0, &night.1).await;
}

/// The samples of the day and of the night, each with hours of delivery that make it so now.
fn halves() -> [(Vec<Sample>, String); 2] {
    let hour = clock::wall().to_zoned_datetime(china()).hour();
    let hours = |from: i8, until: i8| format!("{:02}:00-{:02}:00", (hour + from) % 24, (hour + until) % 24);
    let (day, night): (Vec<_>, Vec<_>) = samples().into_iter().partition(Sample::is_by_day);
    assert!(!day.is_empty() && !night.is_empty());
    [(day, hours(22, 3)), (night, hours(3, 5))]
}

async fn send_in_parts(samples: &[Sample], hours: &str) {
    let carrier = Simulator::start(stage::options()).await.expect("the carrier listens");
    let folder = Folder::new(REGISTER, carrier.address());
    folder.configure("", carrier.address(), &format!("[profile]\nquiet_hours = \"{hours}\""));
    let gate = folder.start();
    import_consents(&folder, samples);
    let mut provider = Provider::bound(gate.address, PROVIDER, "").await;
    let mut next = 8_615_000_000_000_u64;
    for (turn, sample) in samples.iter().enumerate() {
        for (coding, octets) in
            [(DataCoding::UCS2, ucs2::encode(&sample.text)), (DataCoding(15), gb18030(&sample.text))]
        {
            for (shift, seam) in [1, octets.len() / 3, octets.len() - 1].into_iter().enumerate() {
                next += 1;
                // Who has said nothing yet is somebody else each time: a request is sent once.
                let to = if sample.said().is_some() { sample.recipient() } else { next.to_string() };
                let form = Form::ALL[(turn + shift) % Form::ALL.len()];
                let reference = u16::try_from(next % 256).expect("a reference");
                let long = Long { from: &sample.source, to: &to, text: &sample.text, reference, form };
                let first = provider.send(long.part_in(coding, 1, 2, &octets[..seam], 0)).await;
                let second = provider.send(long.part_in(coding, 2, 2, &octets[seam..], 0)).await;
                for sent in [first, second] {
                    let status = provider.answer_to(sent).await.command_status();
                    assert_eq!(status, sample.status(), "{} in {coding:?}, {form:?}, cut at {seam}", sample.id);
                }
            }
        }
    }
}

async fn send(samples: &[Sample], hours: &str) {
    let carrier = Simulator::start(stage::options()).await.expect("the carrier listens");
    let folder = Folder::new(REGISTER, carrier.address());
    folder.configure("", carrier.address(), &format!("[profile]\nquiet_hours = \"{hours}\""));
    let gate = folder.start();
    import_consents(&folder, samples);
    let mut provider = Provider::bound(gate.address, PROVIDER, "").await;
    let mut forwarded = Vec::new();
    for sample in samples {
        let message = submit(&sample.source, &sample.recipient(), &sample.text);
        let status = provider.ask(message.clone()).await.command_status();
        assert_eq!(status, sample.status(), "{}", sample.id);
        check_record(&folder, sample);
        if sample.expect == "forward" {
            forwarded.push(message);
        }
    }
    let taken = carrier.received_of(CommandId::SUBMIT_SM);
    let bodies = |frames: Vec<&Frame>| frames.into_iter().map(|frame| frame.body().to_vec()).collect::<Vec<_>>();
    assert_eq!(
        bodies(taken.iter().map(|taken| &taken.frame).collect()),
        bodies(forwarded.iter().collect()),
        "the carrier gets what was forwarded, byte for byte, and nothing else"
    );
}

fn import_consents(folder: &Folder, samples: &[Sample]) {
    let register = Register::load(&folder.path().join("register.toml")).expect("the register");
    let rows: String = samples.iter().flat_map(|sample| consents(sample, &register)).collect();
    let csv = format!("msisdn,sender,category,status,at,method,evidence,expires_at\n{rows}");
    folder.feed(&["consent", "import", "-"], &csv).ok();
}

fn consents(sample: &Sample, register: &Register) -> Vec<String> {
    let Some((status, at, end)) = sample.said() else { return Vec::new() };
    let row = |sender: &str| format!("{},{sender},,{status},{at},web,form,{end}\n", sample.recipient());
    register.senders().iter().map(|sender| row(&sender.id)).collect()
}

fn check_record(folder: &Folder, sample: &Sample) {
    let records = folder.sent_to(&sample.recipient());
    let [record] = records.as_slice() else { panic!("{}: {} records", sample.id, records.len()) };
    let effects: HashMap<_, _> =
        record.findings.iter().map(|found| (found.rule.clone(), found.effect.clone())).collect();
    let rules: Vec<_> = record.findings.iter().map(|found| found.rule.clone()).collect();
    assert_eq!((&record.verdict, &rules), (&sample.expect, &sample.rules), "{}: {effects:?}", sample.id);
    assert_eq!(record.text.as_ref(), Some(&sample.text), "{}", sample.id);
}
