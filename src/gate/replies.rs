//! What subscribers' replies change: a refusal or a consent is stored before its reply goes on.
//!
//! Owns the way from a reply that may refuse or agree to its event in the consents: its record is
//! on disk, the journal tells what it answers, the event is durable, then the reply may go on.
//! Refuses to do any of it on a session's task. Driven by the desks; bounded in what may wait.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Gate;
use super::desk::Waiting;
use super::evidence::EvidenceError;
use super::mailbox::{Mail, Mailbox};
use super::record::{self, Record};
use crate::register::{Port, Provider, Register};
use crate::rules::reply::{self, Said, Scope, Taken};
use crate::rules::{Class, Frequency, Mode, Rule};
use crate::store::consents::{Status, all_senders_of};
use crate::store::{EntryId, Event, StoreError};

mod context;
mod evidence;
mod parts;
mod probe;

use context::LastMessage;
pub(super) use parts::{Key, Part, Parts};
pub use probe::{Probe, Step};

/// Replies that may wait at a time; the carrier keeps those beyond.
const ROOM: usize = 4096;

/// Replies looked into at a time: the disk is not faster with more.
const TURNS: usize = 8;

/// How long a reply's record may take to be durable, before the carrier is told to try again.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the sessions share for reading replies.
#[derive(Debug)]
pub(super) struct Replies {
    pub(super) parts: Parts,
    room: Arc<Semaphore>,
    turns: Semaphore,
}

impl Default for Replies {
    fn default() -> Self {
        Self { parts: Parts::default(), room: Arc::new(Semaphore::new(ROOM)), turns: Semaphore::new(TURNS) }
    }
}

/// A reply that may refuse or agree.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    /// Its record, and that record's place in the journal's order.
    pub(super) entry: EntryId,
    pub(super) sequence: u64,
    pub(super) received: Timestamp,
    pub(super) msisdn: Option<u64>,
    /// The key its records are found by.
    pub(super) subscriber: String,
    /// The number it was sent to.
    pub(super) port: String,
    /// The account it came in for.
    pub(super) provider: String,
    /// All of it, also of a long one.
    pub(super) text: String,
    pub(super) said: Said,
    /// The message it would be the receipt of, if it is one after all.
    pub(super) claims: Option<String>,
    /// Nobody sent it: `portcullis probe` tries the way.
    pub(super) synthetic: bool,
}

/// What a reply came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The consents hold it.
    Stored,
    /// The rule is only observed.
    Observed,
    /// The rule is off.
    Off,
    /// It speaks for no subscriber, or to no sender.
    Nobody,
    /// There was nothing to store.
    None,
}

/// Why a reply must come again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("what it answers cannot be looked up: {0}")]
    Journal(#[from] EvidenceError),
    #[error("the consents cannot be read or written: {0}")]
    Consents(#[from] StoreError),
    #[error("its record does not get to disk")]
    Unsettled,
    #[error("the task that looks into it ended early")]
    Lost,
}

/// Starts looking into a reply, and sends the decision when it is made; gives it back where too many wait.
pub(super) fn consider(gate: &Arc<Gate>, reply: Reply, waiting: Waiting, mailbox: Mailbox) -> Option<Waiting> {
    let Ok(room) = Arc::clone(&gate.replies.room).try_acquire_owned() else {
        tracing::warn!(entry = %reply.entry, "too many replies wait to be read: the carrier is told to try again");
        return Some(waiting);
    };
    let gate = Arc::clone(gate);
    tokio::spawn(async move {
        let entry = reply.entry;
        let late = match settle(&gate, reply).await {
            Ok(()) => waiting.passed(),
            Err(error) => {
                tracing::error!(
                    %entry, %error,
                    "a reply that may refuse or agree is not taken: the carrier is told to try again"
                );
                waiting.refused()
            }
        };
        drop(room);
        // A session that has ended answers nothing: the carrier delivers the reply again.
        let _gone = mailbox.send(Mail::Judged(Box::new(late))).await;
    });
    None
}

async fn settle(gate: &Arc<Gate>, reply: Reply) -> Result<(), Failure> {
    gate.settled(reply.sequence).await?;
    let _turn = gate.replies.turns.acquire().await.map_err(|_| Failure::Lost)?;
    let busy = Arc::clone(gate);
    tokio::task::spawn_blocking(move || busy.take_reply(&reply)).await.map_err(|_| Failure::Lost)?
}

/// The port a reply was sent to, as the register has it, and its class; an unknown one is commercial.
pub(super) fn port_of<'r>(register: &'r Register, port: &str) -> (Option<&'r Port>, Class) {
    let known = register.port(port.as_bytes()).or_else(|| register.port(record::port_key(port).as_bytes()));
    (known, known.map_or(Class::Commercial, |port| port.class))
}

/// All that a reply's meaning hangs on.
struct Question<'r> {
    register: &'r Register,
    provider: Option<&'r Provider>,
    port: Option<&'r Port>,
    class: Class,
    last: Option<LastMessage>,
    sender: Option<String>,
}

impl Gate {
    /// Reads the reply in the light of what the store knows, and stores what it changes.
    fn take_reply(&self, reply: &Reply) -> Result<(), Failure> {
        if self.is_receipt(reply)? {
            return Ok(());
        }
        let register = self.register.load();
        let question = self.ask(&register, reply)?;
        self.conclude(reply, &question).map(drop)
    }

    /// Waits until a reply's record is on disk, or spooled while it cannot be.
    async fn settled(&self, sequence: u64) -> Result<(), Failure> {
        let mut progress = self.journal.progress();
        let settled = progress.wait_for(|progress| progress.settled(sequence));
        let is_settled = timeout(PATIENCE, settled).await.is_ok_and(|settled| settled.is_ok());
        if is_settled { Ok(()) } else { Err(Failure::Unsettled) }
    }

    /// Decides what the reply means, and stores it.
    fn conclude(&self, reply: &Reply, question: &Question<'_>) -> Result<(Taken, Effect), Failure> {
        let answered = self.has_answered(question, reply)?;
        let last = question.last.as_ref().map(|last| last.as_told(answered));
        let taken =
            reply::take(&reply.said, question.class, question.port, last.as_ref(), &self.profile, reply.received);
        let effect = match taken {
            Taken::Nothing => Effect::None,
            Taken::RecordOnly => {
                self.write_taken(reply, question, Rule::R23, "recorded", &[]);
                Effect::None
            }
            Taken::Refuse(scope) => {
                let refused = question.refused(scope);
                let refused: Vec<&str> = refused.iter().map(AsRef::as_ref).collect();
                self.store(reply, question, Rule::R23, &refused, None)?
            }
            Taken::Grant { expires } => {
                let senders: Vec<&str> = question.sender.as_deref().into_iter().collect();
                self.store(reply, question, Rule::R24, &senders, Some(expires))?
            }
        };
        Ok((taken, effect))
    }

    /// Whether a text in the form of a receipt is one: it speaks of a message of ours to this subscriber, or
    /// of one that the carrier has not answered yet.
    fn is_receipt(&self, reply: &Reply) -> Result<bool, Failure> {
        let Some(id) = &reply.claims else { return Ok(false) };
        let between = (reply.subscriber.as_str(), reply.port.as_str());
        let since = reply.received.saturating_sub(context::RECEIPTED).unwrap_or(Timestamp::MIN);
        if context::is_receipt_of_ours(&self.journal, between, id, self.message_id, since)? {
            return Ok(true);
        }
        let last = context::last_message(&self.journal, between, reply.entry, since)?;
        Ok(last.is_some_and(|last| !last.is_answered))
    }

    fn ask<'r>(&self, register: &'r Register, reply: &Reply) -> Result<Question<'r>, Failure> {
        let (port, class) = port_of(register, &reply.port);
        let provider =
            register.provider_of(record::port_key(&reply.port).as_bytes()).or(register.provider(&reply.provider));
        let matters = matches!(reply.said, Said::Word(_)) || port.is_none();
        let last = if matters && !class.is_sheltered() {
            let since = reply.received.saturating_sub(self.profile.replies.look_back).unwrap_or(Timestamp::MIN);
            context::last_message(&self.journal, (&reply.subscriber, &reply.port), reply.entry, since)?
        } else {
            None
        };
        let sender = match (port, &last) {
            (Some(port), _) => Some(port.sender.clone()),
            (None, Some(last)) => last.sender.clone(),
            (None, None) => None,
        };
        Ok(Question { register, provider, port, class, last, sender })
    }

    fn has_answered(&self, question: &Question<'_>, reply: &Reply) -> Result<bool, Failure> {
        let (Some(last), Some(sender), Some(msisdn)) = (&question.last, &question.sender, reply.msisdn) else {
            return Ok(false);
        };
        Ok(context::has_answered(&self.consents, (msisdn, sender, question.category()), last.at)?)
    }

    /// Stores one event a sender, durably, where the rule is enforced.
    fn store(
        &self,
        reply: &Reply,
        question: &Question<'_>,
        rule: Rule,
        senders: &[&str],
        expires: Option<Timestamp>,
    ) -> Result<Effect, Failure> {
        let (Some(msisdn), false) = (reply.msisdn, senders.is_empty()) else {
            tracing::warn!(entry = %reply.entry, %rule, "a reply speaks for no subscriber's number, or to no sender that is known");
            return Ok(Effect::Nobody);
        };
        match self.profile.mode_set(rule, question.class, question.provider) {
            Mode::Off => return Ok(Effect::Off),
            Mode::Observe => {
                self.write_taken(reply, question, rule, "observed", senders);
                return Ok(Effect::Observed);
            }
            Mode::Enforce => {}
        }
        let (status, effect) = match rule {
            Rule::R24 => (Status::Consent, "consented"),
            _ => (Status::Refusal, "refused"),
        };
        let request = question.last.as_ref().filter(|_| status == Status::Consent);
        let proof = evidence::text(reply, request);
        let category = if status == Status::Consent { question.category() } else { "" };
        let asked = request.map_or("", |request| request.text.as_str());
        let frequency = Frequency::named_in(asked).map(|frequency| frequency.to_string()).unwrap_or_default();
        let event = |sender| Event {
            msisdn,
            sender,
            category,
            status,
            at_ms: reply.received.as_millisecond(),
            method: if reply.synthetic { evidence::PROBE } else { evidence::METHOD },
            evidence: &proof,
            expires_at_ms: expires.map(Timestamp::as_millisecond),
            frequency: &frequency,
            wording: evidence::wording(asked),
            recorded_by: evidence::RECORDED_BY,
            ..Event::default()
        };
        let events: Vec<Event<'_>> = senders.iter().copied().map(event).collect();
        self.consents.apply(&events)?;
        tracing::info!(entry = %reply.entry, %rule, ?senders, "a reply {effect}");
        if !reply.synthetic {
            self.counters.taken(rule);
        }
        self.write_taken(reply, question, rule, effect, senders);
        Ok(Effect::Stored)
    }

    /// The consents hold what counts; this is for who reads the journal.
    fn write_taken(&self, reply: &Reply, question: &Question<'_>, rule: Rule, effect: &str, senders: &[&str]) {
        let answers = question.last.as_ref().map(|last| record::name(last.id));
        let record = Record::Taken(record::Taken {
            at_ms: reply.received.as_millisecond(),
            subscriber: reply.subscriber.as_str().into(),
            port: reply.port.as_str().into(),
            of: record::name(reply.entry),
            answers,
            rule: rule.id().into(),
            effect: effect.into(),
            senders: senders.iter().map(|&sender| sender.into()).collect(),
        });
        if let Err(error) = self.journal.append(record.encode(Vec::new())) {
            tracing::error!(%error, entry = %reply.entry, "what a reply was taken for could not be recorded");
        }
    }
}

impl Question<'_> {
    /// The senders a refusal speaks to. One of all of a provider's holds for those it gets later as well.
    fn refused(&self, scope: Scope) -> Vec<Cow<'_, str>> {
        let own = self.sender.as_deref();
        let mut refused: Vec<Cow<'_, str>> = own.into_iter().map(Cow::Borrowed).collect();
        if let (Scope::Provider, Some(provider)) = (scope, self.provider) {
            let others = self.register.senders_of(provider).into_iter().filter(|sender| Some(*sender) != own);
            refused.extend(others.map(Cow::Borrowed));
            refused.push(all_senders_of(&provider.system_id).into());
        }
        refused
    }

    /// A consent is of the port's kind of messages; without one it covers every port of the sender.
    fn category(&self) -> &str {
        self.port.and_then(|port| port.category.as_deref()).unwrap_or_default()
    }
}
