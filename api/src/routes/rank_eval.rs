//! `_rank_eval`: how well searches rank what people have judged.

mod metric;

use std::collections::HashMap;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use gleaner_query::answer::Hit;
use gleaner_query::json::{ObjectReader, scalar_text};
use gleaner_query::search::{SearchRequest, parse_search};
use gleaner_root::memory::HeldMemory;
use gleaner_root::plan::Target;
use gleaner_root::search::SearchOptions;
use http::Method;
use serde_json::{Map, Value, json};

use super::search;
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::INDICES;
use crate::render::aggregation::shortest;
use crate::render::shards::Staleness;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};
use metric::{Judged, Metric};

const OWN: &[Parameter] = &[Parameter::honoured("search_type")];

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "rank_eval",
    methods: &[Method::GET, Method::POST],
    paths: &["/_rank_eval", "/{index}/_rank_eval"],
    parameters: &[OWN, INDICES],
    is_refused: false,
}
.answered_by(|request| Box::pin(evaluate(request)))];

/// Most searches of one request.
const MAX_REQUESTS: usize = 10_000;

/// Most hits of all its searches together: each is in the answer.
const MAX_HITS: u64 = 100_000;

/// A hit and what it is worth.
struct Ranked {
    index: String,
    id: String,
    score: Option<f32>,
    rating: Option<i64>,
}

/// What one search found.
struct Found {
    hits: Vec<Ranked>,
    staleness: Staleness,
}

/// One search and what its documents are worth.
struct Rated {
    id: String,
    body: Bytes,
    /// By index and id.
    ratings: HashMap<(String, String), i64>,
}

async fn evaluate(mut request: Request) -> Answer {
    search::check_search_type(request.parameters.get("search_type"))?;
    let body = request.required_json().await?;
    let mut reader = ObjectReader::part("rank_eval", &body)?;
    reader.unsupported(&["templates"])?;
    let metric = reader.take("metric").ok_or_else(|| missing("metric"))?;
    let metric = Metric::parse(metric)?;
    let requests = reader
        .take("requests")
        .and_then(Value::as_array)
        .ok_or_else(|| missing("requests"))?;
    let rated: Vec<Rated> = requests
        .iter()
        .map(|one| rated(one, &metric))
        .collect::<Result<_, _>>()?;
    if rated.is_empty() || rated.len() > MAX_REQUESTS {
        let reason = format!(
            "[requests] must name 1 to {MAX_REQUESTS} searches, and names {}",
            rated.len()
        );
        return Err(ApiError::illegal(reason));
    }
    let most = request.app.options.max_concurrent_searches;
    let concurrent = reader
        .count("max_concurrent_searches")?
        .map_or(most, |given| given as usize);
    if concurrent == 0 {
        return Err(ApiError::illegal("maxConcurrentSearches must be positive"));
    }
    if let Some((key, _)) = reader.rest().next() {
        return Err(ApiError::parse(format!(
            "[rank_eval] unknown field [{key}]"
        )));
    }
    let target = request.target()?;
    let (request, target) = (&request, &target);
    let num_hits = metric.window().saturating_mul(rated.len() as u64);
    if num_hits > MAX_HITS {
        let reason = format!("[requests] times [k] must be at most {MAX_HITS}, and is {num_hits}");
        return Err(ApiError::illegal(reason));
    }
    // As in the dialect, a search that cannot be read refuses all. It is read again for its answer: thousands that are
    // held would take much memory.
    for one in &rated {
        read(request, one).await?;
    }
    let answers = stream::iter(rated).map(|rated| async move {
        let found = Box::pin(found_by(request, target, &rated)).await;
        (rated, found)
    });
    let answers: Vec<_> = answers.buffered(concurrent.min(most)).collect().await;
    Ok(reply(&metric, answers))
}

/// Returns the figures, with a warning where some of the searches may have missed acknowledged writes.
fn reply(metric: &Metric, answers: Vec<(Rated, Result<Found, ApiError>)>) -> Reply {
    let mut staleness = Staleness::default();
    let searches = answers.iter().filter_map(|(_, found)| found.as_ref().ok());
    searches.for_each(|found| staleness.add(found.staleness));
    Reply::json(&shown(metric, answers)).warning(&staleness.warnings())
}

fn missing(field: &str) -> ApiError {
    ApiError::illegal(format!("Required [{field}]"))
}

/// Reads `{"id": …, "request": {…}, "ratings": […]}`.
fn rated(value: &Value, metric: &Metric) -> Result<Rated, ApiError> {
    let mut reader = ObjectReader::part("request", value)?;
    reader.unsupported(&["template_id", "params"])?;
    // Only those fields of a hit are shown that name it.
    reader.ignore(&["summary_fields"]);
    let id = reader.text("id")?.ok_or_else(|| missing("id"))?;
    let mut search = reader
        .take("request")
        .and_then(Value::as_object)
        .ok_or_else(|| missing("request"))?
        .clone();
    for key in [
        "aggs",
        "aggregations",
        "highlight",
        "suggest",
        "explain",
        "profile",
    ] {
        if search.contains_key(key) {
            let reason = format!("Query in rated requests should not contain [{key}].");
            return Err(ApiError::illegal(reason));
        }
    }
    // So many hits as the metric looks at, and nothing of them but their names.
    search.insert("size".to_owned(), metric.window().into());
    for shown in ["fields", "docvalue_fields", "stored_fields"] {
        search.shift_remove(shown);
    }
    if let Some(Value::Object(collapse)) = search.get_mut("collapse") {
        collapse.shift_remove("inner_hits");
    }
    search.insert("_source".to_owned(), false.into());
    search.insert("track_total_hits".to_owned(), false.into());
    let mut ratings = HashMap::new();
    for entry in reader
        .take("ratings")
        .and_then(Value::as_array)
        .ok_or_else(|| missing("ratings"))?
    {
        let mut reader = ObjectReader::part("rating", entry)?;
        let mut text = |field: &'static str| {
            reader
                .take(field)
                .and_then(scalar_text)
                .ok_or_else(|| missing(field))
        };
        let key = (text("_index")?, text("_id")?);
        let rating = reader.integer("rating")?.ok_or_else(|| missing("rating"))?;
        if ratings.insert(key.clone(), rating).is_some() {
            let (index, document) = key;
            return Err(ApiError::illegal(format!(
                "Found duplicate rated document key [{{\"_index\":\"{index}\",\"_id\":\"{document}\"}}] in evaluation request [{id}]"
            )));
        }
    }
    if let Some((key, _)) = reader.rest().next() {
        return Err(ApiError::parse(format!("[request] unknown field [{key}]")));
    }
    Ok(Rated {
        id,
        body: Value::Object(search).to_string().into(),
        ratings,
    })
}

/// Reads a search; the memory that it takes is held as long as what is returned with it.
async fn read(
    request: &Request,
    rated: &Rated,
) -> Result<(SearchRequest, Option<HeldMemory>), ApiError> {
    let limits = request.root().cluster().limits();
    let parse = move |body: &[u8]| parse_search(body, &limits);
    request.making.parsed(&rated.body, parse).await
}

/// Searches, and keeps of each hit its name and what it is worth.
async fn found_by(request: &Request, target: &Target, rated: &Rated) -> Result<Found, ApiError> {
    let (mut search, _held) = read(request, rated).await?;
    request.narrow_boosts(&mut search, &target.options)?;
    let options = SearchOptions {
        origin: request.origin(&rated.body),
        patience: request.patience(),
        memory: Some(request.making.memory.clone()),
        // A figure of half of the documents would be a wrong one.
        refuse_partial: true,
        ..SearchOptions::default()
    };
    let response = search::answer(request, target, search, &options).await?;
    let ranked = |hit: &Hit| {
        let key = (hit.index.clone(), hit.content.id.to_string());
        let rating = rated.ratings.get(&key).copied();
        let (index, id) = key;
        Ranked {
            index,
            id,
            score: hit.score,
            rating,
        }
    };
    Ok(Found {
        hits: response.hits.iter().map(ranked).collect(),
        staleness: Staleness::of_search(&response.shards),
    })
}

/// Renders the figure of each search, and the mean of those that were answered.
fn shown(metric: &Metric, answers: Vec<(Rated, Result<Found, ApiError>)>) -> Value {
    let (mut details, mut failures) = (Map::new(), Map::new());
    let mut sum = 0.0;
    for (rated, found) in answers {
        match found {
            Ok(Found { hits, .. }) => {
                let judged = Judged {
                    ranks: hits.iter().map(|hit| hit.rating).collect(),
                    ratings: rated.ratings.values().copied().collect(),
                };
                let figure = metric.score(&judged);
                sum += figure.score;
                let named = |hit: &Ranked| json!({"_index": hit.index, "_id": hit.id});
                let unrated = hits.iter().filter(|hit| hit.rating.is_none());
                let unrated: Vec<Value> = unrated.map(named).collect();
                let shown_hit = |hit: &Ranked| {
                    let mut shown = named(hit);
                    shown["_score"] = hit.score.and_then(shortest).into();
                    json!({"hit": shown, "rating": hit.rating})
                };
                let hits: Vec<Value> = hits.iter().map(shown_hit).collect();
                let shown = json!({
                    "metric_score": figure.score,
                    "unrated_docs": unrated,
                    "hits": hits,
                    "metric_details": {metric.name(): figure.details},
                });
                details.insert(rated.id, shown);
            }
            Err(error) => {
                let body = serde_json::to_value(error.to_body()).unwrap_or_default();
                failures.insert(rated.id, json!({"error": body["error"]}));
            }
        }
    }
    let mean = if details.is_empty() {
        0.0
    } else {
        sum / details.len() as f64
    };
    json!({"metric_score": mean, "details": details, "failures": failures})
}

#[cfg(test)]
mod tests {
    use gleaner_root::ShardSummary;

    use super::*;

    #[test]
    fn scores_are_shown_as_searches_show_them() {
        let metric = Metric::parse(&json!({"precision": {}})).expect("a metric");
        let rated = Rated {
            id: "a".to_owned(),
            body: Bytes::new(),
            ratings: HashMap::new(),
        };
        let hit = |score| Ranked {
            index: "i".to_owned(),
            id: "1".to_owned(),
            score,
            rating: None,
        };
        let found = Found {
            hits: vec![hit(Some(0.570_827_07)), hit(None)],
            staleness: Staleness::default(),
        };
        let answer = shown(&metric, vec![(rated, Ok(found))]);
        let hits = &answer["details"]["a"]["hits"];
        assert_eq!(hits[0]["hit"]["_score"].to_string(), "0.57082707");
        assert_eq!(hits[1]["hit"]["_score"], Value::Null);
    }

    #[test]
    fn figures_of_copies_without_their_primaries_warn() {
        let metric = Metric::parse(&json!({"precision": {}})).expect("a metric");
        let answer = |stale| {
            let rated = Rated {
                id: "a".to_owned(),
                body: Bytes::new(),
                ratings: HashMap::new(),
            };
            let summary = ShardSummary {
                total: 2,
                stale,
                ..ShardSummary::default()
            };
            let found = Found {
                hits: Vec::new(),
                staleness: Staleness::of_search(&summary),
            };
            (rated, Ok(found))
        };
        let (failed, _) = answer(0);
        let failed = (failed, Err(ApiError::illegal("it is wrong".to_owned())));
        let current = reply(&metric, vec![answer(0), answer(0)]);
        assert!(current.warnings().is_empty());
        let warned = reply(&metric, vec![answer(0), failed, answer(1)]);
        let expected = "1 of 4 shards may be old: their primaries are away";
        assert_eq!(warned.warnings(), [expected]);
    }
}
