//! One consent or refusal as a CSV row or a JSON line.

use std::collections::HashMap;
use std::io::{self, Write};

use csv::ByteRecord;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::register::Register;
use crate::rules::Msisdn;
use crate::store::consents::{EVIDENCE_OCTETS, Held, NAME_OCTETS, Status};

/// Where each column stands in a file.
pub(super) struct Columns([Option<usize>; NAMES.len()]);

const NAMES: [&str; 8] = ["msisdn", "sender", "category", "status", "at", "method", "evidence", "expires_at"];

/// The columns a row cannot do without.
const REQUIRED: [&str; 4] = ["msisdn", "sender", "status", "at"];

/// The words for each status.
const WORDS: [(&str, Status); 7] = [
    ("consent", Status::Consent),
    ("active", Status::Consent),
    ("granted", Status::Consent),
    ("refusal", Status::Refusal),
    ("refused", Status::Refusal),
    ("withdrawn", Status::Refusal),
    ("revoked", Status::Refusal),
];

impl Columns {
    /// The header line of an export.
    pub(super) const HEADER: &str = "msisdn,sender,category,status,at,method,evidence,expires_at";

    /// Reads a header line; columns may stand in any order.
    pub(super) fn of(header: &ByteRecord) -> Result<Self, String> {
        let places: HashMap<_, _> = header
            .iter()
            .enumerate()
            .map(|(at, name)| (String::from_utf8_lossy(name).trim_start_matches('\u{feff}').trim().to_lowercase(), at))
            .collect();
        if let Some(missing) = REQUIRED.iter().find(|name| !places.contains_key(**name)) {
            return Err(format!("the header has no column {missing:?}: expected {}", Self::HEADER));
        }
        if let Some(unknown) = places.keys().find(|name| !NAMES.contains(&name.as_str())) {
            return Err(format!("column {unknown:?} is unknown: expected {}", Self::HEADER));
        }
        Ok(Self(NAMES.map(|name| places.get(name).copied())))
    }

    fn field<'r>(&self, row: &'r ByteRecord, column: usize) -> Result<&'r str, String> {
        let Some(octets) = self.0[column].and_then(|at| row.get(at)) else { return Ok("") };
        std::str::from_utf8(octets).map(str::trim).map_err(|_| format!("{} is not UTF-8", NAMES[column]))
    }

    /// Reads a row.
    pub(super) fn read(&self, row: &ByteRecord, register: &Register, zone: &TimeZone) -> Result<Held, String> {
        let field = |column| self.field(row, column);
        let msisdn = field(0)?;
        let msisdn = Msisdn::parse(msisdn).ok_or_else(|| format!("msisdn {msisdn:?} is no subscriber's number"))?;
        let sender = field(1)?;
        if register.sender(sender).is_none() {
            return Err(format!("sender {sender:?} is not in the register"));
        }
        let word = field(3)?;
        let status = WORDS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(word))
            .map(|(_, status)| *status)
            .ok_or_else(|| format!("status {word:?} is unknown: expected consent or refusal"))?;
        let at_ms = moment(field(4)?, zone).map_err(|error| format!("at {error}"))?;
        let expires_at_ms = match field(7)? {
            "" => None,
            text => Some(moment(text, zone).map_err(|error| format!("expires_at {error}"))?),
        };
        if expires_at_ms.is_some_and(|end| end <= at_ms) {
            return Err("expires_at is not after at".to_owned());
        }
        let short = |column: usize, most: usize| match field(column)? {
            text if text.len() <= most => Ok(text.to_owned()),
            text => {
                let (name, length) = (NAMES[column], text.len());
                Err(format!("{name} has {length} octets: at most {most} (is a quote not closed?)"))
            }
        };
        Ok(Held {
            msisdn: msisdn.0,
            sender: sender.to_owned(),
            category: short(2, NAME_OCTETS)?,
            status,
            at_ms,
            method: short(5, NAME_OCTETS)?,
            evidence: short(6, EVIDENCE_OCTETS)?,
            expires_at_ms,
            ..Held::default()
        })
    }
}

fn moment(text: &str, zone: &TimeZone) -> Result<i64, String> {
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

fn word(status: Status) -> &'static str {
    match status {
        Status::Consent => "consent",
        Status::Refusal => "refusal",
        Status::HolderChange => "holder-change",
    }
}

pub(super) fn write_csv(out: &mut impl Write, held: &Held) -> io::Result<()> {
    let mut row = csv::WriterBuilder::new().has_headers(false).from_writer(out);
    row.write_record([
        held.msisdn.to_string().as_str(),
        &held.sender,
        &held.category,
        word(held.status),
        &shown(held.at_ms),
        &held.method,
        &held.evidence,
        &held.expires_at_ms.map(shown).unwrap_or_default(),
    ])?;
    row.flush()
}

pub(super) fn write_json(out: &mut impl Write, held: &Held) -> io::Result<()> {
    let row = json!({
        "msisdn": held.msisdn.to_string(),
        "sender": held.sender,
        "category": held.category,
        "status": word(held.status),
        "at": shown(held.at_ms),
        "method": held.method,
        "evidence": held.evidence,
        "expires_at": held.expires_at_ms.map(shown),
    });
    writeln!(out, "{row}")
}
