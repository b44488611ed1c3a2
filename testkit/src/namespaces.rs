//! A network of its own for each process: a network namespace, behind a router that can drop the packets between two of them.
//!
//! ```text
//! this process ── host ────┐
//! a node ── wire ── node ──┤  hub: routes packets; a rule for a pair of nodes drops those from the one to the other
//! a node ── wire ── node ──┘
//! ```
//!
//! Does: make the namespaces, run programs in them, cut one direction between two nodes and mend it, tidy up. Does not: delay or
//! reorder packets. It needs `ip` of iproute2 and the rights of root. Read first: [`Namespaces`].

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;

/// What the names of all namespaces begin with; the process that made them follows.
const PREFIX: &str = "gleaner-";

/// Nodes that have room in a network: each has four addresses of 256, and so has this process.
const MAX_NODES: usize = 63;

/// Networks that this process has made.
static NUM_MADE: AtomicU32 = AtomicU32::new(0);

/// Namespaces of nodes, by name; they go when this is dropped.
pub struct Namespaces {
    /// What the names of these namespaces begin with.
    prefix: String,
    /// The first three bytes of all addresses.
    subnet: [u8; 3],
    nodes: Vec<String>,
    /// How often each direction is cut, by names.
    cuts: Mutex<BTreeMap<(String, String), usize>>,
}

impl Namespaces {
    /// Returns why no namespaces can be made here, for tests that are skipped then; `None` where they can.
    pub fn obstacle() -> Option<String> {
        let refused = Self::lay(&["probe"]).err()?;
        Some(format!(
            "no network namespaces can be made here (`apt-get install iproute2`, as root): {refused:#}"
        ))
    }

    /// Makes a namespace for each name. All reach each other, and this process reaches them.
    ///
    /// # Errors
    /// That the system does not let this process do it.
    pub fn lay(nodes: &[&str]) -> Result<Self> {
        ensure!(nodes.len() <= MAX_NODES, "at most {MAX_NODES} nodes");
        remove_left_over()?;
        let number = NUM_MADE.fetch_add(1, Ordering::Relaxed);
        // Networks of other processes differ but for those whose numbers are 65,536 apart.
        let [_, _, high, low] = (process::id().wrapping_add(number << 12)).to_be_bytes();
        let made = Self {
            prefix: format!("{PREFIX}{}-{number}-", process::id()),
            subnet: [10, 128 | high, low],
            nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
            cuts: Mutex::default(),
        };
        made.lay_all(&format!("gl{}-{number}", process::id()))?;
        Ok(made)
    }

    fn lay_all(&self, host: &str) -> Result<()> {
        let hub = self.namespace("hub");
        ip(["netns", "add", &hub])?;
        ip([
            "link", "add", host, "type", "veth", "peer", "name", "host", "netns", &hub,
        ])?;
        let [near, far] = self.link(0);
        ip(["address", "add", &format!("{far}/30"), "dev", host])?;
        ip(["link", "set", host, "up"])?;
        self.raise_in_hub("host", near)?;
        let [a, b, c] = self.subnet;
        ip([
            "route",
            "add",
            &format!("{a}.{b}.{c}.0/24"),
            "via",
            &near.to_string(),
        ])?;
        for (number, node) in self.nodes.iter().enumerate() {
            let own = self.namespace(node);
            ip(["netns", "add", &own])?;
            ip([
                "link", "add", "wire", "netns", &own, "type", "veth", "peer", "name", node,
                "netns", &hub,
            ])?;
            let [near, far] = self.link(number + 1);
            self.raise_in_hub(node, near)?;
            ip([
                "-n",
                &own,
                "address",
                "add",
                &format!("{far}/30"),
                "dev",
                "wire",
            ])?;
            ip(["-n", &own, "link", "set", "lo", "up"])?;
            ip(["-n", &own, "link", "set", "wire", "up"])?;
            ip([
                "-n",
                &own,
                "route",
                "add",
                "default",
                "via",
                &near.to_string(),
            ])?;
        }
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        ip(["netns", "exec", &hub, "sh", "-c", forward])
    }

    fn raise_in_hub(&self, link: &str, address: Ipv4Addr) -> Result<()> {
        let hub = self.namespace("hub");
        ip([
            "-n",
            &hub,
            "address",
            "add",
            &format!("{address}/30"),
            "dev",
            link,
        ])?;
        ip(["-n", &hub, "link", "set", link, "up"])
    }

    /// Returns both addresses of a link: the hub's, and the other one's.
    fn link(&self, number: usize) -> [Ipv4Addr; 2] {
        let [a, b, c] = self.subnet;
        let first = 4 * number as u8;
        [1, 2].map(|at| Ipv4Addr::new(a, b, c, first + at))
    }

    fn namespace(&self, node: &str) -> String {
        format!("{}{node}", self.prefix)
    }

    /// Returns the address of a node.
    ///
    /// # Errors
    /// That there is no such node.
    pub fn address(&self, node: &str) -> Result<Ipv4Addr> {
        let mut nodes = self.nodes.iter();
        let number = nodes.position(|known| known == node);
        let [_, address] = self.link(number.context("there is no such node")? + 1);
        Ok(address)
    }

    /// Returns the names of all nodes.
    pub fn nodes(&self) -> &[String] {
        &self.nodes
    }

    /// Returns a command that runs a program in a node's namespace, as the process that is started.
    pub fn command(&self, node: &str, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.namespace(node)])
            .arg(program);
        command
    }

    /// Drops all packets from a node to another one. Several may ask for that; it lasts until each has asked for the end.
    ///
    /// # Errors
    /// That there is no such node.
    pub fn cut(&self, from: &str, to: &str) -> Result<()> {
        let mut cuts = self.cuts.lock();
        let num = cuts.entry((from.to_owned(), to.to_owned())).or_default();
        *num += 1;
        match *num {
            1 => self.change_rule("add", from, to),
            _ => Ok(()),
        }
    }

    /// Ends what [`Self::cut`] began.
    ///
    /// # Errors
    /// That it was not cut.
    pub fn mend(&self, from: &str, to: &str) -> Result<()> {
        let mut cuts = self.cuts.lock();
        let num = cuts.get_mut(&(from.to_owned(), to.to_owned()));
        let num = num.filter(|num| **num > 0).context("it is not cut")?;
        *num -= 1;
        match *num {
            0 => self.change_rule("del", from, to),
            _ => Ok(()),
        }
    }

    fn change_rule(&self, change: &str, from: &str, to: &str) -> Result<()> {
        let hub = self.namespace("hub");
        let (from, to) = (
            self.address(from)?.to_string(),
            self.address(to)?.to_string(),
        );
        ip([
            "-n",
            &hub,
            "rule",
            change,
            "from",
            &from,
            "to",
            &to,
            "blackhole",
        ])
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        // Their links go with them.
        drop(remove(&self.prefix));
    }
}

/// Removes the namespaces of processes that have ended without that.
fn remove_left_over() -> Result<()> {
    for name in namespaces()? {
        let maker = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('-'));
        let Some((pid, _)) = maker.filter(|(pid, _)| pid.parse::<u32>().is_ok()) else {
            continue;
        };
        if !Path::new("/proc").join(pid).exists() {
            // Another process may have been faster.
            drop(ip(["netns", "delete", &name]));
        }
    }
    Ok(())
}

fn remove(prefix: &str) -> Result<()> {
    for name in namespaces()? {
        if name.starts_with(prefix) {
            ip(["netns", "delete", &name])?;
        }
    }
    Ok(())
}

/// Returns the names of all namespaces of this machine.
fn namespaces() -> Result<Vec<String>> {
    let Ok(folder) = fs::read_dir("/run/netns") else {
        // None was ever made.
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for entry in folder {
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(names)
}

fn ip<const N: usize>(arguments: [&str; N]) -> Result<()> {
    let mut command = Command::new("ip");
    let done = command.args(arguments).stdin(Stdio::null()).output();
    let done = done.context("there is no program `ip`")?;
    if !done.status.success() {
        let told = String::from_utf8_lossy(&done.stderr);
        bail!("`ip {}`: {}", arguments.join(" "), told.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skipped;

    /// Sends a datagram from a node's namespace to this process; returns whether a connection to a closed port is refused, which
    /// needs packets both ways.
    fn reaches(network: &Namespaces, from: &str, to: &str) -> bool {
        let to = network.address(to).expect("a node");
        let script = format!("exec 3<>/dev/tcp/{to}/9");
        let mut command = network.command(from, "timeout");
        let done = command.args(["1", "bash", "-c", &script]).output();
        let told = done.expect("it runs").stderr;
        String::from_utf8_lossy(&told).contains("refused")
    }

    #[test]
    fn a_direction_is_cut_and_mended() -> Result<()> {
        if let Some(obstacle) = Namespaces::obstacle() {
            return skipped("namespaces::a_direction_is_cut_and_mended", &obstacle);
        }
        let network = Namespaces::lay(&["one", "two", "three"])?;
        assert!(reaches(&network, "one", "two"));
        network.cut("one", "two")?;
        network.cut("one", "two")?;
        // Neither hears an answer of the other one.
        assert!(!reaches(&network, "one", "two"));
        assert!(!reaches(&network, "two", "one"));
        assert!(reaches(&network, "one", "three"));
        network.mend("one", "two")?;
        assert!(!reaches(&network, "one", "two"));
        network.mend("one", "two")?;
        assert!(reaches(&network, "one", "two"));
        assert!(network.mend("one", "two").is_err());
        Ok(())
    }
}
