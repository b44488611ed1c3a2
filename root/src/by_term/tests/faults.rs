//! Copies at different generations, failing copies, remembered lists, bounds of memory.

use std::sync::atomic::Ordering;

use gleaner_model::ShardKey;
use gleaner_proto::LeafFault;
use gleaner_query::search::parse_search;
use serde_json::{Value, json};

use super::copies::Pair;
use super::same::three_shards;
use super::{same_both_ways, scattered, search, shown};
use crate::RootOptions;
use crate::plan::Target;
use crate::search::SearchOptions;
use crate::testing::{limits, shard};
use crate::waterfall::TermsCost;

fn all() -> [ShardKey; 3] {
    [0, 1, 2].map(|n| shard(1, n))
}

/// Forty documents of "cat", "dog" or both, over three shards.
fn pair(options: RootOptions) -> Pair {
    let mut pair = Pair::new(vec![three_shards(1)], options);
    for key in 0..40 {
        let text = ["cat", "dog", "cat dog", "dog dog cat", "cow"][key % 5];
        pair.put(
            shard(1, (key % 3) as u32),
            &format!("d{key}"),
            &json!({"text": text}),
        );
    }
    pair.refresh(all());
    pair
}

fn both() -> Value {
    json!({"query": {"match": {"text": {"query": "cat dog", "operator": "and"}}}, "profile": true})
}

async fn cost(pair: &Pair, body: &Value) -> TermsCost {
    let found = search(&pair.root, &scattered(body, "terms")).await;
    let profile = found.expect("an answer").profile.expect("asked for");
    profile.terms.expect("by terms")
}

#[tokio::test]
async fn each_term_is_a_request_of_its_own_spread_over_the_copies() {
    let pair = pair(RootOptions::default());
    let words: Vec<String> = (0..40).map(|n| format!("w{n}")).collect();
    let body = json!({"query": {"match": {"text": words.join(" ")}}, "profile": true});
    let cost = cost(&pair, &body).await;
    let asked: Vec<usize> = pair
        .leaves
        .iter()
        .map(|leaf| leaf.asked.lock().len())
        .collect();
    assert_eq!(cost.list_requests as usize, asked.iter().sum::<usize>());
    let of_shards = |leaf: usize| -> usize {
        pair.leaves[leaf]
            .asked
            .lock()
            .iter()
            .map(|(_, num_shards, _)| num_shards)
            .sum()
    };
    assert_eq!(of_shards(0) + of_shards(1), 40 * 3);
    assert!(of_shards(0) > 30 && of_shards(1) > 30, "{asked:?}");
}

#[tokio::test]
async fn a_list_of_an_older_generation_is_asked_again() {
    let mut pair = pair(RootOptions::default());
    let old: Vec<_> = all()
        .iter()
        .map(|shard| pair.leaves[0].newest(*shard))
        .collect();
    for key in 0..9 {
        pair.put(
            shard(1, (key % 3) as u32),
            &format!("d{key}"),
            &json!({"text": "dog cat"}),
        );
    }
    pair.refresh(all());
    for leaf in &pair.leaves {
        let views = all().into_iter().zip(&old);
        let of_cat = views.map(|(shard, view)| ((shard, "cat".to_owned()), view.clone()));
        leaf.old_views.lock().extend(of_cat);
    }
    let mixed = search(&pair.root, &scattered(&both(), "terms"))
        .await
        .expect("an answer");
    let cost = mixed.profile.as_ref().and_then(|profile| profile.terms);
    assert_eq!(cost.map(|cost| cost.rounds), Some(2));
    let expected = search(&pair.root, &both()).await.expect("an answer");
    assert_eq!(shown(&mixed), shown(&expected));
    assert_eq!(expected.total.map(|total| total.value), Some(21));
}

#[tokio::test]
async fn copies_that_move_on_with_every_request_are_pinned_in_the_end() {
    let options = RootOptions {
        hedge_share: 0.0,
        is_choosing_copies: false,
        ..RootOptions::default()
    };
    let pair = pair(options);
    pair.leaves[0].is_restless.store(true, Ordering::Relaxed);
    let found = search(&pair.root, &scattered(&both(), "terms"))
        .await
        .expect("an answer");
    let profile = found.profile.as_ref().expect("asked for");
    assert_eq!(profile.terms.map(|cost| cost.rounds), Some(3));
    let asked = pair.leaves[0].asked.lock().clone();
    let seen: Vec<(&str, bool)> = asked
        .iter()
        .map(|(term, _, named)| (&**term, *named))
        .collect();
    let expected = [
        ("cat", false),
        ("dog", false),
        ("cat", false),
        ("dog", true),
    ];
    assert_eq!(seen, expected);
    assert_eq!(shown(&found).hits.len(), 10);
    assert_eq!(found.total.map(|total| total.value), Some(16));
}

#[tokio::test]
async fn another_copy_gives_the_list_that_one_cannot_give() {
    let pair = pair(RootOptions::default());
    for (leaf, term) in [(0, "cat"), (1, "dog")] {
        let fault = LeafFault::Internal {
            shard: shard(1, 0),
            reason: "as a test asks".to_owned(),
        };
        pair.leaves[leaf]
            .faults
            .lock()
            .insert(term.to_owned(), fault);
    }
    let found = same_both_ways(&pair.root, &both()).await;
    assert_eq!(found.total.map(|total| total.value), Some(16));
}

#[tokio::test]
async fn shards_that_lack_a_list_are_missing_and_reported() {
    let pair = pair(RootOptions::default());
    for leaf in &pair.leaves {
        let fault = LeafFault::Memory {
            account: "test".into(),
            wanted_bytes: 2,
            limit_bytes: 1,
        };
        leaf.faults.lock().insert("dog".to_owned(), fault);
    }
    let failed = search(&pair.root, &scattered(&both(), "terms")).await;
    let failed = failed.expect_err("no shard has all lists");
    assert_eq!(failed.to_string(), "all shards failed");
    let one = json!({"query": {"match": {"text": "cat"}}});
    same_both_ways(&pair.root, &one).await;
}

#[tokio::test(start_paused = true)]
async fn a_list_is_remembered_for_as_long_as_the_shard_shows_the_same() {
    let mut pair = pair(RootOptions::default());
    let first = cost(&pair, &both()).await;
    assert_eq!((first.cache_hits, first.rounds), (0, 1));
    let asked = pair.num_asked();
    let second = search(&pair.root, &scattered(&both(), "terms"))
        .await
        .expect("an answer");
    let profile = second.profile.as_ref().expect("asked for");
    let cost = profile.terms.expect("by terms");
    assert_eq!((cost.cache_hits, cost.rounds, cost.list_bytes), (6, 0, 0));
    assert_eq!(pair.num_asked(), asked, "no list was asked for");
    assert_eq!(profile.num_restarts, 0);
    pair.put(shard(1, 0), "new", &json!({"text": "cat dog"}));
    pair.refresh(all());
    let third = search(&pair.root, &scattered(&both(), "terms"))
        .await
        .expect("an answer");
    assert_eq!(
        third.total.map(|total| total.value),
        Some(17),
        "never a stale answer"
    );
    assert_eq!(third.profile.expect("asked for").num_restarts, 1);
    let no_hits = json!({"query": {"match": {"text": "cat"}}, "size": 0});
    same_both_ways(&pair.root, &no_hits).await;
    pair.put(shard(1, 1), "newer", &json!({"text": "cat"}));
    pair.refresh(all());
    same_both_ways(&pair.root, &no_hits).await;
}

#[tokio::test]
async fn lists_beyond_the_memory_of_a_search_are_refused() {
    let options = RootOptions {
        term_lists_memory_bytes: 400,
        ..RootOptions::default()
    };
    let pair = pair(options);
    let failed = search(&pair.root, &scattered(&both(), "terms")).await;
    let Err(crate::RootError::AllShardsFailed { failures, .. }) = failed else {
        panic!("{failed:?}");
    };
    let is_memory = |fault: &LeafFault| matches!(fault, LeafFault::Memory { .. });
    assert!(
        failures.iter().any(|failure| is_memory(&failure.fault)),
        "{failures:?}"
    );
    let small = json!({"query": {"term": {"text": "unheard"}}});
    same_both_ways(&pair.root, &small).await;
}

#[tokio::test]
async fn pages_are_put_together() {
    let pair = pair(RootOptions::default());
    for leaf in &pair.leaves {
        *leaf.page.lock() = Some(2);
    }
    let cost = cost(&pair, &both()).await;
    assert!(cost.list_requests > 6, "{cost:?}");
    same_both_ways(&pair.root, &both()).await;
}

#[tokio::test]
async fn a_point_in_time_is_refused() {
    let pair = pair(RootOptions::default());
    let keep_alive = std::time::Duration::from_secs(60);
    let opened = pair
        .root
        .contexts()
        .open_pit(&Target::default(), keep_alive)
        .await;
    let mut body = scattered(&both(), "terms");
    body["pit"] = json!({"id": opened.expect("it opens")});
    let request = parse_search(body.to_string().as_bytes(), &limits()).expect("a good search");
    let refused = pair
        .root
        .search(&Target::default(), &request, &SearchOptions::default())
        .await;
    let reason = refused.expect_err("refused").to_string();
    assert!(reason.contains("[pit]"), "{reason}");
}

#[tokio::test]
async fn shards_of_copies_without_their_primaries_are_counted_remembered_lists_or_not() {
    let pair = pair(RootOptions::default());
    let stale = |is_stale| {
        let set = |leaf: &std::sync::Arc<super::copies::CopyLeaf>| {
            leaf.is_stale.store(is_stale, Ordering::Relaxed);
        };
        pair.leaves.iter().for_each(set);
    };
    // Nothing holds the second: no hit is to be located then.
    for body in [both(), json!({"query": {"match": {"text": "yew"}}})] {
        for (is_stale, expected) in [(true, 3), (true, 3), (false, 0)] {
            stale(is_stale);
            let found = search(&pair.root, &scattered(&body, "terms")).await;
            let shards = found.expect("an answer").shards;
            assert_eq!((shards.stale, shards.successful), (expected, 3), "{body}");
        }
    }
}
