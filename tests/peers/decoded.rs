//! What tshark makes of whole runs, and the simulator against the peers without a gate.

use std::net::SocketAddr;
use std::path::Path;

use portcullis::simulator::{Simulator, SimulatorOptions};
use portcullis_protocol::command::CommandId;
use serde_json::{Value, json};

use crate::capture::{self, assert_decodes};
use crate::messages::{OK, messages, plan};
use crate::party::{Esme, Script, folder, numbers};
use crate::stage::Gate;
use crate::wire::{Passed, Tap};

#[test]
fn tshark_would_see_a_fault() {
    if folder().is_none() || !capture::has_tshark() {
        return;
    }
    // A submit_sm that ends in the middle of its source address.
    let octets = b"\0\0\0\x15\0\0\0\x04\0\0\0\0\0\0\0\x01\0\0\0\x31\x30".to_vec();
    let passed = [Passed { connection: 0, forth: true, octets }];
    assert_eq!(capture::decode(&passed).faults, ["1"]);
}

/// Runs the ESMEs against `address`, every message asking for a receipt; the deliveries each
/// waits for are `deliveries` of every accepted message.
fn run_all(peers: &Path, address: SocketAddr, messages: &[Value], statuses: &[u64], deliveries: usize) {
    let accepted = statuses.iter().filter(|status| **status == OK).count();
    for which in Esme::scripted(peers) {
        let mut esme = Script::esme(peers, which, plan(address, "transceiver", messages, deliveries * accepted));
        esme.finish();
        assert_eq!(numbers(&esme.events("answer"), "status"), statuses, "{which:?}");
        assert_eq!(esme.events("deliver").len(), deliveries * accepted, "{which:?}");
    }
}

fn asking_for_receipts() -> (Vec<Value>, Vec<u64>) {
    let (mut messages, statuses) = messages();
    for message in &mut messages {
        message["registered_delivery"] = json!(1);
    }
    (messages, statuses)
}

fn simulator(runtime: &tokio::runtime::Runtime) -> Simulator {
    let options =
        SimulatorOptions { receipts: true, reply_with: Some("好的".into()), keep: 1_000, ..Default::default() };
    runtime.block_on(Simulator::start(options)).expect("the simulator listens")
}

#[test]
fn tshark_finds_no_fault_in_what_passed() {
    let Some(peers) = folder() else { return };
    if !capture::has_tshark() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let simulator = simulator(&runtime);
    let carrier_leg = Tap::start(simulator.address());
    let gate = Gate::start(carrier_leg.address);
    let provider_leg = Tap::start(gate.address);
    let (messages, statuses) = asking_for_receipts();
    run_all(&peers, provider_leg.address, &messages, &statuses, 2);
    let ran = Esme::scripted(&peers).len();
    let accepted = ran * statuses.iter().filter(|status| **status == OK).count();
    assert_eq!(simulator.received_of(CommandId::SUBMIT_SM).len(), accepted);
    for (leg, tap, submitted) in
        [("provider", &provider_leg, ran * messages.len()), ("carrier", &carrier_leg, accepted)]
    {
        assert_decodes(
            leg,
            tap,
            &[
                ("0x00000009", ran),
                ("0x00000004", submitted),
                ("0x80000004", submitted),
                ("0x00000005", 2 * accepted),
                ("0x80000005", 2 * accepted),
            ],
        );
    }
}

#[test]
fn the_simulator_itself_gets_on_with_them() {
    let Some(peers) = folder() else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let simulator = simulator(&runtime);
    let leg = Tap::start(simulator.address());
    let (messages, statuses) = asking_for_receipts();
    let all = Esme::scripted(&peers).len() * messages.len();
    run_all(&peers, leg.address, &messages, &vec![OK; statuses.len()], 2);
    assert_eq!(simulator.received_of(CommandId::SUBMIT_SM).len(), all);
    assert_eq!(simulator.counts().acknowledged, 2 * u64::try_from(all).expect("a small number"));
    if capture::has_tshark() {
        assert_decodes("simulator", &leg, &[("0x00000004", all), ("0x80000004", all), ("0x00000005", 2 * all)]);
    }
}
