//! Senders, categories, methods, frequencies and the arrivals of imports by small numbers.
//!
//! Owns the numbering, in memory and as rows. A number is never given twice, since its row is on
//! disk before anything uses it. Refuses more names than a register can sensibly have. Driven by
//! the ledger.

use std::collections::HashMap;
use std::sync::Arc;

use super::item::Arrival;
use crate::store::StoreError;
use crate::store::engine::{Engine, EngineError, Fault};

/// The tag of name rows: `N` kind(1) number(4).
const NAME: u8 = b'N';

/// Most names of one kind.
const NAMES: usize = 1 << 20;

/// Longest name of a sender, category or method, in octets.
pub const NAME_OCTETS: usize = 256;

/// What is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Sender,
    Category,
    Method,
    Frequency,
    /// A moment, as a decimal number of milliseconds, at which very many events were recorded.
    Arrival,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Sender, Self::Category, Self::Method, Self::Frequency, Self::Arrival];

    fn tag(self) -> u8 {
        match self {
            Self::Sender => b's',
            Self::Category => b'c',
            Self::Method => b'm',
            Self::Frequency => b'f',
            Self::Arrival => b'a',
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    numbers: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

/// All names.
#[derive(Debug, Default)]
pub(super) struct Names {
    tables: [Table; 5],
    /// The numbers of [`super::all_senders_of`], by the provider's account.
    providers: HashMap<Arc<str>, u32>,
}

impl Names {
    pub(super) fn load(engine: &dyn Engine) -> Result<Self, EngineError> {
        let mut names = Self::default();
        for kind in Kind::ALL {
            let mut gap = false;
            engine.scan(&[NAME, kind.tag()], &[NAME, kind.tag() + 1], &mut |key, name| {
                gap |= key.get(2..) != Some(&names.table(kind).next().to_be_bytes());
                names.enter(kind, &String::from_utf8_lossy(name));
                true
            })?;
            if gap {
                // Numbers would mean other names than when they were written.
                return Err(EngineError { fault: Fault::Broken, what: format!("{kind:?} names are missing") });
            }
        }
        Ok(names)
    }

    pub(super) fn number(&self, kind: Kind, name: &str) -> Option<u32> {
        self.table(kind).numbers.get(name).copied()
    }

    /// The number of what was said to all senders of a provider.
    pub(super) fn provider(&self, account: &str) -> Option<u32> {
        self.providers.get(account).copied()
    }

    pub(super) fn name(&self, kind: Kind, number: u32) -> Option<&Arc<str>> {
        self.table(kind).names.get(usize::try_from(number).ok()?)
    }

    /// When events were recorded; not known of those from before that was kept.
    pub(super) fn arrival(&self, arrival: Arrival) -> Option<i64> {
        match arrival {
            Arrival::Unknown => None,
            Arrival::At(at_ms) => Some(at_ms),
            Arrival::Batch(number) => self.name(Kind::Arrival, number)?.parse().ok(),
        }
    }

    /// All of them, those of a kind in the order of their numbers.
    pub(super) fn all(&self) -> impl Iterator<Item = (Kind, &str)> {
        Kind::ALL.into_iter().flat_map(|kind| self.table(kind).names.iter().map(move |name| (kind, &**name)))
    }

    /// Whether there may be one more.
    pub(super) fn check_room(&self, kind: Kind) -> Result<(), StoreError> {
        match self.table(kind).names.len() < NAMES {
            true => Ok(()),
            false => Err(StoreError::Limit { what: "too many senders, categories or methods", limit: NAMES }),
        }
    }

    /// Numbers a new name and puts its row.
    pub(super) fn add(&mut self, kind: Kind, name: &str, engine: &dyn Engine) -> Result<u32, EngineError> {
        let number = self.table(kind).next();
        let [a, b, c, d] = number.to_be_bytes();
        engine.put(&[NAME, kind.tag(), a, b, c, d], name.as_bytes())?;
        self.enter(kind, name);
        Ok(number)
    }

    fn enter(&mut self, kind: Kind, name: &str) {
        let number = self.table(kind).next();
        if let (Kind::Sender, Some(account)) = (kind, name.strip_prefix(super::ALL_SENDERS_OF)) {
            self.providers.insert(account.into(), number);
        }
        self.table_mut(kind).add(name);
    }

    fn table(&self, kind: Kind) -> &Table {
        let [senders, categories, methods, frequencies, arrivals] = &self.tables;
        match kind {
            Kind::Sender => senders,
            Kind::Category => categories,
            Kind::Method => methods,
            Kind::Frequency => frequencies,
            Kind::Arrival => arrivals,
        }
    }

    fn table_mut(&mut self, kind: Kind) -> &mut Table {
        let [senders, categories, methods, frequencies, arrivals] = &mut self.tables;
        match kind {
            Kind::Sender => senders,
            Kind::Category => categories,
            Kind::Method => methods,
            Kind::Frequency => frequencies,
            Kind::Arrival => arrivals,
        }
    }
}

impl Table {
    fn next(&self) -> u32 {
        u32::try_from(self.names.len()).unwrap_or(u32::MAX)
    }

    fn add(&mut self, name: &str) {
        let name: Arc<str> = name.into();
        self.numbers.insert(Arc::clone(&name), self.next());
        self.names.push(name);
    }
}
