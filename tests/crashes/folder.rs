//! The data folder between two processes: one at a time, stops in order, a torn tail of the log.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::server::Start;

use crate::load::{BATCH, Client, create_index, read_all};

/// Where the first batch of a log file stands, after the header of the file.
const FIRST_BATCH: usize = 52;

/// Returns the log file written last of all shards.
pub(crate) fn newest_log_file(folder: &Path) -> Result<Option<PathBuf>> {
    let mut newest = None;
    for index in fs::read_dir(folder)? {
        let index = index?.path();
        // Beside the folders of indices lies the journal.
        if !index.is_dir() {
            continue;
        }
        for shard in fs::read_dir(index)? {
            for file in fs::read_dir(shard?.path())? {
                let path = file?.path();
                if path.extension().is_some_and(|end| end == "log") {
                    let written = path.metadata()?.modified()?;
                    newest = newest.max(Some((written, path)));
                }
            }
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// Adds the first `num_bytes` bytes of a batch to a log file, as a write that was cut off does.
pub(crate) fn append_torn_record(path: &Path, num_bytes: usize) -> Result<()> {
    let bytes = fs::read(path)?;
    let batch = bytes.get(FIRST_BATCH..FIRST_BATCH + num_bytes);
    // A file without a whole batch has no tail to tear.
    let Some(batch) = batch else {
        return Ok(());
    };
    File::options().append(true).open(path)?.write_all(batch)?;
    Ok(())
}

async fn loaded(data: &Path, num_requests: usize) -> Result<(Server, Client)> {
    let server = Server::start(data).await?;
    create_index(server.address()).await?;
    let mut client = Client::new(0, 1, BATCH);
    for _ in 0..num_requests {
        client.send_bulk(server.address()).await?;
    }
    Ok((server, client))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_is_cut_and_told_and_nothing_acknowledged_goes_with_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let (mut server, mut client) = loaded(&data, 3).await?;
    server.kill()?;
    let path = newest_log_file(&data.join("log"))?.context("there is a log")?;
    append_torn_record(&path, 70)?;
    let server = Server::start(&data).await?;
    client.ledger.check(&read_all(server.address()).await?)?;
    let printed = server.printed()?;
    ensure!(printed.contains("torn"), "the operator is told:\n{printed}");
    client.send_bulk(server.address()).await?;
    client.ledger.check(&read_all(server.address()).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_middle_stops_that_shard_and_says_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let (mut server, client) = loaded(&data, 3).await?;
    server.kill()?;
    // What the journal has it would mend: it is read back and gone when the log has been opened.
    Server::start(&data).await?.kill()?;
    let path = newest_log_file(&data.join("log"))?.context("there is a log")?;
    let mut bytes = fs::read(&path)?;
    bytes[FIRST_BATCH + 200] ^= 0x10;
    fs::write(&path, bytes)?;
    let server = Server::start(&data).await?;
    let error = read_all(server.address()).await;
    ensure!(
        error.is_err(),
        "a shard is missing and the answer must say so"
    );
    let printed = server.printed()?;
    ensure!(
        printed.contains("amage") || printed.contains("orrupt"),
        "{printed}"
    );
    ensure!(
        client.ledger.num_acknowledged() > 0,
        "something was written"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_folder_is_refused_and_the_first_goes_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let (server, mut client) = loaded(&data, 1).await?;
    let (status, printed) = Start::on(&data).refused().await?;
    ensure!(
        !status.success() && printed.contains("in use"),
        "{status}: {printed}"
    );
    client.send_bulk(server.address()).await?;
    client.ledger.check(&read_all(server.address()).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_order_commits_everything() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let (server, mut client) = loaded(&data, 4).await?;
    server.stop().await?;
    let server = Server::start(&data).await?;
    client.ledger.check(&read_all(server.address()).await?)?;
    client.send_bulk(server.address()).await?;
    client.ledger.check(&read_all(server.address()).await?)
}
