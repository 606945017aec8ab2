//! Binds that keep their windows full until the gate goes away.
//!
//! Owns the sending, what kind of message each is, and the list of what was answered. Refuses to judge
//! the answers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_protocol::field::{EsmClass, RegisteredDelivery};
use portcullis_protocol::pdu::SubmitSm;
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::provider::{OK, Provider, encoded, message_id, source, subscriber};

/// Three providers with the same ports: one whose long messages are held, one whose parts are acknowledged, one whose
/// messages wait for the end of quiet hours where there are any.
pub(crate) const REGISTER: &str = r#"
[[provider]]
system_id = "herald"
password = "s3cret"
ports = ["1069000777", "1065500777"]
[provider.rules]
R18 = "off"

[[provider]]
system_id = "scribe"
password = "s3cret"
ports = ["1069000777", "1065500777"]
long_messages = "acknowledge"
[provider.rules]
R18 = "off"

[[provider]]
system_id = "owl"
password = "s3cret"
ports = ["1069000777", "1065500777"]
quiet_hours = "queue"

[[sender]]
id = "bakery"
name = "Bakery Ltd"
credential = "91310000TEST000077"
signatures = ["Bakery"]
phones = ["400-000-0077"]

[[port]]
number = "10690007770001"
class = "commercial"
sender = "bakery"

[[port]]
number = "1065500777"
class = "service"
sender = "bakery"
"#;

/// Connections at a time, one for each of these accounts.
pub(crate) const BINDS: u64 = 4;
const ACCOUNTS: [&str; 4] = ["herald", "herald", "scribe", "owl"];
const PASSWORD: &str = "s3cret";

const PORT: &str = "10690007770001";
const SERVICE_PORT: &str = "1065500777";

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
    /// Compliant, in two parts.
    Long,
    /// Compliant, of the provider whose messages wait while hours are quiet.
    Owl,
}

impl Kind {
    pub(crate) fn of(serial: u64) -> Self {
        let turn = serial / BINDS % 6;
        match (ACCOUNTS[usize::try_from(serial % BINDS).unwrap_or_default()], turn) {
            (_, 2) => Self::Silent,
            ("owl", _) => Self::Owl,
            (_, 3) => Self::NoWayOut,
            (_, 5) => Self::Service,
            (_, 4) | ("scribe", 1) => Self::Long,
            _ => Self::Compliant,
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Compliant | Self::Silent | Self::Long | Self::Owl => {
                "[Bakery] Saturday: all bread half price. Call 400-000-0077. Reply TD to unsubscribe"
            }
            Self::NoWayOut => "[Bakery] Saturday: all bread half price. Call 400-000-0077.",
            Self::Service => "[Bakery] Your code is 482913.",
        }
    }

    fn port(self) -> &'static str {
        if self == Self::Service { SERVICE_PORT } else { PORT }
    }

    /// Its PDUs, each with its place among them from 1; 0 where it is the only one.
    fn frames(self, to: &str, serial: u64) -> Vec<(u8, Frame)> {
        let (data_coding, octets) = encoded(self.text());
        let submit = |esm_class, short_message: &[u8]| {
            Pdu::SubmitSm(SubmitSm {
                source: source(self.port()),
                destination: subscriber(to),
                esm_class,
                registered_delivery: RegisteredDelivery::RECEIPT,
                data_coding,
                short_message,
                ..SubmitSm::default()
            })
            .to_frame(OK, 0)
        };
        if self != Self::Long {
            return vec![(0, submit(EsmClass(0), &octets))];
        }
        let (head, tail) = octets.split_at(octets.len() / 2);
        let part = |number: u8, piece: &[u8]| {
            let header = [5, 0, 3, serial.to_le_bytes()[0], 2, number];
            (number, submit(EsmClass::UDHI, &[&header, piece].concat()))
        };
        vec![part(1, head), part(2, tail)]
    }
}

/// The number a message goes to: none is used twice.
pub(crate) fn number(round: u64, serial: u64) -> String {
    format!("86138{:08}", round * 100_000 + serial)
}

/// A PDU that had its answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) kind: Kind,
    pub(crate) to: String,
    /// Its place among the parts of a long message.
    pub(crate) part: u8,
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
    pub(crate) async fn start(gate: SocketAddr, window: usize, messages: u64, round: u64) -> Self {
        let answers = Arc::new(Mutex::new(Vec::new()));
        let (counted, count) = watch::channel(0);
        let counted = Arc::new(counted);
        let mut load = Self { binds: Vec::new(), answers, count };
        let mut providers = Vec::new();
        for system_id in ACCOUNTS {
            providers.push(Provider::bound(gate, system_id, PASSWORD).await);
        }
        for (first, provider) in (0..).zip(providers) {
            let serials = (first..messages).step_by(ACCOUNTS.len());
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

    /// What was answered by now.
    pub(crate) fn so_far(&self) -> Vec<Answer> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
    /// Message and part, by sequence number.
    open: HashMap<u32, (u64, u8)>,
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
                if !self.submit(serial).await {
                    break;
                }
            }
            // Whatever the kernel still holds was sent: it counts.
            let Some(frame) = self.provider.read().await else { return self.open.len() as u64 };
            match frame.command_id() {
                CommandId::SUBMIT_SM_RESP => {
                    self.answered(&frame);
                    counted.send_modify(|count| *count += 1);
                }
                CommandId::DELIVER_SM => {
                    let answer = Frame::new(CommandId::DELIVER_SM_RESP, OK, frame.sequence_number(), &[0]);
                    self.provider.try_write(answer.as_bytes()).await;
                }
                _ => {}
            }
        }
    }

    /// False once the gate is gone.
    async fn submit(&mut self, serial: u64) -> bool {
        for (part, frame) in Kind::of(serial).frames(&number(self.round, serial), serial) {
            let Some(sequence_number) = self.provider.try_send(frame).await else { return false };
            self.open.insert(sequence_number, (serial, part));
        }
        true
    }

    fn answered(&mut self, answer: &Frame) {
        let (serial, part) = self.open.remove(&answer.sequence_number()).expect("an answer to an open message");
        let status = answer.command_status();
        let message_id = message_id(answer).filter(|_| status == CommandStatus::ESME_ROK);
        let answer = Answer { kind: Kind::of(serial), to: number(self.round, serial), part, status, message_id };
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
    }
}
