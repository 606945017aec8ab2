//! Whoever asks: who that is, and what they said they would read.
//!
//! Owns the record of readings for one conversation, or for one command on the store itself. A command says once
//! what it reads; what is read without that is recorded request by request, as of whole numbers, for that is what
//! leaves. Refuses to know what is read. Driven by [`super::api::Books`].

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::api::Request;
use crate::gate::readings::{self, Begun, Reading};
use crate::store::{EntryId, Journal};

/// One who asks.
#[derive(Debug)]
pub struct Asker {
    who: String,
    declared: Mutex<Option<Declared>>,
}

/// A reading that has begun.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    reading: Reading,
    id: Option<EntryId>,
}

impl Asker {
    /// The user with this number, as the system vouches for it.
    pub fn user(uid: u32) -> Self {
        Self { who: user(uid), declared: Mutex::default() }
    }

    /// The user whose process this is.
    pub fn own() -> Self {
        Self::user(rustix::process::getuid().as_raw())
    }

    /// Its name and number.
    pub fn who(&self) -> &str {
        &self.who
    }

    /// Records what a request reads, before it is answered: the reading that ends with the answer, where the
    /// request is one by itself, and what is to be said of it.
    pub(super) fn admit(
        &self,
        journal: &Journal,
        request: &Request,
        now_ms: i64,
    ) -> Result<(Option<Declared>, Option<String>), String> {
        match request {
            Request::Reading(reading) => {
                let (begun, warning) = self.begin(journal, reading.clone(), now_ms)?;
                *self.declared() = Some(begun);
                Ok((None, warning))
            }
            Request::Read(results) => {
                if let Some(begun) = self.declared().take() {
                    self.end(journal, &begun, *results, now_ms);
                }
                Ok((None, None))
            }
            _ if self.declared().is_some() => Ok((None, None)),
            _ => match implied(request) {
                None => Ok((None, None)),
                Some(reading) => self.begin(journal, reading, now_ms).map(|(begun, warning)| (Some(begun), warning)),
            },
        }
    }

    /// Records how many results a reading gave.
    pub(super) fn end(&self, journal: &Journal, begun: &Declared, results: u64, now_ms: i64) {
        readings::end(journal, &self.who, &begun.reading, begun.id, results, now_ms);
    }

    fn begin(&self, journal: &Journal, reading: Reading, now_ms: i64) -> Result<(Declared, Option<String>), String> {
        match readings::begin(journal, &self.who, &reading, now_ms).map_err(|refused| refused.to_string())? {
            Begun::Recorded(id) => Ok((Declared { reading, id: Some(id) }, None)),
            Begun::Unrecorded(why) => Ok((Declared { reading, id: None }, Some(why))),
        }
    }

    fn declared(&self) -> MutexGuard<'_, Option<Declared>> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request reads by itself. Verifying is none: it shows nothing, and must not write to what it
/// verifies. Whoever speaks to the socket without saying what for gets whole numbers.
fn implied(request: &Request) -> Option<Reading> {
    let read = |what: &str| Some(Reading::new(&format!("socket: {what}"), true));
    match request {
        Request::Find(query) | Request::Extract(query) => Some(
            read("find")?
                .about("to", query.to.as_deref())
                .with("from", query.from.as_ref())
                .with("provider", query.provider.as_ref())
                .with("message_id", query.message_id.as_ref())
                .with("sender", query.sender.as_ref())
                .with("port", query.port.as_ref())
                .with("text", query.text.as_ref()),
        ),
        Request::Show(msisdn) => Some(read("show")?.about("", Some(&msisdn.to_string()))),
        Request::History(msisdn) => Some(read("history")?.about("", Some(&msisdn.to_string()))),
        Request::Entry(id) => Some(read("entry")?.with("", Some(id))),
        Request::Entries(page) => Some(read("entries")?.with("after", page.after.as_ref())),
        Request::Export => read("export"),
        Request::ExportHistory => read("export-history"),
        Request::Complaints(_) => read("complaints"),
        Request::ComplaintStep(stride) => Some(read("complaint step")?.with("", Some(&stride.of))),
        Request::LiftHold(id, _) => Some(read("hold lift")?.with("", Some(id))),
        Request::Holds => read("holds"),
        Request::Readings(query) => Some(read("readings")?.about("to", query.to.as_deref())),
        _ => None,
    }
}

/// A user's name and number; the number alone where the system has no name for it here.
fn user(uid: u32) -> String {
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then(|| format!("{name} (uid {uid})"))
    });
    named.unwrap_or_else(|| format!("uid {uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_known_by_name_where_there_is_one_and_by_number() {
        assert_eq!(user(0), "root (uid 0)");
        assert_eq!(user(4_000_000_000), "uid 4000000000");
    }
}
