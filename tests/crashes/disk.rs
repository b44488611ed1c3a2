//! A full disk: writes are refused in words, searches go on, and writes are taken when there is room.
//! A nearly full one: indices block themselves, and lift the block again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::server::Start;
use gleaner_testkit::{Server, skipped};
use serde_json::json;
use tokio::time::{Instant, sleep};

/// Size of the disk. Small, so that it is filled in no time; large enough for a shard.
const DISK_BYTES: usize = 48 << 20;
/// Bytes of each document.
const DOCUMENT_BYTES: usize = 64 << 10;
/// How long the server may take to notice that there is room.
const RECOVERS_WITHIN: Duration = Duration::from_secs(60);

async fn put(server: &Server, id: usize, text: &str) -> Result<Response> {
    let body = json!({"text": text});
    server
        .send(&Request::json("PUT", &format!("/disk/_doc/d{id}"), &body))
        .await
}

/// Refreshes and counts: whether the refresh worked, and how many documents searches see.
async fn refresh_and_count(server: &Server) -> Result<(bool, u64)> {
    let refresh = Request::new("POST", "/disk/_refresh");
    let refreshed = server.send(&refresh).await?;
    let is_whole = refreshed.status == 200 && refreshed.json()?["_shards"]["failed"] == 0;
    let answer = server.send(&Request::new("GET", "/disk/_count")).await?;
    let count = answer.ok()?["count"].as_u64();
    Ok((is_whole, count.context("a count is a number")?))
}

/// Is this a refusal that says what is the matter?
fn is_clear(refusal: &Response) -> bool {
    let told = refusal.shown().to_lowercase();
    [403, 429, 503, 507].contains(&refusal.status) && told.contains("disk")
}

/// Said where there is no such disk.
const NO_DISK: &str = "this machine lets nobody mount a small disk of their own";

/// Starts a server on a small disk of its own; returns it with the path of a file to fill the disk with, or
/// `None` where this machine does not allow that.
async fn on_small_disk(folder: &Path) -> Result<Option<(Server, PathBuf)>> {
    let data = folder.join("data");
    fs::create_dir(&data)?;
    let mut start = Start::on(&data);
    start.disk_bytes = Some(DISK_BYTES);
    if !start.has_own_disks() {
        return Ok(None);
    }
    let server = start.spawn().await?;
    let filler = server.seen_path(&data.join("filler"));
    Ok(Some((server, filler)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_in_words_and_takes_them_again_with_room() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some((server, filler)) = on_small_disk(folder.path()).await? else {
        let test = "crashes::a_full_disk_refuses_writes_in_words_and_takes_them_again_with_room";
        return skipped(test, NO_DISK);
    };
    let settings = json!({"settings": {"number_of_shards": 1}});
    server
        .send(&Request::json("PUT", "/disk", &settings))
        .await?
        .ok()?;
    fs::write(&filler, vec![1_u8; DISK_BYTES / 3])?;
    let text = "word ".repeat(DOCUMENT_BYTES / 5);
    let (num_written, refusal) = fill(&server, &text).await?;
    ensure!(
        is_clear(&refusal),
        "a refusal in words: {}",
        refusal.shown()
    );
    // Segments need room too: what is not visible yet must be owned up to by the refresh.
    let (is_whole, found) = refresh_and_count(&server).await?;
    let is_honest = found == num_written || (found < num_written && !is_whole);
    let told = refusal.shown();
    ensure!(
        is_honest,
        "found {found} of {num_written}, refresh {is_whole}, after {told}"
    );
    fs::remove_file(&filler)?;
    answered(&server, num_written as usize, is_taken).await?;
    let (is_whole, found) = refresh_and_count(&server).await?;
    ensure!(
        is_whole && found == num_written + 1,
        "found {found} of {num_written} and one"
    );
    Ok(())
}

/// The dialect's word for indices that a nearly full disk has blocked.
const FLOODED: &str = "disk usage exceeded flood-stage watermark";

#[tokio::test(flavor = "multi_thread")]
async fn a_nearly_full_disk_blocks_all_indices_until_there_is_room() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some((server, filler)) = on_small_disk(folder.path()).await? else {
        let test = "crashes::a_nearly_full_disk_blocks_all_indices_until_there_is_room";
        return skipped(test, NO_DISK);
    };
    put(&server, 0, "first").await?.ok()?;
    ensure!(refresh_and_count(&server).await? == (true, 1));
    // Beyond the flood stage of 95 %, and room for a small document all the same.
    fs::write(&filler, vec![1_u8; DISK_BYTES / 100 * 96])?;
    let refusal = answered(&server, 1, |answer| !is_taken(answer)).await?;
    ensure!(
        refusal.status == 429 && refusal.shown().contains(FLOODED),
        "{}",
        refusal.shown()
    );
    let error = refusal.json()?["error"]["type"].clone();
    ensure!(error == "cluster_block_exception", "{error}");
    let settings = Request::new("GET", "/disk/_settings?flat_settings=true");
    let told = server.send(&settings).await?.ok()?;
    let block = &told["disk"]["settings"]["index.blocks.read_only_allow_delete"];
    ensure!(block == "true", "{told}");
    let state = Request::new("GET", "/_cluster/state/blocks");
    let told = server.send(&state).await?.ok()?;
    let description = &told["blocks"]["indices"]["disk"]["12"]["description"];
    let told_so = description
        .as_str()
        .is_some_and(|text| text.starts_with(FLOODED));
    ensure!(told_so, "{told}");
    ensure!(refresh_and_count(&server).await?.1 >= 1, "searches go on");
    fs::remove_file(&filler)?;
    answered(&server, 2, is_taken).await?;
    let told = server.send(&settings).await?.ok()?;
    let block = &told["disk"]["settings"]["index.blocks.read_only_allow_delete"];
    ensure!(block.is_null(), "{told}");
    let told = server.send(&state).await?.ok()?;
    ensure!(told["blocks"] == json!({}), "{told}");
    let (is_whole, found) = refresh_and_count(&server).await?;
    ensure!(is_whole && (2..=3).contains(&found), "found {found}");
    Ok(())
}

fn is_taken(answer: &Response) -> bool {
    answer.status < 300
}

/// Writes one document over and over until the answer is as wanted; returns it.
async fn answered(
    server: &Server,
    id: usize,
    is_wanted: fn(&Response) -> bool,
) -> Result<Response> {
    let began = Instant::now();
    loop {
        let answer = put(server, id, "small").await?;
        if is_wanted(&answer) {
            return Ok(answer);
        }
        ensure!(
            began.elapsed() < RECOVERS_WITHIN,
            "still answered so: {}",
            answer.shown()
        );
        sleep(Duration::from_millis(200)).await;
    }
}

/// Writes until something is refused; returns how much was taken, and the refusal.
async fn fill(server: &Server, text: &str) -> Result<(u64, Response)> {
    for id in 0..4 * DISK_BYTES / DOCUMENT_BYTES {
        let answer = put(server, id, text).await?;
        if answer.status >= 300 {
            return Ok((id as u64, answer));
        }
    }
    bail!("a disk of {DISK_BYTES} bytes took four times as much")
}
