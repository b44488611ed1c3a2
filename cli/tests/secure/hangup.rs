//! SIGHUP, as terminals that close and tools that rotate certificates send it: it ends no process, and files are read again.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use crate::companions::{broker, said_at, says, until};
use crate::running::{Running, told};
use crate::{certificates, word};

/// What a process says that was hung up and goes on.
const GOES_ON: &str = "hangup: files that are followed are read again";

/// Returns the first certificate of a text in PEM, without line ends.
fn first_certificate(pem: &str) -> String {
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let text = pem.split(begin).nth(1).expect("a certificate");
    let text = text.split(end).next().expect("its text");
    text.split_whitespace().collect()
}

/// Returns the certificate that a server shows, as [`first_certificate`] does.
fn shown(ca: &Path, address: &str) -> String {
    let output = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{certs}", "--noproxy", "*"])
        .args(["--max-time", "60", "--cacert", word(ca)])
        .arg(format!("https://{address}/"))
        .output();
    let (code, said) = told(&output.expect("curl runs"));
    assert_eq!(code, 0, "{said}");
    first_certificate(&said)
}

fn read_certificate(path: &Path) -> String {
    first_certificate(&fs::read_to_string(path).expect("a certificate"))
}

/// That the next look does not come first is what a test of `tls` proves.
#[test]
fn a_hangup_ends_no_process_and_reads_certificates_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path());
    let place = |name: &str| folder.path().join(name);
    let (cert, key, ca) = (
        place("certs/r.pem"),
        place("certs/r.key"),
        place("certs/ca.pem"),
    );
    let data = place("data");
    let server = Running::start(&[
        "serve",
        "--tls-certificate",
        word(&cert),
        "--tls-key",
        word(&key),
        "--listen",
        "127.0.0.1:0",
        "--data",
        word(&data),
    ]);
    let front = Running::start(&[
        "front",
        "--backend",
        "http://127.0.0.1:1",
        "--cert",
        word(&cert),
        "--key",
        word(&key),
        "--listen",
        "127.0.0.1:0",
    ]);
    let processes = [&server, &front];
    let before = read_certificate(&cert);
    let addresses = processes.map(Running::address);
    for address in &addresses {
        assert_eq!(shown(&ca, address), before);
    }
    certificates(folder.path());
    let after = read_certificate(&cert);
    assert_ne!(after, before);
    for process in processes {
        process.signal("-HUP");
        process.until(GOES_ON);
        process.until("new certificates are in use");
    }
    for address in &addresses {
        assert_eq!(shown(&ca, address), after);
    }
    assert_eq!([server.stop(), front.stop()], [0, 0]);
}

#[test]
fn a_hangup_ends_no_companion() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = says("still here");
    let broker = broker(&service);
    let address = broker.address();
    let file = folder.path().join("app.log");
    fs::write(&file, "level=info msg=one\n").expect("written");
    let adapter = Running::start(&["adapter", "logs", "--follow", "--no-join", word(&file)]);
    adapter.until("\"one\"");
    for companion in [&broker, &adapter] {
        companion.signal("-HUP");
        companion.until(GOES_ON);
    }
    until("the service behind the broker", || {
        (said_at(&address) == "still here").then_some(())
    });
    let mut log = File::options().append(true).open(&file).expect("its log");
    writeln!(log, "level=info msg=two").expect("written");
    adapter.until("\"two\"");
    assert_eq!([broker.stop(), adapter.stop()], [0, 0]);
}
