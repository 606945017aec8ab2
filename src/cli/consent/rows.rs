//! One event as a CSV row or a JSON line, both ways.
//!
//! Owns the columns and what may stand in each: a row that is read is one the store takes. Refuses
//! what lies in the future, and senders the register does not know. Driven by imports and exports.

use std::collections::HashMap;
use std::io::{self, Write};

use csv::ByteRecord;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::papers::Papers;
use crate::register::Register;
use crate::rules::{Frequency, Msisdn};
use crate::store::Sha256;
use crate::store::consents::{
    ALL_SENDERS_OF, EVIDENCE_OCTETS, Held, NAME_OCTETS, Status, WORDING_OCTETS, all_senders_of,
};

/// How far a clock may be ahead of this one.
pub(super) const AHEAD_MS: i64 = 5 * 60 * 1_000;

/// What may stand in a row; the first eight are those of every file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Column {
    Msisdn,
    Sender,
    Category,
    Status,
    At,
    Method,
    Evidence,
    ExpiresAt,
    Frequency,
    Wording,
    Sha256,
    RecordedBy,
    RecordedAt,
}

impl Column {
    const ALL: [Self; 13] = [
        Self::Msisdn,
        Self::Sender,
        Self::Category,
        Self::Status,
        Self::At,
        Self::Method,
        Self::Evidence,
        Self::ExpiresAt,
        Self::Frequency,
        Self::Wording,
        Self::Sha256,
        Self::RecordedBy,
        Self::RecordedAt,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Msisdn => "msisdn",
            Self::Sender => "sender",
            Self::Category => "category",
            Self::Status => "status",
            Self::At => "at",
            Self::Method => "method",
            Self::Evidence => "evidence",
            Self::ExpiresAt => "expires_at",
            Self::Frequency => "frequency",
            Self::Wording => "wording",
            Self::Sha256 => "sha256",
            Self::RecordedBy => "recorded_by",
            Self::RecordedAt => "recorded_at",
        }
    }

    fn list() -> String {
        Self::ALL.map(Self::name).join(",")
    }
}

/// The words for each status.
const WORDS: [(&str, Status); 9] = [
    ("consent", Status::Consent),
    ("active", Status::Consent),
    ("granted", Status::Consent),
    ("refusal", Status::Refusal),
    ("refused", Status::Refusal),
    ("withdrawn", Status::Refusal),
    ("revoked", Status::Refusal),
    ("holder-change", Status::HolderChange),
    ("recycled", Status::HolderChange),
];

/// Where each column stands in a CSV file.
pub(super) struct Columns([Option<usize>; Column::ALL.len()]);

impl Columns {
    /// Reads a header line; columns may stand in any order.
    pub(super) fn of(header: &ByteRecord, required: &[Column]) -> Result<Self, String> {
        let places: HashMap<_, _> = header
            .iter()
            .enumerate()
            .map(|(at, name)| (String::from_utf8_lossy(name).trim_start_matches('\u{feff}').trim().to_lowercase(), at))
            .collect();
        if let Some(missing) = required.iter().find(|column| !places.contains_key(column.name())) {
            return Err(format!("the header has no column {:?}: expected {}", missing.name(), Column::list()));
        }
        if let Some(unknown) = places.keys().find(|name| Column::ALL.iter().all(|column| column.name() != *name)) {
            return Err(format!("column {unknown:?} is unknown: expected {}", Column::list()));
        }
        Ok(Self(Column::ALL.map(|column| places.get(column.name()).copied())))
    }

    pub(super) fn field<'r>(&self, row: &'r ByteRecord, column: Column) -> Result<&'r str, String> {
        let Some(octets) = self.0[column as usize].and_then(|at| row.get(at)) else { return Ok("") };
        std::str::from_utf8(octets).map(str::trim).map_err(|_| format!("{} is not UTF-8", column.name()))
    }
}

/// The object of a JSON line; keys that are no columns are refused.
pub(super) fn json_row(line: &[u8]) -> Result<Map<String, Value>, String> {
    let row: Map<String, Value> = serde_json::from_slice(line).map_err(|error| format!("no JSON object: {error}"))?;
    match row.keys().find(|key| Column::ALL.iter().all(|column| column.name() != *key)) {
        Some(unknown) => Err(format!("key {unknown:?} is unknown: expected {}", Column::list())),
        None => Ok(row),
    }
}

/// A column of a JSON line; numbers are taken for an msisdn.
pub(super) fn json_field(row: &Map<String, Value>, column: Column) -> Result<String, String> {
    match row.get(column.name()) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.trim().to_owned()),
        Some(Value::Number(number)) if column == Column::Msisdn => Ok(number.to_string()),
        Some(other) => Err(format!("{} is {other}: expected a string", column.name())),
    }
}

/// What a row is read with.
pub(super) struct Reading<'a> {
    pub(super) register: &'a Register,
    pub(super) zone: &'a TimeZone,
    pub(super) now: Timestamp,
    /// Whether it comes from an export, and keeps its arrival and whatever sender it names.
    pub(super) restore: bool,
    /// Whether every row is a change of holder.
    pub(super) recycle: bool,
    /// Who records a row that does not say.
    pub(super) recorder: &'a str,
    /// Where the evidence's files are, if they are to be taken in.
    pub(super) papers: Option<&'a Papers>,
}

impl Reading<'_> {
    /// The columns a file cannot do without.
    pub(super) fn required(&self) -> &'static [Column] {
        match self.recycle {
            true => &[Column::Msisdn],
            false => &[Column::Msisdn, Column::Status, Column::At],
        }
    }

    /// Reads a row, column by column.
    pub(super) fn read<'t, T: AsRef<str> + 't>(
        &self,
        field: impl Fn(Column) -> Result<T, String>,
    ) -> Result<Held, String> {
        let msisdn = field(Column::Msisdn)?;
        let msisdn = Msisdn::parse(msisdn.as_ref())
            .ok_or_else(|| format!("msisdn {:?} is no subscriber's number", msisdn.as_ref()))?;
        let status = self.status(field(Column::Status)?.as_ref())?;
        let sender = self.sender(field(Column::Sender)?.as_ref(), status)?;
        let at_ms = self.at(field(Column::At)?.as_ref())?;
        let expires_at_ms = self.moment(field(Column::ExpiresAt)?.as_ref(), "expires_at")?;
        if expires_at_ms.is_some_and(|end| end <= at_ms) {
            return Err("expires_at is not after at".to_owned());
        }
        let short = |column: Column, most: usize| match field(column)? {
            text if text.as_ref().len() <= most => Ok(text.as_ref().to_owned()),
            text => {
                let (name, length) = (column.name(), text.as_ref().len());
                Err(format!("{name} has {length} octets: at most {most} (is a quote not closed?)"))
            }
        };
        let evidence = short(Column::Evidence, EVIDENCE_OCTETS)?;
        let sha256 = sha256(field(Column::Sha256)?.as_ref())?;
        let sha256 = match self.papers {
            Some(papers) => self.filed(papers, status, &evidence, sha256)?,
            None => sha256,
        };
        let recorded_by = short(Column::RecordedBy, NAME_OCTETS)?;
        Ok(Held {
            msisdn: msisdn.0,
            sender,
            category: short(Column::Category, NAME_OCTETS)?,
            status,
            at_ms,
            method: short(Column::Method, NAME_OCTETS)?,
            evidence,
            expires_at_ms,
            frequency: frequency(field(Column::Frequency)?.as_ref())?,
            wording: short(Column::Wording, WORDING_OCTETS)?,
            sha256,
            recorded_by: if recorded_by.is_empty() { self.recorder.to_owned() } else { recorded_by },
            recorded_at_ms: match self.restore {
                true => self.moment(field(Column::RecordedAt)?.as_ref(), "recorded_at")?,
                false => None,
            },
        })
    }

    /// The hash of the row's file, once it is stored. A refusal and a restored event count without it all the same.
    fn filed(
        &self,
        papers: &Papers,
        status: Status,
        name: &str,
        sha256: Option<Sha256>,
    ) -> Result<Option<Sha256>, String> {
        // The names in an export are those of files elsewhere: it has its files by their hashes.
        let name = if self.restore { "" } else { name };
        match papers.take(name, sha256) {
            Err(_) if self.restore || status != Status::Consent => Ok(sha256),
            taken => taken,
        }
    }

    fn status(&self, word: &str) -> Result<Status, String> {
        if self.recycle && word.is_empty() {
            return Ok(Status::HolderChange);
        }
        let known = WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, status)| *status);
        match known {
            Some(status) if self.recycle && status != Status::HolderChange => {
                Err(format!("status {word:?} is no change of holder"))
            }
            Some(status) => Ok(status),
            None => Err(format!("status {word:?} is unknown: expected consent, refusal or holder-change")),
        }
    }

    fn sender(&self, name: &str, status: Status) -> Result<String, String> {
        if status == Status::HolderChange {
            return match name {
                "" => Ok(String::new()),
                _ => Err(format!("sender {name:?}: a change of holder is no sender's")),
            };
        }
        if self.restore && !name.is_empty() {
            // Evidence outlives the register's entry.
            return Ok(name.to_owned());
        }
        sender(self.register, name, status)
    }

    fn at(&self, text: &str) -> Result<i64, String> {
        let now = self.now.as_millisecond();
        let at_ms = match self.moment(text, "at")? {
            Some(at_ms) => at_ms,
            None if self.recycle => now,
            None => return Err("at is missing: when it was said".to_owned()),
        };
        if at_ms > now + AHEAD_MS {
            return Err(format!("at {text:?} is in the future: nobody can have said it yet"));
        }
        Ok(at_ms)
    }

    fn moment(&self, text: &str, name: &str) -> Result<Option<i64>, String> {
        match text {
            "" => Ok(None),
            text => moment(text, self.zone).map(Some).map_err(|error| format!("{name} {error}")),
        }
    }
}

/// The sender a name stands for: one of the register by its present id, or all of a provider's.
pub(super) fn sender(register: &Register, name: &str, status: Status) -> Result<String, String> {
    if let Some(sender) = register.sender(name) {
        return Ok(sender.id.clone());
    }
    match name.strip_prefix(ALL_SENDERS_OF).map(|account| register.provider(account)) {
        None => Err(format!("sender {name:?} is not in the register")),
        Some(None) => Err(format!("sender {name:?}: the provider is not in the register")),
        Some(Some(_)) if status == Status::Consent => {
            Err(format!("sender {name:?}: a consent is given to one sender, not to all of a provider's"))
        }
        Some(Some(provider)) => Ok(all_senders_of(&provider.system_id)),
    }
}

/// A frequency in the spelling that is kept.
pub(super) fn frequency(text: &str) -> Result<String, String> {
    match text {
        "" => Ok(String::new()),
        text => Frequency::parse(text)
            .map(|frequency| frequency.to_string())
            .ok_or_else(|| format!("frequency {text:?} is none: expected 4/month, 1/week, 1/day and the like")),
    }
}

fn sha256(text: &str) -> Result<Option<Sha256>, String> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|error| format!("sha256 {text:?} {error}")),
    }
}

/// A time with its offset, or a day.
pub(super) fn moment(text: &str, zone: &TimeZone) -> Result<i64, String> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp.as_millisecond());
    }
    text.parse::<Date>()
        .and_then(|day| day.to_zoned_datetime(zone.clone()))
        .map(|day| day.timestamp().as_millisecond())
        .map_err(|_| format!("{text:?} is no time: expected 2026-11-23T10:15:00+08:00 or 2026-11-23"))
}

fn shown(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| at.to_string())
}

/// The word for a status.
pub(super) const fn word(status: Status) -> &'static str {
    match status {
        Status::Consent => "consent",
        Status::Refusal => "refusal",
        Status::HolderChange => "holder-change",
    }
}

/// A number as it reads back: with a plus where bare digits would be taken for another.
pub(super) fn spelled(msisdn: u64) -> String {
    let bare = msisdn.to_string();
    if Msisdn::parse(&bare) == Some(Msisdn(msisdn)) { bare } else { format!("+{bare}") }
}

fn fields(held: &Held) -> [String; Column::ALL.len()] {
    [
        spelled(held.msisdn),
        held.sender.clone(),
        held.category.clone(),
        word(held.status).to_owned(),
        shown(held.at_ms),
        held.method.clone(),
        held.evidence.clone(),
        held.expires_at_ms.map(shown).unwrap_or_default(),
        held.frequency.clone(),
        held.wording.clone(),
        held.sha256.map(|sha256| sha256.to_string()).unwrap_or_default(),
        held.recorded_by.clone(),
        held.recorded_at_ms.map(shown).unwrap_or_default(),
    ]
}

/// Where events are written, one a row or a line.
pub(super) enum Sink<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Json(W),
}

impl<W: Write> Sink<W> {
    /// CSV begins with its header.
    pub(super) fn new(out: W, json: bool) -> io::Result<Self> {
        if json {
            return Ok(Self::Json(out));
        }
        let mut csv = csv::WriterBuilder::new().buffer_capacity(1 << 16).from_writer(out);
        csv.write_record(Column::ALL.map(Column::name)).map_err(plain)?;
        Ok(Self::Csv(Box::new(csv)))
    }

    pub(super) fn write(&mut self, held: &Held) -> io::Result<()> {
        match self {
            Self::Csv(csv) => csv.write_record(fields(held)).map_err(plain),
            Self::Json(out) => writeln!(out, "{}", Value::Object(json_of(held))),
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Csv(csv) => csv.flush(),
            Self::Json(out) => out.flush(),
        }
    }
}

/// The error of the file underneath, so that a reader who has seen enough is told as one.
fn plain(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// The object of a JSON line; what the further columns do not say is left out.
pub(super) fn json_of(held: &Held) -> Map<String, Value> {
    let mut row = Map::new();
    for (column, text) in Column::ALL.into_iter().zip(fields(held)) {
        let is_further = column as usize >= Column::Frequency as usize;
        let value = match column {
            Column::ExpiresAt if text.is_empty() => Value::Null,
            _ if is_further && text.is_empty() => continue,
            _ => Value::String(text),
        };
        row.insert(column.name().to_owned(), value);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut sink = Sink::new(Vec::new(), true).unwrap();
        sink.write(&held).unwrap();
        let Sink::Json(line) = sink else { panic!("JSON") };
        assert_eq!(read(std::str::from_utf8(&line).unwrap()), Ok(held));
    }
}
