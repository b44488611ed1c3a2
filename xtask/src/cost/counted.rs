//! What callgrind and the kernel count of batches of requests.
//!
//! Callgrind counts every thread of the process. What runs in the background now and then can only add to a batch, so the
//! least of some batches is taken. One worker of the runtime is enough for one connection, and idle ones
//! would look for work at moments that nobody chooses.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};

use super::class::Class;
use super::client::{Answer, Connection};
use super::server::Served;
use crate::workspace::Workspace;

/// Requests that warm up what is made once.
const WARM_UP: usize = 10;

/// Requests after which a class is given up that does not come to be answered from where it says.
const MOST_WARM_UP: usize = 2_000;

/// Number of the first request under callgrind: the ones before were asked to count switches.
const NEXT: usize = MOST_WARM_UP + SWITCHED;

/// Requests whose switches are counted.
const SWITCHED: usize = 60;

/// Functions that allocate: C's, and jemalloc's own.
const ALLOCATING: [&str; 7] = [
    "malloc",
    "calloc",
    "realloc",
    "mallocx",
    "rallocx",
    "aligned_alloc",
    "posix_memalign",
];

/// What a request took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Counted {
    pub(super) instructions: u64,
    pub(super) allocations: u64,
}

/// A server under callgrind.
pub(super) struct Counter {
    server: Served,
    /// Where callgrind writes what it counted; it adds the number of the part.
    out: PathBuf,
    parts: std::cell::Cell<usize>,
}

impl Counter {
    /// Starts `binary` under callgrind, on the data below `folder`.
    pub(super) fn start(
        workspace: &Workspace,
        binary: &Path,
        folder: &Path,
        valgrind: &Path,
    ) -> anyhow::Result<Self> {
        let out = folder.join("callgrind");
        let mut wrapper = Command::new(valgrind);
        wrapper
            .args(["--quiet", "--tool=callgrind"])
            .arg(format!("--callgrind-out-file={}", out.display()))
            .env("TOKIO_WORKER_THREADS", "1");
        Ok(Self {
            server: Served::start(workspace, binary, folder, Some(wrapper))?,
            out,
            parts: std::cell::Cell::new(0),
        })
    }

    /// Counts a request of `class`: the least of some batches.
    pub(super) fn count(&self, class: &Class, batches: usize) -> anyhow::Result<Counted> {
        let mut asking = Asking::warm(Connection::open(self.server.address())?, class, NEXT)?;
        let mut counted = Vec::with_capacity(batches);
        self.control("--zero")?;
        for _ in 0..batches {
            asking.ask(class.batch)?;
            // What comes after it is counted from zero.
            self.control("--dump")?;
            let part = self.parts.get() + 1;
            self.parts.set(part);
            let file = PathBuf::from(format!("{}.{part}", self.out.display()));
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let Counted {
                instructions,
                allocations,
            } = read(&text)?;
            fs::rename(&file, file.with_file_name(format!("{} {part}", class.name)))?;
            let number = class.batch as u64;
            counted.push(Counted {
                instructions: instructions / number,
                allocations: allocations / number,
            });
        }
        counted.sort_unstable();
        Ok(counted[0])
    }

    pub(super) fn stop(self) -> anyhow::Result<()> {
        self.server.stop()
    }

    fn control(&self, what: &str) -> anyhow::Result<()> {
        let process = self.server.process().to_string();
        let mut control = Command::new("callgrind_control");
        let told = control.args([what, &process]).stdin(Stdio::null()).output();
        let told = told.context("cannot start callgrind_control")?;
        let said = String::from_utf8_lossy(&told.stdout);
        ensure!(
            told.status.success() && said.contains("OK"),
            "callgrind_control {what}: {said}{}",
            String::from_utf8_lossy(&told.stderr)
        );
        Ok(())
    }
}

/// Requests of a class, one after the other.
struct Asking<'a> {
    connection: Connection,
    class: &'a Class,
    /// The number of the next one.
    next: usize,
}

impl<'a> Asking<'a> {
    /// Asks requests from the number `first` on until some of them in a row came from where the class says.
    fn warm(connection: Connection, class: &'a Class, first: usize) -> anyhow::Result<Self> {
        let mut asking = Self {
            connection,
            class,
            next: first,
        };
        let mut in_a_row = 0;
        for _ in 0..MOST_WARM_UP {
            in_a_row = match asking.one()?.is_kept() == class.is_kept {
                true => in_a_row + 1,
                false => 0,
            };
            if in_a_row == WARM_UP.min(class.batch) {
                return Ok(asking);
            }
        }
        bail!("`{}` does not get what it is to measure", class.name)
    }

    fn ask(&mut self, number: usize) -> anyhow::Result<()> {
        for _ in 0..number {
            let answer = self.one()?;
            ensure!(
                answer.is_kept() == self.class.is_kept,
                "`{}` is not what was measured: {}",
                self.class.name,
                answer.head
            );
        }
        Ok(())
    }

    fn one(&mut self) -> anyhow::Result<Answer> {
        let request = (self.class.request)(self.next);
        self.next += 1;
        self.connection.ask(&request)
    }
}

/// Counts how often threads of `server` gave up their processor for a request of `class`.
pub(super) fn switches(server: &Served, class: &Class) -> anyhow::Result<f64> {
    let mut asking = Asking::warm(Connection::open(server.address())?, class, 0)?;
    let number = SWITCHED.min(6 * class.batch);
    let before = voluntary(server.process())?;
    asking.ask(number)?;
    let all = voluntary(server.process())? - before;
    Ok((all as f64 / number as f64 * 10.0).round() / 10.0)
}

/// Returns how often the threads of a process waited, all together.
pub(super) fn voluntary(process: u32) -> anyhow::Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end meanwhile.
        let Ok(status) = fs::read_to_string(task?.path().join("status")) else {
            continue;
        };
        let mut lines = status.lines();
        let number = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += number.map_or(Ok(0), |number| number.trim().parse::<u64>())?;
    }
    Ok(sum)
}

/// Reads a part that callgrind wrote (its manual, chapter "Callgrind Format Specification"): all instructions, and the
/// calls of functions that allocate. A name stands where it comes first, `(12) malloc`, and later is its number alone.
fn read(text: &str) -> anyhow::Result<Counted> {
    let mut names = HashMap::<&str, bool>::new();
    let (mut instructions, mut allocations) = (None, 0);
    let mut allocates = false;
    for line in text.lines() {
        if let Some(function) = line
            .strip_prefix("cfn=")
            .or_else(|| line.strip_prefix("fn="))
        {
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                let name = name.split('\'').next().unwrap_or_default();
                names.insert(number, ALLOCATING.contains(&name));
            }
            allocates = line.starts_with('c') && names.get(number) == Some(&true);
        } else if let Some(calls) = line.strip_prefix("calls=").filter(|_| allocates) {
            let number = calls.split(' ').next().unwrap_or_default();
            allocations += number.parse::<u64>().context("calls of a number")?;
        } else if let Some(all) = line.strip_prefix("totals: ") {
            instructions = Some(all.trim().parse::<u64>()?);
        }
    }
    Ok(Counted {
        instructions: instructions.context("callgrind wrote no total")?,
        allocations,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_says_its_instructions_and_who_allocated() {
        let part = "events: Ir\n\nfn=(1) main\n3 10\ncfn=(2) malloc\ncalls=4 0\n3 80\n\
                    cfn=(3) memcpy\ncalls=9 0\n3 7\n\nfn=(2)\n5 80\ncfn=(4) slow\ncalls=1 0\n5 3\n\n\
                    fn=(5) grow\n7 1\ncfn=(2)\ncalls=2 +3\n7 40\n\ntotals: 221\n";
        let counted = read(part).expect("a part");
        assert_eq!((counted.instructions, counted.allocations), (221, 6));
        assert!(read("fn=(1) main\n").is_err());
    }
}
