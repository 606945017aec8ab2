//! What the tests of the links have in common: a register, a carrier, a configured gate.

use std::fs;

use portcullis::simulator::{Simulator, SimulatorOptions};
use portcullis_protocol::CommandId;

use crate::gate::{Folder, Gate};
use crate::provider::{OK, Provider, submit};

/// The gate's own log in full.
pub(crate) const VERBOSE: &str = "info,portcullis=debug";

/// A port for everybody, of a class that asks for nothing.
pub(crate) const PORT: &str = "1065500777";

/// A provider with more said about it, and what it needs to send service messages.
pub(crate) fn register(providers: &[(&str, &str)]) -> String {
    let providers: String = providers
        .iter()
        .enumerate()
        .map(|(n, (system_id, more))| {
            format!(
                "[[provider]]\nsystem_id = \"{system_id}\"\npassword = \"s3cret\"\nports = [\"{PORT}{n}\"]\n{more}\n"
            )
        })
        .collect();
    format!(
        "{providers}\n[[sender]]\nid = \"bakery\"\nname = \"Bakery Ltd\"\ncredential = \"91310000TEST000077\"\n\
         signatures = [\"Bakery\"]\nphones = [\"400-000-0077\"]\n\
         [[port]]\nnumber = \"{PORT}\"\nclass = \"service\"\nsender = \"bakery\"\n"
    )
}

/// A simulated carrier that keeps what it got.
pub(crate) async fn carrier() -> Simulator {
    Simulator::start(SimulatorOptions { keep: 1000, ..SimulatorOptions::default() }).await.expect("a carrier")
}

/// Writes a configuration: what follows the address of `[[listen]]`, and all after it.
pub(crate) fn configure(folder: &Folder, listen: &str, carrier: &str, more: &str) {
    let text = format!(
        "register = \"register.toml\"\ndata = \"data\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n{listen}\n\
         [carrier]\n{carrier}\n{more}\n"
    );
    fs::write(folder.config_file(), text).expect("the configuration");
}

/// A gate with this register in front of a simulated carrier.
pub(crate) async fn gate(providers: &[(&str, &str)], listen: &str, more: &str) -> (Folder, Gate, Simulator) {
    let carrier = carrier().await;
    let folder = Folder::new(&register(providers), carrier.address());
    configure(&folder, listen, &format!("addresses = [\"{}\"]", carrier.address()), more);
    let gate = folder.start_logging(VERBOSE);
    (folder, gate, carrier)
}

/// A message of the n-th provider, judged harmless.
pub(crate) fn message(n: usize) -> portcullis_protocol::Frame {
    submit(&format!("{PORT}{n}"), "8613800138001", "[Bakery] Your code is 4711")
}

/// Whether a message of the n-th provider goes all the way.
pub(crate) async fn sends(provider: &mut Provider, n: usize) {
    let answer = provider.ask(message(n)).await;
    assert_eq!((answer.command_id(), answer.command_status()), (CommandId::SUBMIT_SM_RESP, OK));
}
