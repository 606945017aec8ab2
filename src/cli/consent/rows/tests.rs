use super::reading::Reading;
use super::*;
use crate::register::Register;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

fn register() -> Register {
    let text = "[[provider]]\nsystem_id = \"agg1\"\nports = [\"1069\"]\n\
                [[sender]]\nid = \"qinghe\"\nformer_ids = [\"qh\"]\nname = \"Q\"\ncredential = \"C\"\nsignatures = [\"Q\"]\n";
    Register::parse(std::path::Path::new("r.toml"), text).unwrap_or_else(|faults| panic!("{}", faults[0]))
}

fn read(line: &str) -> Result<Held, String> {
    let register = register();
    let reading = Reading {
        register: &register,
        zone: &TimeZone::UTC,
        now: "2026-11-24T08:00:00Z".parse().unwrap(),
        restore: false,
        recycle: false,
        recorder: "user:anna",
        papers: None,
    };
    let row = json_row(line.as_bytes())?;
    reading.read(|column| json_field(&row, column))
}

#[test]
fn every_column_is_read_and_checked() {
    let held = read(
        r#"{"msisdn": 13800138000, "sender": "qh", "category": "promotion", "status": "granted", "at": "2026-11-24T16:04:00+08:00",
            "method": "web", "evidence": "form 1", "expires_at": "2027-11-24", "frequency": "每月4条", "wording": "同意接收",
            "sha256": "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", "recorded_by": "agg1"}"#,
    );
    let held = held.unwrap();
    assert_eq!((held.sender.as_str(), held.frequency.as_str()), ("qinghe", "4/month"), "the present id");
    assert_eq!((held.wording.as_str(), held.recorded_by.as_str()), ("同意接收", "agg1"));
    assert!(held.sha256.is_some_and(|sha256| sha256.to_string().starts_with("ba7816bf")));
    for (column, value, word) in [
        ("at", "2026-11-24T16:06:00+08:00", "future"),
        ("at", "", "missing"),
        ("frequency", "now and then", "frequency"),
        ("sha256", "abc", "64"),
        ("sender", "cobbler", "register"),
        ("sender", "provider:agg1", "one sender"),
        ("sender", "provider:agg9", "provider"),
        ("colour", "red", "colour"),
        ("status", "perhaps", "perhaps"),
    ] {
        let mut row: Map<String, Value> = serde_json::from_str(
            r#"{"msisdn": "13800138000", "sender": "qinghe", "status": "consent", "at": "2026-11-24"}"#,
        )
        .unwrap();
        row.insert(column.to_owned(), Value::from(value));
        let error = read(&Value::Object(row).to_string()).unwrap_err();
        assert!(error.contains(word), "{column} {value}: {error}");
    }
}

#[test]
fn what_is_written_reads_back() {
    for msisdn in [8_613_800_138_000, 14_155_550_123, 6_591_234_567, 447_911_123_456] {
        assert_eq!(Msisdn::parse(&spelled(msisdn)), Some(Msisdn(msisdn)), "{msisdn}");
    }
    let held = Held {
        msisdn: 14_155_550_123,
        sender: "provider:agg1".to_owned(),
        at_ms: 1_764_000_000_123,
        evidence: "two\nlines, \"quoted\"".to_owned(),
        recorded_by: "user:anna".to_owned(),
        ..Held::default()
    };
    let mut sink = Sink::new(Vec::new(), true, Showing { whole: true }).unwrap();
    sink.write(&held).unwrap();
    let Out::Json(line) = sink.out else { panic!("JSON") };
    assert_eq!(read(std::str::from_utf8(&line).unwrap()), Ok(held));
}
