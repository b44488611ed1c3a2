//! Any copy gives the answer of one shard, to the bit.

use anyhow::Result;
use gleaner_root::RootOptions;
use gleaner_root::force_merge::ForceMerge;
use gleaner_root::plan::Target;
use gleaner_root::read::LocatedShard;
use gleaner_testkit::proxy::Fault;
use gleaner_testkit::{Cluster, Node};

use crate::{Answer, INDEX, answer, documents, filled, index_body, searches};

/// Returns the answers of one shard in one process.
async fn oracle() -> Result<Vec<Answer>> {
    let node = Node::start().await?;
    node.create(INDEX, &index_body(1, 0)).await?;
    let documents = documents();
    node.put(INDEX, &documents).await?;
    node.put(INDEX, &documents[..11]).await?;
    let mut answers = Vec::new();
    for search in searches() {
        answers.push(answer(&node.search(INDEX, &search).await?));
    }
    Ok(answers)
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_and_copies_change_no_answer() -> Result<()> {
    let expected = oracle().await?;
    for (num_leaves, shards, replicas) in [(1, 3, 0), (4, 8, 1), (3, 3, 2)] {
        let cluster = Cluster::start(num_leaves, RootOptions::default()).await?;
        cluster.create(INDEX, &index_body(shards, replicas)).await?;
        let documents = documents();
        for chunk in documents.chunks(7) {
            cluster.put(INDEX, chunk).await?;
        }
        cluster.put(INDEX, &documents[..11]).await?;
        // Several times, so that several copies answer.
        for _ in 0..3 {
            for (search, expected) in searches().iter().zip(&expected) {
                let response = cluster.search(INDEX, search).await?;
                assert!(response.shards.failures.is_empty(), "{:?}", response.shards);
                assert_eq!(
                    answer(&response),
                    *expected,
                    "{num_leaves} leaves: {search}"
                );
            }
        }
        assert!(
            cluster.leaves.iter().all(|leaf| leaf.slow.num_calls() > 0),
            "every leaf was asked"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_counted_once_and_a_dead_leaf_as_none() -> Result<()> {
    let cluster = filled(3, 6, 1).await?;
    let states = cluster.root.reader().shard_states().await;
    assert_eq!((states.copies.len(), states.num_alive()), (12, 3));
    let once = states.one_each();
    assert!(once.iter().all(|copy| copy.state.is_primary));
    let count = |copies: &[&LocatedShard]| -> u64 {
        copies.iter().map(|copy| copy.state.num_documents).sum()
    };
    assert_eq!(count(&once), documents().len() as u64);

    cluster.leaves[2].proxy.set(Fault::Reset);
    let states = cluster.root.reader().shard_states().await;
    assert_eq!(states.silent, [cluster.leaves[2].id.clone()]);
    assert_eq!(states.num_alive(), 2);
    assert_eq!(count(&states.one_each()), documents().len() as u64);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_merge_is_of_every_copy() -> Result<()> {
    let cluster = Cluster::start(2, RootOptions::default()).await?;
    cluster.create(INDEX, &index_body(1, 1)).await?;
    for chunk in documents().chunks(7).take(3) {
        cluster.put(INDEX, chunk).await?;
    }
    let target = Target {
        expression: Some(INDEX.to_owned()),
        ..Target::default()
    };
    let merge = ForceMerge {
        only_primaries: true,
        ..ForceMerge::new(target, 1)
    };
    let num_merged = async |merge: &ForceMerge| -> Result<[usize; 2]> {
        let outcomes = cluster.root.force_merge(merge).await?;
        for outcome in &outcomes {
            outcome.outcome.clone()?;
        }
        let states = cluster.root.reader().shard_states().await;
        let copies = states.copies.iter();
        let whole = copies.filter(|copy| copy.state.segments.len() == 1);
        Ok([outcomes.len(), whole.count()])
    };
    assert_eq!(num_merged(&merge).await?, [1, 1]);
    let all = ForceMerge {
        only_primaries: false,
        ..merge
    };
    assert_eq!(num_merged(&all).await?, [2, 2]);
    Ok(())
}
