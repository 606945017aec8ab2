//! Found things as rows for a spreadsheet.
//!
//! Owns the columns, and that no cell is taken for a formula. One row a message, with what became of it; replies
//! and what else was found have rows of their own.

use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

/// What a column is made of.
enum Cell {
    /// A value as it is, at this place.
    Plain(&'static str),
    /// A moment, in local time.
    Time(&'static str),
    /// One of a list, in words.
    Each(&'static str, fn(&Value, &TimeZone) -> String),
}

use Cell::{Each, Plain, Time};

const COLUMNS: &[(&str, Cell)] = &[
    ("record", Plain("/id")),
    ("kind", Plain("/kind")),
    ("received", Each("", received)),
    ("forwarded", Time("/outcome/forwarded")),
    ("outcome_at", Time("/outcome/at")),
    ("answered", Time("/answered")),
    ("final_state", Plain("/final_state")),
    ("final_at", Time("/final_at")),
    ("provider", Plain("/provider")),
    ("session", Plain("/session")),
    ("peer", Plain("/peer")),
    ("tls", Plain("/tls")),
    ("operation", Plain("/operation")),
    ("sequence_number", Plain("/sequence_number")),
    ("service_type", Plain("/service_type")),
    ("source", Plain("/source")),
    ("source_canonical", Plain("/source_canonical")),
    ("destination", Plain("/destination")),
    ("msisdn", Plain("/msisdn")),
    ("ton_npi", Plain("/ton_npi")),
    ("port", Plain("/port")),
    ("port_class", Plain("/port_class")),
    ("sender", Plain("/sender")),
    ("signature", Plain("/signature")),
    ("class", Plain("/class")),
    ("class_why", Plain("/class_why")),
    ("esm_class", Plain("/esm_class")),
    ("data_coding", Plain("/data_coding")),
    ("registered_delivery", Plain("/registered_delivery")),
    ("part", Plain("/part")),
    ("deliver_at", Time("/deliver_at")),
    ("valid_until", Time("/valid_until")),
    ("signalling_expired", Plain("/signalling_expired")),
    ("text", Plain("/text")),
    ("opaque", Plain("/opaque")),
    ("verdict", Plain("/verdict")),
    ("status", Plain("/status")),
    ("rules", Each("/findings", finding)),
    ("basis", Plain("/basis")),
    ("profile", Plain("/profile")),
    ("settings", Plain("/settings")),
    ("register", Plain("/register")),
    ("outcome", Plain("/outcome/outcome")),
    ("outcome_status", Plain("/outcome/status")),
    ("message_id", Plain("/outcome/message_id")),
    ("receipts", Each("/receipts", receipt)),
    ("replies", Each("/replies", reply)),
    ("parts", Each("/parts", part)),
    ("withdrawn", Plain("/withdrawn/outcome")),
    ("receipt_of", Plain("/receipt_of")),
    ("state", Plain("/state")),
    ("taken_rule", Plain("/taken/rule")),
    ("taken_effect", Plain("/taken/effect")),
    ("event", Plain("/event")),
];

/// How a cell begins that a spreadsheet takes for a formula; full-width signs count there as well.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Rows under writing.
pub(in crate::cli) struct CsvRows<W: Write> {
    rows: csv::Writer<W>,
    zone: TimeZone,
}

impl<W: Write> CsvRows<W> {
    /// Begins with the header; a byte-order mark in front of it tells Excel that this is UTF-8.
    pub(in crate::cli) fn new(mut out: W, bom: bool, zone: TimeZone) -> io::Result<Self> {
        if bom {
            out.write_all("\u{feff}".as_bytes())?;
        }
        let mut rows = csv::Writer::from_writer(out);
        rows.write_record(COLUMNS.iter().map(|(name, _)| name)).map_err(plain)?;
        Ok(Self { rows, zone })
    }

    /// A row for something found, as its JSON has it.
    pub(in crate::cli) fn write(&mut self, found: &Value) -> io::Result<()> {
        let zone = &self.zone;
        let cells = COLUMNS.iter().map(|(_, cell)| {
            harmless(match cell {
                Plain(place) => found.pointer(place).map(text).unwrap_or_default(),
                Time(place) => found.pointer(place).map(|at| local(at, zone)).unwrap_or_default(),
                Each("", tell) => tell(found, zone),
                Each(place, tell) => {
                    let each = found.pointer(place).and_then(Value::as_array).into_iter().flatten();
                    each.map(|one| tell(one, zone)).collect::<Vec<_>>().join("; ")
                }
            })
        });
        self.rows.write_record(cells).map_err(plain)
    }

    /// What was written to.
    pub(in crate::cli) fn into_inner(self) -> io::Result<W> {
        self.rows.into_inner().map_err(|error| io::Error::other(error.error().to_string()))
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn local(at: &Value, zone: &TimeZone) -> String {
    let said = text(at);
    said.parse::<Timestamp>()
        .map_or(said, |at| at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string())
}

fn received(found: &Value, zone: &TimeZone) -> String {
    found.get("received").or_else(|| found.get("at")).map(|at| local(at, zone)).unwrap_or_default()
}

fn of(value: &Value, key: &str) -> String {
    value.get(key).map(text).unwrap_or_default()
}

fn finding(value: &Value, _: &TimeZone) -> String {
    format!("{} {}: {}", of(value, "rule"), of(value, "effect"), of(value, "why"))
}

fn receipt(value: &Value, zone: &TimeZone) -> String {
    format!("{} {}", of(value, "state"), received(value, zone)).trim().to_owned()
}

fn reply(value: &Value, zone: &TimeZone) -> String {
    format!("{} {}", received(value, zone), of(value, "text"))
}

fn part(value: &Value, _: &TimeZone) -> String {
    let outcome = value.pointer("/outcome/outcome").map(text).unwrap_or_else(|| of(value, "reported"));
    format!("{} {outcome}", of(value, "number")).trim().to_owned()
}

/// A cell that nothing takes for a formula.
fn harmless(cell: String) -> String {
    if cell.starts_with(FORMULA) { format!("'{cell}") } else { cell }
}

fn plain(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(found: &[Value], bom: bool) -> String {
        let mut rows = CsvRows::new(Vec::new(), bom, TimeZone::fixed(jiff::tz::offset(8))).unwrap();
        found.iter().for_each(|found| rows.write(found).unwrap());
        String::from_utf8(rows.into_inner().unwrap()).unwrap()
    }

    fn cell(csv: &str, column: &str) -> String {
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let at = reader.headers().unwrap().iter().position(|name| name == column).unwrap();
        reader.records().next().unwrap().unwrap().get(at).unwrap().to_owned()
    }

    #[test]
    fn a_message_is_one_row_with_what_became_of_it() {
        let message = json!({
            "kind": "message", "id": "20261124-000000001", "received": "2026-11-24T02:15:00.120Z", "text": "a,\"b\"\nc",
            "findings": [{ "rule": "R05", "effect": "failed", "why": "no name" }, { "rule": "R06", "effect": "alert", "why": "x" }],
            "outcome": { "forwarded": "2026-11-24T02:15:00.130Z", "message_id": "4F" },
            "receipts": [{ "state": "DELIVRD", "received": "2026-11-24T02:15:03Z" }],
            "replies": [{ "received": "2026-11-24T02:16:00Z", "text": "R" }],
        });
        let csv = rows(&[message], false);
        assert_eq!(cell(&csv, "received"), "2026-11-24T10:15:00.120+08:00");
        assert_eq!(cell(&csv, "forwarded"), "2026-11-24T10:15:00.130+08:00");
        assert_eq!(cell(&csv, "text"), "a,\"b\"\nc");
        assert_eq!(cell(&csv, "rules"), "R05 failed: no name; R06 alert: x");
        assert_eq!(cell(&csv, "receipts"), "DELIVRD 2026-11-24T10:15:03.000+08:00");
        assert_eq!(cell(&csv, "replies"), "2026-11-24T10:16:00.000+08:00 R");
        assert_eq!(cell(&csv, "peer"), "");
    }

    #[test]
    fn no_cell_is_a_formula_and_the_mark_comes_first() {
        for text in ["=1+1", "+86", "-1", "@x", "\t=1", "\r=1", "＝1", "＋1", "－1", "＠1"] {
            let csv = rows(&[json!({ "kind": "message", "text": text })], false);
            assert_eq!(cell(&csv, "text"), format!("'{text}"));
        }
        let csv = rows(&[json!({ "text": "a=1" })], true);
        assert!(csv.starts_with('\u{feff}') && csv.contains("a=1") && !csv.contains("'a=1"));
    }
}
