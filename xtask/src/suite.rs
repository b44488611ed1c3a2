//! The tests of the workspace: built once, and then a few executables at a time.
//!
//! Most tests wait: for a lease that runs out, a server that starts, a disk. Cargo runs one executable after another, and a
//! core is idle for half of that time. What an executable prints lies in a file until it has ended, and is then shown whole.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{
    command::{cargo, counts_of},
    containers::Drill,
    report::{Counts, Outcome},
    skips,
    workspace::Workspace,
};

/// Executables that run at once, each with as many tests as there are cores; see `docs/decisions/0070-tests-side-by-side.md`.
const AT_ONCE: usize = 2;

/// What runs in containers: it needs images, and a machine with Docker.
const CONTAINERS: &str = "tests containers";

/// A file full of tests.
#[derive(Debug, PartialEq, Eq)]
struct Executable {
    /// `<package> <target>`.
    name: String,
    path: PathBuf,
    /// The folder of its package, in which it runs.
    folder: PathBuf,
    /// Whether it drives the package from outside: most of those take longer than unit tests.
    is_integration: bool,
}

/// Those that take longest begin, so that none of them is left for the end, when nothing runs beside it.
const LONGEST: [&str; 5] = [
    "tests takeover",
    CONTAINERS,
    "engine gleaner_engine",
    "leaf gleaner_leaf",
    "tests fronts",
];

impl Executable {
    /// Returns its place in the order of runs.
    fn place(&self) -> (usize, bool) {
        let mut longest = LONGEST.iter();
        let place = longest.position(|name| *name == self.name);
        (place.unwrap_or(LONGEST.len()), !self.is_integration)
    }
}

/// How an executable ended.
struct Ended {
    name: String,
    counts: Counts,
    printed: String,
    took: Duration,
}

impl Ended {
    /// Of an executable that could not be started, or not on what it needs.
    fn without_start(executable: &Executable, error: &anyhow::Error) -> Self {
        Self {
            name: executable.name.clone(),
            counts: Counts {
                passed: 0,
                failed: 1,
            },
            printed: format!("it was not started: {error:#}"),
            took: Duration::ZERO,
        }
    }

    /// Returns what it printed of tests that failed; of one that broke off, its last lines.
    fn failure(&self) -> Option<String> {
        if self.counts.failed == 0 {
            return None;
        }
        let printed = self.printed.trim_end();
        let of_tests = printed.find("\nfailures:\n").map(|at| &printed[at..]);
        let told = of_tests.unwrap_or_else(|| {
            let mut ends = printed.rmatch_indices('\n');
            ends.nth(40).map_or(printed, |(at, _)| &printed[at..])
        });
        Some(format!("FAILED {}\n{}", self.name, told.trim()))
    }
}

/// Builds all tests and runs them; `binary` is what tests of whole nodes start.
pub(crate) fn run(workspace: &Workspace, binary: &Path) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    let mut executables = build(workspace)?;
    println!("built in {:.1} s", began.elapsed().as_secs_f64());
    executables.sort_by_key(Executable::place);
    let folder = workspace.scratch().join("tests");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut shown = Vec::new();
    let mut outcome = skips::counting(workspace, |skips| {
        let (counts, failed) = run_all(&executables, |executable| {
            let mut tests = Command::new(&executable.path);
            tests.env("GLEANER_BINARY", binary);
            tests.env(skips::VARIABLE, skips);
            if executable.name != CONTAINERS {
                return run_one(executable, tests, &folder);
            }
            let drill = Drill::prepare(workspace, binary)?;
            match &drill {
                Ok(drill) => drill.tell(&mut tests),
                Err(why) => skips::note(skips, CONTAINERS, why)?,
            }
            let mut ended = run_one(executable, tests, &folder)?;
            // As a test counts that says so itself.
            ended.counts.passed += usize::from(drill.is_err());
            Ok(ended)
        });
        shown = failed;
        Ok(counts)
    })?;
    if let Outcome::Ran { failures, .. } = &mut outcome {
        *failures = shown;
    }
    Ok(outcome)
}

/// Runs all executables, [`AT_ONCE`], and shows what each printed as it ends; returns what those that failed said of it too.
fn run_all(
    executables: &[Executable],
    start: impl Fn(&Executable) -> anyhow::Result<Ended> + Sync,
) -> (Counts, Vec<String>) {
    let waiting = Mutex::new(executables.iter());
    let next = || {
        waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next()
    };
    let (ended, mut times, mut counts) = (mpsc::channel(), Vec::new(), Counts::default());
    let mut failures = Vec::new();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            let (sender, start) = (ended.0.clone(), &start);
            scope.spawn(move || {
                while let Some(executable) = next() {
                    println!("     Running {}", executable.name);
                    let ended = start(executable);
                    let ended =
                        ended.unwrap_or_else(|error| Ended::without_start(executable, &error));
                    // Who listens goes on until all have ended.
                    drop(sender.send(ended));
                }
            });
        }
        drop(ended.0);
        for ended in ended.1 {
            let took = ended.took.as_secs_f64();
            println!(
                "\n{}\n       Ended {} after {took:.1} s",
                ended.printed.trim_end(),
                ended.name
            );
            counts += ended.counts;
            failures.extend(ended.failure());
            times.push((ended.took, ended.name));
        }
    });
    times.sort_unstable();
    println!("\nthose that took longest:");
    for (took, name) in times.iter().rev().take(20) {
        println!("{:8.1} s  {name}", took.as_secs_f64());
    }
    (counts.or_failed(), failures)
}

fn run_one(executable: &Executable, mut tests: Command, folder: &Path) -> anyhow::Result<Ended> {
    let began = Instant::now();
    let path = folder.join(executable.name.replace(' ', "-"));
    let file = fs::File::create(&path).with_context(|| path.display().to_string())?;
    let status = tests
        .current_dir(&executable.folder)
        .env("CARGO_MANIFEST_DIR", &executable.folder)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .with_context(|| format!("cannot start {tests:?}"))?;
    let printed = fs::read(&path).with_context(|| path.display().to_string())?;
    let printed = String::from_utf8_lossy(&printed).into_owned();
    Ok(Ended {
        name: executable.name.clone(),
        counts: counts_of(&printed, status),
        printed,
        took: began.elapsed(),
    })
}

/// Builds all tests of the workspace, and what they start.
fn build(workspace: &Workspace) -> anyhow::Result<Vec<Executable>> {
    let arguments = [
        "test",
        "--workspace",
        "--locked",
        "--lib",
        "--bins",
        "--tests",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ];
    let mut build = cargo(workspace, arguments);
    let built = build.stderr(Stdio::inherit()).output()?;
    ensure!(
        built.status.success(),
        "{build:?} ended with {}",
        built.status
    );
    let messages = String::from_utf8(built.stdout).context("cargo's messages are text")?;
    let executables: Vec<_> = messages.lines().filter_map(executable).collect();
    ensure!(!executables.is_empty(), "{build:?} names no executable");
    Ok(executables)
}

/// Reads a message of cargo: the executable that it names, if that holds tests.
fn executable(message: &str) -> Option<Executable> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?;
    let package = folder.file_name()?.to_str()?;
    let target = &message["target"];
    Some(Executable {
        name: format!("{package} {}", target["name"].as_str()?),
        path: message["executable"].as_str()?.into(),
        folder: folder.to_owned(),
        is_integration: target["kind"][0] == "test",
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use serde_json::json;

    use super::*;

    fn executable_of(folder: &str, target: &str, kind: &str) -> Executable {
        let message = json!({
            "reason": "compiler-artifact",
            "manifest_path": format!("/w/{folder}/Cargo.toml"),
            "target": {"name": target, "kind": [kind]},
            "profile": {"test": true},
            "executable": format!("/w/target/{target}"),
        });
        executable(&message.to_string()).expect("it holds tests")
    }

    #[test]
    fn executables_with_tests_are_read_from_cargo() {
        let engine = executable_of("engine", "gleaner_engine", "lib");
        assert_eq!(engine.name, "engine gleaner_engine");
        assert_eq!(engine.folder, Path::new("/w/engine"));
        for other in [
            json!({"reason": "build-finished", "success": true}),
            json!({"reason": "compiler-artifact", "profile": {"test": false}}),
        ] {
            assert_eq!(executable(&other.to_string()), None);
        }
        let mut order = [
            executable_of("api", "gleaner_api", "lib"),
            executable_of("tests", "keys", "test"),
            engine,
            executable_of("tests", "takeover", "test"),
        ];
        order.sort_by_key(Executable::place);
        let order = order.map(|executable| executable.name);
        let expected = [
            "tests takeover",
            "engine gleaner_engine",
            "tests keys",
            "api gleaner_api",
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn counts_add_up_and_one_that_cannot_start_fails_the_run() {
        let names = ["a", "b", "c", "d", "e"];
        let executables = names.map(|name| executable_of(name, name, "lib"));
        let ended = |executable: &Executable| {
            let printed = "test result: ok. 2 passed; 0 failed; 0 ignored".to_owned();
            let status = ExitStatus::from_raw(match executable.name.as_str() {
                "c c" => 9,
                _ => 0,
            });
            Ok(Ended {
                name: executable.name.clone(),
                counts: counts_of(&printed, status),
                printed,
                took: Duration::ZERO,
            })
        };
        let (counts, failures) = run_all(&executables, ended);
        assert_eq!((counts.passed, counts.failed), (10, 1), "one was killed");
        let killed = "FAILED c c\ntest result: ok. 2 passed; 0 failed; 0 ignored";
        assert_eq!(failures, [killed]);
        let (counts, failures) = run_all(&executables, |_| anyhow::bail!("no such file"));
        assert_eq!((counts.passed, counts.failed), (0, 5), "none started");
        assert!(failures[0].ends_with("it was not started: no such file"));
        let (none, failures) = run_all(&[], ended);
        assert_eq!((none.passed, none.failed), (0, 1), "no test ran");
        assert_eq!(failures.len(), 0);
    }

    #[test]
    fn what_failed_is_cut_out_of_what_was_printed() {
        let ended = |printed: &str| Ended {
            name: "a b".to_owned(),
            counts: counts_of(printed, ExitStatus::from_raw(1)),
            printed: printed.to_owned(),
            took: Duration::ZERO,
        };
        let printed = "test x ... ok\ntest y ... FAILED\n\nfailures:\n\n---- y stdout ----\nno\n";
        let shown = ended(printed).failure();
        assert_eq!(
            shown.as_deref(),
            Some("FAILED a b\nfailures:\n\n---- y stdout ----\nno")
        );
        let died: String = (0..100).map(|n| format!("{n}\n")).collect();
        let shown = ended(&died).failure().expect("it ended badly");
        assert!(shown.starts_with("FAILED a b\n59\n"), "{shown}");
    }
}
