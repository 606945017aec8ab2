//! One event as a CSV row or a JSON line, both ways.
//!
//! Owns the columns, and the writing of rows in a form that reads back; [`reading`] reads them. Driven by
//! imports, exports and `show`.

pub(super) mod reading;

use std::collections::HashMap;
use std::io::{self, Write};

use csv::ByteRecord;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::cli::showing::Showing;
use crate::rules::Msisdn;
use crate::store::consents::{Held, Status};

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
pub(super) struct Sink<W: Write> {
    out: Out<W>,
    showing: Showing,
}

enum Out<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Json(W),
}

impl<W: Write> Sink<W> {
    /// CSV begins with its header.
    pub(super) fn new(out: W, json: bool, showing: Showing) -> io::Result<Self> {
        if json {
            return Ok(Self { out: Out::Json(out), showing });
        }
        let mut csv = csv::WriterBuilder::new().buffer_capacity(1 << 16).from_writer(out);
        csv.write_record(Column::ALL.map(Column::name)).map_err(plain)?;
        Ok(Self { out: Out::Csv(Box::new(csv)), showing })
    }

    pub(super) fn write(&mut self, held: &Held) -> io::Result<()> {
        let masking = self.showing.of([spelled(held.msisdn)]);
        match &mut self.out {
            Out::Csv(csv) => {
                csv.write_record(fields(held).iter().map(|field| masking.text(field).into_owned())).map_err(plain)
            }
            Out::Json(out) => {
                let mut object = Value::Object(json_of(held));
                masking.value(&mut object);
                writeln!(out, "{object}")
            }
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match &mut self.out {
            Out::Csv(csv) => csv.flush(),
            Out::Json(out) => out.flush(),
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
pub(in crate::cli) fn json_of(held: &Held) -> Map<String, Value> {
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
mod tests;
