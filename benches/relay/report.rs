//! The table: medians of the repetitions, and ratios to the other paths of the same run.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::Path;
use crate::load::Outcome;

/// One repetition of one path at one shape.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Messages a second.
    pub(crate) rate: f64,
    /// Latencies in microseconds: p50, p99, p99.9.
    pub(crate) latency: [f64; 3],
    /// CPU seconds a million messages: the path's own, the sink's, the load's.
    pub(crate) cpu: [f64; 3],
}

impl Sample {
    /// From an outcome and the CPU seconds of path, sink and load.
    pub(crate) fn new(outcome: &Outcome, cpu: [f64; 3]) -> Self {
        let messages = outcome.measured.max(1) as f64;
        Self {
            rate: messages / outcome.elapsed.max(Duration::from_nanos(1)).as_secs_f64(),
            latency: [50.0, 99.0, 99.9].map(|percentile| microseconds(&outcome.latency, percentile)),
            cpu: cpu.map(|seconds| seconds * 1e6 / messages),
        }
    }

    /// The median of each figure by itself.
    pub(crate) fn median(samples: &[Self]) -> Option<Self> {
        let of = |figure: &dyn Fn(&Self) -> f64| {
            let mut figures: Vec<f64> = samples.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures.get(figures.len() / 2).copied()
        };
        let three = |figures: &dyn Fn(&Self) -> [f64; 3]| {
            Some([of(&|s| figures(s)[0])?, of(&|s| figures(s)[1])?, of(&|s| figures(s)[2])?])
        };
        Some(Self { rate: of(&|s| s.rate)?, latency: three(&|s| s.latency)?, cpu: three(&|s| s.cpu)? })
    }
}

fn microseconds(histogram: &Histogram<u64>, percentile: f64) -> f64 {
    histogram.value_at_percentile(percentile) as f64 / 1e3
}

/// The heading of the table.
pub(crate) fn heading() {
    println!(
        "{:<6} {:<6} {:<22} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9}",
        "shape",
        "text",
        "path",
        "msg/s",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "cpu s/M",
        "sink s/M",
        "load s/M",
        "x direct",
        "x forw.",
        "x file",
        "+p50 us"
    );
}

/// The medians of one shape and text, in the order they ran.
pub(crate) fn rows(shape: &str, text: &str, medians: &[(Path, Sample)]) {
    let find = |wanted: Path| medians.iter().find(|(path, _)| *path == wanted).map(|(_, sample)| sample);
    for (path, sample) in medians {
        let ratio = |other: Option<&Sample>| other.map_or("-".to_owned(), |o| format!("{:.2}", sample.rate / o.rate));
        let added = find(Path::Direct).map_or("-".to_owned(), |o| format!("{:.0}", sample.latency[0] - o.latency[0]));
        println!(
            "{:<6} {:<6} {:<22} {:>9.0} {:>9.0} {:>9.0} {:>9.0} {:>8.2} {:>8.2} {:>8.2} {:>8} {:>8} {:>8} {:>9}",
            shape,
            text,
            path.name(),
            sample.rate,
            sample.latency[0],
            sample.latency[1],
            sample.latency[2],
            sample.cpu[0],
            sample.cpu[1],
            sample.cpu[2],
            ratio(find(Path::Direct)),
            ratio(find(Path::Forwarder)),
            ratio(find(Path::FilingForwarder)),
            added
        );
    }
}
