//! What records metrics, and those that are of the process and its disk rather than of a room.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use gleaner_machine::Probe;
use gleaner_model::metric::{self, Metric, MetricKind};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::time::{MissedTickBehavior, interval};
use walkdir::WalkDir;

/// How often the recorder tidies up what it has gathered, and the process and its disk are looked at.
const UPKEEP: Duration = Duration::from_secs(5);

/// How often the files of the data folder are measured: with many shards that is a look at tens of thousands.
const MEASURING: Duration = Duration::from_secs(60);

/// Installs what records metrics, with all that are there from the start.
///
/// # Errors
/// When there is one already.
pub(crate) fn install() -> Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new().set_buckets(&metric::BUCKETS_S);
    let builder = builder.context("histograms have no buckets")?;
    let handle = builder.install_recorder();
    let handle = handle.context("cannot install the recorder of metrics")?;
    metric::ALL.iter().for_each(begin);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    metrics::gauge!(metric::BUILD_INFO.name, &version).set(1.0);
    if let Ok(since_epoch) = SystemTime::UNIX_EPOCH.elapsed() {
        metrics::gauge!(metric::PROCESS_START_TIME_SECONDS.name).set(since_epoch.as_secs_f64());
    }
    Ok(handle)
}

/// Describes a metric; a counter is 0 from now on, for each value that its label has.
fn begin(metric: &Metric) {
    match metric.kind {
        MetricKind::Counter => metrics::describe_counter!(metric.name, metric.help),
        MetricKind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
        MetricKind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
    }
    if metric.kind != MetricKind::Counter {
        return;
    }
    match metric.labels {
        [] => metrics::counter!(metric.name).absolute(0),
        [label] => {
            for value in metric.values {
                metrics::counter!(metric.name, *label => *value).absolute(0);
            }
        }
        // Their room begins them, where it knows what there can be.
        _ => {}
    }
}

/// Tidies up recorded metrics and looks at the process and at its data folder, until it is aborted.
pub(crate) async fn upkeep(metrics: PrometheusHandle, folder: PathBuf) {
    let probe = Probe::new(Some(folder.clone()));
    let tidying = repeat(UPKEEP, move || {
        metrics.run_upkeep();
        look(&probe);
    });
    let measuring = repeat(MEASURING, move || measure_files(&folder));
    tokio::join!(tidying, measuring);
}

/// Does `job` now and then every `period`, on a thread that may wait for the disk. One that takes longer
/// than its period is not made up for.
async fn repeat(period: Duration, job: impl Fn() + Send + Sync + 'static) {
    let job = Arc::new(job);
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let job = Arc::clone(&job);
        if let Err(error) = tokio::task::spawn_blocking(move || job()).await {
            tracing::error!(%error, "metrics are not tidied up");
        }
    }
}

/// Sets the gauges of the process and of the disk, as far as the system says anything of them.
fn look(probe: &Probe) {
    let stats = probe.read();
    if let Some(disk) = stats.disk {
        metrics::gauge!(metric::DISK_FREE_BYTES.name).set(disk.available_bytes as f64);
        let used = disk.total_bytes.saturating_sub(disk.free_bytes);
        metrics::gauge!(metric::DISK_USED_BYTES.name).set(used as f64);
    }
    if let Some(process) = stats.process {
        metrics::gauge!(metric::PROCESS_CPU_SECONDS.name).set(process.cpu.as_secs_f64());
        let resident = process.resident_bytes as f64;
        metrics::gauge!(metric::PROCESS_RESIDENT_MEMORY_BYTES.name).set(resident);
        metrics::gauge!(metric::PROCESS_OPEN_FDS.name).set(process.num_open_files as f64);
        if let Some(most) = process.max_open_files {
            metrics::gauge!(metric::PROCESS_MAX_FDS.name).set(most as f64);
        }
    }
}

fn measure_files(folder: &Path) {
    let store = num_bytes(&folder.join("indices"));
    metrics::gauge!(metric::STORE_BYTES.name).set(store as f64);
    let log = num_bytes(&folder.join("log"));
    metrics::gauge!(metric::LOG_BYTES.name).set(log as f64);
}

/// Returns the bytes of all files below a folder; those that go meanwhile count nothing.
fn num_bytes(folder: &Path) -> u64 {
    let files = WalkDir::new(folder).into_iter().filter_map(Result::ok);
    let metadata = files.filter_map(|entry| entry.metadata().ok());
    let lengths = metadata
        .filter(fs::Metadata::is_file)
        .map(|file| file.len());
    lengths.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_all_depths_are_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("deep")).expect("made");
        fs::write(folder.path().join("a"), "12").expect("written");
        fs::write(folder.path().join("deep/b"), "345").expect("written");
        assert_eq!(num_bytes(folder.path()), 5);
        assert_eq!(num_bytes(&folder.path().join("absent")), 0);
    }
}
