//! What happens before a session: the PROXY protocol, other protocols on the port, and limits
//! on connections.

use std::sync::Arc;

use portcullis_protocol::{CommandId, CommandStatus};
use rustls::ALL_VERSIONS;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::certificates::{Authority, put};
use crate::gate::{Folder, Gate, PATIENCE};
use crate::provider::{OK, Provider, bare, bind};
use crate::stage::{carrier, configure, gate, register, sends};

const REFUSED: CommandStatus = CommandStatus::ESME_RBINDFAIL;
const PROXIED: &str = "proxy_protocol = true\ntrusted = [\"127.0.0.0/8\"]";

/// Sends octets on a connection of their own and gives all that comes back until its end.
async fn said_to(gate: &Gate, octets: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(gate.address).await.expect("the gate listens");
    stream.write_all(octets).await.expect("a socket's buffer");
    let mut back = Vec::new();
    // A reset is an end too.
    let _reset = timeout(PATIENCE, stream.read_to_end(&mut back)).await.expect("the gate closes");
    back
}

/// A connection through a balancer that says this of it.
async fn through(gate: &Gate, header: &[u8]) -> Provider {
    let mut provider = Provider::connect(gate.address).await;
    provider.write(header).await;
    provider
}

fn v2(command: u8, source: [u8; 4], extensions: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    let length = u16::try_from(12 + extensions.len()).expect("a short header");
    header.extend_from_slice(&[0x20 | command, 0x11]);
    header.extend_from_slice(&length.to_be_bytes());
    header.extend_from_slice(&source);
    header.extend_from_slice(&[198, 51, 100, 1, 0x12, 0x34, 0x0A, 0xD7]);
    header.extend_from_slice(extensions);
    header
}

#[tokio::test]
async fn a_trusted_balancer_says_whom_it_speaks_for() {
    let allowed = "allow = [\"192.0.2.0/24\", \"2001:db8::/32\"]";
    let (folder, gate, _carrier) = gate(&[("herald", allowed)], PROXIED, "").await;
    let tries: [(&[u8], _); 6] = [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 4660 2775\r\n", OK),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4660 2775\r\n", OK),
        (b"PROXY TCP4 203.0.113.7 198.51.100.1 4660 2775\r\n", REFUSED),
        (&v2(1, [192, 0, 2, 8], &[0x02, 0, 4, b'h', b'o', b's', b't']), OK),
        (&v2(1, [203, 0, 113, 7], &[]), REFUSED),
        (b"PROXY UNKNOWN\r\n", REFUSED),
    ];
    let mut kept = Vec::new();
    for (header, expected) in tries {
        let mut provider = through(&gate, header).await;
        let status = provider.bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret").await;
        assert_eq!(status, expected, "{:?}", String::from_utf8_lossy(header));
        kept.push(provider);
    }
    let peers: Vec<_> = folder.status().sessions.iter().map(|session| session.peer.to_string()).collect();
    assert_eq!(&peers[..2], ["192.0.2.7:4660", "[2001:db8::7]:4660"]);
    sends(&mut kept[0], 0).await;
}

#[tokio::test]
async fn a_balancer_speaks_for_itself_too() {
    let (_folder, gate, _carrier) = gate(&[("herald", "allow = [\"127.0.0.1\"]")], PROXIED, "").await;
    for header in [&b"PROXY UNKNOWN\r\n"[..], &v2(0, [192, 0, 2, 7], &[])] {
        let mut provider = through(&gate, header).await;
        assert_eq!(provider.bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret").await, OK);
    }
}

#[tokio::test]
async fn a_header_may_come_in_pieces_or_together_with_the_bind() {
    let (_folder, gate, _carrier) = gate(&[("herald", "allow = [\"192.0.2.0/24\"]")], PROXIED, "").await;
    for header in [b"PROXY TCP4 192.0.2.7 198.51.100.1 4660 2775\r\n".to_vec(), v2(1, [192, 0, 2, 7], &[4, 0, 0])] {
        let mut pieces = Provider::connect(gate.address).await;
        for octet in &header {
            pieces.write(&[*octet]).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(pieces.bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret").await, OK);

        let mut together = Provider::connect(gate.address).await;
        let request = bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret");
        together.write(&[&header, request.as_bytes()].concat()).await;
        assert_eq!(together.answer_to(1).await.command_status(), OK);
    }
}

#[tokio::test]
async fn the_header_comes_before_tls() {
    let authority = Authority::new("test authority");
    let carrier = carrier().await;
    let folder = Folder::new(&register(&[("herald", "allow = [\"192.0.2.0/24\"]")]), carrier.address());
    put(&folder.path().join("ca.pem"), &authority.pem());
    authority.issue("gate.example").write(folder.path(), "gate");
    let listen = format!("{PROXIED}\ntls = {{ certificate = \"gate.pem\", key = \"gate.key\" }}");
    configure(&folder, &listen, &format!("addresses = [\"{}\"]", carrier.address()), "");
    let gate = folder.start();
    let mut stream = TcpStream::connect(gate.address).await.expect("the gate listens");
    let address = stream.local_addr().expect("an address");
    stream.write_all(&v2(1, [192, 0, 2, 7], &[])).await.expect("a header");
    let connector = TlsConnector::from(Arc::new(authority.trusting(None, ALL_VERSIONS)));
    let name = ServerName::try_from("gate.example").expect("a name");
    let stream = timeout(PATIENCE, connector.connect(name, stream)).await.expect("an end").expect("a handshake");
    let mut provider = Provider::over(Box::new(stream), address);
    assert_eq!(provider.bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret").await, OK);
    sends(&mut provider, 0).await;
}

#[tokio::test]
async fn whoever_is_not_trusted_or_sends_no_header_is_closed() {
    let (_folder, strict, _carrier) =
        gate(&[("herald", "")], "proxy_protocol = true\ntrusted = [\"10.0.0.0/8\"]", "").await;
    let header = b"PROXY TCP4 10.0.0.7 198.51.100.1 4660 2775\r\n";
    let request = bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret");
    assert_eq!(said_to(&strict, &[header, request.as_bytes()].concat()).await, b"");
    strict.await_log("not one of the trusted balancers");

    let (_folder, gate, _carrier) = gate(&[("herald", "")], PROXIED, "[session]\nhandshake_timeout = \"1s\"").await;
    for (octets, why) in [
        (request.as_bytes(), "PROXY header: expected, found something else"),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 99999 2775\r\n", "PROXY header: cannot be read"),
        (&[b'P'; 200], "PROXY header: expected, found something else"),
        (b"PROXY TCP4 192.0.2.7", "not done within the handshake time-out"),
    ] {
        assert_eq!(said_to(&gate, octets).await, b"", "{why}");
        gate.await_log(why);
    }
}

#[tokio::test]
async fn other_protocols_are_closed_without_a_word() {
    let (folder, gate, _carrier) = gate(&[("herald", "")], "", "").await;
    let protocols: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xFC\x03\x03",
        b"\x03\0\0\x2F\x2A\xE0\0\0\0\0\0",
        b"AMQP\0\0\x09\x01",
        b"SSH-2.0-OpenSSH_9.7\r\n",
        b"\0\0\0\x08\x04\xD2\x16\x2F",
    ];
    for octets in protocols {
        assert_eq!(said_to(&gate, octets).await, b"", "{octets:?}");
        let length = octets.first_chunk().map(|length| u32::from_be_bytes(*length)).expect("four octets");
        gate.await_log(&format!("connection closed: not SMPP: peer sent command_length {length}: "));
    }
    let log = gate.log();
    let loud = log.lines().filter(|line| line.contains("not SMPP") && !line.contains("DEBUG")).count();
    assert_eq!(loud, 0, "{log}");
    assert_eq!(folder.status().sessions, []);
}

#[tokio::test]
async fn a_connection_that_never_binds_is_closed() {
    let (folder, gate, _carrier) = gate(&[("herald", "")], "", "[session]\nsession_init_timeout = \"1s\"").await;
    assert_eq!(said_to(&gate, b"").await, b"", "nothing said");
    assert_eq!(said_to(&gate, b"\0\0\0").await, b"", "less than a header");
    let mut alive = Provider::connect(gate.address).await;
    assert_eq!(alive.ask(bare(CommandId::ENQUIRE_LINK)).await.command_status(), OK, "quirk 17");
    assert!(alive.read().await.is_none(), "alive, and not bound");
    gate.await_log("no PDU within the session-init time-out");
    gate.await_log("session-init-timeout");
    folder.await_status("empty", |status| status.sessions.is_empty());
}

#[tokio::test]
async fn connections_and_binds_have_their_limits() {
    let limits = "[session]\nmax_sessions = 4\nmax_sessions_per_address = 2\nmax_binds = 2";
    let (folder, gate, _carrier) = gate(&[("herald", ""), ("finch", "max_binds = 1")], PROXIED, limits).await;
    let from = |host: u8| v2(1, [192, 0, 2, host], &[]);
    let mut kept = Vec::new();
    for (host, system_id, expected) in
        [(1, "finch", OK), (2, "finch", REFUSED), (2, "herald", OK), (3, "herald", REFUSED)]
    {
        let mut provider = through(&gate, &from(host)).await;
        assert_eq!(
            provider.bind(CommandId::BIND_TRANSCEIVER, system_id, "s3cret").await,
            expected,
            "{host} {system_id}"
        );
        kept.push(provider);
    }
    gate.await_log("bind refused: all of its binds are in use");
    gate.await_log("bind refused: max_binds of the gate reached");
    assert_eq!(said_to(&gate, &from(9)).await, b"", "a fifth connection");
    gate.await_log("connection turned away: max_sessions reached");

    kept.drain(2..);
    folder.await_status("two sessions", |status| status.sessions.len() == 2);
    let mut second = through(&gate, &from(1)).await;
    assert_eq!(second.bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret").await, OK);
    assert_eq!(said_to(&gate, &from(1)).await, b"", "a third from one address");
    gate.await_log("connection turned away: max_sessions_per_address reached");
}
