//! The driver of one session: two sockets, one relay, one task.
//!
//! Owns the sockets and the waiting: for octets, for the journal, for the clock. Refuses to
//! decide anything: the relay says what to send, the desk what may pass. Driven by the
//! listener, which spawns one [`Session::run`] for each accepted connection.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use portcullis_protocol::Frame;
use tokio::sync::{mpsc, watch};
use tokio::time::{Sleep, sleep_until};
use tokio_util::task::TaskTracker;

use super::carrier::{Carrier, Dial, Dialled, Trial};
use super::delayed::Delayed;
use super::wire::{Wanted, Wire, farewell, poll_wires};
use crate::clock;
use crate::gate::{Desk, Judged, Mail, Moment, Settling};
use crate::relay::{Action, BindKind, Ending, Event, Leg, Relay, State, Ticket};
use crate::store::Progress;

/// An event the relay hears of once the journal has settled a record.
struct Deferred {
    settling: Settling,
    event: Event,
}

/// One provider's connection, and the carrier's once it is dialled.
pub(crate) struct Session<'a> {
    relay: Relay,
    desk: Desk,
    provider: Option<Wire>,
    carrier: Option<Wire>,
    dialling: Option<Dial>,
    /// The carrier's address, until the carrier has said its first word.
    trial: Option<Trial>,
    delayed: Delayed,
    mail: mpsc::Receiver<Mail>,
    /// Requests whose judging takes time.
    waiting: HashMap<Ticket, Frame>,
    /// As what the account has it among its binds, once it does.
    joined: Option<BindKind>,
    deferred: VecDeque<Deferred>,
    ended: Option<Ending>,
    now: Instant,
    /// Where the carrier is.
    route: &'a Carrier,
    /// Connections that still send their last octets.
    farewells: &'a TaskTracker,
    pdu_limit: usize,
}

impl<'a> Session<'a> {
    /// A session for a provider's fresh connection.
    pub(crate) fn new(
        provider: Wire,
        relay: Relay,
        (desk, mail): (Desk, mpsc::Receiver<Mail>),
        route: &'a Carrier,
        farewells: &'a TaskTracker,
    ) -> Self {
        Self {
            relay,
            desk,
            pdu_limit: provider.limit(),
            provider: Some(provider),
            carrier: None,
            dialling: None,
            trial: None,
            delayed: Delayed::default(),
            mail,
            waiting: HashMap::new(),
            joined: None,
            deferred: VecDeque::new(),
            ended: None,
            now: clock::monotonic(),
            route,
            farewells,
        }
    }

    /// Runs until both connections are done; `drain` turning true asks for an orderly end.
    pub(crate) async fn run(mut self, mut drain: watch::Receiver<bool>) -> Ending {
        let mut progress = self.desk.progress();
        let mut timer = pin!(sleep_until(self.now.into()));
        let mut draining = false;
        loop {
            self.now = clock::monotonic();
            if !draining && *drain.borrow() {
                draining = true;
                self.relay.handle_event(Event::Drain, self.now);
            }
            while let Ok(mail) = self.mail.try_recv() {
                self.read(mail);
            }
            self.release(&mut progress);
            self.relay.handle_timeout(self.now);
            self.pump(&progress);
            if let Some(ending) = self.ended {
                self.part();
                self.desk.ended(ending, &mut self.mail, clock::wall());
                return ending;
            }
            self.wait(&mut progress, timer.as_mut(), &mut drain, draining).await;
        }
    }

    /// Hands over what has arrived until the relay wants no more or nothing is left.
    fn pump(&mut self, progress: &watch::Receiver<Progress>) {
        loop {
            self.tend_parts();
            self.send_owed(progress);
            self.perform();
            let moved = self.take(Leg::Provider) | self.take(Leg::Carrier);
            if !moved {
                return;
            }
        }
    }

    fn take(&mut self, leg: Leg) -> bool {
        let wanted = self.wants_input(leg);
        let Some(wire) = self.wire(leg) else { return false };
        if !wanted {
            let Some(cause) = wire.take_loss() else { return false };
            self.hand_over(leg, Event::Closed { leg, cause });
            return true;
        }
        let event = match wire.next_frame() {
            Ok(Some(frame)) => Event::Received { leg, frame },
            Ok(None) => match wire.take_end() {
                Some(cause) => Event::Closed { leg, cause },
                None => return false,
            },
            Err(fault) => {
                wire.stop_reading();
                Event::Faulted { leg, fault }
            }
        };
        self.hand_over(leg, event);
        true
    }

    /// The carrier's first word proves its address; an end before any does the opposite.
    fn hand_over(&mut self, leg: Leg, event: Event) {
        if let Some(trial) = self.trial.take_if(|_| leg == Leg::Carrier) {
            match event {
                Event::Received { .. } => trial.answered(),
                _ => trial.failed(),
            }
        }
        self.relay.handle_event(event, self.now);
    }

    /// A slow peer stalls its own session only: nothing is read that would be sent to it.
    fn wants_input(&self, leg: Leg) -> bool {
        let congested = |wire: &Option<Wire>| wire.as_ref().is_some_and(Wire::is_congested);
        self.relay.wants_input(leg)
            && !congested(&self.provider)
            && !congested(&self.carrier)
            && (leg == Leg::Carrier || self.desk.has_room())
    }

    fn perform(&mut self) {
        while let Some(action) = self.relay.poll_action() {
            match action {
                Action::Send { leg, frame } => {
                    if leg == Leg::Provider {
                        self.desk.notice(&frame, self.now);
                    }
                    if let Some(wire) = self.wire(leg) {
                        wire.queue(&frame);
                    }
                }
                Action::Judge { ticket, leg, frame } => {
                    let now = self.moment();
                    match self.desk.judge(ticket, leg, &frame, now) {
                        Some(judged) => self.judged(ticket, frame, judged),
                        None => drop(self.waiting.insert(ticket, frame)),
                    }
                }
                Action::Record { ticket, outcome } => {
                    let now = self.moment();
                    let recorded = self.desk.record(ticket, outcome, self.relay.answer(ticket), now);
                    self.waiting.remove(&ticket);
                    self.defer(recorded.settling, Event::Recorded { ticket, answer: recorded.answer });
                }
                Action::JudgeBind { frame } => match self.desk.bind_delay(self.now) {
                    Duration::ZERO => self.judge_bind(&frame),
                    delay => self.delayed.put(frame, delay),
                },
                Action::Connect => {
                    let (system_id, own) = self.desk.destination();
                    self.dialling = Some(self.route.dial(system_id, own));
                }
                Action::Close { leg } => self.close(leg),
                Action::Ended(ending) => self.ended = Some(ending),
            }
        }
    }

    fn judge_bind(&mut self, frame: &Frame) {
        let decision = self.desk.judge_bind(frame, clock::wall());
        self.relay.handle_event(Event::BindJudged { decision }, self.now);
    }

    fn read(&mut self, mail: Mail) {
        match mail {
            Mail::Judged(late) => {
                let (ticket, judged) = self.desk.take(*late);
                self.judged_late(ticket, judged);
            }
            Mail::Looked(looked) => {
                let now = self.moment();
                let Some(frame) = self.waiting.get(&looked.ticket()) else { return };
                let (ticket, judged) = self.desk.judge_looked(*looked, frame, now);
                self.judged_late(ticket, judged);
            }
            Mail::Owed(owed) => self.desk.owe(*owed),
        }
    }

    fn judged_late(&mut self, ticket: Ticket, judged: Judged) {
        if let Some(frame) = self.waiting.remove(&ticket) {
            self.judged(ticket, frame, judged);
        }
    }

    /// Held parts are answered when their peer waits for it, or when the session is about to end.
    fn tend_parts(&mut self) {
        if self.joined.is_some() && self.desk.held() == 0 {
            return;
        }
        let snapshot = self.relay.snapshot();
        if self.joined.is_none() && snapshot.state == State::Bound {
            self.joined = snapshot.bind;
            snapshot.bind.inspect(|kind| self.desk.join(*kind, clock::wall()));
        }
        if self.desk.held() == 0 {
            return;
        }
        let now = self.moment();
        let pending = snapshot.provider_pending;
        let stuck = pending >= snapshot.provider_window && self.desk.held() >= pending;
        let answered = match snapshot.state {
            State::Bound => self.desk.handle_timeout(stuck, now),
            _ => self.desk.release_held(now),
        };
        for (ticket, judged) in answered {
            self.judged_late(ticket, judged);
        }
    }

    /// Sends what the gate owes the account, as far as the windows have room.
    fn send_owed(&mut self, progress: &watch::Receiver<Progress>) {
        for asking in Leg::BOTH {
            while self.desk.owes(asking) {
                let now = self.moment();
                let Some((frame, permit)) = self.desk.next_owed(asking, &progress.borrow(), now) else { break };
                let Some(ticket) = self.relay.originate(asking, frame, permit, self.now) else { break };
                self.desk.owed_sent(asking, ticket, now.wall);
            }
        }
    }

    fn moment(&self) -> Moment {
        Moment { wall: clock::wall(), monotonic: self.now }
    }

    fn judged(&mut self, ticket: Ticket, frame: Frame, judged: Judged) {
        let frame = judged.frame.unwrap_or(frame);
        self.defer(judged.settling, Event::Judged { ticket, frame, decision: judged.decision });
    }

    /// Tells the relay at once, or when the journal has caught up.
    fn defer(&mut self, settling: Settling, event: Event) {
        if self.deferred.is_empty() && settling.is_settled() {
            self.relay.handle_event(event, self.now);
        } else {
            self.deferred.push_back(Deferred { settling, event });
        }
    }

    /// Hands over, in order, what the journal has settled since.
    fn release(&mut self, progress: &mut watch::Receiver<Progress>) {
        if self.deferred.is_empty() {
            return;
        }
        let progress = progress.borrow_and_update().clone();
        while self.deferred.front().is_some_and(|next| next.settling.is_settled_by(&progress)) {
            let Some(next) = self.deferred.pop_front() else { return };
            let event = self.revised(next.event);
            self.relay.handle_event(event, self.now);
        }
    }

    fn revised(&mut self, event: Event) -> Event {
        match event {
            Event::Judged { ticket, frame, decision } => {
                Event::Judged { ticket, frame, decision: self.desk.revise(ticket, decision, clock::wall()) }
            }
            event => event,
        }
    }

    async fn wait(
        &mut self,
        progress: &mut watch::Receiver<Progress>,
        mut timer: Pin<&mut Sleep>,
        drain: &mut watch::Receiver<bool>,
        draining: bool,
    ) {
        // What was deferred since the last look may wait for a record that is durable already:
        // no change of progress would tell.
        if self.deferred.front().is_some_and(|next| next.settling.is_settled_by(&progress.borrow())) {
            return;
        }
        let deadline = [self.relay.poll_timeout(), self.desk.poll_timeout(self.now)].into_iter().flatten().min();
        if let Some(deadline) = deadline
            && timer.deadline().into_std() != deadline
        {
            timer.as_mut().reset(deadline.into());
        }
        let starved = self.relay.wants_input(Leg::Provider) && !self.desk.has_room();
        let wanted = Wanted { provider: self.wants_input(Leg::Provider), carrier: self.wants_input(Leg::Carrier) };
        let Self { provider, carrier, dialling, delayed, deferred, desk, mail, .. } = self;
        tokio::select! {
            biased;
            () = poll_fn(|cx| poll_wires(provider, carrier, wanted, cx)) => {}
            connected = connected(dialling) => self.connected(connected),
            frame = delayed.over() => {
                self.now = clock::monotonic();
                self.judge_bind(&frame);
            }
            Some(mail) = mail.recv() => self.read(mail),
            _ = progress.changed(), if !deferred.is_empty() || desk.owes(Leg::Provider) => {}
            () = desk.room(), if starved => {}
            () = timer, if deadline.is_some() => {}
            _ = drain.changed(), if !draining => {}
        }
    }

    fn connected(&mut self, dialled: Option<Dialled>) {
        self.dialling = None;
        let event = match dialled {
            Some(Dialled { stream, trial }) => {
                self.carrier = Some(Wire::new(stream, self.pdu_limit));
                self.trial = Some(trial);
                Event::CarrierConnected
            }
            None => Event::CarrierUnreachable,
        };
        self.now = clock::monotonic();
        self.relay.handle_event(event, self.now);
    }

    fn close(&mut self, leg: Leg) {
        let wire = match leg {
            Leg::Provider => self.provider.take(),
            Leg::Carrier => {
                self.dialling = None;
                // Given up while the session goes on: the carrier left the bind unanswered.
                if let Some(trial) = self.trial.take_if(|_| self.relay.ending().is_none()) {
                    trial.failed();
                }
                self.carrier.take()
            }
        };
        if let Some(wire) = wire {
            self.farewells.spawn(farewell(wire));
        }
    }

    fn part(&mut self) {
        self.close(Leg::Provider);
        self.close(Leg::Carrier);
    }

    fn wire(&mut self, leg: Leg) -> Option<&mut Wire> {
        match leg {
            Leg::Provider => self.provider.as_mut(),
            Leg::Carrier => self.carrier.as_mut(),
        }
    }
}

async fn connected(dialling: &mut Option<Dial>) -> Option<Dialled> {
    match dialling {
        Some(dial) => dial.await,
        None => std::future::pending().await,
    }
}
