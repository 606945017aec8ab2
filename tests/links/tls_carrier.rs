//! TLS on the carrier's leg.

use std::net::SocketAddr;
use std::sync::Arc;

use portcullis_protocol::{CommandId, CommandStatus};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::WebPkiClientVerifier;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::certificates::{Authority, Own, put};
use crate::gate::Folder;
use crate::provider::{OK, Provider};
use crate::stage::{carrier, configure, register, sends};

/// Speaks TLS in front of a carrier that does not; `client_ca` demands a certificate.
async fn terminator(carrier: SocketAddr, own: &Own, client_ca: Option<&Authority>) -> SocketAddr {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let builder = match client_ca {
        Some(authority) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authority.roots()), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
        None => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(own.chain(), own.private()).expect("a certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut onward = TcpStream::connect(carrier).await.expect("the carrier");
                // Either side may hang up first.
                let _ended = copy_bidirectional(&mut stream, &mut onward).await;
            });
        }
    });
    address
}

/// How a bind ends at a gate whose carrier leg is configured like this.
async fn bind_through(
    folder: &Folder,
    terminator: SocketAddr,
    tls: &str,
) -> (Provider, CommandStatus, crate::gate::Gate) {
    configure(folder, "", &format!("addresses = [\"{terminator}\"]\ntls = {{ {tls} }}"), "");
    let gate = folder.start();
    let mut provider = Provider::connect(gate.address).await;
    let status = provider.bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret").await;
    (provider, status, gate)
}

#[tokio::test]
async fn the_carrier_is_verified_by_authority_and_name() {
    let (authority, other) = (Authority::new("carrier's authority"), Authority::new("another authority"));
    let carrier = carrier().await;
    let folder = Folder::new(&register(&[("herald", "")]), carrier.address());
    put(&folder.path().join("ca.pem"), &authority.pem());
    put(&folder.path().join("other.pem"), &other.pem());
    let address = terminator(carrier.address(), &authority.issue("smsc.example"), None).await;

    let (mut provider, status, _gate) =
        bind_through(&folder, address, "ca = \"ca.pem\", server_name = \"smsc.example\"").await;
    assert_eq!(status, OK);
    sends(&mut provider, 0).await;
    drop((provider, _gate));

    for (tls, why) in [
        ("ca = \"ca.pem\", server_name = \"smsc.elsewhere\"", "not valid for name"),
        ("ca = \"ca.pem\"", "not valid for name"),
        ("ca = \"other.pem\", server_name = \"smsc.example\"", "UnknownIssuer"),
    ] {
        let (_provider, status, gate) = bind_through(&folder, address, tls).await;
        assert_eq!(status, CommandStatus::ESME_RBINDFAIL, "{tls}");
        let line = gate.await_log("carrier address does not answer");
        assert!(line.contains(why), "{tls}: {line}");
    }
}

#[tokio::test]
async fn the_gate_presents_its_certificate_to_the_carrier() {
    let authority = Authority::new("carrier's authority");
    let carrier = carrier().await;
    let folder = Folder::new(&register(&[("herald", "")]), carrier.address());
    put(&folder.path().join("ca.pem"), &authority.pem());
    authority.issue("portcullis").write(folder.path(), "own");
    let address = terminator(carrier.address(), &authority.issue("127.0.0.1"), Some(&authority)).await;

    let (_provider, status, _gate) = bind_through(&folder, address, "ca = \"ca.pem\"").await;
    assert_eq!(status, CommandStatus::ESME_RBINDFAIL, "the carrier demands one");
    drop((_provider, _gate));
    let tls = "ca = \"ca.pem\", certificate = \"own.pem\", key = \"own.key\"";
    let (mut provider, status, _gate) = bind_through(&folder, address, tls).await;
    assert_eq!(status, OK, "by address, without server_name");
    sends(&mut provider, 0).await;
}
