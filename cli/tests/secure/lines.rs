//! `gleaner adapter logs` that is stopped, and lines that have no end yet.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{ChildStderr, Stdio};

use anyhow::Result;
use serde_json::Value;

use crate::companions::{Killed, until};
use crate::running::{Running, gleaner};
use crate::word;

/// An adapter whose inputs and outputs are pipes.
struct Adapter {
    process: Killed,
    said: BufReader<ChildStderr>,
}

impl Adapter {
    /// Starts it, and waits until it can be asked to stop.
    fn start(words: &[&str]) -> Result<Self> {
        let mut child = gleaner()
            .args(["adapter", "logs", "--join-within", "1h"])
            .args(["--probe-listen", "127.0.0.1:0"])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(child.stderr.take().expect("it is piped"));
        let process = Killed(child);
        let mut line = String::new();
        while !line.contains("answering probes") {
            line.clear();
            assert!(said.read_line(&mut line)? > 0, "it ended");
        }
        Ok(Self { process, said })
    }

    /// Asks it to stop; returns the messages of all records that it has written.
    fn stop(mut self) -> Result<Vec<String>> {
        self.process.signal("-TERM");
        let mut written = String::new();
        let mut output = self.process.0.stdout.take().expect("it is piped");
        output.read_to_string(&mut written)?;
        assert!(self.process.0.wait()?.success());
        let message = |line: &str| -> Result<String> {
            let record: Value = serde_json::from_str(line)?;
            Ok(record["message"].as_str().unwrap_or_default().to_owned())
        };
        written.lines().map(message).collect()
    }
}

#[test]
fn an_adapter_whose_output_nobody_takes_ends_when_it_is_stopped() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.log");
    // Far more than a pipe holds.
    fs::write(&file, "level=info msg=on\n".repeat(20_000))?;
    let mut adapter = Adapter::start(&["--shutdown-grace", "200ms", word(&file)])?;
    adapter.process.signal("-TERM");
    let ended = until("its end", || {
        let ended = adapter.process.0.try_wait();
        ended.expect("it is a process of ours")
    });
    assert_eq!(ended.code(), Some(1));
    let mut said = String::new();
    adapter.said.read_to_string(&mut said)?;
    assert!(said.contains("nobody takes the output"), "{said}");
    Ok(())
}

#[test]
fn a_last_line_without_its_end_is_written_at_the_end() -> Result<()> {
    let text = "level=error msg=held\nmsg=partial";
    let mut adapter = Adapter::start(&[])?;
    let mut input = adapter.process.0.stdin.take().expect("it is piped");
    input.write_all(text.as_bytes())?;
    assert_eq!(adapter.stop()?, ["held", "msg=partial"]);
    // It ended although its input did not.
    drop(input);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.log");
    fs::write(&file, text)?;
    let adapter = Adapter::start(&["--follow", word(&file)])?;
    assert_eq!(adapter.stop()?, ["held", "msg=partial"]);
    Ok(())
}

#[test]
fn lines_of_containers_are_read_in_the_format_that_is_asked_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.log");
    let time = "2026-01-02T03:04:05Z";
    let text = format!(
        "{{\"log\":\"hello world\\n\",\"stream\":\"stdout\",\"time\":\"{time}\"}}\n\
         {time} stdout F \n\
         {time} stdout F hello world\n"
    );
    fs::write(&file, text)?;
    for format in ["auto", "json", "logfmt", "combined", "syslog", "plain"] {
        let read = |words: &[&str]| -> Result<String> {
            let mut command = gleaner();
            let command = command.args(["adapter", "logs", "--format", format]);
            let output = command.args(words).arg(&file).output()?;
            assert!(output.status.success(), "{output:?}");
            Ok(String::from_utf8(output.stdout)?)
        };
        let written = read(&[])?;
        assert_eq!(read(&["--no-join"])?, written, "{format}");
        let records = written.lines().map(serde_json::from_str::<Value>);
        let records = records.collect::<Result<Vec<_>, _>>()?;
        assert_eq!(records.len(), 2, "{format}: {written}");
        for record in records {
            assert_eq!(record["message"], "hello world", "{format}: {written}");
            assert_eq!(record["@timestamp"], time, "{format}: {written}");
            assert_eq!(record["labels"]["stream"], "stdout", "{format}: {written}");
        }
    }
    Ok(())
}

#[test]
fn a_line_that_is_written_in_two_steps_is_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.log");
    fs::write(&file, "first\nhalf of ")?;
    let adapter = Running::start(&["adapter", "logs", "--follow", word(&file)]);
    // It is written once all that the file holds is read.
    adapter.until("\"first\"");
    let mut log = File::options().append(true).open(&file)?;
    log.write_all(b"a line\nno end")?;
    adapter.until("\"half of a line\"");
    fs::rename(&file, folder.path().join("app.log.1"))?;
    fs::write(&file, "after the move\n")?;
    adapter.until("\"no end\"");
    adapter.until("\"after the move\"");
    assert_eq!(adapter.stop(), 0);
    Ok(())
}

#[test]
fn a_file_that_is_copied_and_cut_loses_no_line() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.log");
    let lines = |from: u32, to: u32| -> String {
        (from..to)
            .map(|at| format!("level=info msg=line{at}\n"))
            .collect()
    };
    fs::write(&file, lines(0, 5))?;
    let watching = Running::of(
        gleaner()
            .args(["adapter", "logs", "--follow"])
            .arg(word(&file)),
    );
    watching.until("line4");
    // More than before, at once, behind a last line that only the copy has.
    let add = |text: &str| {
        File::options()
            .append(true)
            .open(&file)?
            .write_all(text.as_bytes())
    };
    for round in 1..4 {
        let from = round * 100;
        add(&lines(from, from + 1))?;
        fs::copy(&file, folder.path().join("app.log.1"))?;
        File::options().write(true).open(&file)?.set_len(0)?;
        add(&lines(from + 1, from + 60))?;
        watching.until(&format!("line{}\"", from + 59));
        for at in from..from + 60 {
            watching.until(&format!("line{at}\""));
        }
    }
    watching.signal("-TERM");
    Ok(())
}
