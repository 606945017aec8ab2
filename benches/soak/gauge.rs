//! What the gate's process uses, and whether that grows.
//!
//! Owns the reading of /proc, the table and the slope. Refuses to know why anything grows.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use portcullis::admin::api::Status;

use crate::ledger::Ledger;

const MIB: f64 = 1_048_576.0;

/// A process to be looked at.
#[derive(Clone, Copy)]
pub(crate) struct Gauge(u32);

/// One look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Octets of memory.
    pub(crate) resident: f64,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

impl Gauge {
    /// The process of this id.
    pub(crate) fn of(id: u32) -> Self {
        Self(id)
    }

    pub(crate) fn read(self) -> io::Result<Reading> {
        let folder = PathBuf::from(format!("/proc/{}", self.0));
        let status = fs::read_to_string(folder.join("status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u32>().ok());
            number.ok_or_else(|| io::Error::other(format!("/proc/PID/status says no {name}")))
        };
        Ok(Reading {
            resident: f64::from(field("VmRSS:")?) * 1024.0,
            descriptors: fs::read_dir(folder.join("fd"))?.count(),
            threads: field("Threads:")? as usize,
        })
    }
}

/// Memory over time.
#[derive(Default)]
pub(crate) struct Series(Vec<(f64, f64)>);

impl Series {
    pub(crate) fn push(&mut self, at: Duration, reading: Reading) {
        self.0.push((at.as_secs_f64() / 60.0, reading.resident / MIB));
    }

    /// Says how memory developed after the first third, and what is wrong with that.
    pub(crate) fn growth(&self, limit: f64) -> Option<String> {
        let settled = &self.0[self.0.len() / 3..];
        let (Some(slope), Some(first), Some(last)) = (slope(settled), settled.first(), settled.last()) else {
            println!("too short a run to tell whether memory grows");
            return None;
        };
        println!(
            "memory from minute {:.1} on: {:.1} MiB -> {:.1} MiB, {slope:+.3} MiB a minute (median slope)",
            first.0, first.1, last.1
        );
        (slope > limit).then(|| format!("memory grows by {slope:.3} MiB a minute, more than {limit}"))
    }
}

/// The median of the slopes between all pairs (Theil and Sen): one odd look does not bend it.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let pairs = points.iter().enumerate().flat_map(|(n, one)| points[n + 1..].iter().map(move |other| (one, other)));
    let mut slopes: Vec<f64> = pairs.map(|(one, other)| (other.1 - one.1) / (other.0 - one.0)).collect();
    slopes.sort_by(f64::total_cmp);
    (points.len() >= 5).then(|| slopes.get(slopes.len() / 2).copied())?
}

pub(crate) fn heading() {
    println!(
        "{:>7} {:>8} {:>5} {:>7} {:>8} {:>6} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "minute",
        "RSS MiB",
        "fds",
        "threads",
        "sessions",
        "parts",
        "msg/s",
        "messages",
        "accepted",
        "refused",
        "for now",
        "no answer",
        "delivered"
    );
}

pub(crate) fn row(at: Duration, reading: Reading, status: &Status, rate: f64, ledger: &Ledger) {
    println!(
        "{:>7.1} {:>8.1} {:>5} {:>7} {:>8} {:>6} {:>7.0} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        at.as_secs_f64() / 60.0,
        reading.resident / MIB,
        reading.descriptors,
        reading.threads,
        status.sessions.len(),
        status.parts.0,
        rate,
        ledger.messages.load(Relaxed),
        ledger.accepted.load(Relaxed),
        ledger.refused.load(Relaxed),
        ledger.put_off.load(Relaxed),
        ledger.unanswered.load(Relaxed),
        ledger.delivered.load(Relaxed),
    );
}
