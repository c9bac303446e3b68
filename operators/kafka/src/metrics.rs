//! What is counted.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::error::Error;

/// Linux counts CPU time for user space in hundredths of a second, whatever its own clock is.
const TICKS: f64 = 100.0;

pub struct Metrics {
    registry: Registry,
    reconciliations: Counter,
    errors: Family<Cause, Counter>,
    durations: Histogram,
    ready: AtomicBool,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Cause {
    cause: &'static str,
}

impl Metrics {
    pub fn new() -> Self {
        let reconciliations = Counter::default();
        let errors = Family::default();
        let durations = Histogram::new([0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0]);
        let mut registry = Registry::default();
        let own = registry.sub_registry_with_prefix("kafka_operator");
        own.register("build", "The version of the operator", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        own.register("reconciliations", "Reconciliations, failed ones as well", reconciliations.clone());
        own.register("errors", "Errors by cause", errors.clone());
        own.register("reconciliation_duration_seconds", "How long reconciliations take", durations.clone());
        registry.register_collector(Box::new(Process { start: SystemTime::now() }));
        Self { registry, reconciliations, errors, durations, ready: AtomicBool::new(false) }
    }

    pub fn reconciled(&self, duration: Duration, error: Option<&Error>) {
        self.reconciliations.inc();
        self.durations.observe(duration.as_secs_f64());
        if error.is_some() {
            self.failed("reconciliation");
        }
    }

    pub fn failed(&self, cause: &'static str) {
        self.errors.get_or_create(&Cause { cause }).inc();
    }

    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// The process itself, under the names that Prometheus' own libraries use.
#[derive(Debug)]
struct Process {
    start: SystemTime,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let start = self.start.duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
        let mut gauge = |name: &str, help: &str, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        gauge("process_start_time_seconds", "When the process started, in seconds since 1970", start)?;
        if let Some(bytes) = read("/proc/self/status", resident) {
            gauge("process_resident_memory_bytes", "Memory in use", bytes)?;
        }
        if let Some(seconds) = read("/proc/self/stat", cpu) {
            let counter = ConstCounter::new(seconds);
            let metric = counter.metric_type();
            counter.encode(encoder.encode_descriptor("process_cpu_seconds", "CPU time used", None, metric)?)?;
        }
        Ok(())
    }
}

fn read(path: &str, value: fn(&str) -> Option<f64>) -> Option<f64> {
    value(&std::fs::read_to_string(path).ok()?)
}

/// `VmRSS:    4711 kB`
fn resident(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? * 1024.0)
}

/// Fields 14 and 15. The second one is the program's name in brackets, which may have spaces.
fn cpu(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts are in the text that Prometheus reads.
    #[test]
    fn counts() {
        let metrics = Metrics::new();
        metrics.reconciled(Duration::from_millis(20), None);
        metrics.reconciled(Duration::from_millis(20), Some(&Error::Print(String::new())));

        let text = metrics.text().unwrap();

        for line in [
            "kafka_operator_reconciliations_total 2",
            "kafka_operator_errors_total{cause=\"reconciliation\"} 1",
            "kafka_operator_reconciliation_duration_seconds_bucket{le=\"0.05\"} 2",
            "process_start_time_seconds ",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    /// Memory and CPU time are found in what the kernel tells.
    #[test]
    fn process() {
        assert_eq!(Some(2048.0), resident("Name:\tx\nVmRSS:\t   2 kB\n"));
        assert_eq!(Some(1.5), cpu("7 (a b) c) S 1 1 1 0 -1 0 0 0 0 0 100 50 0 0 20"));
        assert_eq!(None, cpu(""));
    }
}
