//! Dialling the carrier: its addresses in order, with back-off and fail-back.
//!
//! Owns what is known of each address: whether it failed lately and when to try it again.
//! Refuses to speak SMPP and to move a session that is bound. Driven by the session, which
//! dials one connection for each bind and tells whether the carrier answered on it.
//!
//! An address that fails is left out until its back-off is over. Then one bind tries it again
//! while all others still go elsewhere; once it has answered, new binds go to it as before.
//! One that takes connections and then says nothing is left out for the same provider only: it
//! may be how this carrier treats a wrong password.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::tls::Reloading;
use super::wire::Stream;
use crate::{clock, config};

/// The wait after the first failure; it doubles with each further one.
const FIRST_BACK_OFF: Duration = Duration::from_millis(500);

/// The longest wait.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

/// How many addresses one bind tries, whatever names stand for.
const MOST_TRIES: usize = 8;

/// The failures remembered: names may stand for ever new addresses.
const MOST_REMEMBERED: usize = 10_000;

/// A connection being made; `None` when no address answered.
pub(crate) type Dial = Pin<Box<dyn Future<Output = Option<Dialled>> + Send>>;

/// A connection to the carrier, which has not spoken yet.
pub(crate) struct Dialled {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) trial: Trial,
}

/// Where the carrier is, and how its addresses fared lately.
#[derive(Clone)]
pub(crate) struct Carrier {
    addresses: Arc<[String]>,
    connect_timeout: Duration,
    tls: Option<Tls>,
    failures: Arc<Mutex<HashMap<String, Failures>>>,
}

/// What is spoken over the connection.
#[derive(Clone)]
struct Tls {
    config: Arc<Reloading<ClientConfig>>,
    /// The name to verify; none for the host dialled.
    server_name: Option<ServerName<'static>>,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    retry_at: Instant,
}

/// An address that took the connection. Whether anyone speaks behind it is yet to be seen: a
/// balancer whose carrier is gone accepts, too.
pub(crate) struct Trial {
    carrier: Carrier,
    address: String,
    system_id: String,
}

/// The longest that one bind's dialling takes.
pub(crate) fn longest_dial(connect_timeout: Duration) -> Duration {
    connect_timeout.saturating_mul(u32::try_from(MOST_TRIES).unwrap_or(u32::MAX))
}

impl Carrier {
    /// As configured; `tls` where the configuration has it.
    pub(crate) fn new(config: &config::Carrier, tls: Option<Arc<Reloading<ClientConfig>>>) -> Self {
        let server_name = config.tls.as_ref().and_then(|tls| tls.server_name.clone());
        Self {
            addresses: config.addresses.clone().into(),
            connect_timeout: config.connect_timeout,
            tls: tls.map(|config| Tls { config, server_name }),
            failures: Arc::default(),
        }
    }

    /// Starts dialling for a provider: its `own` addresses, or the configured ones where it has none.
    pub(crate) fn dial(&self, system_id: &str, own: &[String]) -> Dial {
        let hosts: Arc<[String]> = if own.is_empty() { Arc::clone(&self.addresses) } else { own.into() };
        let (carrier, system_id) = (self.clone(), system_id.to_owned());
        Box::pin(async move {
            let longest = longest_dial(carrier.connect_timeout);
            timeout(longest, carrier.try_all(&system_id, &hosts)).await.unwrap_or_default()
        })
    }

    /// Addresses that are not backing off first, in order; the others after them, so that a
    /// bind is refused only when nothing answers at all.
    async fn try_all(&self, system_id: &str, hosts: &[String]) -> Option<Dialled> {
        let mut tried = Vec::new();
        for spare_failed in [true, false] {
            for host in hosts {
                for address in self.resolve(host, spare_failed).await {
                    let spared = || self.is_backing_off(&address) || self.is_backing_off(&silence(&address, system_id));
                    if tried.contains(&address) || tried.len() >= MOST_TRIES || (spare_failed && spared()) {
                        continue;
                    }
                    if let Some(stream) = self.try_address(host, &address).await {
                        let trial = Trial { carrier: self.clone(), address, system_id: system_id.to_owned() };
                        return Some(Dialled { stream, trial });
                    }
                    tried.push(address);
                }
            }
        }
        None
    }

    /// Every address a name stands for; names fail and back off like addresses.
    async fn resolve(&self, host: &str, spare_failed: bool) -> Vec<String> {
        if host.parse::<SocketAddr>().is_ok() {
            return vec![host.to_owned()];
        }
        if spare_failed && self.is_backing_off(host) {
            return Vec::new();
        }
        let failure = match timeout(self.connect_timeout, lookup_host(host)).await {
            Ok(Ok(found)) => {
                self.succeeded(host);
                return found.map(|address| address.to_string()).collect();
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {:?}", self.connect_timeout),
        };
        tracing::warn!(host, failure, "carrier name cannot be resolved");
        self.failed(host);
        Vec::new()
    }

    async fn try_address(&self, host: &str, address: &str) -> Option<Box<dyn Stream>> {
        self.claim(address);
        let failure = match timeout(self.connect_timeout, self.connect(host, address)).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no connection within {:?}", self.connect_timeout),
        };
        tracing::warn!(host, address, failure, "carrier address does not answer");
        self.failed(address);
        None
    }

    async fn connect(&self, host: &str, address: &str) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(address).await?;
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

    fn is_backing_off(&self, address: &str) -> bool {
        self.failures().get(address).is_some_and(|failures| failures.retry_at > clock::monotonic())
    }

    /// One bind tries what failed before; the others need not wait for how that ends.
    fn claim(&self, address: &str) {
        if let Some(failures) = self.failures().get_mut(address) {
            failures.retry_at = clock::monotonic() + self.connect_timeout;
        }
    }

    fn succeeded(&self, address: &str) {
        if self.failures().remove(address).is_some() {
            tracing::info!(address, "carrier address answers again");
        }
    }

    fn failed(&self, address: &str) {
        let now = clock::monotonic();
        let mut failures = self.failures();
        if failures.len() >= MOST_REMEMBERED {
            failures.retain(|_, failures| failures.retry_at > now);
        }
        let count = failures.get(address).map_or(0, |failures| failures.count);
        let wait = FIRST_BACK_OFF.saturating_mul(1 << count.min(10)).min(LONGEST_BACK_OFF);
        failures.insert(address.to_owned(), Failures { count: count.saturating_add(1), retry_at: now + wait });
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<String, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trial {
    /// The carrier spoke: binds go to this address again.
    pub(crate) fn answered(self) {
        self.carrier.succeeded(&self.address);
        self.carrier.succeeded(&silence(&self.address, &self.system_id));
    }

    /// The connection came to nothing before the carrier said a word.
    pub(crate) fn failed(self) {
        tracing::warn!(address = self.address, "carrier address takes connections and does not answer");
        self.carrier.failed(&silence(&self.address, &self.system_id));
    }
}

/// Under which name it is remembered that an address said nothing to a provider.
fn silence(address: &str, system_id: &str) -> String {
    format!("{address} for {system_id}")
}

/// The name that the certificate at `host:port` must have.
fn name_of(host: &str) -> io::Result<ServerName<'static>> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    ServerName::try_from(name.to_owned())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is no name a certificate can have")))
}
