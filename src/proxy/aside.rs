//! Work that may take long and is not urgent: the messages' threads go before it.
//!
//! Owns the thread that it runs on. Refuses to be hurried. Driven by the gate's own tasks.

use tokio::sync::oneshot;

/// How far such work stands back.
const NICE: i32 = 10;

/// Runs `work` on a thread of its own, and waits for its end.
pub(super) async fn run(name: &str, work: impl FnOnce() + Send + 'static) {
    let (tell, ended) = oneshot::channel();
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Of this thread alone, as Linux has it.
        if let Err(error) = rustix::process::nice(NICE) {
            tracing::debug!(%error, "the thread's priority stays as it is");
        }
        work();
        // Nobody waits any more when the gate was told to end at once.
        let _ = tell.send(());
    });
    match started {
        Ok(_) if ended.await.is_err() => tracing::error!(name, "work aside ended in a panic"),
        Ok(_) => {}
        Err(error) => tracing::error!(%error, name, "no thread for work aside"),
    }
}
