//! A carrier, a gate, and two providers that send for one bakery under two names from several ports.

use std::time::Duration;

use portcullis::simulator::{Simulator, SimulatorOptions};
use portcullis_protocol::pdu::DeliverSm;
use portcullis_protocol::{Frame, Pdu};

use crate::gate::{Folder, Gate, Said};
use crate::provider::{self, Provider, encoded, source, submit, subscriber};

pub(crate) const REGISTER: &str = r#"
[[provider]]
system_id = "agg1"
ports = ["10690001"]

[[provider]]
system_id = "agg2"
ports = ["10690002"]

[[sender]]
id = "bakery"
name = "Bakery Ltd"
credential = "91310000TEST000077"
signatures = ["Bakery", "Bread Club"]
phones = ["400-000-0077"]

[[sender]]
id = "florist"
name = "Florist Ltd"
credential = "91310000TEST000078"
signatures = ["Florist"]
phones = ["400-000-0078"]

[[port]]
number = "1069000101"
class = "commercial"
sender = "bakery"

[[port]]
number = "1069000102"
class = "commercial"
sender = "bakery"

[[port]]
number = "1069000103"
class = "commercial"
sender = "florist"

[[port]]
number = "1069000201"
class = "commercial"
sender = "bakery"

[[port]]
number = "1069000199"
class = "service"
sender = "bakery"
"#;

pub(crate) const SUBSCRIBER: &str = "8613800138001";

pub(crate) const OK: u32 = 0;
pub(crate) const NO_CONSENT: u32 = 0x0481;
pub(crate) const REFUSED: u32 = 0x0482;

pub(crate) struct Stage {
    pub(crate) gate: Gate,
    pub(crate) folder: Folder,
    pub(crate) carrier: Simulator,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(REGISTER, |_| String::new()).await
    }

    /// A gate with this register; `more` goes into the configuration, once its files are there.
    pub(crate) async fn with(register: &str, more: impl Fn(&Folder) -> String) -> Self {
        let options = SimulatorOptions { keep: 1000, ..SimulatorOptions::default() };
        let carrier = Simulator::start(options).await.expect("the carrier listens");
        let folder = Folder::new(register, carrier.address());
        let more = more(&folder);
        folder.configure("", carrier.address(), &more);
        Self { gate: folder.start(), folder, carrier }
    }

    pub(crate) async fn provider(&self, account: &str) -> Provider {
        Provider::bound(self.gate.address, account, "any").await
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.folder.run(arguments)
    }

    /// `consent grant` or `refuse`, by the subscriber unless the arguments say otherwise.
    pub(crate) fn say(&self, command: &str, sender: &str, more: &[&str]) {
        let mut arguments = vec!["consent", command, "--sender", sender];
        if !more.contains(&"--msisdn") {
            arguments.extend(["--msisdn", SUBSCRIBER]);
        }
        arguments.extend(more);
        self.run(&arguments).ok();
    }
}

/// A compliant commercial message.
pub(crate) fn offer(signature: &str, port: &str, to: &str) -> Frame {
    let phone = if signature == "Florist" { "400-000-0078" } else { "400-000-0077" };
    let text = format!("[{signature}] Saturday: everything half price. Call {phone}. Reply TD to unsubscribe");
    submit(port, to, &text)
}

/// The status that a bakery's offer from a port is answered with.
pub(crate) async fn status(provider: &mut Provider, port: &str, to: &str) -> u32 {
    provider.ask(offer("Bakery", port, to)).await.command_status().0
}

/// Waits for something that has no other sign.
pub(crate) async fn until<F: AsyncFnMut() -> bool>(what: &str, mut is_so: F) {
    for _ in 0..600 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not {what}");
}

/// The subscriber answers to the bakery's first port.
pub(crate) async fn reply(stage: &Stage, text: &str) {
    let (data_coding, octets) = encoded(text);
    let deliver = DeliverSm {
        source: subscriber(SUBSCRIBER),
        destination: source("1069000101"),
        data_coding,
        short_message: &octets,
        ..DeliverSm::default()
    };
    assert!(stage.carrier.deliver("agg1", Pdu::DeliverSm(deliver).to_frame(provider::OK, 0)).await, "a bind");
}
