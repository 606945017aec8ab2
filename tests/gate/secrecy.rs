//! What no log may show: passwords never, message text nowhere above trace.

use portcullis_protocol::{CommandId, Frame};

use crate::gate::Folder;
use crate::provider::{OK, Provider, submit};
use crate::stage::{self, COMMERCIAL_PORT, NOTICE, OFFER, REGISTER, SERVICE_PORT, SILENT, WILLING, notice};

/// The provider's, a wrong one, and those shown to the carrier.
const PASSWORDS: [&str; 4] = ["s3cret", "wr0ngpw", "carrpw1", "carrpw2"];

/// Texts that are forwarded, refused and opaque.
const TEXTS: [&str; 3] = [NOTICE, OFFER, "\u{1}binary\u{2}payload"];

/// Subscribers' numbers, without their country code.
const NUMBERS: [&str; 2] = ["13800138001", "13800138002"];

/// Has every kind of event logged while the gate runs under `filter`; gives the log.
async fn log_of_everything(filter: &str) -> String {
    let carrier = portcullis::simulator::Simulator::start(stage::options()).await.expect("the carrier listens");
    let account = "password = \"s3cret\"\ncarrier_system_id = \"own\"\ncarrier_password = \"carrpw1\"";
    let folder = Folder::new(&REGISTER.replace("password = \"s3cret\"", account), carrier.address());
    folder.configure("", carrier.address(), "password = \"carrpw2\"");
    let gate = folder.start_logging(filter);

    let mut stranger = Provider::connect(gate.address).await;
    assert_ne!(stranger.bind(CommandId::BIND_TRANSCEIVER, "stranger", "wr0ngpw").await, OK);
    assert_ne!(stranger.bind(CommandId::BIND_TRANSCEIVER, "herald", "wr0ngpw").await, OK);
    let mut provider = Provider::bound(gate.address, "herald", "s3cret").await;
    assert_eq!(provider.ask(notice(WILLING)).await.command_status(), OK);
    for (port, text) in [(COMMERCIAL_PORT, OFFER), (COMMERCIAL_PORT, TEXTS[2]), (SERVICE_PORT, TEXTS[2])] {
        provider.ask(submit(port, SILENT, text)).await;
    }
    let sound = notice(WILLING);
    let cut = Frame::new(CommandId::SUBMIT_SM, OK, 0, &sound.body()[..sound.body().len() - 2]);
    assert_ne!(provider.ask(cut).await.command_status(), OK);
    assert!(carrier.deliver("own", reply()).await);
    provider.request().await;
    // A body in a bind that cannot be read holds the password still.
    let mut broken = Provider::connect(gate.address).await;
    let bind = crate::provider::bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret-that-is-too-long");
    assert_ne!(broken.ask(bind).await.command_status(), OK);
    for number in [WILLING, SILENT] {
        folder.run(&["consent", "refuse", "--msisdn", number, "--sender", "bakery"]).ok();
        folder.run(&["journal", "find", "--to", number, "--whole"]).ok();
        folder.run(&["consent", "show", number, "--whole"]).ok();
    }

    // Faults are told with their line, and these lines hold passwords.
    let faulty = format!("{account}\npasword = \"s3cret\"\ncarrier_password = \"carrpw2\nmode = 7");
    folder.write_register(&REGISTER.replace("password = \"s3cret\"", &faulty));
    gate.await_log("the register keeps its last good state");
    gate.ask_to_end();
    assert_eq!(provider.request().await.command_id(), CommandId::UNBIND);
    drop((stranger, broken, provider));
    gate.whole_log()
}

fn reply() -> Frame {
    Frame::new(CommandId::DELIVER_SM, OK, 0, notice(WILLING).body())
}

/// The ways a log could show a text.
fn shown(log: &str, text: &str) -> bool {
    let octets: Vec<String> = text.bytes().map(|octet| octet.to_string()).collect();
    let hex: String = text.bytes().map(|octet| format!("{octet:02x}")).collect();
    log.contains(text) || log.contains(&octets.join(", ")) || log.to_lowercase().contains(&hex)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_password_nor_a_text_is_in_the_log_at_debug() {
    let log = log_of_everything("debug").await;
    assert!(log.contains("bind refused: wrong password") && log.contains("bind accepted"), "{log}");
    for secret in PASSWORDS.iter().chain(&TEXTS).chain(&NUMBERS) {
        assert!(!shown(&log, secret), "{secret:?} is in the log:\n{log}");
    }
    for part in ["482913", "half price", "payload"] {
        assert!(!shown(&log, part), "{part:?} is in the log:\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_password_is_in_the_log_even_at_trace() {
    let log = log_of_everything("trace").await;
    assert!(log.contains("TRACE"), "trace is on");
    for secret in PASSWORDS.iter().chain(&NUMBERS) {
        assert!(!shown(&log, secret), "{secret:?} is in the log");
    }
}
