//! Pages of a search: the first so many from a place on, in either direction.
//!
//! Owns the way from candidates to what is shown: entries that match are collected in the order asked for, then
//! each one's subscriber is looked up for what became of it. So a page costs what is on it, however long the
//! journal is. Driven by the search.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::conditions::Conditions;
use super::walk::{A_STRETCH, Walk};
use super::{EvidenceError, Finder, Found, Kind, Query, keyed};
use crate::gate::record::{Kept, Record, entry_id, subscriber_key};
use crate::rules::Rule;
use crate::store::journal::Parts;
use crate::store::{EntryId, Index, Journal, Query as Entries, StoreError};

/// Candidates looked up at a time.
const BATCH: usize = 200;

/// How far from a candidate its answer, its receipts or the message it speaks of are looked for: a message may
/// be scheduled for a month ahead.
const AROUND_MS: i64 = 32 * 24 * 3_600_000;

/// Something that matches by its own record.
struct Candidate {
    id: EntryId,
    at_ms: i64,
    /// What there is to show.
    shows: Shows,
}

enum Shows {
    /// All there is.
    Itself(Box<Found>),
    /// A thing to be joined with what else this subscriber's entries say.
    Of(String),
}

/// Hands over a page; gives the entry it ended with where there may be more.
pub(super) fn page(
    journal: &Journal,
    query: &Query,
    conditions: &Conditions,
    finder: &mut dyn Finder,
) -> Result<Option<EntryId>, EvidenceError> {
    let after: Option<EntryId> = query.after.as_deref().map(str::parse).transpose()?;
    let asked = Entries {
        key: keyed(query).or_else(|| judged(query)),
        since_ms: query.since_ms,
        until_ms: query.until_ms,
        after,
        newest_first: query.newest_first,
        ..Entries::default()
    };
    let mut entries = (1_u64..).zip(read(journal, query, asked)?);
    let (mut left, mut last) = (query.limit, after);
    while left > 0 {
        let mut batch = Vec::new();
        while batch.len() < left.min(BATCH) {
            let Some((count, entry)) = entries.next() else { break };
            let (id, parts) = entry?;
            let kept = Kept::decode(&parts.content, parts.signalling.as_deref())
                .map_err(|error| EvidenceError::Record(id, error))?;
            if count.is_multiple_of(A_STRETCH) && !finder.walked(count, kept.record.at_ms()) {
                return Ok(None);
            }
            last = Some(id);
            batch.extend(candidate(conditions, id, &kept));
        }
        let is_end = batch.len() < left.min(BATCH);
        for found in look_up(journal, query, conditions, batch)? {
            if !finder.found(found) {
                return Ok(None);
            }
            left -= 1;
        }
        if is_end {
            return Ok(None);
        }
    }
    Ok(last)
}

/// An entry, as far as it was read.
type Read = Result<(EntryId, Parts), StoreError>;

/// The entries to look at; their signalling, too, where they are shown by themselves.
fn read(journal: &Journal, query: &Query, asked: Entries) -> Result<Box<dyn Iterator<Item = Read>>, StoreError> {
    if query.sessions || query.kind == Some(Kind::Session) {
        return Ok(Box::new(journal.find_parts(asked)?));
    }
    let unread = |content| Parts { content, signalling: Some(Vec::new()) };
    Ok(Box::new(journal.find(asked)?.map(move |found| found.map(|(id, content)| (id, unread(content))))))
}

/// The index that leads to messages by what was decided of them, where nothing but messages is asked for: what
/// else there is may be found otherwise, and is not in it.
fn judged(query: &Query) -> Option<(Index, Vec<u8>)> {
    let of_replies = [Rule::R23, Rule::R24].map(Rule::id);
    let rule = query.rule.as_ref().filter(|rule| !of_replies.contains(&rule.as_str()));
    let is_of_messages = query.kind.map_or(query.class.is_some(), |kind| kind == Kind::Message);
    if !is_of_messages && rule.is_none() && query.verdict.is_none() {
        return None;
    }
    // The rarest first.
    let refused = query.verdict.as_ref().filter(|verdict| *verdict != "forward");
    let keys = [
        (Index::Rule, rule),
        (Index::Verdict, refused),
        (Index::Sender, query.sender.as_ref()),
        (Index::Provider, query.provider.as_ref()),
    ];
    keys.into_iter().find_map(|(index, key)| Some((index, key?.clone().into_bytes())))
}

/// The same of entries that are known by name.
pub(super) fn page_of(
    journal: &Journal,
    query: &Query,
    conditions: &Conditions,
    (wanted, subscribers): (&HashSet<EntryId>, BTreeSet<String>),
    finder: &mut dyn Finder,
) -> Result<Option<EntryId>, EvidenceError> {
    let after: Option<EntryId> = query.after.as_deref().map(str::parse).transpose()?;
    let walk = Walk::new(journal, query, conditions);
    let mut all = BTreeMap::new();
    for subscriber in subscribers {
        let key = Some((Index::Destination, subscriber.into_bytes()));
        let mut collect = |found: Found| {
            all.extend(found.id().parse::<EntryId>().ok().map(|id| (id, found)));
            true
        };
        walk.run(Entries { key, since_ms: query.since_ms, ..Entries::default() }, Some(wanted), &mut collect)?;
    }
    let mut all: Vec<(EntryId, Found)> = all.into_iter().collect();
    if query.newest_first {
        all.reverse();
    }
    all.retain(|(id, _)| after.is_none_or(|after| if query.newest_first { *id < after } else { *id > after }));
    let more = all.len() > query.limit;
    let mut last = None;
    for (id, found) in all.into_iter().take(query.limit) {
        last = Some(id);
        if !finder.found(found) {
            return Ok(None);
        }
    }
    Ok(last.filter(|_| more))
}

fn candidate(conditions: &Conditions, id: EntryId, kept: &Kept<'_>) -> Option<Candidate> {
    let record = &kept.record;
    let at_ms = record.at_ms();
    if let Record::Taken(taken) = record {
        let of = entry_id(taken.of).filter(|_| conditions.has_taken(taken))?;
        return Some(Candidate { id: of, at_ms, shows: Shows::Of(taken.subscriber.to_string()) });
    }
    let (found, is_asked) = conditions.show(id, kept)?;
    let subscriber = match record {
        Record::Submission(sent) => Some(subscriber_key(sent.msisdn, &sent.destination.addr)),
        Record::Long(long) => Some(subscriber_key(long.submission.msisdn, &long.submission.destination.addr)),
        Record::Delivery(delivery) => Some(subscriber_key(delivery.msisdn, &delivery.source.addr)),
        _ => None,
    };
    let shows =
        subscriber.map_or_else(|| Shows::Itself(Box::new(found)), |subscriber| Shows::Of(subscriber.into_owned()));
    is_asked.then_some(Candidate { id, at_ms, shows })
}

/// What a batch shows, in its order. What proves to be part of something else is left out: that is shown itself.
fn look_up(
    journal: &Journal,
    query: &Query,
    conditions: &Conditions,
    batch: Vec<Candidate>,
) -> Result<Vec<Found>, EvidenceError> {
    // What is joined is not asked for again: the time was the candidates' own.
    let unbounded = Query { until_ms: None, to: None, ..query.clone() };
    let walk = Walk::new(journal, &unbounded, conditions);
    let wanted: HashSet<EntryId> = batch.iter().map(|candidate| candidate.id).collect();
    let mut spans: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for candidate in &batch {
        if let Shows::Of(subscriber) = &candidate.shows {
            let span = spans.entry(subscriber).or_insert((candidate.at_ms, candidate.at_ms));
            *span = (span.0.min(candidate.at_ms), span.1.max(candidate.at_ms));
        }
    }
    let mut known: HashMap<EntryId, Found> = HashMap::new();
    for (subscriber, (from, until)) in spans {
        let entries = Entries {
            key: Some((Index::Destination, subscriber.as_bytes().to_vec())),
            // What was sent before the span is not asked for, and so its receipts stand by themselves.
            since_ms: Some(from.saturating_sub(AROUND_MS).max(query.since_ms.unwrap_or(i64::MIN))),
            until_ms: Some(until.saturating_add(AROUND_MS)),
            ..Entries::default()
        };
        let mut collect = |found: Found| {
            known.extend(found.id().parse::<EntryId>().ok().map(|id| (id, found)));
            true
        };
        walk.run(entries, Some(&wanted), &mut collect)?;
    }
    let shown = batch.into_iter().filter_map(|candidate| match candidate.shows {
        Shows::Itself(found) => Some(*found),
        Shows::Of(_) => known.remove(&candidate.id),
    });
    let shown = shown.filter(|found| match found {
        // By what it was taken for, as far as that is asked.
        Found::Delivery(reply) => conditions.fits(reply),
        _ => true,
    });
    Ok(shown.collect())
}

#[cfg(test)]
mod tests;
