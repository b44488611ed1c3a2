//! Memory of the server during loads over HTTP, by size of the bodies.

use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;

use super::loading::{INDEX, bulks, create, send, start};
use super::{Section, Table, tell};
use crate::corpus::Corpus;

/// Bytes sent in each measure, at least.
const LOADED: usize = 200 << 20;

/// Watches the server while it is loaded with small and with large bodies.
///
/// # Errors
/// When a server does not start or refuses a request.
pub fn measure(corpus: &Corpus, binary: &Path) -> Result<Section> {
    tell("watching memory during bulks");
    let mut table = Table::new([
        "body, MiB",
        "sent, MiB",
        "RssAnon before, MiB",
        "most during the load, MiB",
    ]);
    for mebibytes in [1, 10, 99] {
        let folder = TempDir::new()?;
        let server = start(binary, folder.path())?;
        let mut client = server.client()?;
        create(&mut client, INDEX, 4, Some("5s"))?;
        let before = server.anonymous_bytes()?;
        let watch = server.watch_memory();
        let mut num_sent = 0;
        while num_sent < LOADED {
            for body in bulks(corpus, mebibytes << 20) {
                send(&mut client, INDEX, &body)?;
                num_sent += body.len();
            }
        }
        let in_mib = |bytes: u64| format!("{}", bytes >> 20);
        table.row([
            mebibytes.to_string(),
            in_mib(num_sent as u64),
            in_mib(before),
            in_mib(watch.stop()),
        ]);
    }
    Ok(Section {
        title: "Memory during a load",
        method: "A new server each time, an index of 4 shards, one client; the server's anonymous \
                 resident memory (memory maps of index files are not in it), looked at every 10 ms. \
                 100 MiB is the largest body that is taken, action lines included."
            .to_owned(),
        tables: vec![table],
        remarks: Vec::new(),
    })
}
