//! A server built here, on a free port and an empty data folder, stopped when dropped.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::{test, workspace::Workspace};

/// How long a server may take until it answers; ten times what a busy two-core machine takes.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running `gleaner serve`.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    data: PathBuf,
}

impl Server {
    /// Starts the dev build and waits until `/_health/ready` answers 200.
    ///
    /// Its output goes to `<scratch>/<name>.log`.
    pub(crate) fn start(workspace: &Workspace, name: &str) -> anyhow::Result<Self> {
        let address = free_address()?;
        let data = workspace
            .scratch()
            .join(format!("data-{name}-{}", address.port()));
        fs::create_dir_all(&data)?;
        let log = workspace.scratch().join(format!("{name}.log"));
        let output = fs::File::create(&log)?;
        test::build_server(workspace)?;
        let binary = test::binary(workspace);
        let child = Command::new(&binary)
            .args(["serve", "--listen", &address.to_string(), "--data"])
            .arg(&data)
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let mut server = Self {
            child,
            address,
            data,
        };
        server
            .wait_until_ready()
            .with_context(|| format!("see {}", log.display()))?;
        Ok(server)
    }

    /// Returns where it listens, as `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        while began.elapsed() < READY_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status} before it answered");
            }
            if is_ready(self.address) {
                return Ok(());
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "another process offers no event to wait on"
            )]
            thread::sleep(Duration::from_millis(50));
        }
        bail!("the server did not answer within {READY_WITHIN:?}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended is fine; the data folder is scratch, a left-over does no harm.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.data));
    }
}

/// Takes a port that is free now; the listener is closed so that the server can have it.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(
            stream,
            "GET /_health/ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
        )?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(String::from_utf8_lossy(&head).into_owned())
    };
    ask().is_ok_and(|head| head.ends_with(" 200"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_an_answer_of_200_and_nothing_less() {
        for (status, expected) in [("200 OK", true), ("503 Service Unavailable", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = listener.local_addr().expect("bound");
            let answering = thread::spawn(move || {
                let (mut stream, _) = listener.accept().expect("a connection");
                // Closed with something unread, a connection is reset, and the answer may be lost.
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).expect("a whole request");
                    asked.extend(byte);
                }
                // In one piece: who asks is gone as soon as it has the status.
                let answer = format!("HTTP/1.1 {status}\r\n\r\n");
                let sent = stream.write_all(answer.as_bytes());
                sent.expect("a short answer is taken at once");
            });
            assert_eq!(is_ready(address), expected);
            answering.join().expect("it answered");
        }
    }
}
