//! How a journal is kept.
//!
//! Owns what whoever opens it may choose, and what holds where nothing is chosen. Refuses to check it: the
//! configuration does. Driven by the gate.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::store::engine::{Engines, Sled};
use crate::store::keys::Keys;

/// How the journal is kept.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// `None` commits as soon as there is an entry; `Some` at most this often.
    pub interval: Option<Duration>,
    /// Whose midnight ends a day.
    pub time_zone: TimeZone,
    /// Most entries accepted and not yet durable.
    pub spool_entries: usize,
    /// Most octets of them.
    pub spool_bytes: usize,
    /// Memory for the cache of the day being written, in octets.
    pub cache_bytes: u64,
    /// What it is sealed with; without, keys of its own in its folder.
    pub keys: Option<Keys>,
    /// Where the signed heads of its days are kept; without, in its folder.
    pub heads: Option<PathBuf>,
    /// Octets a second at which a day is rewritten of which a part has expired; `None` is as fast as it goes.
    pub rewritten_per_second: Option<u64>,
    /// The engine underneath.
    pub engines: Arc<dyn Engines>,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            interval: None,
            time_zone: TimeZone::get("Asia/Shanghai").unwrap_or(TimeZone::fixed(jiff::tz::offset(8))),
            spool_entries: 1 << 20,
            spool_bytes: 256 << 20,
            cache_bytes: 32 << 20,
            keys: None,
            heads: None,
            rewritten_per_second: None,
            engines: Arc::new(Sled),
        }
    }
}
