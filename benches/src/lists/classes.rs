//! What is asked: searches without a score or in an order of their own, and aggregations of everything.

use serde_json::{Value, json};

use super::INDEX;

/// Words of the generated documents, by rank: the first stands in nearly every document.
const NUM_WORDS: u32 = 400_000;
/// The instant that ranges begin at, ms: some 86 % of the documents are later.
const SINCE: u64 = 1_600_000_000_000;
/// Words of the query for a thousand of them: neither the most frequent nor the rarest.
const THOUSAND: std::ops::Range<u32> = 1_000..2_000;

/// A request that is repeated as it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Class {
    /// Its name in the table.
    pub(super) name: &'static str,
    /// What the runner of Lucene calls it, where it has it.
    pub(super) peer: Option<&'static str>,
    /// The body of the search.
    pub(super) body: Value,
}

impl Class {
    fn new(name: &'static str, body: Value) -> Self {
        Self {
            name,
            peer: None,
            body,
        }
    }

    /// Returns it as the same as a class of Lucene's runner.
    fn beside(self, peer: &'static str) -> Self {
        Self {
            peer: Some(peer),
            ..self
        }
    }

    /// Returns the path that it is sent to.
    pub(super) fn path() -> String {
        format!("/{INDEX}/_search")
    }
}

/// Returns the word of a rank as the generator of the documents writes it.
fn word(rank: u32) -> String {
    debug_assert!(rank < NUM_WORDS);
    // A generator of Knuth's: each rank has another word, and neighbours share no beginning.
    format!("w{:x}", rank.wrapping_mul(2_654_435_761))
}

fn since() -> Value {
    json!({"range": {"ts": {"gte": SINCE}}})
}

fn keyword() -> Value {
    json!({"term": {"cat": "c5"}})
}

fn frequent() -> Value {
    json!({"match": {"body": word(0)}})
}

/// Returns the searches, each for ten hits and a total up to 10,000 where it does not say otherwise.
pub(super) fn searches() -> Vec<Class> {
    let newest = json!([{"ts": "desc"}]);
    let (since, keyword, frequent) = (since(), keyword(), frequent());
    let of = |query: &Value| json!({"query": query});
    let sorted = |query: &Value| json!({"query": query, "sort": newest});
    let all = json!({"match_all": {}});
    vec![
        Class::new(
            "an empty request",
            json!({"size": 0, "track_total_hits": false}),
        ),
        Class::new("match_all", of(&all)).beside("match_all top10"),
        Class::new("term on the keyword", of(&keyword)).beside("term keyword top10"),
        Class::new(
            "term in bool.filter",
            json!({"query": {"bool": {"filter": keyword}}}),
        )
        .beside("term keyword top10"),
        Class::new("range on the date", of(&since)).beside("range ts top10"),
        Class::new("exists", json!({"query": {"exists": {"field": "num"}}})).beside("exists top10"),
        Class::new("range, newest first", sorted(&since)).beside("range ts sort ts desc"),
        Class::new("keyword, newest first", sorted(&keyword)).beside("filter cat sort ts desc"),
        Class::new("frequent word, newest first", sorted(&frequent))
            .beside("match w0 sort ts desc"),
        Class::new(
            "match_all by a number",
            json!({"query": all, "sort": [{"num": "asc"}]}),
        )
        .beside("match_all sort num asc"),
        Class::new(
            "match_all by a number, no total",
            json!({"query": all, "sort": [{"num": "asc"}], "track_total_hits": false}),
        )
        .beside("sort num page 1"),
        Class::new("frequent word by score", of(&frequent)).beside("match w0 top10"),
        Class::new(
            "frequent word by score, then date",
            json!({"query": frequent, "sort": ["_score", {"ts": "desc"}]}),
        ),
        Class::new(
            "count of a range",
            json!({"query": since, "size": 0, "track_total_hits": true}),
        )
        .beside("count range"),
        Class::new(
            "must_not alone",
            json!({"query": {"bool": {"must_not": keyword}}}),
        ),
        Class::new(
            "prefix of many words",
            json!({"query": {"prefix": {"body": "w1"}}}),
        ),
        Class::new("terms of 1,000 words", of(&thousand_words())),
        Class::new(
            "pattern *ce*4",
            json!({"query": {"wildcard": {"body": "*ce*4"}}}),
        ),
        Class::new("random_score of a frequent word", of(&random())),
        Class::new("distance_feature", of(&distance())),
    ]
}

fn thousand_words() -> Value {
    let words: Vec<String> = THOUSAND.map(word).collect();
    json!({"terms": {"body": words}})
}

fn random() -> Value {
    json!({"function_score": {
        "query": frequent(), "random_score": {"seed": 7, "field": "_seq_no"}, "boost_mode": "replace",
    }})
}

fn distance() -> Value {
    json!({"distance_feature": {"field": "ts", "origin": SINCE, "pivot": "30d"}})
}

/// Returns the aggregations, each alone in its request and without hits.
pub(super) fn aggregations() -> Vec<Class> {
    let of =
        |name, aggregation: Value| Class::new(name, json!({"size": 0, "aggs": {"a": aggregation}}));
    let by_day = json!({"date_histogram": {"field": "ts", "calendar_interval": "day"}});
    let minimum = json!({"min": {"field": "num"}});
    let maximum = json!({"max": {"field": "num"}});
    vec![
        of(
            "terms on a number of a million values",
            json!({"terms": {"field": "num"}}),
        ),
        of("composite on a number, first page", composite(None)),
        of("composite on a number, late page", composite(Some(900_000))),
        of("percentiles", json!({"percentiles": {"field": "num"}})),
        of(
            "filters",
            json!({"filters": {"filters": {
                "one": keyword(), "other": {"term": {"cat": "c7"}}, "late": since(),
            }}}),
        ),
        of("date_histogram by day", by_day.clone()),
        Class::new(
            "date_histogram by day, of a range",
            json!({"query": since(), "size": 0, "aggs": {"a": by_day}}),
        ),
        of("cardinality", json!({"cardinality": {"field": "num"}})),
        of(
            "terms on the keyword with avg",
            json!({"terms": {"field": "cat"}, "aggs": {"mean": {"avg": {"field": "num"}}}}),
        ),
        Class::new(
            "min and max",
            json!({"size": 0, "aggs": {"least": minimum, "most": maximum}}),
        ),
        of(
            "date_range",
            json!({"date_range": {"field": "ts", "ranges": [
                {"to": "2021-01-01"}, {"from": "2021-01-01", "to": "2023-01-01"}, {"from": "2023-01-01"},
            ]}}),
        ),
        of("terms on the keyword", json!({"terms": {"field": "cat"}})),
    ]
}

/// Returns a page of the numbers, behind one of them.
fn composite(after: Option<u32>) -> Value {
    let mut composite = json!({"sources": [{"num": {"terms": {"field": "num"}}}], "size": 100});
    if let Some(after) = after {
        composite["after"] = json!({"num": after});
    }
    json!({"composite": composite})
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_classes_have_one_name() {
        let classes = [searches(), aggregations()].concat();
        let names: HashSet<_> = classes.iter().map(|class| class.name).collect();
        assert_eq!(names.len(), classes.len());
    }

    #[test]
    fn words_are_those_of_the_generator() {
        assert_eq!(word(0), "w0");
        assert_eq!(word(2), "w3c6ef362");
    }
}
