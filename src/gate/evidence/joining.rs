//! Joining what was found: a message with its outcome and receipts, a reply with its meaning.
//!
//! Owns which receipt is whose: its message id in one of the forms carriers use *and* the same two
//! addresses; where two messages fit by different forms and nothing tells which form the carrier
//! uses, it is nobody's and stands by itself. Bounded. Driven by a search, entry by entry.

use std::collections::{HashMap, VecDeque};

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

/// A subscriber and a port.
type Way = (String, String);

/// What a record has to do with what is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Joined {
    /// It speaks of nothing else: it is to be shown by itself, if at all.
    No,
    /// It speaks of something that is not kept.
    Nothing,
    /// It speaks of something that is, and that may be wanted.
    To(bool),
}

/// What was found and may still learn more; the oldest go when there are many.
pub(super) struct Joining {
    form: MessageIdForm,
    held: VecDeque<Held>,
    /// How many have gone: the place of the first held.
    gone: usize,
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
    pub(super) fn new(form: MessageIdForm) -> Self {
        Self {
            form,
            held: VecDeque::new(),
            gone: 0,
            places: HashMap::new(),
            parts: HashMap::new(),
            by_key: HashMap::new(),
            last: HashMap::new(),
            early: HashMap::new(),
            seen: HashMap::new(),
        }
    }

    /// Adds what was found; gives the one that has to go for it, and whether the record is wanted, by itself or
    /// as a reply to something that is.
    pub(super) fn hold(
        &mut self,
        id: EntryId,
        found: Found,
        record: &Record<'_>,
        is_wanted: bool,
    ) -> (Option<Found>, bool) {
        let place = self.gone + self.held.len();
        self.places.insert(id, place);
        if let Record::Long(long) = record {
            self.parts.extend(long.parts.iter().filter_map(|part| Some((part.acknowledged?, place))));
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
        let belongs = is_wanted || reply_to.is_some_and(|place| self.is_wanted(place));
        self.held.push_back(Held { found: Some(found), is_wanted, early_of, reply_to });
        let enough = if self.held.front().is_some_and(Held::is_told) { HELD } else { HELD_UNTOLD };
        (if self.held.len() <= enough { None } else { self.let_go() }, belongs)
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
        self.held.into_iter().filter(|held| held.is_wanted).filter_map(|held| held.found)
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
            Record::Taken(taken) => self.take(taken, conditions.has_taken(taken)),
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
        place.map_or(Joined::Nothing, |place| Joined::To(self.is_wanted(place)))
    }

    fn place_of(&self, of: Name) -> Option<usize> {
        entry_id(of).and_then(|of| self.places.get(&of)).copied()
    }

    fn is_wanted(&self, place: usize) -> bool {
        place.checked_sub(self.gone).and_then(|at| self.held.get(at)).is_some_and(|held| held.is_wanted)
    }

    /// Tells a reply what it was taken for, and the message that it answers by that.
    fn take(&mut self, taken: &Taken<'_>, is_asked: bool) -> Option<usize> {
        let place = self.place_of(taken.of)?;
        let answers = taken.answers.and_then(|of| self.place_of(of));
        let held = self.held.get_mut(place.checked_sub(self.gone)?)?;
        held.is_wanted |= is_asked;
        let before = held.reply_to;
        held.reply_to = answers.or(before);
        let Some(Found::Delivery(reply)) = &mut held.found else { return Some(place) };
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
            let at = early.place.checked_sub(self.gone);
            let Some(held) = at.and_then(|at| self.held.get_mut(at)) else { continue };
            held.found = None;
            let is_wanted = held.is_wanted;
            self.give(place, early.receipt, is_wanted);
        }
        if !left.is_empty() {
            self.early.insert(subscriber.to_owned(), left);
        }
    }

    fn give(&mut self, place: usize, receipt: FoundReceipt, is_wanted: bool) {
        if let Some(message) = self.message(place) {
            message.receive(receipt);
        }
        if let Some(held) = place.checked_sub(self.gone).and_then(|at| self.held.get_mut(at)) {
            held.is_wanted |= is_wanted;
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

    fn let_go(&mut self) -> Option<Found> {
        let Held { found, is_wanted, early_of, .. } = self.held.pop_front()?;
        let place = self.gone;
        self.gone += 1;
        if let Some(waiting) = early_of.as_ref().and_then(|subscriber| self.early.get_mut(subscriber)) {
            waiting.retain(|early| early.place != place);
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
        self.held.get_mut(place.checked_sub(self.gone)?)?.found.as_mut()
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
