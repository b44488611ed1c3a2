//! What the oracle does not know: sloppy phrases, patterns that score, query strings, orders by fields and
//! aggregations must be answered alike by every layout, to the bit.

use std::fmt::{self, Display, Formatter};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use gleaner_datasets::Random;
use gleaner_query::limits::Limits;
use gleaner_query::search::parse_search;
use gleaner_root::Root;
use gleaner_testkit::{Node, node, run};
use serde_json::{Value, json};

use crate::corpus::{Corpus, draw_mapping, word};
use crate::layout::LAYOUTS;
use crate::told::{Answer, told};
use crate::{buckets, vectors, wide};

/// Searches put to every layout: reduced, and in full.
const NUM_SEARCHES: (usize, usize) = (300, 6_000);
/// Different corpora that they are spread over.
const NUM_CORPORA: (usize, usize) = (1, 4);
/// Steps of each corpus's history.
const NUM_STEPS: (usize, usize) = (900, 4_000);

#[tokio::test(flavor = "multi_thread")]
async fn every_layout_answers_alike_what_the_oracle_does_not_know() -> Result<()> {
    let num_corpora = run::sized(NUM_CORPORA.0, NUM_CORPORA.1);
    let per_corpus = run::sized(NUM_SEARCHES.0, NUM_SEARCHES.1) / num_corpora;
    let at_once = std::thread::available_parallelism()?.get();
    let corpora = stream::iter(0..num_corpora as u64)
        .map(|number| tokio::spawn(compare_corpus(number, per_corpus)))
        .buffer_unordered(at_once);
    let found: Vec<(usize, usize)> = corpora.map(|found| found?).try_collect().await?;
    let num_found: usize = found.iter().map(|(searches, _)| searches).sum();
    let num_hits: usize = found.iter().map(|(_, hits)| hits).sum();
    let num_searches = per_corpus * num_corpora;
    ensure!(
        num_found > num_searches / 2,
        "{num_found} of {num_searches} searches found something"
    );
    run::report(
        "exactness-alike",
        &json!({
            "searches": num_searches * LAYOUTS.len(),
            "with_hits": num_found * LAYOUTS.len(),
            "hits_compared": num_hits,
            "differences": 0,
        }),
    )
}

/// Puts searches to every layout of one corpus; returns how many of them found something in the first
/// one, and how many hits were compared.
async fn compare_corpus(number: u64, num_searches: usize) -> Result<(usize, usize)> {
    // Other streams than those of the searches that the oracle answers.
    let mut random = Random::stream(run::seed(), 1_000 + number);
    let corpus = Corpus::generate(&mut random, run::sized(NUM_STEPS.0, NUM_STEPS.1));
    let node = Node::start().await?;
    for layout in LAYOUTS {
        let mapping = draw_mapping(&mut random);
        layout.build(&node, &corpus, &mapping).await?;
    }
    let (mut num_found, mut num_hits) = (0, 0);
    for _ in 0..num_searches {
        let search = draw(&mut random);
        let (first, others) = LAYOUTS.split_first().context("there are layouts")?;
        let expected = answer(&node.root, first.name, &search).await?;
        num_found += usize::from(!expected.hits.is_empty());
        for layout in others {
            let found = answer(&node.root, layout.name, &search).await?;
            ensure!(
                found == expected,
                "seed {}, {}: {search}\n{found:?}\n{}: {expected:?}",
                run::seed(),
                layout.name,
                first.name
            );
            num_hits += found.hits.len();
        }
    }
    vectors::compare(&node, &mut random).await?;
    Ok((num_found, num_hits))
}

/// A search of the dialect.
pub(crate) struct Search {
    body: Value,
    /// `include_named_queries_score`, which no body says.
    scores_names: bool,
}

impl Display for Search {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}, named scores {}", self.body, self.scores_names)
    }
}

/// Returns what is compared of the answer to a search.
pub(crate) async fn answer(root: &Root, index: &str, search: &Search) -> Result<Answer> {
    let context = || format!("{index}: {search}");
    let request = parse_search(search.body.to_string().as_bytes(), &Limits::default());
    let mut request = request.with_context(context)?;
    request.named_scores = search.scores_names;
    let response = node::run_search(root, index, &request).await;
    let response = response.with_context(context)?;
    ensure!(response.shards.failures.is_empty(), "{}", context());
    Ok(told(&response))
}

/// Draws a search.
pub(crate) fn draw(random: &mut Random) -> Search {
    let mut body = json!({
        "query": query(random, 2),
        "size": pick(random, &[1, 3, 10, 10, 40]),
        "from": pick(random, &[0, 0, 0, 5]),
        "track_total_hits": pick(random, &[json!(true), json!(20), json!(10_000)]),
    });
    if random.chance(1, 4) {
        body["sort"] = sort(random);
        body["track_scores"] = json!(random.chance(1, 2));
    }
    if random.chance(1, 4) {
        body["aggs"] = aggregations(random);
    }
    if random.chance(1, 8) && body.get("sort").is_none() {
        body["rescore"] = json!({"window_size": 12, "query": {
            "rescore_query": {"match": {field(random): words(random, 2)}},
            "query_weight": 0.7,
            "rescore_query_weight": pick(random, &[1.2, -0.5]),
        }});
    } else if random.chance(1, 8) {
        body["collapse"] = json!({"field": pick(random, &["tag", "number"])});
    }
    if random.chance(1, 10) {
        body["min_score"] = json!(pick(random, &[0.5, 1.0, 2.5]));
    }
    if random.chance(1, 10) {
        body["post_filter"] = json!({"range": {"number": {"gte": random.below(100) as i64 - 60}}});
    }
    if random.chance(1, 12) {
        body["explain"] = json!(true);
    }
    let is_named = random.chance(1, 6);
    if is_named {
        body["query"] = named(random);
    }
    Search {
        body,
        scores_names: is_named && random.chance(2, 3),
    }
}

/// Queries of which hits tell that they match them: scored, and as filters.
fn named(random: &mut Random) -> Value {
    let least = random.below(60) as i64 - 40;
    json!({"bool": {
        "should": [
            {"bool": {"must": query(random, 1), "_name": "any", "boost": 1.5}},
            {"match": {field(random): {"query": words(random, 2), "_name": "words"}}},
        ],
        "filter": {"bool": {"should": [
            {"range": {"number": {"gte": least, "_name": "number"}}},
            {"bool": {"must": {"term": {"tag": "t1"}}, "_name": "tag"}},
        ]}},
        "boost": pick(random, &[1, 3]),
    }})
}

pub(crate) fn pick<T: Clone>(random: &mut Random, choices: &[T]) -> T {
    choices[random.below(choices.len() as u64) as usize].clone()
}

pub(crate) fn field(random: &mut Random) -> &'static str {
    pick(random, &["body", "body", "title"])
}

pub(crate) fn words(random: &mut Random, at_most: u64) -> String {
    let number = 1 + random.below(at_most);
    let words: Vec<String> = (0..number).map(|_| word(random)).collect();
    words.join(" ")
}

/// The beginning of a word, at least its first two letters.
pub(crate) fn beginning(random: &mut Random) -> String {
    let word = word(random);
    let longest = word.len().max(3) as u64;
    word.chars()
        .take(2 + random.below(longest - 1) as usize)
        .collect()
}

fn query(random: &mut Random, depth: usize) -> Value {
    match random.below(18) {
        10..=17 => wide::query(random),
        0 => sloppy(random),
        1 => last_prefix(random),
        2 => fuzzy(random),
        3 => pattern(random),
        4 => query_string(random),
        5 => fuzzy_match(random),
        6 => json!({"boosting": {
            "positive": fuzzy_match(random),
            "negative": pattern(random),
            "negative_boost": pick(random, &[0.0, 0.3, 1.0]),
        }}),
        7 if depth > 0 => json!({"dis_max": {
            "queries": [query(random, depth - 1), query(random, depth - 1)],
            "tie_breaker": pick(random, &[0.0, 0.4]),
        }}),
        _ if depth > 0 => compound(random, depth - 1),
        _ => sloppy(random),
    }
}

fn sloppy(random: &mut Random) -> Value {
    let slop = random.below(6);
    let text = words(random, 4);
    json!({"match_phrase": {field(random): {"query": text, "slop": slop}}})
}

fn last_prefix(random: &mut Random) -> Value {
    let text = format!("{} {}", words(random, 2), beginning(random));
    let kind = pick(random, &["match_phrase_prefix", "match_bool_prefix"]);
    let mut options = json!({"query": text, "max_expansions": pick(random, &[1, 5, 50])});
    if kind == "match_phrase_prefix" {
        options["slop"] = json!(random.below(3));
    }
    json!({kind: {field(random): options}})
}

fn fuzzy(random: &mut Random) -> Value {
    json!({"fuzzy": {field(random): {
        "value": word(random),
        "fuzziness": pick(random, &[json!(1), json!(2), json!("AUTO")]),
        "max_expansions": pick(random, &[1, 4, 50]),
        "prefix_length": random.below(4),
        "transpositions": random.chance(1, 2),
    }}})
}

fn fuzzy_match(random: &mut Random) -> Value {
    let options = json!({
        "query": words(random, 3),
        "fuzziness": pick(random, &[json!(1), json!("AUTO")]),
        "max_expansions": pick(random, &[2, 50]),
        "operator": pick(random, &["or", "and"]),
    });
    if random.chance(1, 3) {
        let mut options = options;
        options["fields"] = json!(["title^2", "body"]);
        options["type"] = json!(pick(random, &["best_fields", "most_fields"]));
        return json!({"multi_match": options});
    }
    json!({"match": {field(random): options}})
}

/// Patterns score 1 for each match: nothing but ties.
fn pattern(random: &mut Random) -> Value {
    let beginning = beginning(random);
    let name = field(random);
    match random.below(3) {
        0 => json!({"prefix": {name: {"value": beginning}}}),
        1 => json!({"wildcard": {name: {"value": format!("{beginning}*k?")}}}),
        _ => json!({"regexp": {name: {"value": format!("{beginning}[0-9]+k(s|ed)?")}}}),
    }
}

fn query_string(random: &mut Random) -> Value {
    let (one, other) = (word(random), word(random));
    let text = match random.below(6) {
        0 => format!("{one} AND NOT {other}"),
        1 => format!("+{one} {other}^2.5 -{}", word(random)),
        2 => format!("\"{one} {other}\"~{}", random.below(5)),
        3 => format!("{one}~1 OR title:{other}"),
        4 => format!("({one} OR {other}) AND number:[-20 TO 30]"),
        _ => format!("{}* {other}", beginning(random)),
    };
    json!({"query_string": {"query": text, "fields": ["title^1.5", "body"]}})
}

fn compound(random: &mut Random, depth: usize) -> Value {
    let below = random.below(90) as i64 - 30;
    json!({"bool": {
        "must": query(random, depth),
        "should": [query(random, depth), query(random, depth)],
        "filter": {"range": {"number": {"lt": below}}},
        "must_not": {"term": {"tag": format!("t{}", random.below(6))}},
    }})
}

fn sort(random: &mut Random) -> Value {
    let order = pick(random, &["asc", "desc"]);
    match random.below(5) {
        0 => json!([{"number": order}, "_score"]),
        4 => wide::by_distance(random),
        1 => json!([{"tag": order}, {"number": {"order": "desc"}}]),
        2 => json!(["_score", {"number": order}]),
        _ => json!([{"tag": {"order": order, "missing": "_first"}}]),
    }
}

fn aggregations(random: &mut Random) -> Value {
    let figures = json!({"figures": {"stats": {"field": "number"}}});
    let one = match random.below(28) {
        9..=19 => wide::aggregation(random),
        20..=27 => buckets::aggregation(random),
        0 => json!({"terms": {"field": "tag", "size": pick(random, &[2, 10])}, "aggs": figures}),
        1 => {
            json!({"histogram": {"field": "number", "interval": pick(random, &[7, 20])}, "aggs": figures})
        }
        2 => json!({"range": {"field": "number", "ranges": [{"to": 0}, {"from": -10, "to": 20}]}}),
        3 => json!({"cardinality": {"field": "number"}}),
        4 => json!({"composite": {"size": pick(random, &[1, 5]), "sources": [
            {"tag": {"terms": {"field": "tag", "missing_bucket": true}}},
            {"step": {"histogram": {"field": "number", "interval": 9}}},
        ]}, "aggs": figures}),
        5 => json!({"significant_terms": {"field": "tag", "min_doc_count": 1}, "aggs": figures}),
        6 => json!({"rare_terms": {"field": "number", "max_doc_count": 2}}),
        7 => {
            json!({"variable_width_histogram": {"field": "number", "buckets": 4}, "aggs": figures})
        }
        _ => json!({"percentiles": {"field": "number"}}),
    };
    json!({"one": one, "all": {"extended_stats": {"field": "number"}}})
}
