//! Several carrier addresses, and what the loss of one means.

use std::net::{SocketAddr, TcpListener};

use portcullis::simulator::{Answers, Faults, Simulator, SimulatorOptions};
use portcullis_protocol::{CommandId, CommandStatus};
use tokio::time::Instant;

use crate::gate::{Folder, Gate, PATIENCE};
use crate::provider::{OK, Provider};
use crate::stage::{carrier, configure, message, register, sends};

/// A port on which nothing listens, kept from others; a carrier may take it over.
fn reserved() -> (TcpListener, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("an option");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    let bound: TcpListener = socket.into();
    let address = bound.local_addr().expect("an address");
    (bound, address)
}

async fn carrier_at(listen: SocketAddr) -> Simulator {
    Simulator::start(SimulatorOptions { listen, keep: 100, ..SimulatorOptions::default() }).await.expect("the port")
}

fn gate_towards(providers: &[(&str, &str)], addresses: &str) -> (Folder, Gate) {
    let folder = Folder::new(&register(providers), ([127, 0, 0, 1], 1).into());
    configure(
        &folder,
        "",
        &format!("addresses = [{addresses}]\nconnect_timeout = \"2s\"\nresponse_timeout = \"2s\""),
        "",
    );
    let gate = folder.start();
    (folder, gate)
}

/// The next bind avoids the address that failed; on a machine that stalls, one of the next.
async fn binds_elsewhere(provider: &mut Provider) {
    for _ in 0..3 {
        if provider.bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret").await == OK {
            return;
        }
    }
    panic!("every bind goes to the address that failed");
}

/// Binds again and again until the carrier has one of them.
async fn binds_come_back(gate: &Gate, carrier: &Simulator) {
    let end = Instant::now() + PATIENCE;
    while carrier.counts().binds == 0 {
        assert!(Instant::now() < end, "no bind ever reaches it");
        let mut provider = Provider::bound(gate.address, "herald", "s3cret").await;
        provider.ask(crate::provider::bare(CommandId::UNBIND)).await;
    }
}

#[tokio::test]
async fn binds_go_to_the_second_address_and_back_to_the_first_once_it_answers() {
    let ((held, first), second) = (reserved(), carrier().await);
    let (_folder, gate) = gate_towards(&[("herald", "")], &format!("\"{first}\", \"{}\"", second.address()));
    let mut bound = Provider::bound(gate.address, "herald", "s3cret").await;
    gate.await_log("carrier address does not answer");
    let first = carrier_at(first).await;
    drop(held);
    binds_come_back(&gate, &first).await;
    gate.await_log("carrier address answers again");

    let before = second.counts().messages;
    sends(&mut bound, 0).await;
    assert_eq!(second.counts().messages, before + 1, "a session that is bound stays where it is");
    let mut fresh = Provider::bound(gate.address, "herald", "s3cret").await;
    sends(&mut fresh, 0).await;
    assert_eq!(first.counts().messages, 1);
}

#[tokio::test]
async fn an_address_that_takes_connections_and_hangs_up_is_left_out_too() {
    let hollow = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = hollow.local_addr().expect("an address");
    tokio::spawn(async move { while hollow.accept().await.is_ok() {} });
    let carrier = carrier().await;
    let (_folder, gate) =
        gate_towards(&[("herald", ""), ("finch", "")], &format!("\"{address}\", \"{}\"", carrier.address()));
    let mut provider = Provider::connect(gate.address).await;
    let status = provider.bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret").await;
    assert_eq!(status, CommandStatus::ESME_RBINDFAIL);
    gate.await_log("carrier address takes connections and does not answer");
    binds_elsewhere(&mut provider).await;
    sends(&mut provider, 0).await;
    let mut finch = Provider::connect(gate.address).await;
    let status = finch.bind(CommandId::BIND_TRANSCEIVER, "finch", "s3cret").await;
    assert_eq!(status, CommandStatus::ESME_RBINDFAIL, "another provider finds out by itself");
}

#[tokio::test]
async fn an_address_that_never_answers_a_bind_is_left_out_too() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let carrier = carrier().await;
    let (_folder, gate) = gate_towards(&[("herald", "")], &format!("\"{address}\", \"{}\"", carrier.address()));
    let mut provider = Provider::connect(gate.address).await;
    let status = provider.bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret").await;
    assert_eq!(status, CommandStatus::ESME_RBINDFAIL);
    binds_elsewhere(&mut provider).await;
}

#[tokio::test]
async fn a_provider_may_have_carrier_addresses_of_its_own_and_names_are_resolved() {
    let (common, own) = (carrier().await, carrier().await);
    let addresses = format!("carrier_addresses = [\"127.0.0.1:1\", \"localhost:{}\"]", own.address().port());
    let (_folder, gate) =
        gate_towards(&[("herald", addresses.as_str()), ("finch", "")], &format!("\"{}\"", common.address()));
    let mut herald = Provider::bound(gate.address, "herald", "s3cret").await;
    let mut finch = Provider::bound(gate.address, "finch", "s3cret").await;
    sends(&mut herald, 0).await;
    sends(&mut finch, 1).await;
    sends(&mut finch, 1).await;
    assert_eq!((own.counts().messages, common.counts().messages), (1, 2));
}

#[tokio::test]
async fn no_carrier_at_all_fails_the_bind_and_nothing_else() {
    let ((_held, first), (_also, second)) = (reserved(), reserved());
    let (_folder, gate) =
        gate_towards(&[("herald", "")], &format!("\"{first}\", \"no-such-host.invalid:2775\", \"{second}\""));
    let mut provider = Provider::connect(gate.address).await;
    for _ in 0..2 {
        let status = provider.bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret").await;
        assert_eq!(status, CommandStatus::ESME_RBINDFAIL);
    }
    gate.await_log("carrier name cannot be resolved");
}

#[tokio::test]
async fn the_loss_of_the_carrier_answers_what_is_open_and_ends_the_session_in_order() {
    let carrier = carrier().await;
    carrier.set_faults(Faults { answers: Answers::Never, ..Faults::default() });
    let (folder, gate) = gate_towards(&[("herald", "")], &format!("\"{}\"", carrier.address()));
    let mut provider = Provider::bound(gate.address, "herald", "s3cret").await;
    let open = [provider.send(message(0)).await, provider.send(message(0)).await];
    assert!(carrier.wait_until(PATIENCE, |counts| counts.messages == 2).await);
    carrier.cut_connections();
    for sequence_number in open {
        let answer = provider.answer_to(sequence_number).await;
        assert_eq!(answer.command_status(), CommandStatus::ESME_RSYSERR, "temporary: the carrier may have it");
    }
    assert_eq!(provider.request().await.command_id(), CommandId::UNBIND);
    assert!(provider.read().await.is_none(), "and the connection closes");
    gate.await_log("carrier-lost");
    let sent = folder.sent_to("8613800138001");
    let outcomes: Vec<_> = sent.iter().filter_map(|sent| sent.outcome.as_ref()).map(|o| o.outcome.as_str()).collect();
    assert_eq!(outcomes, ["carrier-lost", "carrier-lost"]);

    carrier.set_faults(Faults::default());
    let mut again = Provider::bound(gate.address, "herald", "s3cret").await;
    sends(&mut again, 0).await;
}
