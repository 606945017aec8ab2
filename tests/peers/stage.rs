//! The gate in front of a carrier, and the whole row from ESME to carrier with a tap on both legs.
//!
//! Owns the gate's folder and process, which can be killed and started again where it was.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::Value;

use crate::capture;
use crate::gate::{self, Folder};
use crate::messages::{CONSENTS, REGISTER, plan};
use crate::party::{Carrier, Esme, Script, free_address};
use crate::wire::Tap;

/// A gate in a folder of its own, with the register and the consents of these tests.
pub(crate) struct Gate {
    folder: Folder,
    running: Option<gate::Gate>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Gate {
    pub(crate) fn start(carrier: SocketAddr) -> Self {
        let folder = Folder::new(REGISTER, carrier);
        let address = free_address();
        let config = fs::read_to_string(folder.config_file()).expect("the configuration");
        fs::write(folder.config_file(), config.replace("127.0.0.1:0", &address.to_string())).expect("configuration");
        let csv = folder.path().join("consents.csv");
        fs::write(&csv, CONSENTS).expect("consents");
        folder.run(&["consent", "import", csv.to_str().expect("a UTF-8 path")]).ok();
        let running = Some(folder.start());
        Self { folder, running, address }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.running.take().expect("a running gate").kill();
    }

    /// The same gate again, at the same address.
    pub(crate) fn start_again(&mut self) {
        self.running = Some(self.folder.start());
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        self.running.as_ref().map(gate::Gate::log).unwrap_or_default()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the gate logged:\n{}", self.log());
        }
    }
}

/// Carrier, gate and the taps between them and the ESME.
pub(crate) struct Stage {
    peers: PathBuf,
    which: Carrier,
    carrier_plan: Value,
    carrier_address: SocketAddr,
    carrier_leg: Tap,
    provider_leg: Tap,
    pub(crate) carrier: Option<Script>,
    pub(crate) gate: Gate,
}

impl Stage {
    pub(crate) fn set(peers: &Path, which: Carrier, carrier_plan: Value) -> Self {
        let carrier_address = free_address();
        let carrier = Script::carrier_at(peers, which, carrier_address, carrier_plan.clone());
        let carrier_leg = Tap::start(carrier_address);
        let gate = Gate::start(carrier_leg.address);
        let provider_leg = Tap::start(gate.address);
        let (peers, carrier) = (peers.to_owned(), Some(carrier));
        Self { peers, which, carrier_plan, carrier_address, carrier_leg, provider_leg, carrier, gate }
    }

    /// An ESME that sends these, and waits for so many deliveries.
    pub(crate) fn esme(&self, which: Esme, messages: &[Value], deliveries: usize) -> Script {
        self.planned(which, plan(self.provider_leg.address, "transceiver", messages, deliveries))
    }

    /// The same with more in its plan: `change` sees it.
    pub(crate) fn esme_with(&self, which: Esme, messages: &[Value], change: impl FnOnce(&mut Value)) -> Script {
        let mut plan = plan(self.provider_leg.address, "transceiver", messages, 0);
        change(&mut plan);
        self.planned(which, plan)
    }

    fn planned(&self, which: Esme, plan: Value) -> Script {
        Script::esme(&self.peers, which, plan)
    }

    /// What the carrier saw submitted.
    pub(crate) fn submitted(&self) -> Vec<Value> {
        self.carrier.as_ref().expect("a carrier").events("submit")
    }

    /// The carrier's process is gone, without a word on the wire.
    pub(crate) fn kill_carrier(&mut self) {
        self.carrier = None;
    }

    /// Another carrier, at the same address.
    pub(crate) fn start_carrier_again(&mut self) {
        let plan = self.carrier_plan.clone();
        self.carrier = Some(Script::carrier_at(&self.peers, self.which, self.carrier_address, plan));
    }

    /// tshark finds no fault in what passed on either leg.
    pub(crate) fn assert_decodes(&self) {
        if capture::has_tshark() {
            capture::assert_both_decode(&self.provider_leg, &self.carrier_leg);
        }
    }
}
