//! A running `gleaner serve`, and the binary itself.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    sync::mpsc,
    thread::JoinHandle,
    time::Duration,
};

use serde_json::Value;

/// Longest time until a line is printed.
const PATIENCE: Duration = Duration::from_secs(120);

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

/// A server on a free port; killed when it is dropped.
pub(crate) struct Served {
    child: Child,
    address: String,
    /// Reads standard error to its end, so that the server never waits for us.
    rest: Option<JoinHandle<String>>,
}

impl Served {
    /// Starts a server on `data` and waits until it says that it serves.
    pub(crate) fn start(data: &Path, flags: &[&str]) -> Self {
        let mut command = serve(data);
        command.args(["--log-format", "json"]).args(flags);
        Self::heard(Begun::start(&mut command, address_in_json))
    }

    /// Starts a server with nothing but defaults, as one does who has never seen it.
    pub(crate) fn start_plain(data: &Path) -> Self {
        Self::heard(Begun::start(&mut serve(data), address_in_text))
    }

    fn heard(begun: Begun) -> Self {
        let (mut lines, said) = (begun.lines, begun.said);
        let rest = std::thread::spawn(move || {
            let mut rest = String::new();
            lines.read_to_string(&mut rest).expect("text");
            said + &rest
        });
        Self {
            child: begun.child,
            address: begun.address,
            rest: Some(rest),
        }
    }

    /// Starts a server whose standard output nobody reads, nor its standard error once it serves.
    pub(crate) fn start_unheard(data: &Path) -> Self {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = serve(data);
        command.args(["--log-format", "json"]).stdout(writer);
        let begun = Begun::start(&mut command, address_in_json);
        drop(begun.lines);
        Self {
            child: begun.child,
            address: begun.address,
            rest: None,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns what the server prints where its folder is new, once all of it is there.
    pub(crate) fn first_steps(&mut self) -> String {
        let is_whole = |said: &str| said.contains("gleaner index") && said.ends_with("\n\n");
        let stdout = self.child.stdout.take().expect("it is piped");
        let (tell, lines) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let (mut reader, mut said) = (BufReader::new(stdout), String::new());
            while !is_whole(&said) {
                let begin = said.len();
                let num_bytes = reader.read_line(&mut said).expect("text");
                if num_bytes == 0 || tell.send(said[begin..].to_owned()).is_err() {
                    break;
                }
            }
            reader.into_inner()
        });
        let mut said = String::new();
        while !is_whole(&said) {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) => said += &line,
                Err(error) => panic!("the first steps were not printed ({error}): {said}"),
            }
        }
        self.child.stdout = Some(reader.join().expect("the reader does not panic"));
        said
    }

    /// Kills the server as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Asks the server to stop; returns its exit code and all it said.
    pub(crate) fn stop(mut self) -> (i32, String) {
        let process = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &process]).status();
        assert!(asked.expect("kill runs").success());
        let code = self.child.wait().expect("it ends").code().unwrap_or(-1);
        let mut said = self.rest.take().map_or_else(String::new, |rest| {
            rest.join().expect("the reader does not panic")
        });
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut said).expect("text");
        }
        (code, said)
    }
}

/// A server that has said that it serves.
struct Begun {
    child: Child,
    address: String,
    lines: BufReader<ChildStderr>,
    said: String,
}

impl Begun {
    /// Starts a server and reads what it logs, up to the line that has its address.
    fn start(command: &mut Command, address_in: fn(&str) -> Option<String>) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it runs");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            let num_bytes = lines.read_line(&mut line).expect("text");
            assert!(num_bytes > 0, "the server ended: {said}");
            said += &line;
            if let Some(address) = address_in(&line) {
                break address;
            }
        };
        Self {
            child,
            address,
            lines,
            said,
        }
    }
}

/// Returns the command that serves `data` on a free port, its output piped.
fn serve(data: &Path) -> Command {
    let mut command = gleaner();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .stdout(Stdio::piped());
    command
}

fn address_in_json(line: &str) -> Option<String> {
    let message: Value = serde_json::from_str(line).expect("JSON lines");
    let is_serving = message["message"] == "serving";
    is_serving.then(|| message["address"].as_str().expect("an address").to_owned())
}

fn address_in_text(line: &str) -> Option<String> {
    let (_, fields) = line.split_once(" serving address=")?;
    fields.split_whitespace().next().map(str::to_owned)
}

impl Drop for Served {
    fn drop(&mut self) {
        // After `stop` there is nothing left to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the commands in the `sh` blocks of a page that need a server, and those that write their
/// files: continued lines joined, those that start a server left out.
pub(crate) fn commands_of(page: &str) -> Vec<String> {
    let blocks = page
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let joined: Vec<String> = blocks.map(|block| block.replace("\\\n", " ")).collect();
    let lines = joined.iter().flat_map(|block| block.lines());
    let is_run = |line: &&str| {
        let starts_a_server = line.starts_with("gleaner serve") || line.starts_with("gleaner demo");
        let is_known = ["gleaner ", "curl ", "printf "]
            .iter()
            .any(|word| line.starts_with(word));
        is_known && !starts_a_server
    };
    lines.filter(is_run).map(str::to_owned).collect()
}

/// Returns `PATH` with the folder of the binary in front.
pub(crate) fn path_with_gleaner() -> OsString {
    let binary = Path::new(env!("CARGO_BIN_EXE_gleaner"));
    let mut path = OsString::from(binary.parent().expect("a folder"));
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    path
}
