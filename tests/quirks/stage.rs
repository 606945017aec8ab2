//! A gate whose rules only watch, in front of the simulator or of a carrier the test plays.

use std::net::SocketAddr;

use portcullis::rules::Rule;
use portcullis::simulator::{Simulator, SimulatorOptions};
use tokio::net::TcpListener;

use crate::gate::{Folder, Gate};
use crate::provider;
use crate::wire::Wire;
use portcullis_protocol::Frame;

const REGISTER: &str = r#"
[[provider]]
system_id = "herald"
password = "s3cret"
ports = ["1069000777", "1065500777"]

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

pub(crate) const COMMERCIAL: &str = "10690007770001";
pub(crate) const SERVICE: &str = "1065500777";
pub(crate) const SUBSCRIBER: &str = "8613900001111";

/// The text of a message that is forwarded.
pub(crate) const GOOD: &str = "[Bakery] Your code is 482913.";

/// Hundreds of messages one after the other need not wait for the disk.
const INTERVAL: &str = "[journal]\ndurability = \"interval\"\ninterval = \"10ms\"\n";

/// A gate and the simulator.
pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) gate: Gate,
    pub(crate) folder: Folder,
}

impl Stage {
    /// Every rule decides.
    pub(crate) async fn judging() -> Self {
        Self::set(false).await
    }

    /// No rule decides: what can be read goes on, and shows what becomes of its octets.
    pub(crate) async fn observing() -> Self {
        Self::set(true).await
    }

    async fn set(observing: bool) -> Self {
        let options = SimulatorOptions { keep: 1_000, ..SimulatorOptions::default() };
        let simulator = Simulator::start(options).await.expect("the simulator listens");
        let (folder, gate) = gate(simulator.address(), observing, INTERVAL);
        Self { simulator, gate, folder }
    }
}

/// A gate and a carrier that the test plays: the provider's end and the carrier's end of a session.
pub(crate) struct Played {
    pub(crate) listener: TcpListener,
    pub(crate) gate: Gate,
    _folder: Folder,
}

impl Played {
    pub(crate) async fn set() -> Self {
        Self::with(INTERVAL).await
    }

    /// Answers wait until their records are on disk.
    pub(crate) async fn durable() -> Self {
        Self::with("").await
    }

    async fn with(journal: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let (folder, gate) = gate(listener.local_addr().expect("its address"), true, journal);
        Self { listener, gate, _folder: folder }
    }

    /// Both ends of a bound session.
    pub(crate) async fn session(&self) -> (Wire, Wire) {
        let mut provider = Wire::connect(self.gate.address).await;
        let request = provider.stamp(crate::wire::bind());
        provider.write(request.as_bytes()).await;
        let mut carrier = Wire::accept(&self.listener).await;
        let bind = carrier.frame().await;
        carrier.answer(&bind, b"played\0").await;
        assert_eq!(provider.frame().await.sequence_number(), request.sequence_number(), "bind");
        (provider, carrier)
    }
}

fn gate(carrier: SocketAddr, observing: bool, journal: &str) -> (Folder, Gate) {
    let folder = Folder::new(REGISTER, carrier);
    let mut more = journal.to_owned();
    if observing {
        more.push_str("[profile]\n");
        // R13 and R14 only ever let through: they have no mode.
        let rules = Rule::all().filter(|rule| ![Rule::R13, Rule::R14, Rule::R26].contains(rule));
        more.extend(rules.map(|rule| format!("{rule} = \"observe\"\n")));
    }
    folder.configure("", carrier, &more);
    let gate = folder.start();
    (folder, gate)
}

/// A message that is forwarded.
pub(crate) fn good() -> Frame {
    provider::submit(SERVICE, SUBSCRIBER, GOOD)
}
