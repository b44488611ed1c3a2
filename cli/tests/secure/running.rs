//! A command that goes on running, and clients of it.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Longest time that anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Returns the binary with an environment that is none of the machine's.
pub(crate) fn gleaner() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gleaner"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GLEANER_") {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command
}

/// A command that runs; asked to stop, and then killed, when it is dropped.
pub(crate) struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    /// What it has said so far: its two outputs come in any order.
    said: RefCell<Vec<String>>,
}

impl Running {
    /// Starts a command.
    pub(crate) fn start(words: &[&str]) -> Self {
        Self::of(gleaner().args(words))
    }

    /// Starts a command whose environment and words are given.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let (tell, lines) = mpsc::channel();
        let outputs: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("it is piped")),
            Box::new(child.stderr.take().expect("it is piped")),
        ];
        for output in outputs {
            let tell = tell.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    // The test may be over; what is said is read to its end all the same.
                    drop(tell.send(line));
                }
            });
        }
        let said = RefCell::default();
        Self { child, lines, said }
    }

    /// Returns the first line that holds `wanted`, waiting for it.
    pub(crate) fn until(&self, wanted: &str) -> String {
        let mut said = self.said.borrow_mut();
        loop {
            if let Some(line) = said.iter().find(|line| line.contains(wanted)) {
                return line.clone();
            }
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => said.push(line),
                Err(_) => panic!("`{wanted}` was not said: {}", said.join("\n")),
            }
        }
    }

    /// Returns the address that the first line with `address=` names.
    pub(crate) fn address(&self) -> String {
        self.address_in("address=")
    }

    /// Returns the address that the first line with `said` names, waiting for it.
    pub(crate) fn address_in(&self, said: &str) -> String {
        let line = self.until(said);
        let address = line.split("address=").nth(1).expect("an address");
        address.split(' ').next().expect("a word").to_owned()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Asks it to stop; returns its exit code.
    pub(crate) fn stop(mut self) -> i32 {
        self.signal("-TERM");
        self.child.wait().expect("it ends").code().unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(self.child.id(), "-TERM");
            drop(self.child.wait());
        }
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(process: u32, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &process.to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
}

/// What a command said, and its exit code.
pub(crate) fn told(output: &Output) -> (i32, String) {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// Asks with curl, which believes the authority `ca`; returns its exit code, and head and body.
pub(crate) fn curl(ca: &Path, words: &[&str]) -> (i32, String) {
    let output = Command::new("curl")
        .args(["-s", "-i", "--noproxy", "*", "--max-time", "60", "--cacert"])
        .arg(ca)
        .args(["-H", "Content-Type: application/json"])
        .args(words)
        .output();
    told(&output.expect("curl runs"))
}
