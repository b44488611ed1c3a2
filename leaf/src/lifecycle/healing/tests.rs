//! Damaged files of a primary without other copies: mended where that can be done, named where not.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use gleaner_log::ShardLog as _;
use gleaner_model::SeqNo;
use gleaner_proto::LeafClient as _;
use gleaner_proto::read::ShardPhase;
use gleaner_proto::write::WriteAction;

use crate::testing::{Fixture, PATIENCE, item, key, put, soon};

/// Returns a leaf that was stopped with two segments and a list of deletes on disk, its log trimmed.
async fn stopped() -> Fixture {
    let fixture = Fixture::start();
    // One of four is deleted: for more than three tenths a segment would be merged by itself.
    for ids in [&["a", "b", "f", "g"][..], &["c", "d"]] {
        let items = ids.iter();
        let items = items.map(|id| put(id, r#"{"n":1,"text":"some words"}"#));
        fixture.write(items.collect()).await.expect("written");
        fixture.leaf.refresh(key(1)).await.expect("shown");
        fixture.leaf.flush(key(1)).await.expect("commits");
    }
    let delete = item("a", WriteAction::Delete);
    fixture.write(vec![delete]).await.expect("written");
    fixture.leaf.stop().await;
    fixture
}

/// Returns the files of a kind that the shard's commit names, and its own.
fn files(fixture: &Fixture, kind: &str) -> Vec<PathBuf> {
    let folder = fixture.leaf.node.folders(key(1)).copy;
    let commit = std::fs::read_to_string(folder.join("meta.json")).unwrap_or_default();
    let listed = std::fs::read_dir(folder).expect("it is there");
    let paths = listed.map(|entry| entry.expect("it can be listed").path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|end| end == kind))
        .filter(|path| kind == "json" || commit.contains(&name_of(path)))
        .collect();
    paths.sort();
    paths
}

/// Flips a bit in the middle of a file, which keeps its length: it may be mapped. Returns its name.
fn flip(path: &Path) -> String {
    let mut bytes = std::fs::read(path).expect("it is there");
    let at = bytes.len() / 2;
    bytes[at] ^= 4;
    let file = std::fs::OpenOptions::new().write(true).open(path);
    file.and_then(|mut file| file.write_all(&bytes))
        .expect("it can be written");
    name_of(path)
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().expect("it has a name");
    name.to_string_lossy().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_postings_are_made_again_from_the_documents() {
    for kind in ["idx", "term", "pos", "fieldnorm"] {
        let fixture = stopped().await;
        let before = [fixture.get("b").await, fixture.get("d").await];
        let name = flip(&files(&fixture, kind)[0]);
        let fixture = fixture.start_again();
        let shard = fixture.shard().await;
        assert_eq!(shard.engine().view().num_documents(), 5, "{kind}");
        let damages = fixture.leaf.found_damages();
        assert_eq!(damages.len(), 1, "{damages:?}");
        assert!(damages[0].1.contains(&name), "{damages:?}");
        let after = [fixture.get("b").await, fixture.get("d").await];
        assert_eq!(after, before, "{kind}: version, seq_no and term are kept");
        assert!(fixture.get("a").await.is_none());
        fixture
            .write(vec![put("e", "{}")])
            .await
            .expect("it goes on");
        let fixture = fixture.crash().await;
        fixture.shard().await;
        assert!(
            fixture.leaf.found_damages().is_empty(),
            "it was mended for good"
        );
        assert!(fixture.get("e").await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_mended_is_refused_by_name_and_left_as_it_is() {
    for kind in ["store", "fast", "del", "json"] {
        let fixture = stopped().await;
        let path = files(&fixture, kind)[0].clone();
        let name = flip(&path);
        let damaged = std::fs::read(&path).expect("it is there");
        let fixture = fixture.start_again();
        let refused = fixture.leaf.shard(key(1), PATIENCE).await;
        let reason = refused.err().expect("it is damaged").to_string();
        assert!(reason.contains(&name), "{kind}: {reason}");
        let states = fixture.leaf.shard_states().await.expect("its own");
        assert_eq!(states[0].phase, ShardPhase::Failed);
        assert!(
            states[0]
                .reason
                .as_ref()
                .is_some_and(|told| told.contains(&name))
        );
        assert_eq!(std::fs::read(&path).expect("it is there"), damaged);
        fixture.leaf.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_log_has_everything_is_built_again_from_it() {
    let fixture = Fixture::start();
    fixture.write(vec![put("a", "{}")]).await.expect("written");
    let shard = fixture.shard().await;
    shard
        .engine()
        .commit()
        .expect("a commit that trims nothing");
    drop(shard);
    fixture.write(vec![put("b", "{}")]).await.expect("written");
    fixture.leaf.abandon().await;
    let name = flip(&files(&fixture, "store")[0]);
    let fixture = fixture.start_again();
    assert_eq!(fixture.shard().await.engine().view().num_documents(), 2);
    assert!(fixture.leaf.found_damages()[0].1.contains(&name));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_which_the_commit_is_gone_are_not_swept_away() {
    let fixture = stopped().await;
    let meta = files(&fixture, "json")[0].clone();
    let stores = files(&fixture, "store");
    std::fs::remove_file(&meta).expect("it is there");
    let fixture = fixture.start_again();
    let refused = fixture.leaf.shard(key(1), PATIENCE).await;
    let reason = refused.err().expect("the log is trimmed").to_string();
    assert!(reason.contains("`meta.json` is missing"), "{reason}");
    assert!(stores.iter().all(|path| path.exists()));
    assert!(fixture.log.tail(key(1)).await.expect("reads") > Some(SeqNo(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_comes_while_a_copy_is_open_closes_it_and_is_mended() {
    let fixture = Fixture::with(|options| options.scrub_rate = 0);
    fixture
        .write(vec![put("a", r#"{"n":1}"#)])
        .await
        .expect("written");
    fixture.leaf.flush(key(1)).await.expect("commits");
    let shard = fixture.shard().await;
    fixture.leaf.check(&shard, None).await;
    assert!(fixture.leaf.found_damages().is_empty());
    let name = flip(&files(&fixture, "idx")[0]);
    let mut changes = fixture.leaf.copies.changes();
    fixture.leaf.check(&shard, None).await;
    assert!(fixture.leaf.found_damages()[0].1.contains(&name));
    assert!(
        fixture.leaf.copies.open_now(key(1)).is_none(),
        "it serves no more"
    );
    drop(shard);
    soon(changes.wait_for(|_| fixture.leaf.copies.open_now(key(1)).is_some()))
        .await
        .expect("it lives");
    assert!(fixture.get("a").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_while_it_is_open_is_found_by_its_length() {
    let fixture = Fixture::start();
    // One segment without deletes: no merge reads what is cut here, which would end the process.
    fixture.write(vec![put("a", "{}")]).await.expect("written");
    fixture.leaf.flush(key(1)).await.expect("commits");
    let shard = fixture.shard().await;
    let path = files(&fixture, "store")[0].clone();
    let file = std::fs::OpenOptions::new().write(true).open(&path);
    file.and_then(|file| file.set_len(10))
        .expect("it can be cut");
    shard.engine().suspect();
    let round = crate::lifecycle::scrubber::round_of(1);
    fixture.leaf.look_at_files(&shard, round).await;
    let mut changes = fixture.leaf.copies.changes();
    soon(async {
        while !fixture.leaf.copies.open().is_empty() {
            changes.changed().await.expect("the leaf lives");
        }
    })
    .await;
    drop(shard);
    let refused = fixture.leaf.shard(key(1), PATIENCE).await;
    let reason = refused.err().expect("it is damaged").to_string();
    assert!(reason.contains("has 10 bytes where"), "{reason}");
}
