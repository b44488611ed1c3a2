//! The searches that the demo runs and shows: words, a phrase with a filter, an aggregation.

use std::io::{Write, stdout};

use anyhow::Result;
use gleaner_datasets::Generator;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    remote::{self, Remote},
    terminal::{Palette, cut, grouped, one_line},
};

/// Generated documents that are looked at for words to search.
const NUM_LOOKED_AT: usize = 20;

/// A search to try.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Search {
    /// What it finds, in words.
    about: &'static str,
    /// Body of the request.
    body: Value,
    /// The field that names a hit for people.
    title: &'static str,
}

impl Search {
    /// Runs the search and prints it with what it finds.
    pub(super) async fn show(&self, remote: &Remote, index: &str, address: &str) -> Result<()> {
        let request = remote
            .request(Method::POST, &[index, "_search"])
            .json(&self.body);
        let answer = remote::json(request.send().await?).await?;
        let Palette {
            strong,
            faint,
            reset,
            ..
        } = Palette::of_stdout();
        let mut out = stdout().lock();
        writeln!(out, "\n{strong}{}{reset}", self.about)?;
        writeln!(out, "{}", self.curl(address, index))?;
        let total = answer["hits"]["total"]["value"]
            .as_u64()
            .unwrap_or_default();
        let took = answer["took"].as_u64().unwrap_or_default();
        writeln!(out, "{faint}  {} match, {took} ms{reset}", grouped(total))?;
        for hit in answer["hits"]["hits"].as_array().into_iter().flatten() {
            let title = hit["_source"][self.title].as_str().unwrap_or_default();
            let id = hit["_id"].as_str().unwrap_or_default();
            writeln!(out, "  {}  {faint}{id}{reset}", cut(&one_line(title), 60))?;
        }
        for (name, aggregation) in answer["aggregations"].as_object().into_iter().flatten() {
            writeln!(out, "  {name}: {}", buckets(aggregation))?;
        }
        Ok(())
    }

    /// Writes the search as a command for a shell.
    fn curl(&self, address: &str, index: &str) -> String {
        // A quote inside single quotes ends them, adds one, and opens them again.
        let body = self.body.to_string().replace('\'', r"'\''");
        format!(
            "curl -s 'http://{address}/{index}/_search?pretty' \
             -H 'Content-Type: application/json' -d '{body}'"
        )
    }
}

fn buckets(aggregation: &Value) -> String {
    let buckets = aggregation["buckets"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let told = buckets.iter().take(6).map(|bucket| {
        let key = bucket["key_as_string"]
            .as_str()
            .or_else(|| bucket["key"].as_str());
        let count = bucket["doc_count"].as_u64().unwrap_or_default();
        format!("{} {}", key.unwrap_or("?"), grouped(count))
    });
    told.collect::<Vec<_>>().join(", ")
}

/// Searches over the crates of a registry.
pub(super) fn of_crates() -> Vec<Search> {
    let source = json!(["crate", "version", "path", "title"]);
    vec![
        Search {
            about: "words, ranked over title and text, with what matched",
            body: json!({
                "query": {"multi_match": {
                    "query": "work stealing thread pool",
                    "fields": ["title^3", "body"],
                }},
                "highlight": {"fields": {"body": {"fragment_size": 100, "number_of_fragments": 1}}},
                "_source": source, "size": 3,
            }),
            title: "title",
        },
        Search {
            about: "a phrase, in documentation only",
            body: json!({
                "query": {"bool": {
                    "must": {"match_phrase": {"body": "zero copy"}},
                    "filter": {"terms": {"kind": ["readme", "guide", "changelog", "doc"]}},
                }},
                "_source": source, "size": 3,
            }),
            title: "title",
        },
        Search {
            about: "licences and kinds of what speaks of unsafe code",
            body: json!({
                "query": {"match": {"body": "unsafe"}},
                "size": 0,
                "aggs": {
                    "licences": {"terms": {"field": "licence", "size": 5}},
                    "kinds": {"terms": {"field": "kind"}},
                },
            }),
            title: "title",
        },
    ]
}

/// What stands in generated documents, so that searches for it find some.
struct Generated {
    words: String,
    category: Value,
    /// That of one of the category.
    rating: f64,
}

impl Generated {
    /// Looks for it in the documents that are made first, the best rated of them.
    fn of(generator: &Generator) -> Self {
        let documents = generator.documents().take(NUM_LOOKED_AT).flatten();
        let documents =
            documents.filter_map(|document| serde_json::from_str(&document.source).ok());
        let rating = |document: &Value| document["rating"].as_f64().unwrap_or_default();
        let best: Option<Value> =
            documents.max_by(|one, other| rating(one).total_cmp(&rating(other)));
        let best = best.unwrap_or_default();
        let title = best["title"].as_str().unwrap_or_default();
        Self {
            words: title.split(' ').take(2).collect::<Vec<_>>().join(" "),
            category: best["category"].clone(),
            rating: rating(&best).floor(),
        }
    }
}

/// Searches over generated text, whose words mean nothing.
pub(super) fn of_generated(generator: &Generator) -> Vec<Search> {
    let Generated {
        words,
        category,
        rating,
    } = Generated::of(generator);
    vec![
        Search {
            about: "words, ranked over title and text, with what matched",
            body: json!({
                "query": {"multi_match": {
                    "query": words,
                    "fields": ["title^3", "body"],
                }},
                "highlight": {"fields": {"body": {"fragment_size": 100, "number_of_fragments": 1}}},
                "_source": ["title", "category"], "size": 3,
            }),
            title: "title",
        },
        Search {
            about: "one category, well rated, newest first",
            body: json!({
                "query": {"bool": {"filter": [
                    {"term": {"category": category}},
                    {"range": {"rating": {"gte": rating}}},
                ]}},
                "sort": [{"published": "desc"}],
                "_source": ["title", "published", "rating"], "size": 3,
            }),
            title: "title",
        },
        Search {
            about: "documents per year, and what they cost",
            body: json!({
                "size": 0,
                "aggs": {"years": {
                    "date_histogram": {"field": "published", "calendar_interval": "year"},
                    "aggs": {"price": {"avg": {"field": "price"}}},
                }},
            }),
            title: "title",
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_a_command_for_a_shell() {
        let search = Search {
            about: "",
            body: json!({"q": "it's"}),
            title: "title",
        };
        assert_eq!(
            search.curl("127.0.0.1:1", "crates"),
            "curl -s 'http://127.0.0.1:1/crates/_search?pretty' \
             -H 'Content-Type: application/json' -d '{\"q\":\"it'\\''s\"}'"
        );
    }
}
