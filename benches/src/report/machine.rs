//! What the figures were taken on.

use std::process::Command;

/// Returns one paragraph: processor, memory, system, compiler, revision, load.
pub(crate) fn facts() -> String {
    let unknown = || "unknown".to_owned();
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(unknown);
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_else(unknown);
    let kernel = first_line("/proc/sys/kernel/osrelease").unwrap_or_else(unknown);
    let load = first_line("/proc/loadavg").unwrap_or_else(unknown);
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let compiler = output("rustc", &["--version"]).unwrap_or_else(unknown);
    let revision = output("git", &["describe", "--always", "--dirty"]).unwrap_or_else(unknown);
    let profile = if cfg!(debug_assertions) {
        "debug (not fit to be quoted)"
    } else {
        "dist"
    };
    format!(
        "Machine: {cores} cores of {cpu}, {memory} of memory, Linux {kernel}, load {load} at the \
         end; {compiler}, {profile} profile; revision {revision}.\n"
    )
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn first_line(path: &str) -> Option<String> {
    Some(
        std::fs::read_to_string(path)
            .ok()?
            .lines()
            .next()?
            .to_owned(),
    )
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.is_empty()).then(|| text.trim().to_owned())
}
