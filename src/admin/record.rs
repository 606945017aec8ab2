//! What the socket changes, as records of it.
//!
//! Owns which facts of a consent, an import or an order are kept beside who gave the command. Refuses to write:
//! [`crate::gate::changes`] does.

use jiff::Timestamp;

use super::api::Imported;
use crate::gate::measures::Order;
use crate::gate::record::Change;
use crate::store::consents::{Held, Status};

/// A consent or refusal that was taken in.
pub(super) fn consented<'a>(row: &'a Held, who: &'a str, at_ms: i64) -> Change<'a> {
    let what = match row.status {
        Status::Consent => "grant",
        Status::Refusal => "refuse",
        Status::HolderChange => "recycle",
    };
    Change::new(at_ms, what, who, &row.sender)
        .of(row.msisdn.to_string())
        .with("category", row.category.as_str())
        .with("at", moment(row.at_ms))
        .with("expires-at", row.expires_at_ms.map(moment).unwrap_or_default())
        .with("method", row.method.as_str())
        .with("evidence", row.evidence.as_str())
        .with("sha256", row.sha256.map(|sha256| sha256.to_string()).unwrap_or_default())
}

/// The beginning of an import, or its end.
pub(super) fn imported<'a>(import: &'a Imported, who: &'a str, at_ms: i64) -> Change<'a> {
    let change = Change::new(at_ms, &import.what, who, &import.file);
    let change = match import.from_line {
        0 => change,
        line => change.with("from-line", line.to_string()),
    };
    let Some(sha256) = &import.sha256 else { return change.ending("begun") };
    let names = ["rows", "changed", "unchanged", "superseded", "faulty"];
    let counted = names.into_iter().zip(import.rows);
    counted.fold(change.with("sha256", sha256.as_str()), |change, (name, count)| change.with(name, count.to_string()))
}

/// An operator's order.
pub(super) fn ordered<'a>(order: &'a Order, who: &'a str, at_ms: i64) -> Change<'a> {
    Change::new(at_ms, "measure", who, &order.name)
        .with("kind", order.kind.name())
        .with("step", if order.suspend.is_some() { "suspend" } else { "resume" })
        .with("reason", order.reason.as_str())
}

fn moment(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).map_or_else(|_| at_ms.to_string(), |at| at.to_string())
}
