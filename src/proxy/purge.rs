//! The daily purge of what has expired, on a thread that the messages' threads go before.
//!
//! Owns that thread and the looking whether the time has come. Refuses to decide what goes: the retention does.
//! Driven by the proxy, from the start until the gate drains.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use super::moment;
use crate::gate::Gate;
use crate::gate::retention::Order;

/// How often it is looked whether the purge is due.
const LOOK: Duration = Duration::from_secs(20);

/// How far it stands back.
const NICE: i32 = 10;

/// Lets go of what has expired, once a day, until the gate drains.
pub(super) async fn daily(gate: Arc<Gate>, mut drain: watch::Receiver<bool>) {
    loop {
        let asked = Arc::clone(&gate);
        // It is noted on disk that the gate is there.
        if tokio::task::spawn_blocking(move || asked.has_expired(moment())).await.unwrap_or_default() {
            aside(Arc::clone(&gate)).await;
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            _ = drain.wait_for(|draining| *draining) => return,
        }
    }
}

/// Waits for the end of a purge on a thread of its own.
async fn aside(gate: Arc<Gate>) {
    let (tell, ended) = oneshot::channel();
    let started = std::thread::Builder::new().name("retention".to_owned()).spawn(move || {
        // Of this thread alone, as Linux has it.
        if let Err(error) = rustix::process::nice(NICE) {
            tracing::debug!(%error, "the thread's priority stays as it is");
        }
        purge(&gate);
        // Nobody waits any more when the gate was told to end at once.
        let _ = tell.send(());
    });
    match started {
        Ok(_) if ended.await.is_err() => tracing::error!("the purge of what has expired ended in a panic"),
        Ok(_) => {}
        Err(error) => tracing::error!(%error, "no thread for the purge of what has expired"),
    }
}

fn purge(gate: &Gate) {
    match gate.purge(&Order::daily(), moment()) {
        Ok(purged) => {
            let (things, octets) = (purged.gone.len(), purged.octets());
            tracing::info!(things, octets, complete = purged.complete, "what has expired was purged");
        }
        Err(error) => tracing::error!(%error, "what has expired could not be purged: tried again"),
    }
}
