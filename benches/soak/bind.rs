//! Providers that come and go.
//!
//! Owns their connections, what they wait for and how they leave. Refuses to know what the
//! answers should be: the ledger does.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::BytesMut;
use portcullis_protocol::frame::{self, DEFAULT_LIMIT};
use portcullis_protocol::{CommandId, Frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::gate::PATIENCE;
use crate::ledger::{Ledger, Told};
use crate::messages::{ACKNOWLEDGED, HOLDS, Merit, Message, Messages};
use crate::provider::{OK, bare, bind};
use crate::random::Random;

/// Unanswered PDUs of one connection.
const WINDOW: usize = 50;

/// What all providers share.
pub(crate) struct Crowd {
    pub(crate) gate: SocketAddr,
    /// Between two messages of one connection.
    pub(crate) pace: Duration,
    pub(crate) messages: Messages,
    pub(crate) ledger: Arc<Ledger>,
}

impl Crowd {
    /// One message, so that everything is open that is opened once.
    pub(crate) async fn warm_up(&self) -> io::Result<()> {
        let mut link = Link::open(self, HOLDS).await?;
        link.send(self.messages.plain()).await?;
        link.unbind().await
    }

    /// One connection after the other until `stopped`.
    pub(crate) async fn live(self: Arc<Self>, number: u32, seed: u64, stopped: watch::Receiver<bool>) {
        let mut random = Random(seed.wrapping_mul(1_000_003) ^ u64::from(number));
        let system_id = if number.is_multiple_of(4) { ACKNOWLEDGED } else { HOLDS };
        while !*stopped.borrow() {
            if random.chance(5) {
                self.intrude(&mut random).await.ok();
                continue;
            }
            match Link::open(&self, system_id).await {
                Ok(link) => link.live(&self, &mut random, &stopped).await,
                // The carrier is away, or about to be.
                Err(_) => sleep(Duration::from_millis(100 + random.below(400))).await,
            }
        }
    }

    /// Somebody who is no provider.
    async fn intrude(&self, random: &mut Random) -> io::Result<()> {
        let mut stream = TcpStream::connect(self.gate).await?;
        match random.below(3) {
            0 => stream.write_all(b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n").await?,
            1 => stream.write_all(bind(CommandId::BIND_TRANSCEIVER, "nobody", "").as_bytes()).await?,
            _ => {}
        }
        sleep(Duration::from_millis(random.below(500))).await;
        Ok(())
    }
}

/// A PDU that waits for its answer.
struct Waiting {
    serial: u32,
    merit: Merit,
    told: Option<Told>,
}

/// One bound connection.
struct Link {
    stream: TcpStream,
    input: BytesMut,
    sequence_number: u32,
    waiting: HashMap<u32, Waiting>,
    ledger: Arc<Ledger>,
    /// The gate has asked to unbind, or the other way round.
    leaving: bool,
}

impl Link {
    async fn open(crowd: &Crowd, system_id: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(crowd.gate).await?;
        stream.set_nodelay(true)?;
        let ledger = Arc::clone(&crowd.ledger);
        let mut link = Self {
            stream,
            input: BytesMut::new(),
            sequence_number: 1,
            waiting: HashMap::new(),
            ledger,
            leaving: false,
        };
        link.write(bind(CommandId::BIND_TRANSCEIVER, system_id, "s3cret").as_bytes()).await?;
        let answer = timeout(PATIENCE, link.read()).await??;
        match answer.command_status() {
            OK => Ok(link),
            status => Err(io::Error::other(format!("bind refused: {status:?}"))),
        }
    }

    /// Sends and answers for a while, then leaves in one of three ways.
    async fn live(mut self, crowd: &Crowd, random: &mut Random, stopped: &watch::Receiver<bool>) {
        let end = Instant::now() + Duration::from_millis(500 + random.delay(30_000));
        let mut next = Instant::now();
        while Instant::now() < end && !*stopped.borrow() && !self.leaving {
            let done = tokio::select! {
                frame = self.read() => match frame {
                    Ok(frame) => self.hear(&frame).await,
                    Err(error) => Err(error),
                },
                () = sleep_until(next), if self.waiting.len() < WINDOW => {
                    next += crowd.pace;
                    next = next.max(Instant::now());
                    self.send(crowd.messages.any(random)).await
                }
            };
            if done.is_err() {
                break;
            }
        }
        let left = match random.below(3) {
            0 => Ok(()),
            1 => self.await_answers().await,
            _ => self.unbind().await,
        };
        // A carrier that restarts takes the session with it: that is no fault.
        left.ok();
        self.ledger.unanswered.fetch_add(self.waiting.len() as u64, Relaxed);
    }

    async fn send(&mut self, message: Message) -> io::Result<()> {
        self.ledger.messages.fetch_add(1, Relaxed);
        let Message { serial, merit, frames, is_long } = message;
        let first = frames.first().cloned();
        for mut frame in frames {
            let is_first = first.as_ref().is_some_and(|first| first.body() == frame.body());
            let told = is_first.then_some(if is_long { Told::Begun } else { Told::Accepted });
            self.sequence_number += 1;
            frame.restamp(self.sequence_number);
            self.waiting.insert(self.sequence_number, Waiting { serial, merit, told });
            self.write(frame.as_bytes()).await?;
        }
        Ok(())
    }

    async fn hear(&mut self, frame: &Frame) -> io::Result<()> {
        let (command, number) = (frame.command_id(), frame.sequence_number());
        if !command.is_response() {
            if command == CommandId::DELIVER_SM {
                self.ledger.delivered.fetch_add(1, Relaxed);
            }
            self.leaving |= command == CommandId::UNBIND;
            let body: &[u8] = if command == CommandId::DELIVER_SM { &[0] } else { &[] };
            return self.write(Frame::new(command.response(), OK, number, body).as_bytes()).await;
        }
        match self.waiting.remove(&number) {
            Some(Waiting { serial, merit, told }) => {
                self.ledger.answered(serial, merit, told, frame.command_status());
            }
            None => self.ledger.fault(format!("an answer to nothing: {frame:?}")),
        }
        Ok(())
    }

    async fn await_answers(&mut self) -> io::Result<()> {
        let end = Instant::now() + PATIENCE;
        while !self.waiting.is_empty() {
            let frame = match timeout_at(end, self.read()).await {
                Ok(frame) => frame?,
                Err(_) => {
                    self.ledger.fault(format!("{} PDUs not answered in {PATIENCE:?}", self.waiting.len()));
                    return Err(io::ErrorKind::TimedOut.into());
                }
            };
            self.hear(&frame).await?;
        }
        Ok(())
    }

    /// The gate answers everything else first.
    async fn unbind(&mut self) -> io::Result<()> {
        self.sequence_number += 1;
        let mut unbind = bare(CommandId::UNBIND);
        unbind.restamp(self.sequence_number);
        self.write(unbind.as_bytes()).await?;
        let end = Instant::now() + PATIENCE;
        loop {
            let Ok(frame) = timeout_at(end, self.read()).await else {
                self.ledger.fault(format!("unbind not answered in {PATIENCE:?}"));
                return Err(io::ErrorKind::TimedOut.into());
            };
            let frame = frame?;
            if frame.command_id() != CommandId::UNBIND.response() {
                self.hear(&frame).await?;
                continue;
            }
            if !self.waiting.is_empty() && !self.leaving {
                self.ledger.fault(format!("unbound with {} PDUs unanswered", self.waiting.len()));
            }
            return Ok(());
        }
    }

    async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(octets)).await?
    }

    /// The next frame. Nothing is lost when it is dropped half way.
    async fn read(&mut self) -> io::Result<Frame> {
        loop {
            if let Some(frame) = frame::split(&mut self.input, DEFAULT_LIMIT).map_err(io::Error::other)? {
                return Ok(frame);
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
