//! The carrier, and all the trouble one can make.
//!
//! Owns the simulator: restarts it on the same port, cuts, silences and confuses it in turn, has
//! subscribers reply, and looks that nothing reached it that must not.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use portcullis::simulator::{Answers, Faults, Form, Simulator, SimulatorOptions};
use portcullis_protocol::pdu::DeliverSm;
use portcullis_protocol::{CommandStatus, Pdu};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::ledger::Ledger;
use crate::messages::{HOLDS, NEVER, PORT};
use crate::provider::{OK, source, subscriber};
use crate::random::Random;

/// Between two looks at what the carrier has.
const LOOK: Duration = Duration::from_millis(500);
/// Looks between two troubles.
const CALM: u64 = 16;
/// Frames kept between two looks.
const KEEP: usize = 5_000;

/// A carrier that has its troubles.
pub(crate) struct Trouble {
    carrier: Simulator,
    random: Random,
    ledger: Arc<Ledger>,
    restarts: u32,
}

fn options(listen: SocketAddr) -> SimulatorOptions {
    let reply_with = Some("好的，谢谢".to_owned());
    SimulatorOptions { listen, receipts: true, reply_with, keep: KEEP, ..SimulatorOptions::default() }
}

impl Trouble {
    pub(crate) async fn start(seed: u64, ledger: Arc<Ledger>) -> io::Result<Self> {
        let carrier = Simulator::start(options(SocketAddr::from(([127, 0, 0, 1], 0)))).await?;
        Ok(Self { carrier, random: Random(seed ^ 0xCA44_1E44), ledger, restarts: 0 })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.carrier.address()
    }

    /// Until `stopped`; gives the number of restarts. The carrier is well at the end.
    pub(crate) async fn make(mut self, stopped: watch::Receiver<bool>) -> io::Result<u32> {
        let mut looks = 0;
        while !*stopped.borrow() {
            sleep(LOOK).await;
            self.look();
            looks += 1;
            if looks % CALM == CALM / 2 {
                self.carrier.set_faults(Faults::default());
            }
            if looks % CALM == 0 {
                self = self.happen(looks / CALM).await?;
            }
            if looks % 4 == 0 {
                self.refuse(looks).await;
            }
        }
        self.carrier.set_faults(Faults::default());
        // Whoever leaves last still has a carrier to leave.
        sleep(Duration::from_secs(20)).await;
        self.look();
        let sessions = self.carrier.counts().sessions;
        if sessions > 0 {
            self.ledger.fault(format!("{sessions} connections to the carrier when all providers have left"));
        }
        Ok(self.restarts)
    }

    async fn happen(mut self, turn: u64) -> io::Result<Self> {
        let faults = Faults::default();
        match turn % 8 {
            0 | 4 => return self.restart().await,
            1 => self.carrier.cut_connections(),
            2 => {
                timeout(Duration::from_secs(10), self.carrier.unbind_all()).await.ok();
            }
            3 => self.carrier.set_faults(Faults { answers: Answers::Never, ..faults }),
            5 => self.carrier.set_faults(Faults { answers: Answers::Late(Duration::from_millis(300)), ..faults }),
            6 => {
                let form = if self.random.chance(50) { Form::Twice } else { Form::GenericNack };
                self.carrier.set_faults(Faults { form, ..faults });
            }
            _ => {
                let refuse_every = NonZeroU64::new(3).map(|every| (every, CommandStatus::ESME_RTHROTTLED));
                self.carrier.set_faults(Faults { refuse_every, ..faults });
            }
        }
        Ok(self)
    }

    async fn restart(self) -> io::Result<Self> {
        let Self { carrier, mut random, ledger, restarts } = self;
        let address = carrier.address();
        carrier.stop().await;
        sleep(Duration::from_millis(random.below(3_000))).await;
        let carrier = Simulator::start(options(address)).await?;
        Ok(Self { carrier, random, ledger, restarts: restarts + 1 })
    }

    /// A subscriber who gets nothing else refuses.
    async fn refuse(&self, number: u64) {
        let from = format!("86137{:08}", number % 20_000);
        let reply = DeliverSm {
            source: subscriber(&from),
            destination: source(PORT),
            short_message: b"R",
            ..DeliverSm::default()
        };
        let frame = Pdu::DeliverSm(reply).to_frame(OK, 0);
        timeout(LOOK, self.carrier.deliver(HOLDS, frame)).await.ok();
    }

    fn look(&self) {
        let is_offending =
            |body: &[u8]| body.windows(NEVER.len() + 1).any(|at| at[0] == 1 && at[1..] == *NEVER.as_bytes());
        for received in self.carrier.received() {
            if is_offending(received.frame.body()) {
                self.ledger.fault(format!("reached the carrier: {:?}", received.frame));
            }
        }
    }
}
