//! Dialling the carrier: the configured addresses in order, with back-off.
//!
//! Owns what is known of each address: whether it refused lately and when to try it again.
//! Refuses to speak SMPP. Driven by the session, which dials one connection for each bind.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::tls::Reloading;
use super::wire::Stream;
use crate::{clock, config};

/// The wait after the first failure; it doubles with each further one.
const FIRST_BACK_OFF: Duration = Duration::from_millis(500);

/// The longest wait.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

/// A connection being made; `None` when no address answered.
pub(crate) type Dial = Pin<Box<dyn Future<Output = Option<Box<dyn Stream>>> + Send>>;

/// The carrier's addresses and how each fared lately.
#[derive(Clone)]
pub(crate) struct Carrier {
    addresses: Arc<[Address]>,
    connect_timeout: Duration,
    tls: Option<Tls>,
}

/// What is spoken over the connection.
#[derive(Clone)]
struct Tls {
    config: Arc<Reloading<ClientConfig>>,
    /// The name to verify; none for the host dialled.
    server_name: Option<ServerName<'static>>,
}

struct Address {
    host: String,
    failures: Mutex<Failures>,
}

#[derive(Clone, Copy, Default)]
struct Failures {
    count: u32,
    retry_at: Option<Instant>,
}

impl Carrier {
    /// As configured; `tls` where the configuration has it.
    pub(crate) fn new(config: &config::Carrier, tls: Option<Arc<Reloading<ClientConfig>>>) -> Self {
        let addresses =
            config.addresses.iter().map(|host| Address { host: host.clone(), failures: Mutex::default() }).collect();
        let server_name = config.tls.as_ref().and_then(|tls| tls.server_name.clone());
        let tls = tls.map(|config| Tls { config, server_name });
        Self { addresses, connect_timeout: config.connect_timeout, tls }
    }

    /// Starts dialling: addresses that are not backing off first, in order; the others after
    /// them, so that a bind is refused only when nothing answers at all.
    pub(crate) fn dial(&self) -> Dial {
        let carrier = self.clone();
        Box::pin(async move {
            let now = clock::monotonic();
            let mut order: Vec<&Address> = carrier.addresses.iter().collect();
            order.sort_by_key(|address| address.is_backing_off(now));
            for address in order {
                if let Some(stream) = carrier.try_address(address).await {
                    return Some(stream);
                }
            }
            None
        })
    }

    async fn try_address(&self, address: &Address) -> Option<Box<dyn Stream>> {
        let failure = match timeout(self.connect_timeout, self.connect(&address.host)).await {
            Ok(Ok(stream)) => {
                address.succeeded();
                return Some(stream);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no connection within {:?}", self.connect_timeout),
        };
        tracing::warn!(address = %address.host, failure, "carrier address does not answer");
        address.failed(clock::monotonic());
        None
    }

    async fn connect(&self, host: &str) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(host).await?;
        // Answers are small and awaited: Nagle would only delay them.
        stream.set_nodelay(true).ok();
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = match &tls.server_name {
            Some(name) => name.clone(),
            None => name_of(host)?,
        };
        let stream = TlsConnector::from(tls.config.current()).connect(name, stream).await?;
        Ok(Box::new(stream))
    }
}

/// The name that the certificate at `host:port` must have.
fn name_of(host: &str) -> io::Result<ServerName<'static>> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    ServerName::try_from(name.to_owned())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is no name a certificate can have")))
}

impl Address {
    fn is_backing_off(&self, now: Instant) -> bool {
        self.failures().retry_at.is_some_and(|at| at > now)
    }

    fn succeeded(&self) {
        *self.failures() = Failures::default();
    }

    fn failed(&self, now: Instant) {
        let mut failures = self.failures();
        let wait = FIRST_BACK_OFF.saturating_mul(1 << failures.count.min(10)).min(LONGEST_BACK_OFF);
        *failures = Failures { count: failures.count.saturating_add(1), retry_at: Some(now + wait) };
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
