//! A gate between a provider and a carrier, and what is said there.

use portcullis::simulator::{Simulator, SimulatorOptions};
use portcullis_protocol::pdu::SubmitSm;
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use crate::gate::{Folder, Gate, PATIENCE};
use crate::provider::{Provider, encoded, source, submit, subscriber};

pub(crate) const REGISTER: &str = r#"
[[provider]]
system_id = "herald"
password = "s3cret"
ports = ["1069000777", "1065500777"]

[[sender]]
id = "bakery"
name = "Bakery Ltd"
credential = "91310000TEST000077"
signatures = ["Bakery", "麦香坊"]
phones = ["400-000-0077"]

[[port]]
number = "10690007770001"
class = "commercial"
sender = "bakery"

[[port]]
number = "10690007770002"
class = "commercial"
sender = "bakery"

[[port]]
number = "1065500777"
class = "service"
sender = "bakery"
"#;

pub(crate) const COMMERCIAL: &str = "10690007770001";
pub(crate) const OTHER_PORT: &str = "10690007770002";
pub(crate) const SERVICE: &str = "1065500777";
pub(crate) const WILLING: &str = "8613900001111";
pub(crate) const WILLING_TOO: &str = "8613900001112";
pub(crate) const STRANGER: &str = "8613900003333";

pub(crate) const TOO_OFTEN: CommandStatus = CommandStatus(0x048D);

/// A running gate and its carrier.
pub(crate) struct Scene {
    pub(crate) folder: Folder,
    pub(crate) gate: Option<Gate>,
    pub(crate) carrier: Simulator,
}

impl Scene {
    /// A gate with these settings in its configuration.
    pub(crate) async fn start(settings: &str) -> Self {
        Self::with(REGISTER, settings, SimulatorOptions::default()).await
    }

    pub(crate) async fn with(register: &str, settings: &str, options: SimulatorOptions) -> Self {
        let carrier =
            Simulator::start(SimulatorOptions { keep: 1_000, ..options }).await.expect("the simulator listens");
        let folder = Folder::new(register, carrier.address());
        folder.configure("", carrier.address(), settings);
        let consents = "msisdn,sender,category,status,at,method,evidence,expires_at\n\
            8613900001111,bakery,marketing,consent,2026-01-05T09:00:00+08:00,web,form 12,\n\
            8613900001112,bakery,marketing,consent,2026-01-05T09:00:00+08:00,web,form 13,\n";
        folder.feed(&["consent", "import", "-"], consents).ok();
        let gate = folder.start();
        Self { folder, gate: Some(gate), carrier }
    }

    pub(crate) fn gate(&self) -> &Gate {
        self.gate.as_ref().expect("a running gate")
    }

    pub(crate) async fn provider(&self) -> Provider {
        Provider::bound(self.gate().address, "herald", "s3cret").await
    }

    /// SIGKILL, and a fresh process on the same data.
    pub(crate) fn kill_and_restart(&mut self) {
        self.gate.take().expect("a running gate").kill();
        self.gate = Some(self.folder.start());
    }

    /// SIGTERM, and a fresh process on the same data.
    pub(crate) fn restart(&mut self) {
        self.gate.take().expect("a running gate").stop();
        self.gate = Some(self.folder.start());
    }

    /// What the carrier has of one operation, in the order it came.
    pub(crate) fn carried(&self, command: CommandId) -> Vec<Frame> {
        self.carrier.received_of(command).into_iter().map(|received| received.frame).collect()
    }

    pub(crate) async fn carries(&self, messages: u64) {
        let there = self.carrier.wait_until(PATIENCE, |counts| counts.messages >= messages).await;
        assert!(there, "{messages} messages at the carrier: {:?}", self.carrier.counts());
    }
}

/// A compliant offer; `n` tells one from another.
pub(crate) fn offer(to: &str, n: u32) -> Frame {
    submit(COMMERCIAL, to, &text(n))
}

pub(crate) fn text(n: u32) -> String {
    format!("[Bakery] Fresh bread half price today, offer {n}. Call 400-000-0077. Reply TD to unsubscribe")
}

/// The same with fields of its own.
pub(crate) fn offer_with(to: &str, n: u32, change: impl FnOnce(&mut SubmitSm<'_>)) -> Frame {
    let (data_coding, octets) = encoded(&text(n));
    let mut pdu = SubmitSm {
        source: source(COMMERCIAL),
        destination: subscriber(to),
        data_coding,
        short_message: octets.leak(),
        ..SubmitSm::default()
    };
    change(&mut pdu);
    Pdu::SubmitSm(pdu).to_frame(CommandStatus::ESME_ROK, 0)
}

/// The status a provider gets.
pub(crate) async fn sent(provider: &mut Provider, request: Frame) -> CommandStatus {
    provider.ask(request).await.command_status()
}
