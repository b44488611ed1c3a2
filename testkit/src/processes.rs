//! A cluster of processes: a root and leaves, each the real binary, and an etcd, on sockets of this machine.

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use gleaner_machine::ports;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::etcd::Etcd;
use crate::http::{Request, Response};
use crate::server::{POLL, READY_WITHIN, binary};

/// Name of the root.
const ROOT: &str = "root-1";

/// A root and leaves; killed when dropped.
pub struct Processes {
    /// The root first, then `leaf-1`, `leaf-2` …
    nodes: Vec<Process>,
    folder: TempDir,
    /// It has the cluster state.
    etcd: Etcd,
}

/// A node in a process of its own.
struct Process {
    name: String,
    role: &'static str,
    /// Where other nodes call it.
    rpc: SocketAddr,
    /// A root: where clients call it. A leaf: where it answers probes.
    http: SocketAddr,
    /// `None` before it is started, and once it was killed.
    child: Option<Child>,
}

impl Processes {
    /// Starts a root and `num_leaves` leaves, and waits until all of them are ready.
    ///
    /// # Errors
    /// That there is no program `etcd`; when a node cannot be started, ends, or is not ready in time; with the end of its log.
    pub async fn start(num_leaves: usize) -> Result<Self> {
        let mut nodes = free_nodes(num_leaves)?;
        let folder = tempfile::tempdir()?;
        let etcd = Etcd::start()?;
        let members = members(&nodes, &etcd)?;
        for node in &mut nodes {
            let data = folder.path().join(format!("{}.data", node.name));
            let own = format!(
                "node_name = \"{}\"\ndata = \"{}\"\nlisten = \"{}\"\n{members}",
                node.name,
                data.display(),
                node.http
            );
            fs::write(folder.path().join(format!("{}.toml", node.name)), own)?;
        }
        let mut processes = Self {
            nodes,
            folder,
            etcd,
        };
        for at in 0..processes.nodes.len() {
            processes.spawn(at)?;
        }
        for at in 0..processes.nodes.len() {
            processes.wait_until_ready(at).await?;
        }
        Ok(processes)
    }

    /// Returns the etcd.
    pub fn etcd_mut(&mut self) -> &mut Etcd {
        &mut self.etcd
    }

    /// Returns where clients call the root.
    pub fn root(&self) -> SocketAddr {
        self.nodes[0].http
    }

    /// Sends a request to the root.
    ///
    /// # Errors
    /// As [`Request::send`].
    pub async fn send(&self, request: &Request) -> Result<Response> {
        request.send(self.nodes[0].http).await
    }

    /// Sends a request to the root, again and again until its answer is as wanted.
    ///
    /// # Errors
    /// When that takes too long; with the last answer.
    pub async fn until(
        &self,
        request: &Request,
        is_wanted: impl Fn(&Response) -> bool,
    ) -> Result<Response> {
        request.until(self.nodes[0].http, is_wanted).await
    }

    /// Returns the id of a node's process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pid(&self, name: &str) -> Result<u32> {
        let child = self.nodes[self.position(name)?].child.as_ref();
        Ok(child.context("it does not run")?.id())
    }

    /// Ends a node as `kill -9` does, and waits until it is gone.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self, name: &str) -> Result<()> {
        let at = self.position(name)?;
        let child = self.nodes[at].child.take();
        let mut child = child.context("it does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Starts a node that was killed on the folder that it had, and waits until it is ready.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_again(&mut self, name: &str) -> Result<()> {
        let at = self.position(name)?;
        self.spawn(at)?;
        self.wait_until_ready(at).await
    }

    /// Starts a node that was killed on what its folder holds now, and does not wait for it: it may have nothing to serve.
    ///
    /// # Errors
    /// That there is no such node, or program.
    pub fn spawn_again(&mut self, name: &str) -> Result<()> {
        let at = self.position(name)?;
        self.spawn(at)
    }

    /// Starts another process of a leaf on a copy of its folder, at ports of its own, and waits until the one before has
    /// ended: there is one at a time. [`Self::kill`] ends it, and the leaf starts again on its own folder.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_clone(&mut self, name: &str, folder: &Path) -> Result<()> {
        let at = self.position(name)?;
        let Process { rpc, http, .. } = self.nodes[at];
        let free = [ports::held()?, ports::held()?];
        let [own_rpc, own_http] = [free[0].local_addr()?, free[1].local_addr()?];
        drop(free);
        let own = fs::read_to_string(self.path(name, "toml"))?;
        let own = own
            .replace(&rpc.to_string(), &own_rpc.to_string())
            .replace(&http.to_string(), &own_http.to_string())
            .replace(
                &self.data(name).display().to_string(),
                &folder.display().to_string(),
            );
        let config = self.path(name, "clone.toml");
        fs::write(&config, own)?;
        let clone = self.run(at, &config)?;
        let began = Instant::now();
        while self.ended(name)?.is_none() {
            ensure!(began.elapsed() < READY_WITHIN, "{name} goes on");
            sleep(POLL).await;
        }
        self.nodes[at].child = Some(clone);
        Ok(())
    }

    /// Returns the last line of a node's log where its process has ended by itself.
    ///
    /// # Errors
    /// That there is no such node.
    pub fn ended(&mut self, name: &str) -> Result<Option<String>> {
        let at = self.position(name)?;
        let child = self.nodes[at].child.as_mut();
        let status = child.map(Child::try_wait).transpose()?.flatten();
        Ok(status.map(|_| self.last_line(at)))
    }

    /// Returns whether a node says that it is ready.
    pub async fn is_ready(&self, name: &str) -> bool {
        let Ok(at) = self.position(name) else {
            return false;
        };
        let ready = Request::new("GET", "/_health/ready");
        let answer = ready.send(self.nodes[at].http).await;
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// Ends a node's process, which may have ended by itself.
    ///
    /// # Errors
    /// That there is no such node.
    pub fn end(&mut self, name: &str) -> Result<()> {
        let at = self.position(name)?;
        if let Some(mut child) = self.nodes[at].child.take() {
            // Already ended is fine.
            drop(child.kill());
            child.wait()?;
        }
        Ok(())
    }

    /// Returns a node's data folder.
    pub fn data(&self, name: &str) -> PathBuf {
        self.path(name, "data")
    }

    /// Returns `HOST:PORT` of the etcd.
    pub fn etcd(&self) -> String {
        self.etcd.address()
    }

    /// Stops a node's process in its tracks; its connections stay open. Killing it works all the same.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self, name: &str) -> Result<()> {
        self.signal(name, "-STOP")
    }

    /// Has a frozen process go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self, name: &str) -> Result<()> {
        self.signal(name, "-CONT")
    }

    fn signal(&self, name: &str, signal: &str) -> Result<()> {
        let pid = self.pid(name)?.to_string();
        let sent = Command::new("kill").args([signal, &pid]).status()?;
        ensure!(sent.success(), "cannot signal process {pid}");
        Ok(())
    }

    fn position(&self, name: &str) -> Result<usize> {
        let mut nodes = self.nodes.iter();
        let found = nodes.position(|node| node.name == name);
        found.with_context(|| format!("there is no node {name}"))
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.{kind}"))
    }

    fn spawn(&mut self, at: usize) -> Result<()> {
        let config = self.path(&self.nodes[at].name, "toml");
        self.nodes[at].child = Some(self.run(at, &config)?);
        Ok(())
    }

    /// Runs a node by a file of configuration.
    fn run(&self, at: usize, config: &Path) -> Result<Child> {
        let Process { name, role, .. } = &self.nodes[at];
        let log = self.path(name, "log");
        let output = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(binary()?);
        for (variable, _) in env::vars_os() {
            // What is set for this process is not meant for the nodes.
            if variable.to_string_lossy().starts_with("GLEANER_") {
                command.env_remove(variable);
            }
        }
        command
            .args([role, "--stop-with-input", "--config"])
            .arg(config)
            .stdin(Stdio::piped())
            .stderr(output.try_clone()?)
            .stdout(output);
        let child = command.spawn();
        child.with_context(|| format!("cannot start {name}"))
    }

    async fn wait_until_ready(&mut self, at: usize) -> Result<()> {
        let began = Instant::now();
        let ready = Request::new("GET", "/_health/ready");
        while began.elapsed() < READY_WITHIN {
            let child = self.nodes[at].child.as_mut();
            if let Some(status) = child.map(Child::try_wait).transpose()?.flatten() {
                let name = &self.nodes[at].name;
                bail!("{name} ended with {status}: {}", self.last_line(at));
            }
            let answer = ready.send(self.nodes[at].http).await;
            if answer.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            sleep(POLL).await;
        }
        let name = &self.nodes[at].name;
        bail!("{name} was not ready in time: {}", self.last_line(at))
    }

    fn last_line(&self, at: usize) -> String {
        let log = self.path(&self.nodes[at].name, "log");
        let text = fs::read_to_string(log).unwrap_or_default();
        text.lines().last().unwrap_or("it said nothing").to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Already ended is fine.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Returns a root and leaves at ports that are free now; all are found at once, so that none is found twice.
fn free_nodes(num_leaves: usize) -> Result<Vec<Process>> {
    let mut listeners = Vec::new();
    let mut free = || -> Result<SocketAddr> {
        let listener = ports::held()?;
        let address = listener.local_addr()?;
        listeners.push(listener);
        Ok(address)
    };
    let mut nodes = Vec::with_capacity(num_leaves + 1);
    for number in 0..=num_leaves {
        let (name, role) = match number {
            0 => (ROOT.to_owned(), "root"),
            number => (format!("leaf-{number}"), "leaf"),
        };
        nodes.push(Process {
            name,
            role,
            rpc: free()?,
            http: free()?,
            child: None,
        });
    }
    Ok(nodes)
}

fn members(nodes: &[Process], etcd: &Etcd) -> Result<String> {
    let mut text = format!("[cluster]\netcd = [\"http://{}\"]\n", etcd.address());
    for node in nodes {
        write!(
            text,
            "[[cluster.nodes]]\nname = \"{}\"\nrole = \"{}\"\naddress = \"{}\"\nhttp_address = \"{}\"\n",
            node.name, node.role, node.rpc, node.http
        )?;
    }
    Ok(text)
}
