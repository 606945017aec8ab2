//! Binds that keep their windows full until the gate goes away.
//!
//! Owns the sending and the list of what was answered. Refuses to judge the answers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_protocol::{CommandId, CommandStatus};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::provider::{Provider, message_id, submit};

const SYSTEM_ID: &str = "herald";
const PASSWORD: &str = "s3cret";

/// What a message is, and so what becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Compliant.
    Compliant,
    /// To someone who never consented.
    Silent,
    /// Without a way to refuse.
    NoWayOut,
    /// A service message.
    Service,
}

impl Kind {
    pub(crate) fn of(serial: u64) -> Self {
        match serial % 6 {
            2 => Self::Silent,
            3 => Self::NoWayOut,
            5 => Self::Service,
            _ => Self::Compliant,
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Compliant | Self::Silent => {
                "[Bakery] Saturday: all bread half price. Call 400-000-0077. Reply TD to unsubscribe"
            }
            Self::NoWayOut => "[Bakery] Saturday: all bread half price. Call 400-000-0077.",
            Self::Service => "[Bakery] Your code is 482913.",
        }
    }

    fn port(self) -> &'static str {
        if self == Self::Service { "1065500777" } else { "10690007770001" }
    }
}

/// The number a message goes to: none is used twice.
pub(crate) fn number(round: u64, serial: u64) -> String {
    format!("86138{:08}", round * 100_000 + serial)
}

/// A message that had its answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) kind: Kind,
    pub(crate) to: String,
    pub(crate) status: CommandStatus,
    pub(crate) message_id: Option<String>,
}

/// The binds at work.
pub(crate) struct Load {
    /// Each ends with how many of its messages were open at the end.
    binds: Vec<JoinHandle<u64>>,
    answers: Arc<Mutex<Vec<Answer>>>,
    count: watch::Receiver<u64>,
}

impl Load {
    /// Binds, all of them, and begins.
    pub(crate) async fn start(gate: SocketAddr, binds: u64, window: usize, messages: u64, round: u64) -> Self {
        let answers = Arc::new(Mutex::new(Vec::new()));
        let (counted, count) = watch::channel(0);
        let counted = Arc::new(counted);
        let mut load = Self { binds: Vec::new(), answers, count };
        let mut providers = Vec::new();
        for _ in 0..binds {
            providers.push(Provider::bound(gate, SYSTEM_ID, PASSWORD).await);
        }
        for (first, provider) in (0..).zip(providers) {
            let serials = (first..messages).step_by(usize::try_from(binds).unwrap_or(1));
            let bind = Bound { provider, round, open: HashMap::new(), answers: Arc::clone(&load.answers) };
            load.binds.push(tokio::spawn(bind.send(serials, window, Arc::clone(&counted))));
        }
        load
    }

    /// Waits until so many are answered.
    pub(crate) async fn answered(&self, many: u64) {
        let mut count = self.count.clone();
        count.wait_for(|count| *count >= many).await.expect("the load goes on");
    }

    /// Waits until the binds have read what there was: all answers, and how many never came.
    pub(crate) async fn end(self) -> (Vec<Answer>, u64) {
        let mut open = 0;
        for bind in self.binds {
            open += bind.await.expect("a bind's end");
        }
        (std::mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner)), open)
    }
}

struct Bound {
    provider: Provider,
    round: u64,
    open: HashMap<u32, u64>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

impl Bound {
    async fn send(
        mut self,
        serials: impl Iterator<Item = u64>,
        window: usize,
        counted: Arc<watch::Sender<u64>>,
    ) -> u64 {
        let mut serials = serials.fuse();
        loop {
            while self.open.len() < window
                && let Some(serial) = serials.next()
            {
                let kind = Kind::of(serial);
                let frame = submit(kind.port(), &number(self.round, serial), kind.text());
                let Some(sequence_number) = self.provider.try_send(frame).await else { break };
                self.open.insert(sequence_number, serial);
            }
            // Whatever the kernel still holds was sent: it counts.
            let Some(answer) = self.provider.read().await else { return self.open.len() as u64 };
            if answer.command_id() != CommandId::SUBMIT_SM_RESP {
                continue;
            }
            let serial = self.open.remove(&answer.sequence_number()).expect("an answer to an open message");
            let status = answer.command_status();
            let message_id = message_id(&answer).filter(|_| status == CommandStatus::ESME_ROK);
            let answer = Answer { kind: Kind::of(serial), to: number(self.round, serial), status, message_id };
            self.answers.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
            counted.send_modify(|count| *count += 1);
        }
    }
}
