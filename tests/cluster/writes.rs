//! Writes through a root: what one shard has no room for is refused by name, the rest is written.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::join_all;
use gleaner_proto::LeafFault;
use gleaner_proto::write::WriteFault;
use gleaner_root::ingest::{IngestOptions, IngestResult};
use gleaner_root::plan::Target;
use gleaner_root::{RootError, RootOptions};
use gleaner_testkit::{Cluster, node};
use serde_json::json;

use crate::{INDEX, index_body};

/// Writes that are made at the same time, each of a document as large as a shard's room.
const NUM_WRITES: usize = 64;

fn is_refused(result: &IngestResult) -> Result<bool> {
    match &result.outcome {
        Ok(_) => Ok(false),
        Err(RootError::Write(WriteFault::Shard(LeafFault::Rejected { queue, .. }))) => {
            ensure!(queue == "write", "another queue: {queue}");
            Ok(true)
        }
        Err(error) => Err(anyhow::anyhow!("{error}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_shard_has_no_room_for_is_refused_and_taken_later() -> Result<()> {
    let options = RootOptions::default();
    let cluster = Cluster::start_with(2, options, |options| {
        options.write_queue_bytes = 4_096;
        options.write_patience = Duration::ZERO;
    });
    let cluster = cluster.await?;
    cluster.create(INDEX, &index_body(4, 1)).await?;
    let text = "word ".repeat(400);
    let item = |n: usize| {
        node::item(
            INDEX,
            &format!("d{n}"),
            &json!({"title": n.to_string(), "text": text}),
        )
    };
    let none = IngestOptions::default();
    let writes = (0..NUM_WRITES).map(|n| cluster.root.ingester().ingest(vec![item(n)], &none));
    let mut missing = BTreeSet::new();
    for (n, result) in join_all(writes).await.iter().flatten().enumerate() {
        if is_refused(result)? {
            missing.insert(n);
        }
    }
    ensure!(
        !missing.is_empty(),
        "{NUM_WRITES} writes at once fit into the room of two"
    );
    ensure!(missing.len() < NUM_WRITES, "none was taken");
    for n in missing {
        // A write is answered when it is durable and holds its room until it is applied, so what was taken
        // before has to be applied first; then there is room for each.
        cluster.root.refresher().refresh(&Target::default()).await?;
        let result = cluster.root.ingester().ingest(vec![item(n)], &none).await;
        ensure!(!is_refused(&result[0])?, "d{n} was refused again");
    }
    cluster.root.refresher().refresh(&Target::default()).await?;
    let all = json!({"query": {"match": {"text": "word"}}, "track_total_hits": true});
    let found = cluster.search(INDEX, &all).await?;
    ensure!(
        found
            .total
            .is_some_and(|total| total.value == NUM_WRITES as u64),
        "{found:?}"
    );
    Ok(())
}
