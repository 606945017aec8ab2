//! Dialling the carrier: the configured addresses in order, with back-off.
//!
//! Owns what is known of each address: whether it refused lately and when to try it again.
//! Refuses to speak SMPP. Driven by the session, which dials one connection for each bind.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::clock;

/// The wait after the first failure; it doubles with each further one.
const FIRST_BACK_OFF: Duration = Duration::from_millis(500);

/// The longest wait.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

/// A connection being made; `None` when no address answered.
pub(crate) type Dial = Pin<Box<dyn Future<Output = Option<TcpStream>> + Send>>;

/// The carrier's addresses and how each fared lately.
#[derive(Clone)]
pub(crate) struct Carrier {
    addresses: Arc<[Address]>,
    connect_timeout: Duration,
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
    /// `addresses` as `host:port`, tried in order.
    pub(crate) fn new(addresses: &[String], connect_timeout: Duration) -> Self {
        let addresses =
            addresses.iter().map(|host| Address { host: host.clone(), failures: Mutex::default() }).collect();
        Self { addresses, connect_timeout }
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

    async fn try_address(&self, address: &Address) -> Option<TcpStream> {
        let failure = match timeout(self.connect_timeout, TcpStream::connect(&address.host)).await {
            Ok(Ok(stream)) => {
                address.succeeded();
                // Answers are small and awaited: Nagle would only delay them.
                stream.set_nodelay(true).ok();
                return Some(stream);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no connection within {:?}", self.connect_timeout),
        };
        tracing::warn!(address = %address.host, failure, "carrier address does not answer");
        address.failed(clock::monotonic());
        None
    }
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
