//! The desk where a message is judged.
//!
//! Owns the way from a PDU to its verdict and its record: register and consents become facts,
//! the rules judge, the journal is told. Refuses to touch a socket and to await anything.
//! Driven by the proxy's sessions, each through its own [`Desk`].

mod accounts;
mod address_range;
pub mod again;
pub mod changes;
pub mod complaint;
pub mod counters;
mod desk;
pub mod do_not_disturb;
pub mod evidence;
pub mod explain;
pub mod facts;
mod ids;
mod life;
mod limits;
mod mailbox;
pub mod masking;
pub mod measures;
mod message_id;
mod owed;
mod parts;
mod queue;
mod reading;
pub mod readings;
mod receipt;
pub mod record;
pub mod relationship;
pub mod replay;
mod replies;
mod restore;
pub mod retention;
mod routes;
mod scheduled;
mod sessions;
mod silence;
pub mod subscriptions;
mod unfinished;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::Timestamp;

pub use counters::{Counters, Totals};
pub use desk::{Desk, Judged, Late, Looked, Recorded, Settling};
pub use do_not_disturb::DoNotDisturb;
pub use life::{RefusedError, record_refused_start};
pub use limits::LONGEST_DELAY;
pub use mailbox::Mail;
pub use owed::{Owed, OwedPart, Report};
pub use replies::{Probe, Step};
pub use routes::LostRoutes;
pub use sessions::{Full, Place, SessionLimits, SessionStatus, Sessions};

use crate::config::{Config, Durability, LongMessages, MessageIdForm};
use crate::register::{Register, Secret};
use crate::rules::Profile;
use crate::store::consents::ConsentsOptions;
use crate::store::{Consents, EvidenceFiles, Journal, JournalOptions, Keys, MasterSource, Sends, StoreError};
use accounts::Accounts;
use ids::Ids;
use limits::{Allowances, Attempts};
use measures::Measures;
use parts::{Limits, Parts};
use queue::Queue;
use record::RecordSchema;
use replies::Replies;
use retention::{PurgeError, Purged, Retention};
use routes::Routes;
use scheduled::Scheduled;
use silence::Silence;

/// Everything the sessions share.
pub struct Gate {
    /// Who may send what; swapped whole when its file changes.
    pub register: ArcSwap<Register>,
    /// The rules and their settings.
    pub profile: Profile,
    /// What everything kept is sealed with.
    pub keys: Keys,
    /// Consents and refusals.
    pub consents: Arc<Consents>,
    /// Numbers that nobody sends anything commercial.
    pub do_not_disturb: DoNotDisturb,
    /// The send records.
    pub journal: Journal,
    /// What was sent to whom, where that counts.
    sends: Sends,
    /// Who is watched, slowed down or suspended.
    pub measures: Measures,
    /// What happened since the start.
    pub counters: Counters,
    /// Who is connected.
    pub sessions: Arc<Sessions>,
    attempts: Attempts,
    allowances: Allowances,
    /// What waits for a subscriber's word to be stored.
    replies: Replies,
    durability: Durability,
    message_id: MessageIdForm,
    carrier_account: CarrierAccount,
    long_messages: LongMessages,
    parts: Parts,
    accounts: Accounts,
    routes: Routes,
    routes_written: routes::Written,
    ids: Ids,
    /// Messages that wait for the end of quiet hours.
    queue: Queue,
    /// Requests that may be answered.
    silence: Silence,
    /// Messages at the carrier that are to be delivered later.
    scheduled: Scheduled,
    /// What expires, and what is held.
    pub retention: Retention,
}

/// One moment on both clocks: records and calendars need the one, timers the other.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The wall clock.
    pub wall: Timestamp,
    /// The monotonic clock.
    pub monotonic: Instant,
}

/// What the gate presents to the carrier for providers without an account of their own there.
struct CarrierAccount {
    system_id: Option<String>,
    password: Option<Secret>,
}

impl Gate {
    /// Opens the store under the configured data directory, and takes up what is owed from before. The
    /// do-not-disturb lists are the caller's to load.
    pub fn open(config: &Config, register: impl Into<Arc<Register>>, now: Moment) -> Result<Self, StoreError> {
        let gate = Self::with_store(config, register.into(), now)?;
        desk::catch_up(&gate)?;
        gate.counters.left_unknown(unfinished::settle(&gate, config.carrier.response_timeout, now)?);
        restore::restore(&gate, now)?;
        gate.measures.announce();
        gate.restore_routes(now.wall)?;
        gate.resume_silence(now.wall)?;
        gate.restore_scheduled(now.wall)?;
        Ok(gate)
    }

    fn with_store(config: &Config, register: Arc<Register>, now: Moment) -> Result<Self, StoreError> {
        let keys = open_keys(config)?;
        let journal = open_journal(config, &keys)?;
        let retention = Retention::open(config, &keys, now)?;
        let sealed = EvidenceFiles::of(&config.data, &keys)?.seal_plain()?;
        if sealed > 0 {
            tracing::info!(files = sealed, "evidence that an earlier program left plain is sealed");
        }
        Ok(Self {
            measures: open_measures(config, &journal, now.wall)?,
            register: ArcSwap::new(register),
            profile: config.profile.clone(),
            consents: Arc::new(open_consents(&config.data, &keys)?),
            do_not_disturb: DoNotDisturb::default(),
            journal,
            sends: Sends::open(&config.data.join("sends"), &keys)?,
            keys,
            counters: Counters::default(),
            sessions: Sessions::new(SessionLimits {
                sessions: config.session.max_sessions,
                per_address: config.session.max_sessions_per_address,
                binds: config.session.max_binds,
            }),
            attempts: Attempts::default(),
            allowances: Allowances::default(),
            replies: Replies::default(),
            durability: config.journal.durability,
            message_id: config.carrier.message_id,
            carrier_account: CarrierAccount {
                system_id: config.carrier.system_id.clone(),
                password: config.carrier.password.clone(),
            },
            long_messages: config.long_messages,
            parts: Parts::new(Limits {
                timeout: config.long_messages.timeout,
                parts: config.long_messages.max_parts,
                bytes: config.long_messages.max_bytes,
            }),
            accounts: Accounts::default(),
            routes: Routes::default(),
            routes_written: routes::Written::default(),
            ids: Ids::new(config.carrier.message_id),
            queue: Queue::new(queue::Limits {
                messages: config.queue.max_messages,
                per_second: config.queue.per_second,
            }),
            silence: Silence::default(),
            scheduled: Scheduled::default(),
            retention,
        })
    }

    /// Parts of long messages kept now, and their octets.
    pub fn held_parts(&self) -> (usize, usize) {
        self.parts.held()
    }

    /// Whether something has come due that [`Gate::do_chores`] does.
    pub fn has_chores(&self, now: Moment) -> bool {
        let waits = self.silence.is_due(now.wall) || !self.scheduled.is_empty() || !self.queue.is_empty();
        waits || self.has_old_routes(now.wall)
    }

    /// Does what has come due. Waits for the disk, and so is nothing for a session's task; what fails is
    /// tried again with the next call.
    pub fn do_chores(&self, now: Moment) {
        let done = |what, done: Result<(), StoreError>| {
            if let Err(error) = done {
                tracing::error!(%error, "{what} cannot be seen to: tried again");
            }
        };
        if self.silence.is_due(now.wall) {
            done("silence on consent requests", self.hear_silence(now.wall));
        }
        if self.has_old_routes(now.wall) {
            self.write_routes_anew(now.wall);
        }
        done("what is scheduled for those who refused", self.withdraw_refused(now.wall));
        done("what waits for the end of quiet hours", self.release_queued(now));
    }

    /// Takes and ends the measures that are due (R25). Blocks on the disk.
    pub fn review_measures(&self, now: Moment) {
        self.measures.review(&self.journal, now.wall.as_millisecond());
    }

    /// The counts, for a backup.
    pub fn counts(&self) -> &Sends {
        &self.sends
    }

    /// Whether the daily purge has come due.
    pub fn has_expired(&self, now: Moment) -> bool {
        self.retention.is_due(now)
    }

    /// Lets go of what has expired. Blocks for as long as that takes, or until the retention is told to stop.
    pub fn purge(&self, order: &retention::Order, now: Moment) -> Result<Purged, PurgeError> {
        let Self { journal, consents, .. } = self;
        let stores = retention::Stores { journal, consents, register: Some(&self.register.load()) };
        self.retention.purge(stores, order, now)
    }

    /// How long a peer with held parts may be silent before it is taken to wait for their answers.
    fn patience(&self) -> Duration {
        self.long_messages.patience
    }
}

/// The keys of this configuration's data directory.
pub fn open_keys(config: &Config) -> Result<Keys, StoreError> {
    Keys::open(&config.data.join("keys"), &MasterSource::configured(config.master_key.as_deref()))
}

/// The journal of this configuration.
pub fn open_journal(config: &Config, keys: &Keys) -> Result<Journal, StoreError> {
    let options = JournalOptions {
        interval: (config.journal.durability == Durability::Interval).then_some(config.journal.interval),
        time_zone: config.time_zone.clone(),
        spool_entries: config.journal.spool_entries,
        spool_bytes: config.journal.spool_bytes,
        keys: Some(keys.clone()),
        heads: Some(config.data.join("heads")),
        rewritten_per_second: Some(config.retention.per_second),
        ..JournalOptions::default()
    };
    Journal::open(&config.data.join("journal"), Arc::new(RecordSchema), options)
}

/// The measures in force under this configuration's data directory.
pub fn open_measures(config: &Config, journal: &Journal, now: Timestamp) -> Result<Measures, StoreError> {
    Measures::open(&config.data, &config.profile.measures, journal, now.as_millisecond())
}

/// The files that prove consents, under this configuration's data directory.
pub fn open_evidence(config: &Config) -> Result<EvidenceFiles, StoreError> {
    EvidenceFiles::of(&config.data, &open_keys(config)?)
}

/// The consents under this data directory.
pub fn open_consents(data: &Path, keys: &Keys) -> Result<Consents, StoreError> {
    let options = ConsentsOptions { keys: Some(keys.clone()), ..ConsentsOptions::default() };
    Consents::open(&data.join("consents"), &options)
}
