//! TLS: from certificate and key files to what a handshake needs.
//!
//! Owns the choice of protocol versions and cipher suites (rustls with ring, which builds
//! without other tools) and the complaints about files that cannot be used. Refuses to open
//! sockets and to watch files: the proxy does. Driven by the configuration, which checks, and
//! by the proxy, which loads again when a file changes.

mod identity;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{
    ClientConfig, CommonState, ProtocolVersion, RootCertStore, ServerConfig, SupportedProtocolVersion, version,
};

pub use identity::{CertificateName, Identity};

/// How a listener presents itself, and whether providers must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenTls {
    /// The chain, the gate's own certificate first.
    pub certificate: PathBuf,
    /// The private key of the first certificate.
    pub key: PathBuf,
    /// Who may sign providers' certificates.
    pub client_ca: Option<PathBuf>,
    /// Whether providers present one.
    pub client_auth: ClientAuth,
    /// The oldest version spoken.
    pub min_version: MinVersion,
}

/// How the carrier is verified, and how the gate presents itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarrierTls {
    /// Who may sign the carrier's certificate; none named for the platform's authorities.
    pub ca: Option<PathBuf>,
    /// The name its certificate must have; none named for the host that is dialled.
    pub server_name: Option<ServerName<'static>>,
    /// What the gate presents: chain and private key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The oldest version spoken.
    pub min_version: MinVersion,
}

/// Whether providers present certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked.
    None,
    /// They are asked and may decline; what is presented must be valid.
    Optional,
    /// Without a valid one there is no connection.
    Required,
}

/// The oldest version spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2
    V1_2,
    /// TLS 1.3
    V1_3,
}

static ONLY_1_3: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// What a finished handshake says of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// The version spoken, as logs show it.
    pub version: &'static str,
    /// Who the peer is, where it presented a certificate.
    pub identity: Option<Identity>,
}

impl Secured {
    /// Reads it from the connection.
    pub fn of(connection: &CommonState) -> Self {
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "TLS",
        };
        let own = connection.peer_certificates().and_then(<[_]>::first);
        Self { version, identity: own.map(|certificate| Identity::of(certificate)) }
    }
}

impl fmt::Display for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.identity {
            Some(identity) => write!(f, "{}, certificate {identity}", self.version),
            None => write!(f, "{}, no certificate", self.version),
        }
    }
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {file} {what}", file = .file.display())]
pub struct TlsFault {
    /// The key of the configuration that names the file.
    pub key: &'static str,
    /// The file.
    pub file: PathBuf,
    /// The fault.
    pub what: String,
}

impl TlsFault {
    fn new(key: &'static str, file: &Path, what: impl Into<String>) -> Self {
        Self { key, file: file.to_owned(), what: what.into() }
    }
}

impl ListenTls {
    /// Loads the files.
    pub fn load(&self) -> Result<ServerConfig, TlsFault> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(self.min_version.versions())
            .map_err(|error| TlsFault::new("min_version", &self.certificate, error.to_string()))?;
        let builder = match self.verifier()? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let (chain, key) = own("certificate", &self.certificate, "key", &self.key)?;
        builder.with_single_cert(chain, key).map_err(|error| unfit("key", &self.key, &error))
    }

    /// Every file it is made from.
    pub fn files(&self) -> Vec<PathBuf> {
        [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()].into_iter().flatten().cloned().collect()
    }

    fn verifier(&self) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsFault> {
        let (Some(ca), true) = (&self.client_ca, self.client_auth != ClientAuth::None) else { return Ok(None) };
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities("client_ca", ca)?), provider());
        let builder = match self.client_auth {
            ClientAuth::Optional => builder.allow_unauthenticated(),
            ClientAuth::None | ClientAuth::Required => builder,
        };
        builder.build().map(Some).map_err(|error| TlsFault::new("client_ca", ca, error.to_string()))
    }
}

impl CarrierTls {
    /// Loads the files.
    pub fn load(&self) -> Result<ClientConfig, TlsFault> {
        let ca = self.ca.as_deref().unwrap_or(Path::new("the platform's list of authorities"));
        let roots = match &self.ca {
            Some(ca) => authorities("ca", ca)?,
            None => platform_authorities(ca)?,
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| TlsFault::new("ca", ca, error.to_string()))?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(self.min_version.versions())
            .map_err(|error| TlsFault::new("min_version", ca, error.to_string()))?
            .with_webpki_verifier(verifier);
        let Some((certificate, key)) = &self.certificate else { return Ok(builder.with_no_client_auth()) };
        let (chain, private) = own("certificate", certificate, "key", key)?;
        builder.with_client_auth_cert(chain, private).map_err(|error| unfit("key", key, &error))
    }

    /// Every file it is made from.
    pub fn files(&self) -> Vec<PathBuf> {
        let own = self.certificate.iter().flat_map(|(certificate, key)| [certificate, key]);
        self.ca.iter().chain(own).cloned().collect()
    }
}

impl MinVersion {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::V1_2 => rustls::ALL_VERSIONS,
            Self::V1_3 => ONLY_1_3,
        }
    }
}

/// Until when the first certificate of a file is valid.
pub fn valid_until(certificate: &Path) -> Option<Timestamp> {
    let first = CertificateDer::pem_file_iter(certificate).ok()?.next()?.ok()?;
    identity::valid_until(&first)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

fn own(
    certificate_key: &'static str,
    certificate: &Path,
    key_key: &'static str,
    key: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsFault> {
    let chain = certificates(certificate_key, certificate)?;
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| TlsFault::new(key_key, key, unreadable(&error, "private key")))?;
    Ok((chain, key))
}

fn certificates(key: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let fault = |error: pem::Error| TlsFault::new(key, file, unreadable(&error, "certificate"));
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(file).and_then(|found| found.collect::<Result<_, _>>()).map_err(fault)?;
    if chain.is_empty() {
        return Err(fault(pem::Error::NoItemsFound));
    }
    Ok(chain)
}

fn authorities(key: &'static str, file: &Path) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(key, file)? {
        roots.add(certificate).map_err(|error| unfit(key, file, &error))?;
    }
    Ok(roots)
}

fn platform_authorities(named: &Path) -> Result<RootCertStore, TlsFault> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // One that rustls cannot read is one that it will not trust; the others still count.
    let (added, _unreadable) = roots.add_parsable_certificates(loaded.certs);
    if added == 0 {
        let why = loaded.errors.first().map_or_else(String::new, |error| format!(": {error}"));
        return Err(TlsFault::new("ca", named, format!("is empty{why}; name a file with ca = \"…\"")));
    }
    Ok(roots)
}

fn unreadable(error: &pem::Error, what: &str) -> String {
    match error {
        pem::Error::Io(error) => format!("cannot be read: {error}"),
        pem::Error::NoItemsFound => format!("holds no {what} in PEM form"),
        error => format!("is no {what} in PEM form: {error}"),
    }
}

fn unfit(key: &'static str, file: &Path, error: &rustls::Error) -> TlsFault {
    let what = match error {
        rustls::Error::InconsistentKeys(_) => "does not belong to the certificate beside it".to_owned(),
        error => format!("cannot be used: {error}"),
    };
    TlsFault::new(key, file, what)
}
