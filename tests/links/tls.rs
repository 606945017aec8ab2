//! TLS on the provider's leg.

use std::net::SocketAddr;
use std::sync::Arc;

use portcullis_protocol::{CommandId, CommandStatus, Frame};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ALL_VERSIONS, ClientConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::certificates::{Authority, Own, put};
use crate::gate::{Folder, Gate, PATIENCE};
use crate::provider::{OK, Provider};
use crate::stage::{VERBOSE, carrier, configure, gate, register, sends};

const REFUSED: CommandStatus = CommandStatus::ESME_RBINDFAIL;

/// A gate with a certificate of its own and an authority for providers'.
struct Scene {
    folder: Folder,
    gate: Gate,
    authority: Authority,
    herald: Own,
    finch: Own,
    _carrier: portcullis::simulator::Simulator,
}

/// `more` goes into the listener's tls table.
async fn scene(more: &str) -> Scene {
    let authority = Authority::new("test authority");
    let (herald, finch) = (authority.issue("herald"), authority.issue("finch"));
    let finch_only = format!("certificate = \"{}\"", finch.fingerprint());
    let carrier = carrier().await;
    let providers = register(&[("herald", "certificate = \"herald\""), ("finch", finch_only.as_str()), ("anyone", "")]);
    let folder = Folder::new(&providers, carrier.address());
    put(&folder.path().join("ca.pem"), &authority.pem());
    authority.issue("gate.example").write(folder.path(), "gate");
    let tls = format!("tls = {{ certificate = \"gate.pem\", key = \"gate.key\"{more} }}");
    configure(
        &folder,
        &tls,
        &format!("addresses = [\"{}\"]", carrier.address()),
        "[session]\nhandshake_timeout = \"1s\"",
    );
    let gate = folder.start_logging(VERBOSE);
    Scene { folder, gate, authority, herald, finch, _carrier: carrier }
}

impl Scene {
    async fn connect(&self, own: Option<&Own>) -> Provider {
        over(self.gate.address, self.authority.trusting(own, ALL_VERSIONS)).await.expect("a handshake")
    }

    async fn binds(&self, own: Option<&Own>, system_id: &str) -> CommandStatus {
        self.connect(own).await.bind(CommandId::BIND_TRANSCEIVER, system_id, "s3cret").await
    }
}

/// A connection after its handshake.
async fn over(gate: SocketAddr, config: ClientConfig) -> std::io::Result<Provider> {
    let stream = TcpStream::connect(gate).await.expect("the gate listens");
    let address = stream.local_addr().expect("an address");
    let name = ServerName::try_from("gate.example").expect("a name");
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = timeout(PATIENCE, connecting).await.expect("a handshake or its failure")?;
    Ok(Provider::over(Box::new(stream), address))
}

/// TLS 1.3 tells a rejected certificate only after the handshake: nothing can be done then.
async fn is_turned_away(gate: SocketAddr, config: ClientConfig) -> bool {
    match over(gate, config).await {
        Err(_) => true,
        Ok(mut provider) => {
            let bind = crate::provider::bind(CommandId::BIND_TRANSCEIVER, "anyone", "s3cret");
            provider.try_send(bind).await.is_none() || provider.read().await.is_none()
        }
    }
}

const REQUIRED: &str = ", client_ca = \"ca.pem\"";

#[tokio::test]
async fn a_provider_is_known_by_its_certificate() {
    let scene = scene(REQUIRED).await;
    let mut herald = scene.connect(Some(&scene.herald)).await;
    assert_eq!(herald.bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret").await, OK);
    sends(&mut herald, 0).await;
    assert_eq!(scene.binds(Some(&scene.finch), "finch").await, OK, "by fingerprint");
    assert_eq!(scene.binds(Some(&scene.finch), "anyone").await, OK, "none demanded");

    assert_eq!(scene.binds(Some(&scene.finch), "herald").await, REFUSED);
    assert_eq!(scene.binds(Some(&scene.herald), "finch").await, REFUSED);
    let twin = scene.authority.issue("finch");
    assert_eq!(scene.binds(Some(&twin), "finch").await, REFUSED, "a fingerprint is one certificate's");

    scene.gate.await_log("bind accepted, TLS 1.3, certificate CN=herald sha256 ");
    scene.gate.await_log("bind refused: the certificate is another's: CN=finch");
}

#[tokio::test]
async fn a_message_and_its_session_tell_by_which_certificate_they_came() {
    let scene = scene(", client_ca = \"ca.pem\", client_auth = \"optional\"").await;
    let mut herald = scene.connect(Some(&scene.herald)).await;
    assert_eq!(herald.bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret").await, OK);
    sends(&mut herald, 0).await;
    let mut anyone = scene.connect(None).await;
    assert_eq!(anyone.bind(CommandId::BIND_TRANSCEIVER, "anyone", "s3cret").await, OK);
    sends(&mut anyone, 2).await;
    let came = |provider: &str, more: &[&str]| {
        let said = scene.folder.run(&[&["journal", "find", "--json", "--provider", provider], more].concat()).ok();
        said.lines().next().expect("a record").to_owned()
    };
    let own = format!("certificate CN=herald sha256 {}", scene.herald.fingerprint().replace(':', "").to_lowercase());
    for record in [came("herald", &[]), came("herald", &["--sessions"])] {
        assert!(record.contains("TLS 1.3") && record.contains(&own), "{record}");
    }
    let record = came("anyone", &[]);
    assert!(record.contains("\"tls\":\"TLS 1.3, no certificate\""), "{record}");
}

#[tokio::test]
async fn without_a_valid_certificate_there_is_no_connection_where_one_is_required() {
    let scene = scene(REQUIRED).await;
    let address = scene.gate.address;
    assert!(is_turned_away(address, scene.authority.trusting(None, ALL_VERSIONS)).await);
    let stranger = Authority::new("another authority").issue("herald");
    assert!(is_turned_away(address, scene.authority.trusting(Some(&stranger), ALL_VERSIONS)).await);
    assert!(is_turned_away(address, scene.authority.trusting(None, &[&TLS12])).await);
    scene.gate.await_log("connection turned away: TLS: ");
    assert_eq!(scene.binds(Some(&scene.herald), "herald").await, OK, "and the gate goes on");
}

#[tokio::test]
async fn where_certificates_are_optional_only_those_who_need_one_must_present_it() {
    let scene = scene(", client_ca = \"ca.pem\", client_auth = \"optional\"").await;
    assert_eq!(scene.binds(None, "anyone").await, OK);
    assert_eq!(scene.binds(None, "herald").await, REFUSED);
    assert_eq!(scene.binds(Some(&scene.herald), "herald").await, OK);
    let stranger = Authority::new("another authority").issue("herald");
    assert!(is_turned_away(scene.gate.address, scene.authority.trusting(Some(&stranger), ALL_VERSIONS)).await);
    scene.gate.await_log("bind accepted, TLS 1.3, no certificate");
    scene.gate.await_log("bind refused: it must present its certificate, and did not");
}

#[tokio::test]
async fn who_must_present_a_certificate_cannot_bind_without_tls() {
    let (_folder, gate, _carrier) = gate(&[("herald", "certificate = \"herald\"")], "", "").await;
    let mut herald = Provider::connect(gate.address).await;
    assert_eq!(herald.bind(CommandId::BIND_TRANSMITTER, "herald", "s3cret").await, REFUSED);
}

#[tokio::test]
async fn the_oldest_version_is_as_configured() {
    let scene_12 = scene("").await;
    for version in [&TLS12, &TLS13] {
        let mut provider =
            over(scene_12.gate.address, scene_12.authority.trusting(None, &[version])).await.expect("TLS");
        assert_eq!(provider.bind(CommandId::BIND_TRANSCEIVER, "anyone", "s3cret").await, OK);
        sends(&mut provider, 2).await;
    }
    scene_12.gate.await_log("bind accepted, TLS 1.2, no certificate");
    let scene_13 = scene(", min_version = \"1.3\"").await;
    let trusting = |version| scene_13.authority.trusting(None, &[version]);
    assert!(over(scene_13.gate.address, trusting(&TLS12)).await.is_err());
    assert!(over(scene_13.gate.address, trusting(&TLS13)).await.is_ok());
}

#[tokio::test]
async fn certificates_are_reloaded_and_sessions_live_on() {
    let mut scene = scene("").await;
    let mut bound = scene.connect(None).await;
    assert_eq!(bound.bind(CommandId::BIND_TRANSCEIVER, "anyone", "s3cret").await, OK);

    put(&scene.folder.path().join("gate.key"), "no key at all");
    scene.gate.await_log("certificates keep their last good state");
    assert_eq!(scene.binds(None, "anyone").await, OK, "a bad file changes nothing");

    let successor = Authority::new("the next authority");
    successor.issue("gate.example").write(scene.folder.path(), "gate");
    scene.gate.await_log("certificates reloaded");
    assert!(over(scene.gate.address, scene.authority.trusting(None, ALL_VERSIONS)).await.is_err(), "the old one");
    scene.authority = successor;
    assert_eq!(scene.binds(None, "anyone").await, OK);
    sends(&mut bound, 2).await;
}

/// A slow peer is held back by TCP, through TLS too, and gets everything in the end.
#[tokio::test]
async fn answers_to_a_peer_that_reads_late_all_come() {
    const ENQUIRIES: u32 = 300_000;
    let scene = scene("").await;
    let stream = TcpStream::connect(scene.gate.address).await.expect("the gate listens");
    let connector = TlsConnector::from(Arc::new(scene.authority.trusting(None, ALL_VERSIONS)));
    let name = ServerName::try_from("gate.example").expect("a name");
    let stream = timeout(PATIENCE, connector.connect(name, stream)).await.expect("an end").expect("a handshake");
    let (mut reading, mut writing) = tokio::io::split(stream);
    let mut enquiries = Vec::new();
    for sequence_number in 1..=ENQUIRIES {
        enquiries.extend_from_slice(Frame::new(CommandId::ENQUIRE_LINK, OK, sequence_number, &[]).as_bytes());
    }
    let write = async { writing.write_all(&enquiries).await.expect("the gate reads on") };
    let read = async {
        // Until every buffer on the way is full.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let mut answers = vec![0; enquiries.len()];
        timeout(PATIENCE, reading.read_exact(&mut answers)).await.expect("every answer").expect("an open connection");
        answers
    };
    let ((), answers) = tokio::join!(write, read);
    let last = Frame::new(CommandId::ENQUIRE_LINK_RESP, OK, ENQUIRIES, &[]);
    assert_eq!(&answers[answers.len() - 16..], last.as_bytes());
}

#[tokio::test]
async fn a_handshake_that_does_not_get_on_is_given_up() {
    let scene = scene("").await;
    let mut silent = TcpStream::connect(scene.gate.address).await.expect("the gate listens");
    let mut octets = [0; 16];
    let read = timeout(PATIENCE, silent.read(&mut octets)).await.expect("its end");
    assert!(matches!(read, Ok(0) | Err(_)));
    scene.gate.await_log("not done within the handshake time-out");
}

#[tokio::test]
async fn plain_smpp_on_a_tls_port_is_no_handshake() {
    let scene = scene("").await;
    let mut plain = Provider::connect(scene.gate.address).await;
    let bind = crate::provider::bind(CommandId::BIND_TRANSCEIVER, "anyone", "s3cret");
    plain.write(bind.as_bytes()).await;
    scene.gate.await_log("connection closed: TLS: received corrupt message of type InvalidContentType");
    assert!(!scene.gate.log().contains("bind accepted"));
}

#[test]
fn check_names_every_fault_of_certificate_files() {
    let authority = Authority::new("test authority");
    let folder = Folder::new(&register(&[("herald", "")]), ([127, 0, 0, 1], 1).into());
    authority.issue("gate.example").write(folder.path(), "gate");
    authority.issue("gate.example").write(folder.path(), "other");
    put(&folder.path().join("ca.pem"), "no PEM");
    let said = |listen: &str, carrier: &str| {
        configure(&folder, listen, &format!("addresses = [\"127.0.0.1:1\"]\n{carrier}"), "");
        let said = folder.run(&["check"]);
        (said.code, said.stderr)
    };
    for (listen, carrier, fault) in [
        ("tls = { certificate = \"gone.pem\", key = \"gate.key\" }", "", "listen[0].tls.certificate:"),
        ("tls = { certificate = \"gate.pem\", key = \"other.key\" }", "", "does not belong to the certificate"),
        ("tls = { certificate = \"gate.pem\", key = \"gate.pem\" }", "", "listen[0].tls.key:"),
        ("tls = { certificate = \"gate.pem\" }", "", "listen[0].tls.key: is missing"),
        (
            "tls = { certificate = \"gate.pem\", key = \"gate.key\", client_ca = \"ca.pem\" }",
            "",
            "holds no certificate",
        ),
        (
            "tls = { certificate = \"gate.pem\", key = \"gate.key\", client_auth = \"required\" }",
            "",
            "client_auth: needs client_ca",
        ),
        ("", "tls = { ca = \"ca.pem\" }", "carrier.tls.ca:"),
        ("", "tls = { ca = \"gate.pem\", certificate = \"gate.pem\" }", "needs its private key"),
        ("", "tls = { ca = \"gate.pem\", server_name = \"no name\" }", "carrier.tls.server_name:"),
        ("proxy_protocol = true", "", "needs trusted"),
    ] {
        let (code, stderr) = said(listen, carrier);
        assert_eq!(code, Some(1), "{listen}{carrier}");
        assert!(stderr.contains(fault) && stderr.contains("portcullis.toml:"), "{fault:?} is not in:\n{stderr}");
    }
    let (code, stderr) =
        said("tls = { certificate = \"gate.pem\", key = \"gate.key\" }", "tls = { ca = \"gate.pem\" }");
    assert_eq!(code, Some(0), "{stderr}");
}

#[test]
fn check_points_out_what_is_hardly_meant() {
    let authority = Authority::new("test authority");
    let demanding = register(&[("herald", "certificate = \"herald\"")]);
    let folder = Folder::new(&demanding, ([127, 0, 0, 1], 1).into());
    authority.issue_until("gate.example", 2020).write(folder.path(), "gate");
    configure(&folder, "tls = { certificate = \"gate.pem\", key = \"gate.key\" }", "addresses = [\"127.0.0.1:1\"]", "");
    let said = folder.run(&["check"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(said.stderr.contains("gate.pem: the certificate has expired, at 2020-12-31"), "{}", said.stderr);
    assert!(said.stderr.contains("provider \"herald\" must present a certificate"), "{}", said.stderr);
}
