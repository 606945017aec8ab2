//! Consent requests that nobody answers: silence is recorded as a refusal when the window ends (R12).
//!
//! Owns the walk along the requests of the journal, in their order, as their windows end; nothing is kept in
//! memory but the place. Refuses to let silence end a consent that stands: it says no to what was asked, and
//! is dated at the request, so that a yes given meanwhile outweighs it however late it is heard of.
//! Driven by the gate's chores; a restart begins after the last silence recorded.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::record::{ASKED, Asked, Record, SILENCE, Silence as Silent, entry_id, name};
use super::replies::port_of;
use super::{Gate, facts};
use crate::rules::{Mode, Rule};
use crate::store::consents::{Category, Status, Towards};
use crate::store::{EntryId, Event, Index, Query, StoreError};

/// How the refusal came about.
pub(super) const METHOD: &str = "silence";

/// Who writes it down.
const RECORDED_BY: &str = "gate";

/// Requests decided on at a time.
const BATCH: usize = 256;

/// Requests that a gate which was down looks back for, beyond the window they had.
const DOWN_AT_MOST: SignedDuration = SignedDuration::from_hours(31 * 24);

/// How far the walk has come.
#[derive(Debug, Default)]
pub(super) struct Silence {
    place: Mutex<Place>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// The last request decided on, and when it was.
    after: Option<(EntryId, i64)>,
    /// When the next window ends; none where no request waits.
    due: Option<Timestamp>,
}

/// A request that nobody answered.
struct Unanswered {
    id: EntryId,
    asked: Asked<'static>,
    effect: &'static str,
}

impl Silence {
    /// A request went out.
    pub(super) fn expect(&self, until: Timestamp) {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        place.due = Some(place.due.map_or(until, |due| due.min(until)));
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.get().due.is_some_and(|due| due <= now)
    }

    fn get(&self) -> Place {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn move_on(&self, change: impl FnOnce(&mut Place)) {
        change(&mut self.place.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Gate {
    /// Finds the place where the process before has stopped.
    pub(super) fn resume_silence(&self, now: Timestamp) -> Result<(), StoreError> {
        let back = self.profile.replies.request_window.saturating_add(DOWN_AT_MOST);
        let since = now.saturating_sub(back).unwrap_or(Timestamp::MIN);
        let last = Query { newest_first: true, limit: 1, ..keyed(SILENCE, since.as_millisecond()) };
        let mut after = None;
        for entry in self.journal.find(last)? {
            let (_, payload) = entry?;
            if let Ok(Record::Silence(silence)) = Record::decode(&payload) {
                after = entry_id(silence.of).map(|of| (of, silence.asked_ms));
            }
        }
        // Due at once: whether anything is, the first walk finds out.
        self.silence.move_on(|place| *place = Place { after, due: Some(now) });
        Ok(())
    }

    /// Decides on the requests whose window has ended.
    pub(super) fn hear_silence(&self, now: Timestamp) -> Result<(), StoreError> {
        let place = self.silence.get();
        let back = self.profile.replies.request_window.saturating_add(DOWN_AT_MOST);
        let since = now.saturating_sub(back).unwrap_or(Timestamp::MIN).as_millisecond();
        let since = place.after.map_or(since, |(_, at_ms)| at_ms);
        // A request that goes out from here on sets the time anew.
        self.silence.move_on(|place| place.due = None);
        let walked = self.walk_requests(Query { after: place.after.map(|(id, _)| id), ..keyed(ASKED, since) }, now);
        if let Err(error) = walked {
            self.silence.expect(now);
            return Err(error);
        }
        Ok(())
    }

    fn walk_requests(&self, query: Query, now: Timestamp) -> Result<(), StoreError> {
        let mut batch = Vec::new();
        for entry in self.journal.find(query)? {
            let (id, payload) = entry?;
            let Ok(Record::Asked(asked)) = Record::decode(&payload) else { continue };
            if asked.until_ms > now.as_millisecond() {
                self.silence.expect(Timestamp::from_millisecond(asked.until_ms).unwrap_or(now));
                break;
            }
            batch.push((id, owned(asked)));
            if batch.len() >= BATCH {
                self.decide_on_silence(std::mem::take(&mut batch), now)?;
            }
        }
        self.decide_on_silence(batch, now)
    }

    fn decide_on_silence(&self, batch: Vec<(EntryId, Asked<'static>)>, now: Timestamp) -> Result<(), StoreError> {
        let Some(last) = batch.last().map(|(id, asked)| (*id, asked.at_ms)) else { return Ok(()) };
        let mut silent = Vec::new();
        for (id, asked) in batch {
            if let Some(effect) = self.effect_of_silence(&asked, now)? {
                silent.push(Unanswered { id, asked, effect });
            }
        }
        self.refuse_silently(&silent)?;
        for Unanswered { id, asked, effect } in silent {
            let record = Record::Silence(Silent {
                at_ms: now.as_millisecond(),
                subscriber: asked.subscriber,
                port: asked.port,
                of: name(id),
                asked_ms: asked.at_ms,
                sender: asked.sender,
                effect: effect.into(),
            });
            if let Err(error) = self.journal.append(record.encode(Vec::new())) {
                tracing::error!(%error, request = %id, "that nobody answered a request is stored but not recorded");
            }
        }
        self.silence.move_on(|place| place.after = Some(last));
        Ok(())
    }

    /// What the silence comes to; `None` where it was none.
    fn effect_of_silence(&self, asked: &Asked<'_>, now: Timestamp) -> Result<Option<&'static str>, StoreError> {
        let register = self.register.load();
        let (port, class) = port_of(&register, &asked.port);
        let provider = port.and_then(|port| register.provider_of(port.number.as_bytes()));
        let account = provider.map(|provider| provider.system_id.as_str());
        let unknown = Towards { sender: &asked.sender, former: &[], provider: account };
        let towards = register.sender(&asked.sender).map_or(unknown, |sender| facts::towards(sender, account));
        let standing = self.consents.standing(towards, asked.msisdn, now.as_millisecond())?;
        if standing.refused_at_ms.is_some() {
            return Ok(None);
        }
        let stands = |category: &&Category| {
            category.status == Status::Consent && category.expires_at_ms.is_none_or(|end| end > now.as_millisecond())
        };
        let mut standing = standing.categories.iter().filter(stands).peekable();
        if standing.peek().is_some() {
            let is_answer = |category: &Category| category.at_ms >= asked.at_ms && *category.name == *asked.category;
            return Ok(if standing.any(is_answer) { None } else { Some("recorded") });
        }
        Ok(match self.profile.mode_set(Rule::R12, class, provider) {
            Mode::Off => None,
            Mode::Observe => Some("observed"),
            Mode::Enforce => Some("refused"),
        })
    }

    fn refuse_silently(&self, silent: &[Unanswered]) -> Result<(), StoreError> {
        let refused = || silent.iter().filter(|silent| silent.effect == "refused");
        let end = |ms| Timestamp::from_millisecond(ms).unwrap_or_default();
        let proofs: Vec<String> = refused()
            .map(|silent| {
                let request = entry_id(silent.asked.of).map(|of| of.to_string()).unwrap_or_default();
                format!("no answer to request {request} until {}", end(silent.asked.until_ms))
            })
            .collect();
        let events: Vec<Event<'_>> = refused()
            .zip(&proofs)
            .map(|(silent, proof)| Event {
                msisdn: silent.asked.msisdn,
                sender: &silent.asked.sender,
                category: &silent.asked.category,
                status: Status::Refusal,
                at_ms: silent.asked.at_ms,
                method: METHOD,
                evidence: proof,
                recorded_by: RECORDED_BY,
                ..Event::default()
            })
            .collect();
        if events.is_empty() {
            return Ok(());
        }
        self.consents.apply(&events)?;
        tracing::info!(refusals = events.len(), "consent requests that nobody answered are recorded as refusals");
        Ok(())
    }
}

fn keyed(kind: &[u8], since_ms: i64) -> Query {
    Query { key: Some((Index::Source, kind.to_vec())), since_ms: Some(since_ms), ..Query::default() }
}

fn owned(asked: Asked<'_>) -> Asked<'static> {
    Asked {
        subscriber: asked.subscriber.into_owned().into(),
        port: asked.port.into_owned().into(),
        sender: asked.sender.into_owned().into(),
        category: asked.category.into_owned().into(),
        at_ms: asked.at_ms,
        of: asked.of,
        msisdn: asked.msisdn,
        until_ms: asked.until_ms,
    }
}
