//! What a server costs that nobody asks anything: processor time and wake-ups in a minute.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::Context;

use super::budget::Figures;
use super::client::{Connection, Request};
use super::counted::voluntary;
use super::server::{Served, folder, pause};
use crate::workspace::Workspace;

/// Until what was begun has ended: a shard that is not searched for 30 s refreshes no more.
const SETTLING: Duration = Duration::from_secs(45);

/// How long it is looked at.
const MINUTE: Duration = Duration::from_secs(60);

/// Shards of the two servers that are looked at.
const SHARDS: [(&str, usize); 2] = [("idle, no shard", 0), ("idle, 200 shards", 200)];

/// Ticks of a second in `/proc/PID/stat` (`USER_HZ`, 100 on every Linux of today).
const TICKS: f64 = 100.0;

/// Looks at idle servers for a minute each.
pub(super) fn measured(
    workspace: &Workspace,
    binary: &Path,
) -> anyhow::Result<BTreeMap<&'static str, Figures>> {
    let mut found = BTreeMap::new();
    for (name, num_shards) in SHARDS {
        let data = folder(workspace)?;
        let server = Served::start(workspace, binary, &data, None)?;
        let mut connection = Connection::open(server.address())?;
        let body = r#"{"settings": {"number_of_shards": 1, "number_of_replicas": 0}}"#;
        for n in 0..num_shards {
            connection.ask(&Request::new(&format!("PUT /idle-{n}"), body))?;
        }
        drop(connection);
        pause(SETTLING);
        let process = server.process();
        let before = (ticks(process)?, voluntary(process)?);
        pause(MINUTE);
        let figures = Figures {
            seconds: Some((ticks(process)? - before.0) / TICKS),
            wake_ups: Some(voluntary(process)? - before.1),
            ..Figures::default()
        };
        println!("{name:28} {figures}");
        found.insert(name, figures);
        server.stop()?;
    }
    Ok(found)
}

/// Returns the processor time that a process took, in ticks: user and system (`proc(5)`, fields 14 and 15).
fn ticks(process: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The second field is the name, in brackets, and may hold blanks.
    let fields = stat.rsplit(')').next().context("no fields")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || -> anyhow::Result<f64> { Ok(fields.next().context("too few")?.parse()?) };
    Ok(next()? + next()?)
}
