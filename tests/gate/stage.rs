//! What most of these tests begin with: a carrier, a gate in front of it, and a register.

use std::net::SocketAddr;

use bytes::BytesMut;
use portcullis::simulator::{Simulator, SimulatorOptions};
use portcullis_protocol::pdu::{Destination, Destinations, SubmitMulti};
use portcullis_protocol::{CommandStatus, Frame, Pdu};

use crate::gate::{Folder, Gate};
use crate::provider::{OK, Provider, encoded, message_id, source, submit, subscriber};

/// A sender with a port of each kind, a provider with a password, and providers that are kept short.
pub(crate) const REGISTER: &str = r#"
[[provider]]
system_id = "herald"
password = "s3cret"
ports = ["1069000777", "1065500777"]

[[provider]]
system_id = "fenced"
allow = ["10.0.0.0/8"]
ports = ["1069000778"]

[[provider]]
system_id = "narrow"
max_binds = 1
ports = ["1069000779"]

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

pub(crate) const COMMERCIAL_PORT: &str = "10690007770001";
pub(crate) const SERVICE_PORT: &str = "1065500777";

/// Has every label.
pub(crate) const OFFER: &str = "[Bakery] Saturday: all bread half price. Call 400-000-0077. Reply TD to unsubscribe";
pub(crate) const NOTICE: &str = "[Bakery] Your code is 482913.";

/// A subscriber who agreed, where a test says so.
pub(crate) const WILLING: &str = "8613800138001";
pub(crate) const SILENT: &str = "8613800138002";

/// What the gate answers to a commercial message without consent.
pub(crate) const NO_CONSENT: CommandStatus = CommandStatus(0x0481);

pub(crate) struct Stage {
    pub(crate) gate: Gate,
    pub(crate) folder: Folder,
    pub(crate) carrier: Simulator,
}

impl Stage {
    /// A gate with the usual register, in front of a carrier that keeps what it receives.
    pub(crate) async fn new() -> Self {
        Self::with(options(), "", "").await
    }

    /// The same before such a carrier; `top` and `more` go into the gate's configuration.
    pub(crate) async fn with(options: SimulatorOptions, top: &str, more: &str) -> Self {
        Self::of(REGISTER, options, top, more).await
    }

    /// The usual register with more settings for `herald`; `more` goes into the gate's configuration.
    pub(crate) async fn with_herald(settings: &str, more: &str) -> Self {
        let account = "password = \"s3cret\"";
        let register = REGISTER.replace(account, &format!("{account}\n{settings}"));
        Self::of(&register, options(), "", more).await
    }

    async fn of(register: &str, options: SimulatorOptions, top: &str, more: &str) -> Self {
        let carrier = Simulator::start(options).await.expect("the carrier listens");
        let folder = Folder::new(register, carrier.address());
        folder.configure(top, carrier.address(), more);
        Self { gate: folder.start(), folder, carrier }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gate.address
    }

    /// A transceiver bound as `herald`.
    pub(crate) async fn herald(&self) -> Provider {
        Provider::bound(self.address(), "herald", "s3cret").await
    }

    /// Records that a subscriber agreed.
    pub(crate) fn consent(&self, msisdn: &str) {
        self.folder.run(&["consent", "grant", "--msisdn", msisdn, "--sender", "bakery"]).ok();
    }
}

/// A carrier that keeps what it receives.
pub(crate) fn options() -> SimulatorOptions {
    SimulatorOptions { keep: 1000, ..SimulatorOptions::default() }
}

/// A compliant commercial message.
pub(crate) fn offer(to: &str) -> Frame {
    submit(COMMERCIAL_PORT, to, OFFER)
}

/// A service message.
pub(crate) fn notice(to: &str) -> Frame {
    submit(SERVICE_PORT, to, NOTICE)
}

/// One text for several recipients.
pub(crate) fn multi(from: &str, recipients: &[&str], text: &str) -> Frame {
    let mut entries = BytesMut::new();
    recipients.iter().for_each(|recipient| Destination::Sme(subscriber(recipient)).encode(&mut entries));
    let (data_coding, octets) = encoded(text);
    let pdu = SubmitMulti {
        source: source(from),
        destinations: Destinations::from_bytes(&entries).expect("addresses"),
        data_coding,
        short_message: &octets,
        ..SubmitMulti::default()
    };
    Pdu::SubmitMulti(pdu).to_frame(OK, 0)
}

/// The status of the answer to a message, and the carrier's `message_id` where there is one.
pub(crate) async fn sent(provider: &mut Provider, message: Frame) -> (CommandStatus, Option<String>) {
    let answer = provider.ask(message).await;
    (answer.command_status(), message_id(&answer).filter(|id| !id.is_empty()))
}
