//! What the oracle does not know: sloppy phrases, patterns that score, query strings, orders by fields and
//! aggregations must be answered alike by every layout, to the bit. Each member of each family of searches must come
//! up, and find something.

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
use crate::families::{Coverage, draw_parts};
use crate::layout::LAYOUTS;
use crate::told::{Answer, told};
use crate::{aggregations, buckets, look_ups, vectors, wide};

/// Searches of no family that are put to every layout: reduced, and in full. Those of families come on top.
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
    let tallies: Vec<Tally> = corpora.map(|tally| tally?).try_collect().await?;
    let sum = |count: fn(&Tally) -> usize| tallies.iter().map(count).sum::<usize>();
    let (num_found, num_of_families) = (
        sum(|tally| tally.num_found),
        sum(|tally| tally.num_of_families),
    );
    let num_searches = per_corpus * num_corpora;
    ensure!(
        num_found > num_searches / 2,
        "{num_found} of {num_searches} searches of no family found something"
    );
    run::report(
        "exactness-alike",
        &json!({
            "searches": num_searches * LAYOUTS.len(),
            "with_hits": num_found * LAYOUTS.len(),
            "searches_of_families": num_of_families * LAYOUTS.len(),
            "hits_compared": sum(|tally| tally.num_hits),
            "differences": 0,
        }),
    )
}

/// What was compared over one corpus.
#[derive(Default)]
struct Tally {
    /// Searches of no family.
    num_plain: usize,
    /// Those of them that found something in the first layout.
    num_found: usize,
    /// Searches of families.
    num_of_families: usize,
    /// Hits that were compared.
    num_hits: usize,
}

/// Puts `num_searches` searches of no family, and some of families, to every layout of one corpus.
async fn compare_corpus(number: u64, num_searches: usize) -> Result<Tally> {
    // Other streams than those of the searches that the oracle answers.
    let mut random = Random::stream(run::seed(), 1_000 + number);
    let corpus = Corpus::generate(&mut random, run::sized(NUM_STEPS.0, NUM_STEPS.1));
    let node = Node::start().await?;
    for layout in LAYOUTS {
        let mapping = draw_mapping(&mut random);
        layout.build(&node, &corpus, &mapping).await?;
    }
    node.create(look_ups::LISTS, &look_ups::index_body(0))
        .await?;
    node.put(look_ups::LISTS, &look_ups::documents()).await?;
    let mut coverage = Coverage::new();
    let mut tally = Tally::default();
    while tally.num_plain < num_searches {
        let member = coverage.next(&mut random);
        let search = match member {
            Some(at) => coverage.draw(at, &mut random),
            None => draw(&mut random),
        };
        let (first, others) = LAYOUTS.split_first().context("there are layouts")?;
        let expected = answer(&node.root, first.name, &search).await?;
        match member {
            Some(at) => {
                coverage.note(at, &expected);
                tally.num_of_families += 1;
            }
            None => {
                tally.num_plain += 1;
                tally.num_found += usize::from(!expected.hits.is_empty());
            }
        }
        for layout in others {
            let found = answer(&node.root, layout.name, &search).await?;
            ensure!(
                found == expected,
                "seed {}, {}: {search}\n{found:?}\n{}: {expected:?}",
                run::seed(),
                layout.name,
                first.name
            );
            tally.num_hits += found.hits.len();
        }
    }
    coverage.check()?;
    vectors::compare(&node, &mut random).await?;
    Ok(tally)
}

/// A search of the dialect.
pub(crate) struct Search {
    body: Value,
    /// `include_named_queries_score`, which no body says.
    scores_names: bool,
}

impl Search {
    /// Returns that of a body.
    pub(crate) fn of(body: Value) -> Self {
        Self {
            body,
            scores_names: false,
        }
    }

    /// Asks for the scores of named queries too.
    pub(crate) fn with_scores_of_names(self) -> Self {
        Self {
            scores_names: true,
            ..self
        }
    }
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
    look_ups::answer(root, index, &mut request)
        .await
        .with_context(context)?;
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
        body["aggs"] = draw_aggregations(random);
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
pub(crate) fn named(random: &mut Random) -> Value {
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

fn draw_aggregations(random: &mut Random) -> Value {
    let families = match random.chance(2, 3) {
        true => aggregations::FAMILIES,
        false => buckets::FAMILIES,
    };
    let mut parts = draw_parts(random, families);
    let mut drawn = parts["aggs"].take();
    drawn["all"] = json!({"extended_stats": {"field": "number"}});
    drawn
}
