//! How often a test kills, and when.
//!
//! Owns the dice, whose seed is printed, and the walk over the changes to the disk in place of which something is
//! killed. PORTCULLIS_KILLS says how often (`all`: in place of every change), PORTCULLIS_KILL_SEED repeats a run.
//! Driven by the tests.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::thread::sleep;
use std::time::Duration;

use portcullis::clock;
use rustix::process::Signal;

/// How long a process may take to its end.
const PATIENCE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(2);

/// The kills of one test.
pub(crate) struct Kills {
    pub(crate) dice: fastrand::Rng,
    rounds: usize,
    /// Whether in place of every change.
    all: bool,
}

/// The changes to the disk in place of which something is killed, from the first to the last.
pub(crate) struct Changes {
    dice: fastrand::Rng,
    stride: usize,
    at: usize,
    kills: usize,
}

impl Kills {
    /// As the environment has it, or else so often; says how to repeat it.
    pub(crate) fn announced(rounds: usize) -> Self {
        let often = std::env::var("PORTCULLIS_KILLS").ok();
        let all = often.as_deref() == Some("all");
        let read = |text: &String| text.parse().unwrap_or_else(|_| panic!("PORTCULLIS_KILLS={text:?} is no number"));
        let rounds = often.as_ref().filter(|_| !all).map_or(rounds, read);
        let seed = std::env::var("PORTCULLIS_KILL_SEED").ok();
        let seed = seed.map_or(20_261_124, |text| text.parse().expect("PORTCULLIS_KILL_SEED is a number"));
        eprintln!("PORTCULLIS_KILL_SEED={seed}");
        Self { dice: fastrand::Rng::with_seed(seed), rounds, all }
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds
    }

    /// A walk over changes, of which there are about so many.
    pub(crate) fn changes(&mut self, about: usize) -> Changes {
        let stride = if self.all { 1 } else { about.div_ceil(self.rounds.max(1)) };
        Changes { dice: self.dice.fork(), stride, at: 0, kills: 0 }
    }
}

impl Changes {
    /// The next one: each, or about every so many.
    pub(crate) fn next(&mut self) -> usize {
        self.at += if self.stride == 1 { 1 } else { self.dice.usize(1..2 * self.stride) };
        self.at
    }

    /// Whether a process was killed by itself, in place of a change; false once there were fewer.
    pub(crate) fn cut(&mut self, ended: ExitStatus) -> bool {
        let killed = ended.signal() == Some(Signal::KILL.as_raw());
        assert!(killed || ended.success(), "neither killed nor well, at change {}: {ended}", self.at);
        self.kills += usize::from(killed);
        killed
    }

    /// Says how it went.
    pub(crate) fn tell(&self, what: &str) {
        assert!(self.kills > 0, "{what} was never cut short");
        eprintln!("{what}: killed {} times, at changes up to {}", self.kills, self.at);
    }
}

/// Waits for a process to end by itself.
pub(crate) fn ended(child: &mut Child) -> ExitStatus {
    let end = clock::monotonic() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        if clock::monotonic() >= end {
            child.kill().expect("a process to kill");
            panic!("the process does not end");
        }
        sleep(PAUSE);
    }
}
