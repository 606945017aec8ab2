//! One connection to the simulated carrier: reads in batches, writes in batches.
//!
//! Owns the socket, the delayed answers and the timers. Refuses to know what PDUs mean: the
//! conversation does. Bounded: while too much waits to be written, nothing is read.
//! Driven by the listener, one task a connection.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use portcullis_protocol::frame::{self, DEFAULT_LIMIT};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::answer::{Conversation, Flow};
use super::carrier::Entry;
use super::faults::Answers;
use crate::clock;

/// Room made for a read.
const READ: usize = 64 * 1024;
/// Octets that wait to be written before reading stops.
const UNWRITTEN: usize = 1024 * 1024;

/// Serves a connection until either side ends it.
pub(super) async fn run(stream: TcpStream, entry: Entry) {
    let number = entry.number;
    match serve(stream, entry).await {
        Ok(()) => tracing::debug!(session = number, "simulator: session ended"),
        Err(error) => tracing::debug!(session = number, %error, "simulator: session lost"),
    }
}

/// Answers and their time.
#[derive(Default)]
struct Delayed {
    batches: VecDeque<(Instant, BytesMut)>,
    octets: usize,
}

impl Delayed {
    fn push(&mut self, due: Instant, batch: BytesMut) {
        // The order of answers stays even when the delay was shortened in between.
        let due = self.batches.back().map_or(due, |(last, _)| due.max(*last));
        self.octets += batch.len();
        self.batches.push_back((due, batch));
    }

    fn next_due(&self) -> Option<Instant> {
        self.batches.front().map(|(due, _)| *due)
    }

    fn release(&mut self, now: Instant, out: &mut BytesMut) {
        while self.batches.front().is_some_and(|(due, _)| *due <= now)
            && let Some((_, batch)) = self.batches.pop_front()
        {
            self.octets -= batch.len();
            out.extend_from_slice(&batch);
        }
    }
}

async fn serve(mut stream: TcpStream, mut entry: Entry) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = stream.split();
    let mut conversation = Conversation::new(&entry);
    let mut input = BytesMut::with_capacity(READ);
    let mut delayed = Delayed::default();
    let mut flow = Flow::Open;
    let mut links = entry.carrier.options.enquire_link.map(interval);
    loop {
        let unwritten = conversation.out.len() + delayed.octets;
        if flow != Flow::Open && unwritten == 0 {
            return writer.shutdown().await;
        }
        let room = unwritten < UNWRITTEN && flow == Flow::Open;
        if room && input.capacity() - input.len() < READ / 4 {
            input.reserve(READ);
        }
        tokio::select! {
            biased;
            () = entry.stop.cancelled() => return Ok(()),
            written = writer.write_buf(&mut conversation.out), if !conversation.out.is_empty() => { written?; }
            () = at(delayed.next_due()), if !delayed.batches.is_empty() => {
                delayed.release(now(), &mut conversation.out);
            }
            read = reader.read_buf(&mut input), if room => {
                if read? == 0 {
                    return Ok(());
                }
                flow = take_batch(&mut conversation, &mut input, &mut delayed).await;
                if flow == Flow::Cut {
                    return Ok(());
                }
            }
            Some(frame) = entry.mailbox.recv(), if room => conversation.deliver(frame),
            () = tick(&mut links), if links.is_some() => {
                if !conversation.enquire() {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "enquire_link left unanswered"));
                }
            }
        }
    }
}

/// Lets the conversation answer every complete frame that has arrived.
async fn take_batch(conversation: &mut Conversation, input: &mut BytesMut, delayed: &mut Delayed) -> Flow {
    conversation.begin_batch(clock::wall());
    let mut flow = Flow::Open;
    while flow == Flow::Open {
        flow = match frame::split(input, DEFAULT_LIMIT) {
            Ok(Some(frame)) => conversation.handle(&frame),
            Ok(None) => break,
            Err(fault) => conversation.handle_fault(fault),
        };
    }
    conversation.carrier.notify();
    let delay = conversation.carrier.options.latency
        + match conversation.faults.answers {
            Answers::Late(more) => more,
            Answers::Prompt | Answers::Never => Duration::ZERO,
        };
    if delay.is_zero() && delayed.batches.is_empty() {
        conversation.out.unsplit(conversation.answers.split());
    } else if !conversation.answers.is_empty() {
        delayed.push(now() + delay, conversation.answers.split());
    }
    for frame in conversation.crossings.drain(..) {
        conversation.carrier.deliver(&conversation.system_id, frame).await;
    }
    flow
}

fn interval(period: Duration) -> tokio::time::Interval {
    let period = period.max(Duration::from_millis(1));
    tokio::time::interval_at(now() + period, period)
}

fn now() -> Instant {
    Instant::from_std(clock::monotonic())
}

async fn at(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due).await;
    }
}

async fn tick(interval: &mut Option<tokio::time::Interval>) {
    if let Some(interval) = interval {
        interval.tick().await;
    }
}
