//! The same answer both ways: random queries on shards of very different documents, with updates,
//! deletes, merges and ties.

use gleaner_model::IndexMeta;
use gleaner_query::settings::parse_index_settings;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::copies::Pair;
use super::same_both_ways;
use crate::RootOptions;
use crate::testing::{index, shard};

const WORDS: [&str; 6] = ["ash", "beech", "cedar", "elm", "fir", "gum"];

/// An index of three shards.
pub(super) fn three_shards(n: u8) -> IndexMeta {
    let mut meta = index(
        n,
        &json!({"properties": {
            "text": {"type": "text"},
            "tag": {"type": "keyword"},
            "labels": {"type": "keyword", "index_options": "freqs"},
        }}),
    );
    meta.settings.number_of_shards = 3;
    meta.settings.routing_slots = gleaner_model::settings::routing_slots_for(3);
    meta.primary_terms = vec![gleaner_model::PrimaryTerm(1); 3];
    meta
}

/// Has the text fields of an index scored with other numbers.
fn scored(mut meta: IndexMeta, k1: f64, b: f64) -> IndexMeta {
    let similarity = json!({"similarity.default": {"type": "BM25", "k1": k1, "b": b}});
    let settings = parse_index_settings(&similarity).expect("good settings");
    meta.settings.declared.extend(settings.declared);
    meta
}

/// Draws k1 and b, Lucene's half of the time.
fn numbers() -> impl Strategy<Value = (f64, f64)> {
    let k1 = prop_oneof![Just(0.0), Just(2.0), 0.0..5.0_f64];
    let b = prop_oneof![Just(0.0), Just(0.75), Just(1.0), 0.0..1.0_f64];
    prop_oneof![Just((1.2, 0.75)), (k1, b)]
}

#[derive(Debug, Clone)]
enum Step {
    Put(usize, Vec<usize>),
    Delete(usize),
    Refresh,
    Merge(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let words = proptest::collection::vec(0..WORDS.len(), 0..8);
    prop_oneof![
        12 => (0_usize..40, words).prop_map(|(key, words)| Step::Put(key, words)),
        3 => (0_usize..40).prop_map(Step::Delete),
        2 => Just(Step::Refresh),
        1 => (0_usize..2, 0_usize..3).prop_map(|(leaf, shard)| Step::Merge(leaf, shard)),
    ]
}

/// Most documents are on shard 0, and those of shard 2 are twenty times as long.
fn shard_of(key: usize) -> u32 {
    [0, 0, 0, 0, 1, 2][key % 6]
}

impl Pair {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Put(key, words) => {
                let number = shard_of(*key);
                let times = if number == 2 { 20 } else { 1 };
                let text: Vec<&str> = words.iter().map(|word| WORDS[*word]).collect();
                let labels = text.clone();
                let text = text.join(" ");
                let source = json!({
                    "text": vec![text.as_str(); times].join(" "),
                    "tag": WORDS[key % 3],
                    "labels": labels,
                });
                self.put(shard(1, number), &format!("d{key}"), &source);
            }
            Step::Delete(key) => self.delete(shard(1, shard_of(*key)), &format!("d{key}")),
            Step::Refresh => self.refresh((0..3).map(|n| shard(1, n))),
            Step::Merge(leaf, n) => self.leaves[*leaf].merge(shard(1, *n as u32)),
        }
    }
}

fn leaf_query() -> impl Strategy<Value = Value> {
    let words = proptest::collection::vec(0..WORDS.len() + 1, 1..4);
    let text = |words: &[usize]| -> String {
        let word = |at: &usize| WORDS.get(*at).copied().unwrap_or("unheard");
        words.iter().map(word).collect::<Vec<_>>().join(" ")
    };
    prop_oneof![
        (0..WORDS.len(), 1_u8..5).prop_map(|(word, boost)| {
            json!({"term": {"text": {"value": WORDS[word], "boost": f32::from(boost) / 3.0}}})
        }),
        (0_usize..4).prop_map(|tag| json!({"term": {"tag": WORDS[tag]}})),
        (0..WORDS.len()).prop_map(|label| json!({"term": {"labels": WORDS[label]}})),
        words
            .clone()
            .prop_map(move |words| json!({"match": {"text": text(&words)}})),
        words.prop_map(move |words| {
            json!({"match": {"text": {"query": text(&words), "operator": "and"}}})
        }),
    ]
}

fn query() -> impl Strategy<Value = Value> {
    leaf_query().prop_recursive(3, 12, 3, |inner| {
        let some = |most| proptest::collection::vec(inner.clone(), 0..most);
        let msm = prop_oneof![Just(Value::Null), (0_i64..4).prop_map(Value::from)];
        let parts = (some(3), some(4), some(2), some(2), msm, 1_u8..6);
        parts.prop_map(|(must, should, filter, must_not, msm, boost)| {
            let mut query = json!({
                "must": must, "should": should, "filter": filter, "must_not": must_not,
                "boost": f32::from(boost) / 2.0
            });
            let has_positive = !(must.is_empty() && should.is_empty() && filter.is_empty());
            if !has_positive {
                query["should"] = json!([{"term": {"text": "ash"}}]);
            }
            if !msm.is_null() {
                query["minimum_should_match"] = msm;
            }
            json!({"bool": query})
        })
    })
}

fn body() -> impl Strategy<Value = Value> {
    let least = prop_oneof![3 => Just(Value::Null), 1 => (0.0_f64..2.0).prop_map(Value::from)];
    (query(), 0_usize..5, 0_usize..15, least, any::<bool>()).prop_map(
        |(query, from, size, least, is_sorted)| {
            let mut body = json!({
                "query": query, "from": from, "size": size, "track_total_hits": true
            });
            if !least.is_null() {
                body["min_score"] = least;
            }
            if is_sorted {
                body["sort"] = json!(["_score"]);
            }
            body
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn both_ways_give_the_same_hits_scores_and_totals(
        steps in proptest::collection::vec(step(), 1..80),
        more in proptest::collection::vec(step(), 0..20),
        bodies in proptest::collection::vec(body(), 6),
        page in prop_oneof![Just(None), (1_usize..7).prop_map(Some)],
        (k1, b) in numbers(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let meta = scored(three_shards(1), k1, b);
            let mut pair = Pair::new(vec![meta], RootOptions::default());
            for leaf in &pair.leaves {
                *leaf.page.lock() = page;
            }
            for steps in [steps, more] {
                steps.iter().for_each(|step| pair.take(step));
                pair.take(&Step::Refresh);
                for body in &bodies {
                    same_both_ways(&pair.root, body).await;
                }
            }
        });
    }
}

#[tokio::test]
async fn ties_are_cut_by_the_hash_of_the_id_whatever_their_number() {
    let mut pair = Pair::new(vec![three_shards(1)], RootOptions::default());
    for key in 0..120 {
        pair.take(&Step::Put(key, vec![0]));
    }
    pair.take(&Step::Refresh);
    let tags = json!({"bool": {"filter": {"term": {"tag": "ash"}}}});
    for query in [
        json!({"term": {"tag": "ash"}}),
        json!({"term": {"text": "ash"}}),
        tags,
    ] {
        for (from, size) in [(0, 1), (0, 7), (5, 10), (35, 10), (0, 200)] {
            let body = json!({"query": query, "from": from, "size": size});
            same_both_ways(&pair.root, &body).await;
        }
    }
}

#[tokio::test]
async fn explanations_and_counts_are_the_same_too() {
    let mut pair = Pair::new(vec![three_shards(1)], RootOptions::default());
    for key in 0..30 {
        pair.take(&Step::Put(key, vec![key % 6, key % 4, 0]));
    }
    pair.take(&Step::Refresh);
    let query = json!({"match": {"text": "ash cedar"}});
    let body = json!({"query": query, "explain": true, "size": 30});
    let explained = same_both_ways(&pair.root, &body).await;
    for hit in &explained.hits {
        let explanation = hit.content.explanation.as_ref().expect("asked for");
        assert_eq!(Some(explanation.value), hit.score);
    }
    let all = explained.total.expect("counted").value;
    for limit in [0, 1, all - 1, all, all + 1] {
        let counted = json!({"query": query, "size": 0, "track_total_hits": limit});
        let total = same_both_ways(&pair.root, &counted).await.total;
        let total = total.expect("counted");
        assert_eq!(
            (total.value, total.is_exact),
            (all.min(limit), all <= limit)
        );
    }
}

#[tokio::test]
async fn each_index_scores_by_its_own_similarity() {
    let text = json!({"properties": {"text": {"type": "text"}}});
    let indices = vec![
        scored(three_shards(1), 0.0, 0.75),
        scored(index(2, &text), 2.0, 0.0),
        index(3, &text),
    ];
    let mut pair = Pair::new(indices, RootOptions::default());
    for n in 1..=3 {
        let source = json!({"text": "ash ash elm"});
        pair.put(shard(n, 0), &format!("d{n}"), &source);
    }
    pair.put(shard(3, 1), "other", &json!({"text": "elm"}));
    for (n, num_shards) in [(1, 3), (2, 2), (3, 2)] {
        pair.refresh((0..num_shards).map(|number| shard(n, number)));
    }
    let body = json!({"query": {"match": {"text": "ash"}}, "explain": true});
    let found = same_both_ways(&pair.root, &body).await;
    // Documents and their lengths are counted over all indices: N = 4, n = 3, lengths 3, 3, 3 and 1.
    let (idf, average) = ((1.0_f64 + 1.5 / 3.5).ln(), 10.0 / 4.0);
    let score = |k1: f64, b: f64| {
        let norm = k1 * (1.0 - b + b * 3.0 / average);
        (idf * ((k1 + 1.0) * 2.0 / (2.0 + norm))) as f32
    };
    for (name, k1, b) in [
        ("index-1", 0.0, 0.75),
        ("index-2", 2.0, 0.0),
        ("index-3", 1.2, 0.75),
    ] {
        let hit = found
            .hits
            .iter()
            .find(|hit| *hit.index == *name)
            .expect("a hit");
        let expected = score(k1, b);
        assert_eq!(
            hit.score.map(f32::to_bits),
            Some(expected.to_bits()),
            "{name}"
        );
        let explained = hit.content.explanation.as_ref().expect("asked for");
        assert_eq!(explained.value.to_bits(), expected.to_bits());
        let shown = format!("{explained:?}");
        for (name, value) in [("k1, term", k1), ("b, length", b)] {
            let leaf = format!("value: {:?}, description: \"{name}", value as f32);
            assert!(shown.contains(&leaf), "{leaf}: {shown}");
        }
    }
}

#[tokio::test]
async fn indices_that_analyse_differently_share_their_numbers() {
    let english = json!({"properties": {"text": {"type": "text", "analyzer": "english"}}});
    let indices = vec![three_shards(1), index(2, &english), index(3, &json!({}))];
    let mut pair = Pair::new(indices, RootOptions::default());
    for key in 0..20 {
        let text = ["cats", "cat dog", "cats cat cats", "dog dogs"][key % 4];
        let source = json!({"text": text});
        pair.put(shard(1, (key % 3) as u32), &format!("d{key}"), &source);
        pair.put(shard(2, (key % 2) as u32), &format!("d{key}"), &source);
    }
    let shards = [(1, 3), (2, 2), (3, 2)];
    for (n, num_shards) in shards {
        pair.refresh((0..num_shards).map(|number| shard(n, number)));
    }
    for text in ["cats", "cat dogs", "dog"] {
        let body = json!({"query": {"match": {"text": text}}, "size": 40});
        let found = same_both_ways(&pair.root, &body).await;
        assert!(found.hits.len() > 5, "{text}");
    }
}
