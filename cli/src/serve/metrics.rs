//! What records metrics, and those that are of the process and its disk rather than of a room.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use gleaner_model::metric::{self, Metric, MetricKind};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rustix::process::{Resource, getrlimit};
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
    let data = folder.clone();
    let tidying = repeat(UPKEEP, move || {
        metrics.run_upkeep();
        look_at_disk(&data);
        if let Err(error) = look_at_process() {
            tracing::debug!(%error, "the system does not tell of the process");
        }
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

fn look_at_disk(folder: &Path) {
    if let Ok(stat) = rustix::fs::statvfs(folder) {
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize) as f64;
        metrics::gauge!(metric::DISK_FREE_BYTES.name).set(bytes(stat.f_bavail));
        let used = stat.f_blocks.saturating_sub(stat.f_bfree);
        metrics::gauge!(metric::DISK_USED_BYTES.name).set(bytes(used));
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

#[cfg(target_os = "linux")]
fn look_at_process() -> io::Result<()> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let figures = Figures::of(&stat);
    let figures = figures.ok_or_else(|| io::Error::other("/proc/self/stat is odd"))?;
    let cpu_s = figures.cpu_ticks as f64 / TICKS_PER_SECOND;
    metrics::gauge!(metric::PROCESS_CPU_SECONDS.name).set(cpu_s);
    let status = fs::read_to_string("/proc/self/status")?;
    if let Some(resident) = resident_bytes(&status) {
        metrics::gauge!(metric::PROCESS_RESIDENT_MEMORY_BYTES.name).set(resident as f64);
    }
    let system = fs::read_to_string("/proc/stat")?;
    let booted = system.lines().find_map(|line| line.strip_prefix("btime "));
    if let Some(booted_s) = booted.and_then(|text| text.trim().parse::<f64>().ok()) {
        let started_s = booted_s + figures.started_ticks as f64 / TICKS_PER_SECOND;
        metrics::gauge!(metric::PROCESS_START_TIME_SECONDS.name).set(started_s);
    }
    // The folder that is read is one of them.
    let num_open = fs::read_dir("/proc/self/fd")?.count().saturating_sub(1);
    metrics::gauge!(metric::PROCESS_OPEN_FDS.name).set(num_open as f64);
    if let Some(most) = getrlimit(Resource::Nofile).current {
        metrics::gauge!(metric::PROCESS_MAX_FDS.name).set(most as f64);
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn look_at_process() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile).current;
    limit.into_iter().for_each(|most| {
        metrics::gauge!(metric::PROCESS_MAX_FDS.name).set(most as f64);
    });
    Ok(())
}

/// What `/proc/self/stat` says, of which `man 5 proc` has the fields.
#[cfg(target_os = "linux")]
#[derive(Debug, PartialEq, Eq)]
struct Figures {
    cpu_ticks: u64,
    started_ticks: u64,
}

/// The unit of times in `/proc`, which Linux has fixed for programs (`USER_HZ`), whatever its own is.
#[cfg(target_os = "linux")]
const TICKS_PER_SECOND: f64 = 100.0;

/// Returns the memory that `/proc/self/status` tells of.
#[cfg(target_os = "linux")]
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes = line.trim().strip_suffix("kB")?.trim();
    Some(kilobytes.parse::<u64>().ok()? * 1_024)
}

#[cfg(target_os = "linux")]
impl Figures {
    fn of(stat: &str) -> Option<Self> {
        // The name of the program, in brackets, may hold spaces and brackets; field 3 follows it.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            started_ticks: field(22)?,
        })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_behind_a_name_of_any_kind() {
        let rest: Vec<String> = (4..=30).map(|number: u32| number.to_string()).collect();
        let stat = format!("17 (a) S b) R {}", rest.join(" "));
        let figures = Figures::of(&stat).expect("all fields");
        let expected = Figures {
            cpu_ticks: 14 + 15,
            started_ticks: 22,
        };
        assert_eq!(figures, expected);
        assert_eq!(Figures::of("17 (a) R 1 2"), None);
        let status = "Name:\tgleaner\nVmRSS:\t     128 kB\nThreads:\t3\n";
        assert_eq!(resident_bytes(status), Some(128 << 10));
    }

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
