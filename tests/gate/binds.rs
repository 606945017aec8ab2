//! Who may bind, and what the others are told.

use std::net::SocketAddr;

use portcullis::gate::evidence::{Found, Query};
use portcullis::simulator::Faults;
use portcullis_protocol::{CommandId, CommandStatus};
use tokio::net::TcpSocket;

use crate::gate::Folder;
use crate::provider::{OK, Provider, bare};
use crate::stage::{REGISTER, Stage, WILLING, notice, sent};

const BINDS: [CommandId; 3] = [CommandId::BIND_TRANSMITTER, CommandId::BIND_RECEIVER, CommandId::BIND_TRANSCEIVER];

/// What the journal has of a provider's sessions.
fn events(folder: &Folder, provider: &str) -> Vec<String> {
    let query = Query { provider: Some(provider.to_owned()), sessions: true, ..Query::default() };
    let event = |found| if let Found::Session(session) = found { Some(session.event) } else { None };
    folder.find(query).into_iter().filter_map(event).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_three_kinds_of_bind_reach_the_carrier_and_end_there() {
    let stage = Stage::new().await;
    for operation in BINDS {
        let mut provider = Provider::connect(stage.address()).await;
        assert_eq!(provider.bind(operation, "herald", "s3cret").await, OK, "{operation:?}");
        assert_eq!(stage.carrier.received_of(operation).len(), 1, "{operation:?}");
        assert_eq!(provider.ask(bare(CommandId::UNBIND)).await.command_status(), OK);
        assert!(provider.read().await.is_none(), "the connection ends with the session");
    }
    assert_eq!(stage.carrier.counts().unbinds, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bind_that_may_not_be_is_refused_with_its_status_and_never_dialled() {
    let stage = Stage::new().await;
    let cases = [
        ("stranger", "", CommandStatus::ESME_RINVSYSID, "bind refused: system_id is not in the register"),
        ("fenced", "", CommandStatus::ESME_RBINDFAIL, "bind refused: the peer's address is not allowed"),
        ("herald", "wrong", CommandStatus::ESME_RINVPASWD, "bind refused: wrong password"),
    ];
    for (system_id, password, status, _) in cases {
        for operation in BINDS {
            let mut provider = Provider::connect(stage.address()).await;
            assert_eq!(provider.bind(operation, system_id, password).await, status, "{system_id}");
        }
    }
    assert_eq!(stage.carrier.counts().connections, 0);
    // What was recorded before an answered message is on disk by then.
    assert_eq!(sent(&mut stage.herald().await, notice(WILLING)).await.0, OK);
    for (system_id, _, _, event) in cases {
        assert_eq!(events(&stage.folder, system_id)[..3], [event; 3]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_has_no_more_binds_than_the_register_gives_it() {
    let stage = Stage::new().await;
    let mut first = Provider::bound(stage.address(), "narrow", "").await;
    let mut second = Provider::connect(stage.address()).await;
    let refused = second.bind(CommandId::BIND_TRANSCEIVER, "narrow", "").await;
    assert_eq!(refused, CommandStatus::ESME_RBINDFAIL);

    assert_eq!(first.ask(bare(CommandId::UNBIND)).await.command_status(), OK);
    stage.folder.await_status("rid of the first bind", |status| {
        status.sessions.iter().all(|session| session.provider.is_none())
    });
    assert_eq!(second.bind(CommandId::BIND_TRANSCEIVER, "narrow", "").await, OK, "the same connection tries again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bind_fails_while_no_carrier_answers_and_succeeds_once_one_does() {
    // Held and not listened on: whoever connects is refused, and nobody else can take the port.
    let held = TcpSocket::new_v4().expect("a socket");
    held.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let stage = Stage::new().await;
    let dead = held.local_addr().expect("its address");

    let folder = Folder::new(REGISTER, dead);
    let gate = folder.start();
    let mut provider = Provider::connect(gate.address).await;
    let refused = provider.bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret").await;
    assert_eq!(refused, CommandStatus::ESME_RBINDFAIL);
    gate.await_log("carrier address does not answer");
    drop(provider);
    gate.stop();

    // The second address is tried where the first does not answer.
    let one = std::fs::read_to_string(folder.config_file()).expect("the configuration");
    let both = one.replace(&format!("\"{dead}\""), &format!("\"{dead}\", \"{}\"", stage.carrier.address()));
    std::fs::write(folder.config_file(), both).expect("the configuration");
    let gate = folder.start();
    let mut provider = Provider::bound(gate.address, "herald", "s3cret").await;
    assert_eq!(sent(&mut provider, notice(WILLING)).await.0, OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_carriers_own_refusal_is_passed_on() {
    let stage = Stage::new().await;
    let refuse_binds = Some(CommandStatus::ESME_RSYSERR);
    stage.carrier.set_faults(Faults { refuse_binds, ..Faults::default() });
    let mut provider = Provider::connect(stage.address()).await;
    let refused = provider.bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret").await;
    assert_eq!(refused, CommandStatus::ESME_RSYSERR);
    stage.carrier.set_faults(Faults::default());
    assert_eq!(provider.bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret").await, OK);
}
