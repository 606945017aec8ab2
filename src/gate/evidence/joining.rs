//! Joining what was found: a message with its outcome and receipts, a reply with its meaning.
//!
//! Owns which receipt is whose: its message id in one of the forms carriers use *and* the same two
//! addresses; where two messages fit by different forms and nothing tells which form the carrier
//! uses, it is nobody's and stands by itself. Bounded. Driven by a search, entry by entry.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::conditions::Conditions;
use super::found::{Found, FoundMessage, FoundOutcome, FoundReceipt, FoundReply, FoundTaken, FoundWithdrawal};
use crate::config::MessageIdForm;
use crate::gate::message_id::Key;
use crate::gate::record::{Delivery, Name, Outcome, Record, Taken, entry_id, name, port_key, subscriber_key};
use crate::store::EntryId;

/// Found things kept for what may come, once the oldest one's outcome is known.
const HELD: usize = 10_000;

/// The same while it is not: what the busiest gate takes in while a carrier is at its slowest.
const HELD_UNTOLD: usize = 500_000;

/// Things kept that nobody asked for: receipts that wait for an answer, replies that wait for their meaning.
const BESIDE: usize = 10_000;

/// Ways of messages let go that are remembered: some 80 megabytes.
const WAYS: usize = 5_000_000;

/// A subscriber and a port.
type Way = (String, String);

/// What a record has to do with what is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Joined {
    /// It speaks of nothing else: it is to be shown by itself, if at all.
    No,
    /// It speaks of something that is not kept.
    Nothing,
    /// It speaks of something that is: of what has this place.
    To(usize),
}

/// What was found and may still learn more; the oldest go when there are many.
pub(super) struct Joining {
    form: MessageIdForm,
    held: BTreeMap<usize, Held>,
    /// The place of what comes next.
    next: usize,
    /// The places of what was asked for, and of the messages it may speak of.
    main: BTreeSet<usize>,
    /// The places of the rest, which pushes out nothing of that.
    beside: BTreeSet<usize>,
    /// The ways that wanted messages went which were let go: what comes back then finds nobody here.
    gone: HashSet<u64>,
    /// Whether the entries of what is wanted are wanted, too.
    entries: bool,
    /// Those of them that are due.
    owed: Vec<EntryId>,
    places: HashMap<EntryId, usize>,
    /// The message an acknowledged part belongs to.
    parts: HashMap<Name, usize>,
    by_key: HashMap<Key, Vec<usize>>,
    /// The last message that went to a subscriber from a port: what a reply answers.
    last: HashMap<Way, usize>,
    /// Receipts that came before their message's answer, by subscriber.
    early: HashMap<String, Vec<Early>>,
    /// How many receipts were joined by each form alone.
    seen: HashMap<MessageIdForm, usize>,
}

struct Held {
    /// Nothing once a receipt has found its message.
    found: Option<Found>,
    /// Asked for, and not only kept to be joined.
    is_wanted: bool,
    /// Whose early receipt it is.
    early_of: Option<String>,
    /// The message that a reply answers.
    reply_to: Option<usize>,
    /// Of after the time asked for: it may be joined, and never becomes wanted.
    is_past: bool,
    /// The entries that belong to it and were not wanted so far.
    untold: Vec<EntryId>,
}

struct Early {
    place: usize,
    receipt: FoundReceipt,
    of: Of,
}

/// What a receipt says about its message.
#[derive(Clone)]
struct Of {
    message_id: String,
    subscriber: String,
    port: String,
}

impl Joining {
    pub(super) fn new(form: MessageIdForm, entries: bool) -> Self {
        Self {
            form,
            held: BTreeMap::new(),
            next: 0,
            main: BTreeSet::new(),
            beside: BTreeSet::new(),
            gone: HashSet::new(),
            entries,
            owed: Vec::new(),
            places: HashMap::new(),
            parts: HashMap::new(),
            by_key: HashMap::new(),
            last: HashMap::new(),
            early: HashMap::new(),
            seen: HashMap::new(),
        }
    }

    /// Adds what was found, wanted or not, in the time asked for or after it; gives the one that has to go for it.
    pub(super) fn hold(
        &mut self,
        id: EntryId,
        found: Found,
        record: &Record<'_>,
        (is_wanted, is_past): (bool, bool),
    ) -> Option<Found> {
        let place = self.next;
        self.next += 1;
        self.places.insert(id, place);
        let mut untold = Vec::new();
        if let Record::Long(long) = record {
            let parts = || long.parts.iter().filter_map(|part| part.acknowledged);
            self.parts.extend(parts().map(|part| (part, place)));
            untold.extend(parts().filter_map(entry_id).filter(|part| self.entries && *part != id));
        }
        if let Found::Message(message) = &found
            && message.verdict == "forward"
        {
            self.last.insert(way_of(message), place);
        }
        let (mut early_of, mut reply_to) = (None, None);
        if let Record::Delivery(delivery) = record {
            if let Some(of) = Of::read(delivery) {
                early_of = Some(of.subscriber.clone());
                let early = Early { place, receipt: FoundReceipt::new(delivery), of };
                self.early.entry(early.of.subscriber.clone()).or_default().push(early);
            } else if delivery.receipt.is_none() {
                reply_to = self.answers(FoundReply::new(id, delivery), delivery);
            }
        }
        let is_beside = !is_wanted && (is_past || matches!(record, Record::Delivery(_)));
        if is_beside { &mut self.beside } else { &mut self.main }.insert(place);
        self.held.insert(place, Held { found: Some(found), is_wanted, early_of, reply_to, is_past, untold });
        self.note(place, id);
        self.make_room()
    }

    /// What has to go; the oldest of what is wanted takes what is older than itself along, so that order is kept.
    fn make_room(&mut self) -> Option<Found> {
        if self.beside.len() > BESIDE
            && let Some(place) = self.beside.pop_first()
        {
            self.let_go(place);
        }
        let is_told = self.main.first().and_then(|first| self.held.get(first)).is_some_and(Held::is_told);
        if self.main.len() <= if is_told { HELD } else { HELD_UNTOLD } {
            return None;
        }
        let place = self.main.pop_first()?;
        while let Some(older) = self.beside.first().copied().filter(|older| *older < place) {
            self.beside.remove(&older);
            self.let_go(older);
        }
        let found = self.let_go(place)?;
        if let Found::Message(message) = &found {
            self.gone.insert(hashed(&way_of(message)));
        }
        Some(found)
    }

    /// Whether this came back the way that a wanted message went which was let go.
    pub(super) fn is_of_gone(&self, delivery: &Delivery<'_>) -> bool {
        if self.gone.is_empty() {
            return false;
        }
        let subscriber = subscriber_key(delivery.msisdn, &delivery.source.addr).into_owned();
        self.gone.contains(&hashed(&(subscriber, port_key(&delivery.destination.addr).to_owned())))
    }

    /// Whether more messages were let go than can be remembered.
    pub(super) fn is_full(&self) -> bool {
        self.gone.len() > WAYS
    }

    /// Remembers an entry of what has this place: it is due when that is wanted.
    pub(super) fn note(&mut self, place: usize, entry: EntryId) {
        if !self.entries {
            return;
        }
        if let Some(held) = self.held.get_mut(&place) {
            held.untold.push(entry);
        }
        self.settle(place);
    }

    /// The entries that are due by now.
    pub(super) fn owed(&mut self) -> Vec<EntryId> {
        std::mem::take(&mut self.owed)
    }

    fn settle(&mut self, place: usize) {
        let reply_to = self.held.get(&place).and_then(|held| held.reply_to);
        if (self.is_wanted(place) || reply_to.is_some_and(|message| self.is_wanted(message)))
            && let Some(held) = self.held.get_mut(&place)
        {
            self.owed.append(&mut held.untold);
        }
    }

    fn want(&mut self, place: usize) {
        let Some(held) = self.held.get_mut(&place).filter(|held| !held.is_past) else { return };
        held.is_wanted = true;
        if self.beside.remove(&place) {
            self.main.insert(place);
        }
        self.settle(place);
    }

    /// Gives a reply to the last message that went the other way; gives that one's place.
    fn answers(&mut self, reply: FoundReply, delivery: &Delivery<'_>) -> Option<usize> {
        let subscriber = subscriber_key(delivery.msisdn, &delivery.source.addr).into_owned();
        let place = *self.last.get(&(subscriber, port_key(&delivery.destination.addr).to_owned()))?;
        self.message(place)?.replies.push(reply);
        Some(place)
    }

    /// What is left at the end.
    pub(super) fn rest(self) -> impl Iterator<Item = Found> {
        self.held.into_values().filter(|held| held.is_wanted).filter_map(|held| held.found)
    }

    /// Tells what is kept what became of it. A receipt that `is_named` makes its message wanted; a reply
    /// becomes so by what it was taken for.
    pub(super) fn join(&mut self, record: &Record<'_>, is_named: bool, conditions: &Conditions) -> Joined {
        let place = match record {
            Record::Outcome(outcome) => self.end(outcome, |message| message.end(FoundOutcome::new(outcome))),
            Record::PartOutcome(part) => self.end(&part.outcome, |message| message.tell(part)),
            Record::Report(report) => {
                let place = self.parts.get(&report.of).copied();
                if let Some(message) = place.and_then(|place| self.message(place)) {
                    message.reported(report.of, report);
                }
                place
            }
            Record::Delivery(delivery) => {
                let Some(of) = Of::read(delivery) else { return Joined::No };
                let Some(place) = self.owner(&of) else { return Joined::No };
                self.give(place, FoundReceipt::new(delivery), is_named);
                Some(place)
            }
            Record::Taken(taken) => self.take(taken, conditions),
            Record::Withdrawn(withdrawn) => {
                let place = self.place_of(withdrawn.message);
                if let Some(message) = place.and_then(|place| self.message(place)) {
                    message.withdrawn = Some(FoundWithdrawal::new(withdrawn));
                }
                place
            }
            // Its message comes later, with its name among the parts'.
            Record::Part(_) => None,
            Record::Asked(asked) => self.place_of(asked.of),
            Record::Silence(silence) => self.place_of(silence.of),
            Record::Scheduled(scheduled) => self.place_of(scheduled.of),
            _ => return Joined::No,
        };
        place.map_or(Joined::Nothing, Joined::To)
    }

    fn place_of(&self, of: Name) -> Option<usize> {
        entry_id(of).and_then(|of| self.places.get(&of)).copied()
    }

    fn is_wanted(&self, place: usize) -> bool {
        self.held.get(&place).is_some_and(|held| held.is_wanted)
    }

    /// Tells a reply what it was taken for, and the message that it answers by that.
    fn take(&mut self, taken: &Taken<'_>, conditions: &Conditions) -> Option<usize> {
        let place = self.place_of(taken.of)?;
        let answers = taken.answers.and_then(|of| self.place_of(of));
        let held = self.held.get_mut(&place)?;
        let before = held.reply_to;
        held.reply_to = answers.or(before);
        let Some(Found::Delivery(reply)) = &mut held.found else { return Some(place) };
        let is_asked = conditions.has_taken(taken) && conditions.fits(reply);
        reply.taken = Some(FoundTaken::new(taken));
        let told = FoundReply::of(reply);
        for message in [before, answers].into_iter().flatten() {
            if let Some(message) = self.message(message) {
                message.replies.retain(|known| known.id != told.id);
            }
        }
        if let Some(message) = answers.or(before).and_then(|place| self.message(place)) {
            message.replies.push(told);
        }
        if is_asked {
            self.want(place);
        }
        Some(place)
    }

    /// Tells a message or a part how it ended, and remembers its id for receipts; gives its place.
    fn end(&mut self, outcome: &Outcome<'_>, tell: impl FnOnce(&mut FoundMessage)) -> Option<usize> {
        let place = self.place_of(outcome.of)?;
        tell(self.message(place)?);
        if let Some(message_id) = &outcome.message_id {
            for key in Key::of_answer(message_id, self.form) {
                self.by_key.entry(key).or_default().push(place);
            }
            self.give_early(&outcome.subscriber);
        }
        Some(place)
    }

    /// Gives receipts that came too early to the message whose answer has just come.
    fn give_early(&mut self, subscriber: &str) {
        let Some(waiting) = self.early.remove(subscriber) else { return };
        let mut left = Vec::new();
        for early in waiting {
            let Some(place) = self.owner(&early.of) else {
                left.push(early);
                continue;
            };
            let Some(held) = self.held.get_mut(&early.place) else { continue };
            if let Some(Ok(id)) = held.found.take().map(|found| found.id().parse::<EntryId>()) {
                self.places.remove(&id);
            }
            let (is_wanted, entries) = (held.is_wanted, std::mem::take(&mut held.untold));
            self.give(place, early.receipt, is_wanted);
            entries.into_iter().for_each(|entry| self.note(place, entry));
        }
        if !left.is_empty() {
            self.early.insert(subscriber.to_owned(), left);
        }
    }

    fn give(&mut self, place: usize, receipt: FoundReceipt, is_wanted: bool) {
        if let Some(message) = self.message(place) {
            message.receive(receipt);
        }
        if is_wanted {
            self.want(place);
        }
    }

    /// The one message a receipt speaks of.
    fn owner(&mut self, of: &Of) -> Option<usize> {
        let mut fitting: Vec<(Key, usize)> = Vec::new();
        for key in Key::of_receipt(&of.message_id, self.form) {
            for place in self.by_key.get(&key).cloned().unwrap_or_default() {
                let is_new = fitting.iter().all(|(_, known)| *known != place);
                if is_new && self.message(place).is_some_and(|message| of.is_between(message)) {
                    fitting.push((key.clone(), place));
                }
            }
        }
        let forms: Vec<MessageIdForm> = fitting.iter().map(|(key, _)| key.form()).collect();
        let form = *forms.first()?;
        if forms.iter().all(|other| *other == form) {
            *self.seen.entry(form).or_default() += 1;
            return newest(&fitting, form);
        }
        self.known_form().and_then(|form| newest(&fitting, form))
    }

    /// The form that every receipt so far speaks for.
    fn known_form(&self) -> Option<MessageIdForm> {
        let mut forms = self.seen.keys();
        forms.next().filter(|_| forms.next().is_none()).copied()
    }

    /// Forgets what has this place; gives it where it is wanted.
    fn let_go(&mut self, place: usize) -> Option<Found> {
        let Held { found, is_wanted, early_of, .. } = self.held.remove(&place)?;
        if let Some(subscriber) = early_of
            && let Entry::Occupied(mut waiting) = self.early.entry(subscriber)
        {
            waiting.get_mut().retain(|early| early.place != place);
            if waiting.get().is_empty() {
                waiting.remove();
            }
        }
        let found = found?;
        if let Ok(id) = found.id().parse::<EntryId>() {
            self.places.remove(&id);
        }
        if let Found::Message(message) = &found {
            self.forget_keys(message, place);
            let way = way_of(message);
            if self.last.get(&way) == Some(&place) {
                self.last.remove(&way);
            }
            for id in message.parts.iter().filter_map(|part| part.message_id.as_ref()?.parse::<EntryId>().ok()) {
                self.parts.remove(&name(id));
            }
        }
        is_wanted.then_some(found)
    }

    fn forget_keys(&mut self, message: &FoundMessage, place: usize) {
        let outcomes = message.parts.iter().map(|part| &part.outcome).chain([&message.outcome]);
        let ids = outcomes.filter_map(|outcome| outcome.as_ref()?.message_id.as_deref());
        for key in ids.flat_map(|id| Key::of_answer(id, self.form)) {
            if let Some(places) = self.by_key.get_mut(&key) {
                places.retain(|held| *held != place);
                if places.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
    }

    fn found(&mut self, place: usize) -> Option<&mut Found> {
        self.held.get_mut(&place)?.found.as_mut()
    }

    fn message(&mut self, place: usize) -> Option<&mut FoundMessage> {
        match self.found(place)? {
            Found::Message(message) => Some(message),
            _ => None,
        }
    }
}

/// Of the messages that fit by this form, the one with most in common; of equals, which share an id
/// that was used again, the newest.
fn newest(fitting: &[(Key, usize)], form: MessageIdForm) -> Option<usize> {
    let of_form: Vec<_> = fitting.iter().filter(|(key, _)| key.form() == form).collect();
    let (surest, _) = of_form.first()?;
    let is_exact = matches!(surest, Key::Exact(_));
    let alike: Vec<usize> = of_form.iter().filter(|(key, _)| key == surest).map(|(_, place)| *place).collect();
    // Ids that only look alike are no ground to choose between messages.
    if is_exact || alike.len() == 1 { alike.into_iter().max() } else { None }
}

fn way_of(message: &FoundMessage) -> Way {
    let subscriber = subscriber_key(message.msisdn, &message.destination).into_owned();
    (subscriber, port_key(&message.source).to_owned())
}

fn hashed(way: &Way) -> u64 {
    let mut hasher = DefaultHasher::new();
    way.hash(&mut hasher);
    hasher.finish()
}

impl Held {
    /// Whether no outcome is to come any more.
    fn is_told(&self) -> bool {
        match &self.found {
            Some(Found::Message(message)) => message.is_told(),
            Some(Found::Delivery(_) | Found::Session(_) | Found::List(_) | Found::Change(_)) | None => true,
        }
    }
}

impl Of {
    fn read(delivery: &Delivery<'_>) -> Option<Self> {
        let message_id = delivery.receipt.as_ref()?.message_id.as_deref()?.to_owned();
        let subscriber = subscriber_key(delivery.msisdn, &delivery.source.addr).into_owned();
        Some(Self { message_id, subscriber, port: port_key(&delivery.destination.addr).to_owned() })
    }

    /// Whether the message went the way that the receipt came back.
    fn is_between(&self, message: &FoundMessage) -> bool {
        *self.subscriber == *subscriber_key(message.msisdn, &message.destination)
            && self.port == port_key(&message.source)
    }
}

#[cfg(test)]
mod tests;
