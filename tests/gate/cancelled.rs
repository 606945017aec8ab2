//! A provider's `cancel_sm` of what is with the carrier: on record with the carrier's answer.

use portcullis::simulator::SimulatorOptions;
use portcullis_protocol::field::COctetString;
use portcullis_protocol::pdu::{CancelSm, SubmitSm};
use portcullis_protocol::{CommandStatus, Frame, Pdu};
use serde_json::Value;

use crate::provider::{self, OK, encoded, message_id};
use crate::stage::{NOTICE, SERVICE_PORT, Stage, WILLING, options};

fn scheduled() -> Frame {
    let (data_coding, octets) = encoded(NOTICE);
    let submit = SubmitSm {
        source: provider::source(SERVICE_PORT),
        destination: provider::subscriber(WILLING),
        schedule_delivery_time: COctetString(b"000001000000000R"),
        data_coding,
        short_message: &octets,
        ..SubmitSm::default()
    };
    Pdu::SubmitSm(submit).to_frame(OK, 0)
}

fn cancel(message_id: &str) -> Frame {
    let pdu = CancelSm {
        message_id: COctetString(message_id.as_bytes()),
        source: provider::source(SERVICE_PORT),
        destination: provider::subscriber(WILLING),
        ..CancelSm::default()
    };
    Pdu::CancelSm(pdu).to_frame(OK, 0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_sm_is_on_record_with_the_carriers_answer() {
    let stage = Stage::with(SimulatorOptions { receipts: true, ..options() }, "", "").await;
    let mut provider = stage.herald().await;
    let answer = provider.ask(scheduled()).await;
    assert_eq!(answer.command_status(), OK);
    let id = message_id(&answer).expect("a message_id");
    assert_eq!(provider.ask(cancel(&id)).await.command_status(), OK);
    // Nothing of that name waits any more.
    assert_eq!(provider.ask(cancel(&id)).await.command_status(), CommandStatus::ESME_RCANCELFAIL);

    let find = |more: &[&str]| {
        let said = stage.folder.run(&[&["journal", "find", "--sessions", "--json"], more].concat()).ok();
        let lines = said.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let changes = lines.map(|line| line.get("change").cloned().unwrap_or(line));
        changes.filter(|change| change["what"] == "cancel").collect::<Vec<_>>()
    };
    for cancels in [find(&[]), find(&["--to", WILLING])] {
        let outcomes: Vec<_> = cancels.iter().map(|cancel| cancel["outcome"].as_str().expect("an outcome")).collect();
        assert_eq!(outcomes, ["answered 0x00000000", "answered 0x00000011"], "{cancels:?}");
        for cancel in &cancels {
            assert_eq!((cancel["who"].as_str(), cancel["about"].as_str()), (Some("provider herald"), Some(&*id)));
            assert_eq!(cancel["details"]["source"], SERVICE_PORT);
            let subscriber = cancel["subscriber"].as_str().expect("a subscriber");
            assert!(subscriber.ends_with("138****8001"), "masked as everywhere: {subscriber}");
        }
    }
}
