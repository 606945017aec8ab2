//! The load: binds that keep a window full, at about a microsecond a message.
//!
//! Owns the sending, the counting of answers and the latencies. Prebuilt frames are copied
//! and restamped; the clock is read once a batch; nothing is decoded but headers.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use hdrhistogram::Histogram;
use portcullis::clock;
use portcullis_protocol::command::CommandId;
use portcullis_protocol::frame::{self, DEFAULT_LIMIT, Frame};
use portcullis_protocol::status::CommandStatus;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::LocalSet;

use crate::message::{Template, bind};

/// Room made for a read.
const READ: usize = 64 * 1024;
/// How long an answer may take before the run counts as broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much is sent, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Connections.
    pub(crate) binds: u32,
    /// Unanswered messages on each.
    pub(crate) window: u32,
    /// Messages on all of them together.
    pub(crate) messages: u64,
    /// Sending stops when it is over, even with messages left.
    pub(crate) time: Duration,
    /// The serial of the first message.
    pub(crate) first: u64,
}

/// What became of them.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// PDUs of messages written, the warm-up's among them.
    pub(crate) sent: u64,
    /// Those answered `ESME_ROK`, the warm-up's among them.
    pub(crate) accepted: u64,
    /// Answers with another status, and the first such status.
    pub(crate) refused: Option<(u64, CommandStatus)>,
    /// Answers to nothing.
    pub(crate) strays: u64,
    /// Messages answered in the measured time, with all their PDUs.
    pub(crate) measured: u64,
    /// From the first measured message to the last answer.
    pub(crate) elapsed: Duration,
    /// From before the write to after the read, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Outcome {
    fn new() -> Self {
        Self {
            sent: 0,
            accepted: 0,
            refused: None,
            strays: 0,
            measured: 0,
            elapsed: Duration::ZERO,
            latency: Histogram::new_with_bounds(100, 60_000_000_000, 3).expect("the bounds are in order"),
        }
    }

    fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.accepted += other.accepted;
        self.strays += other.strays;
        self.measured += other.measured;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.refused = match (self.refused, other.refused) {
            (Some((a, status)), Some((b, _))) => Some((a + b, status)),
            (one, other) => one.or(other),
        };
        self.latency.add(&other.latency).expect("the bounds are the same");
    }
}

/// Sends to `target` as planned: a tenth as warm-up, then `measured` is called, then the rest.
pub(crate) fn run(
    target: SocketAddr,
    template: &Template,
    plan: Plan,
    measured: impl Fn() + 'static,
) -> io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let barrier = Rc::new(Barrier::new(plan.binds as usize));
        let measured = Rc::new(measured);
        let binds: Vec<_> = (0..plan.binds)
            .map(|number| {
                let share = Share::of(plan, number);
                let (template, barrier, measured) = (template.clone(), Rc::clone(&barrier), Rc::clone(&measured));
                tokio::task::spawn_local(async move { share.serve(target, template, &barrier, &*measured).await })
            })
            .collect();
        let mut outcome = Outcome::new();
        for bind in binds {
            outcome.add(&bind.await.map_err(io::Error::other)??);
        }
        Ok(outcome)
    })
}

/// Opens `binds` that stay idle for as long as the result is kept.
pub(crate) fn hold(target: SocketAddr, binds: u32) -> io::Result<Vec<std::net::TcpStream>> {
    (0..binds)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(target)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(bind().as_bytes())?;
            let mut header = [0; 16];
            stream.read_exact(&mut header)?;
            match header[8..12] {
                [0, 0, 0, 0] => Ok(stream),
                _ => Err(io::Error::other("bind refused")),
            }
        })
        .collect()
}

/// One bind's part of the plan.
struct Share {
    window: u32,
    messages: u64,
    time: Duration,
    serial: u64,
}

impl Share {
    fn of(plan: Plan, number: u32) -> Self {
        let messages = (plan.messages / u64::from(plan.binds)).max(1);
        Self { window: plan.window, messages, time: plan.time, serial: plan.first + u64::from(number) * messages * 2 }
    }

    async fn serve(
        &self,
        target: SocketAddr,
        template: Template,
        barrier: &Barrier,
        measured: &dyn Fn(),
    ) -> io::Result<Outcome> {
        let mut bound = Bound::open(target, template, self.window, self.serial).await?;
        barrier.wait().await;
        bound.send(self.messages / 10, self.time / 10).await?;
        bound.outcome.latency.reset();
        bound.outcome.measured = 0;
        if barrier.wait().await.is_leader() {
            measured();
        }
        let start = clock::monotonic();
        bound.send(self.messages, self.time).await?;
        bound.outcome.elapsed = clock::monotonic() - start;
        barrier.wait().await;
        bound.close().await?;
        Ok(bound.outcome)
    }
}

/// An unanswered message's slot in the window.
#[derive(Clone, Copy)]
struct Slot {
    /// The message's own, times the PDUs of a message: the first one's `sequence_number`.
    number: u32,
    sent: Instant,
    /// PDUs without an answer.
    waiting: u32,
}

/// A bound connection.
struct Bound {
    stream: TcpStream,
    template: Template,
    input: BytesMut,
    output: BytesMut,
    slots: Vec<Slot>,
    free: Vec<u32>,
    serial: u64,
    outcome: Outcome,
}

impl Bound {
    async fn open(target: SocketAddr, template: Template, window: u32, serial: u64) -> io::Result<Self> {
        let stream = TcpStream::connect(target).await?;
        stream.set_nodelay(true)?;
        let now = clock::monotonic();
        let mut bound = Self {
            stream,
            template,
            input: BytesMut::with_capacity(READ),
            output: BytesMut::new(),
            // A slot's first number is its place plus the window: none is 1, the bind's.
            slots: (0..window).map(|place| Slot { number: place, sent: now, waiting: 0 }).collect(),
            free: (0..window).rev().collect(),
            serial,
            outcome: Outcome::new(),
        };
        bound.stream.write_all(bind().as_bytes()).await?;
        let answer = bound.next().await?;
        if answer.command_status() != CommandStatus::ESME_ROK {
            return Err(io::Error::other(format!("bind refused with {:?}", answer.command_status())));
        }
        Ok(bound)
    }

    /// Sends until `messages` are sent or `time` is over, then waits for the last answer.
    async fn send(&mut self, messages: u64, time: Duration) -> io::Result<()> {
        let start = clock::monotonic();
        let mut now = start;
        let mut left = messages;
        loop {
            if now - start >= time {
                left = 0;
            }
            if left > 0 && !self.free.is_empty() {
                left -= self.fill(left, now);
            } else if left == 0 && self.free.len() == self.slots.len() {
                return Ok(());
            }
            self.stream.write_all_buf(&mut self.output).await?;
            self.read().await?;
            now = clock::monotonic();
            while let Some(frame) = frame::split(&mut self.input, DEFAULT_LIMIT).map_err(io::Error::other)? {
                self.answered(&frame, now);
            }
        }
    }

    /// Writes messages into the free slots; how many.
    fn fill(&mut self, most: u64, now: Instant) -> u64 {
        let (window, parts, mut filled) = (self.window(), self.template.parts(), 0);
        while filled < most
            && let Some(place) = self.free.pop()
        {
            let slot = &mut self.slots[place as usize];
            *slot = Slot { number: slot.number.wrapping_add(window), sent: now, waiting: parts };
            self.template.push(&mut self.output, slot.number * parts, self.serial);
            self.serial += 1;
            filled += 1;
        }
        self.outcome.sent += filled * u64::from(parts);
        filled
    }

    fn answered(&mut self, frame: &Frame, now: Instant) {
        if frame.command_id() == CommandId::ENQUIRE_LINK {
            let answer =
                Frame::new(CommandId::ENQUIRE_LINK.response(), CommandStatus::ESME_ROK, frame.sequence_number(), &[]);
            return self.output.extend_from_slice(answer.as_bytes());
        }
        let number = frame.sequence_number() / self.template.parts();
        let place = number % self.window();
        let slot = &mut self.slots[place as usize];
        let answers = frame.command_id() == CommandId::SUBMIT_SM.response();
        if !answers || slot.number != number || slot.waiting == 0 {
            self.outcome.strays += 1;
            return;
        }
        slot.waiting -= 1;
        if slot.waiting == 0 {
            self.free.push(place);
            self.outcome.measured += 1;
            let nanoseconds = u64::try_from((now - slot.sent).as_nanos()).unwrap_or(u64::MAX);
            self.outcome.latency.saturating_record(nanoseconds);
        }
        match frame.command_status() {
            CommandStatus::ESME_ROK => self.outcome.accepted += 1,
            status => self.outcome.refused = Some((self.outcome.refused.map_or(1, |(count, _)| count + 1), status)),
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        let unbind = Frame::new(CommandId::UNBIND, CommandStatus::ESME_ROK, 1, &[]);
        self.stream.write_all(unbind.as_bytes()).await?;
        while self.next().await?.command_id() != CommandId::UNBIND.response() {}
        Ok(())
    }

    async fn next(&mut self) -> io::Result<Frame> {
        loop {
            if let Some(frame) = frame::split(&mut self.input, DEFAULT_LIMIT).map_err(io::Error::other)? {
                return Ok(frame);
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        if self.input.capacity() - self.input.len() < READ / 4 {
            self.input.reserve(READ);
        }
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.input));
        match read.await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "messages left unanswered"))?? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "connection closed")),
            _ => Ok(()),
        }
    }

    fn window(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }
}
