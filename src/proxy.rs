//! The gate on the wire: listeners, sessions, drain and reload.
//!
//! Owns the sockets and the tasks, and the order in which they end. Refuses to decide what
//! passes: the relay and the desk do. Driven by `portcullis run`, `portcullis demo` and tests.

mod carrier;
mod reload;
mod session;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::clock;
use crate::config::Config;
use crate::document::Fault;
use crate::gate::{Desk, Gate, Moment};
use crate::register::Register;
use crate::relay::{Relay, RelayConfig};
use crate::store::StoreError;
use carrier::Carrier;
use session::Session;
use wire::Wire;

/// The pause after `accept` failed, for want of file descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often parts that wait for others are looked at.
const SWEEP: Duration = Duration::from_millis(100);

/// What a drain may take beyond its time-out: flushing and the sockets' farewells.
const DRAIN_SLACK: Duration = Duration::from_secs(5);

/// A running gate.
pub struct Proxy {
    /// What the sessions share; the admin socket and the demo look into it.
    pub gate: Arc<Gate>,
    addresses: Vec<SocketAddr>,
    drain: watch::Sender<bool>,
    tasks: TaskTracker,
    drain_timeout: Duration,
}

/// Why the gate could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The register cannot be used.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: "))]
    Register(Vec<Fault>),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address as configured.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
}

/// What every session of a listener is made from.
struct Shared {
    gate: Arc<Gate>,
    route: Carrier,
    relay: RelayConfig,
    pdu_limit: usize,
    tasks: TaskTracker,
    drain: watch::Receiver<bool>,
}

impl Proxy {
    /// Opens the store, takes the listening addresses and serves until [`Proxy::drain`].
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let register = Register::load(&config.register).map_err(StartError::Register)?;
        for warning in register.warnings() {
            tracing::warn!("{warning}");
        }
        let mut listeners = Vec::new();
        for listen in &config.listen {
            let address = listen.address;
            let listener = TcpListener::bind(address).await.map_err(|error| StartError::Listen { address, error })?;
            listeners.push(listener);
        }
        let gate = Arc::new(Gate::open(config, register, moment())?);
        let (drain, draining) = watch::channel(false);
        let tasks = TaskTracker::new();
        let shared = Arc::new(Shared {
            gate: Arc::clone(&gate),
            route: Carrier::new(&config.carrier.addresses, config.carrier.connect_timeout),
            relay: relay_config(config),
            pdu_limit: config.session.pdu_limit,
            tasks: tasks.clone(),
            drain: draining.clone(),
        });
        let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        for listener in listeners {
            tasks.spawn(accept(listener, Arc::clone(&shared)));
        }
        tasks.spawn(sweep(Arc::clone(&gate), draining.clone()));
        tasks.spawn(reload::watch(Arc::clone(&gate), config.register.clone(), draining));
        Ok(Self { gate, addresses, drain, tasks, drain_timeout: config.drain_timeout })
    }

    /// Where it listens, with the ports the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Turns true when the gate begins to end.
    pub fn draining(&self) -> watch::Receiver<bool> {
        self.drain.subscribe()
    }

    /// Takes no more connections, unbinds both legs of every session once its answers are in,
    /// and returns when all is done or the time is up. False when sessions were cut off.
    pub async fn drain(self) -> bool {
        self.drain.send_replace(true);
        self.tasks.close();
        let in_time = timeout(self.drain_timeout + DRAIN_SLACK, self.tasks.wait()).await.is_ok();
        if !in_time {
            tracing::warn!(sessions = self.gate.sessions.list().len(), "drain took too long: the rest is cut off");
        }
        in_time
    }
}

fn relay_config(config: &Config) -> RelayConfig {
    RelayConfig {
        session_init_timeout: config.session.session_init_timeout,
        // Every address may take its own time-out.
        connect_timeout: config
            .carrier
            .connect_timeout
            .saturating_mul(u32::try_from(config.carrier.addresses.len()).unwrap_or(u32::MAX))
            .saturating_add(Duration::from_secs(1)),
        response_timeout: config.carrier.response_timeout.min(config.session.response_timeout),
        enquire_link_interval: config.session.enquire_link_interval.min(config.carrier.enquire_link),
        inactivity_timeout: config.session.inactivity_timeout,
        drain_timeout: config.drain_timeout,
        provider_window: config.session.window,
        carrier_window: config.carrier.window,
        ..RelayConfig::default()
    }
}

/// Gives up parts whose message does not become whole, until the gate drains: then their sessions do.
async fn sweep(gate: Arc<Gate>, mut drain: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = sleep(SWEEP) => gate.sweep(moment()),
            _ = drain.wait_for(|draining| *draining) => return,
        }
    }
}

fn moment() -> Moment {
    Moment { wall: clock::wall(), monotonic: clock::monotonic() }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut drain = shared.drain.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = drain.wait_for(|draining| *draining) => return,
        };
        match accepted {
            Ok((stream, peer)) => admit(stream, peer, &shared),
            Err(error) => {
                tracing::error!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>) {
    let Some(session) = shared.gate.sessions.enter(peer, clock::wall()) else {
        tracing::warn!(%peer, "connection turned away: max_sessions reached");
        return;
    };
    // Answers are small and awaited: Nagle would only delay them.
    stream.set_nodelay(true).ok();
    let span = tracing::info_span!("session", session, %peer);
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    let serve = async move {
        let (desk, mail) = Desk::new(Arc::clone(&shared.gate), session, peer, clock::monotonic());
        let relay = Relay::new(shared.relay.clone(), clock::monotonic());
        let wire = Wire::new(stream, shared.pdu_limit);
        let ending =
            Session::new(wire, relay, (desk, mail), &shared.route, &shared.tasks).run(shared.drain.clone()).await;
        tracing::info!(%ending, "session ended");
    };
    tasks.spawn(serve.instrument(span));
}
