//! The gate on the wire: listeners, sessions, drain and reload.
//!
//! Owns the sockets and the tasks, and the order in which they end. Refuses to decide what
//! passes: the relay and the desk do. Driven by `portcullis run`, `portcullis demo` and tests.

mod carrier;
mod delayed;
mod door;
mod last_good;
mod proxy_header;
mod purge;
mod reload;
mod session;
mod sockets;
mod tls;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::clock;
use crate::config::{Config, ListFile, Listen};
use crate::document::Fault;
use crate::gate::{Desk, DoNotDisturb, Gate, LONGEST_DELAY, Moment};
use crate::register::{Register, WindowOverflow};
use crate::relay::{Relay, RelayConfig};
use crate::store::StoreError;
use crate::tls::{CarrierTls, ListenTls, TlsFault};
use carrier::Carrier;
use door::{Door, Guest, TurnedAway};
use reload::Watched;
use session::Session;
use tls::Reloading;

pub use sockets::{Handover, Inherited};

/// The pause after `accept` failed, for want of file descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often parts that wait for others are looked at.
const SWEEP: Duration = Duration::from_millis(100);

/// How often what has come due is looked for: silence, refusals of what is scheduled, the end of quiet hours.
const CHORES: Duration = Duration::from_millis(200);
/// How often it is looked whether a measure is due.
const REVIEW: Duration = Duration::from_secs(1);

/// Between two looks at whether the predecessor has let go of the store.
const STORE_PAUSE: Duration = Duration::from_millis(20);

/// What a drain may take beyond its time-out: flushing and the sockets' farewells.
const DRAIN_SLACK: Duration = Duration::from_secs(5);

/// A running gate.
pub struct Proxy {
    /// What the sessions share; the admin socket and the demo look into it.
    pub gate: Arc<Gate>,
    addresses: Vec<SocketAddr>,
    handover: Arc<Handover>,
    drain: watch::Sender<bool>,
    tasks: TaskTracker,
    drain_timeout: Duration,
    data: String,
}

/// Why the gate could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The register cannot be used.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: "))]
    Register(Vec<Fault>),
    /// A do-not-disturb list cannot be used.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: "))]
    DoNotDisturb(Vec<Fault>),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Certificate files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// The running gate does not let go.
    #[error("the running gate could not be told to drain: {0}")]
    TakeOver(io::Error),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address as configured.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
}

/// What every session is made from.
struct Shared {
    gate: Arc<Gate>,
    route: Carrier,
    relay: RelayConfig,
    tasks: TaskTracker,
    drain: watch::Receiver<bool>,
}

impl Proxy {
    /// Takes the listening addresses, opens the store and serves until [`Proxy::drain`].
    /// Sockets that listen already are used where the configuration has their address. `opened` is called once the
    /// store is open, before anybody is served.
    pub async fn start(config: &Config, mut inherited: Inherited, opened: impl FnOnce()) -> Result<Self, StartError> {
        // Before it is read: a change from then on is one.
        let mut watched = Watched::new(vec![config.register.clone()]);
        let register = last_good::load(config).map_err(StartError::Register)?;
        watched.follow(register.files());
        for warning in register.warnings() {
            tracing::warn!("{warning}");
        }
        let watched_lists = watch_lists(config);
        let lists = DoNotDisturb::load(&config.do_not_disturb).map_err(StartError::DoNotDisturb)?;
        let (listeners, addresses, copies) = listeners(config, &mut inherited).await?;
        let (drain, draining) = watch::channel(false);
        let tasks = TaskTracker::new();
        let carrier_tls = config.carrier.tls.as_ref().map(carrier_tls).transpose()?;
        let doors = config.listen.iter().map(|listen| door(config, listen)).collect::<Result<Vec<_>, _>>()?;
        for tls in doors.iter().filter_map(|door| door.tls.as_ref()) {
            tasks.spawn(Arc::clone(tls).watch(draining.clone()));
        }
        if let Some(tls) = &carrier_tls {
            tasks.spawn(Arc::clone(tls).watch(draining.clone()));
        }
        // What can fail has not: a gate that runs may drain now. Who connects meanwhile waits in the sockets' queues.
        let has_predecessor = inherited.confirm().map_err(StartError::TakeOver)?;
        let mut gate = open(config, register, has_predecessor).await?;
        gate.do_not_disturb = lists;
        opened();
        gate.record_start(config, clock::wall());
        let gate = Arc::new(gate);
        let shared = Arc::new(Shared {
            gate: Arc::clone(&gate),
            route: Carrier::new(&config.carrier, carrier_tls),
            relay: relay_config(config),
            tasks: tasks.clone(),
            drain: draining.clone(),
        });
        for (listener, door) in listeners.into_iter().zip(doors) {
            tasks.spawn(accept(listener, Arc::new(door), Arc::clone(&shared)));
        }
        attend(&gate, &tasks, &draining);
        for (list, watched) in watched_lists {
            tasks.spawn(reload::watch_list(Arc::clone(&gate), list, watched, draining.clone()));
        }
        tasks.spawn(reload::watch(
            Arc::clone(&gate),
            (config.register.clone(), config.data.clone()),
            watched,
            draining,
        ));
        let handover = Arc::new(Handover::new(copies));
        Ok(Self {
            gate,
            addresses,
            handover,
            drain,
            tasks,
            drain_timeout: config.drain_timeout,
            data: config.data.display().to_string(),
        })
    }

    /// Where it listens, with the ports the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The listening sockets, for a successor.
    pub fn handover(&self) -> Arc<Handover> {
        Arc::clone(&self.handover)
    }

    /// Waits until a successor has taken the listening sockets.
    pub async fn taken_over(&self) {
        self.handover.completed().await;
    }

    /// Turns true when the gate begins to end.
    pub fn draining(&self) -> watch::Receiver<bool> {
        self.drain.subscribe()
    }

    /// Takes no more connections, unbinds both legs of every session once its answers are in,
    /// and returns when all is done or the time is up. False when sessions were cut off.
    pub async fn drain(self) -> bool {
        self.handover.close();
        self.drain.send_replace(true);
        self.gate.retention.stop();
        self.tasks.close();
        let in_time = timeout(self.drain_timeout + DRAIN_SLACK, self.tasks.wait()).await.is_ok();
        if !in_time {
            tracing::warn!(sessions = self.gate.sessions.list().len(), "drain took too long: the rest is cut off");
        }
        self.gate.close(clock::wall());
        self.gate.record_stop(&self.data, in_time, clock::wall());
        in_time
    }
}

/// The listening sockets, where they are, and copies of them for a successor.
async fn listeners(
    config: &Config,
    inherited: &mut Inherited,
) -> Result<(Vec<TcpListener>, Vec<SocketAddr>, Vec<std::net::TcpListener>), StartError> {
    let (mut listeners, mut addresses, mut copies) = (Vec::new(), Vec::new(), Vec::new());
    for listen in &config.listen {
        let fault = |error| StartError::Listen { address: listen.address, error };
        let socket = inherited.listen(listen.address).await.map_err(fault)?;
        addresses.push(socket.local_addr().map_err(fault)?);
        copies.push(socket.try_clone().map_err(fault)?);
        listeners.push(TcpListener::from_std(socket).map_err(fault)?);
    }
    Ok((listeners, addresses, copies))
}

/// All that is done from time to time.
fn attend(gate: &Arc<Gate>, tasks: &TaskTracker, draining: &watch::Receiver<bool>) {
    tasks.spawn(sweep(Arc::clone(gate), draining.clone()));
    tasks.spawn(chores(Arc::clone(gate), draining.clone()));
    tasks.spawn(review(Arc::clone(gate), draining.clone()));
    tasks.spawn(purge::daily(Arc::clone(gate), draining.clone()));
}

/// Before they are read: a change from then on is one.
fn watch_lists(config: &Config) -> Vec<(ListFile, Watched)> {
    let lists = config.do_not_disturb.iter();
    lists.map(|list| (list.clone(), Watched::new(vec![list.file.clone()]))).collect()
}

/// Opens the store; a predecessor that still drains is waited for.
async fn open(config: &Config, register: Register, has_predecessor: bool) -> Result<Gate, StoreError> {
    let register = Arc::new(register);
    let last = clock::monotonic() + config.drain_timeout + DRAIN_SLACK + DRAIN_SLACK;
    loop {
        match Gate::open(config, Arc::clone(&register), moment()) {
            Err(StoreError::Held { .. }) if has_predecessor && clock::monotonic() < last => sleep(STORE_PAUSE).await,
            opened => return opened,
        }
    }
}

fn door(config: &Config, listen: &Listen) -> Result<Door, TlsFault> {
    let load = |files: &ListenTls| {
        let what = format!("[[listen]] {}", listen.address);
        let loaded = files.clone();
        Reloading::new(what, files.files(), move || loaded.load())
    };
    Ok(Door {
        trusted: listen.trusted.clone(),
        tls: listen.tls.as_ref().map(load).transpose()?,
        handshake_timeout: config.session.handshake_timeout,
        session_init_timeout: config.session.session_init_timeout,
        pdu_limit: config.session.pdu_limit,
    })
}

fn carrier_tls(files: &CarrierTls) -> Result<Arc<Reloading<ClientConfig>>, TlsFault> {
    let loaded = files.clone();
    Reloading::new("[carrier]".to_owned(), files.files(), move || loaded.load())
}

fn relay_config(config: &Config) -> RelayConfig {
    RelayConfig {
        session_init_timeout: config.session.session_init_timeout,
        // From the bind to the connection; the waits in it have bounds of their own.
        connect_timeout: LONGEST_DELAY
            .saturating_add(carrier::longest_dial(config.carrier.connect_timeout))
            .saturating_add(Duration::from_secs(1)),
        response_timeout: config.carrier.response_timeout.min(config.session.response_timeout),
        enquire_link_interval: config.session.enquire_link_interval.min(config.carrier.enquire_link),
        inactivity_timeout: config.session.inactivity_timeout,
        drain_timeout: config.drain_timeout,
        provider_window: config.session.window,
        reject_over_window: config.session.window_overflow == WindowOverflow::Reject,
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

/// Apart from the sweep, which must not wait for the disk.
async fn chores(gate: Arc<Gate>, mut drain: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = sleep(CHORES) => {}
            _ = drain.wait_for(|draining| *draining) => return,
        }
        if gate.has_chores(moment()) {
            let gate = Arc::clone(&gate);
            // A panic in there is told by its thread; the next turn goes on.
            let _done = tokio::task::spawn_blocking(move || gate.do_chores(moment())).await;
        }
    }
}

/// Takes and ends measures, until the gate drains.
async fn review(gate: Arc<Gate>, mut drain: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = sleep(REVIEW) => {}
            _ = drain.wait_for(|draining| *draining) => return,
        }
        let gate = Arc::clone(&gate);
        if tokio::task::spawn_blocking(move || gate.review_measures(moment())).await.is_err() {
            tracing::error!("the review of measures ended early");
        }
    }
}

fn moment() -> Moment {
    Moment { wall: clock::wall(), monotonic: clock::monotonic() }
}

async fn accept(listener: TcpListener, door: Arc<Door>, shared: Arc<Shared>) {
    let mut drain = shared.drain.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = drain.wait_for(|draining| *draining) => return,
        };
        match accepted {
            Ok((stream, peer)) => admit(stream, peer, &door, &shared),
            Err(error) => {
                tracing::error!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(stream: TcpStream, peer: SocketAddr, door: &Arc<Door>, shared: &Arc<Shared>) {
    let place = match shared.gate.sessions.enter(peer, clock::wall()) {
        Ok(place) => place,
        Err(full) => return turn_away(peer, &TurnedAway::Full(full)),
    };
    // Answers are small and awaited: Nagle would only delay them.
    stream.set_nodelay(true).ok();
    let (door, shared) = (Arc::clone(door), Arc::clone(shared));
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let arrived = clock::monotonic();
        let mut drain = shared.drain.clone();
        // Boxed, so that a session does not carry the memory of a handshake around.
        let received = tokio::select! {
            received = Box::pin(door.receive(stream, place)) => received,
            _ = drain.wait_for(|draining| *draining) => return,
        };
        match received {
            Ok(guest) => serve(guest, arrived, &shared).await,
            Err(reason) => turn_away(peer, &reason),
        }
    });
}

fn turn_away(peer: SocketAddr, reason: &TurnedAway) {
    match reason {
        TurnedAway::Full(_) => tracing::warn!(%peer, "connection turned away: {reason}"),
        _ if reason.is_noise() => tracing::debug!(%peer, "connection closed: {reason}"),
        _ => tracing::info!(%peer, "connection turned away: {reason}"),
    }
}

async fn serve(guest: Guest, arrived: Instant, shared: &Shared) {
    let Guest { wire, place, secured } = guest;
    let span = tracing::info_span!("session", session = place.session(), peer = %place.peer());
    let desk = Desk::new(Arc::clone(&shared.gate), place, secured, clock::monotonic());
    let relay = Relay::new(shared.relay.clone(), arrived);
    let session = Session::new(wire, relay, desk, &shared.route, &shared.tasks);
    async {
        let ending = session.run(shared.drain.clone()).await;
        tracing::info!(%ending, "session ended");
    }
    .instrument(span)
    .await;
}
