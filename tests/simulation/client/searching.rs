//! Searches: what is asked, for how long, and when the client gives up.

use std::sync::Arc;
use std::time::Duration;

use gleaner_datasets::Random;
use gleaner_query::limits::Limits;
use gleaner_query::search::{SearchRequest, parse_search};
use gleaner_root::plan::Target;
use gleaner_root::search::SearchOptions;
use gleaner_root::{RootError, SearchResponse};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Client;
use crate::cluster::{now, rare_word, word};
use crate::history::{Ended, Search};
use crate::schedule::{Broken, millis, within};
use crate::watched::SEARCH;

/// A window that holds everything there is.
pub(crate) const EVERYTHING: usize = 1_000;

/// A search as drawn.
struct Drawn {
    query: Value,
    size: usize,
    timeout: Duration,
    min_coverage: Option<f64>,
    refuse_partial: bool,
    /// When the client gives it up.
    patience: Option<Duration>,
    is_last: bool,
}

impl Client {
    /// Searches until `end`.
    pub(super) async fn search_on(self: Arc<Self>, mut random: Random, end: Duration) {
        while self.pause(millis(&mut random, 4..60), end).await {
            let drawn = draw(&mut random);
            self.search(&drawn).await;
        }
    }

    /// Searches when all is well: the whole index, or some words in it.
    pub(super) async fn search_last(&self, random: &mut Random, is_whole: bool) {
        let everything = json!({"match_all": {}});
        let drawn = Drawn {
            query: if is_whole { everything } else { query(random) },
            size: EVERYTHING,
            timeout: Duration::from_secs(5),
            min_coverage: None,
            refuse_partial: false,
            patience: None,
            is_last: true,
        };
        self.search(&drawn).await;
    }

    async fn search(&self, drawn: &Drawn) {
        let number = {
            let ready = self.cluster.ready();
            let mut history = self.cluster.history.lock();
            let number = history.searches.len();
            history.searches.push(Search {
                number,
                begun: now(),
                timeout: drawn.timeout,
                size: drawn.size,
                min_coverage: drawn.min_coverage,
                ready,
                is_last: drawn.is_last,
                seen: Vec::new(),
                num_left: 0,
                ended: None,
            });
            number
        };
        self.cluster.trace(|| {
            let ms = drawn.timeout.as_millis();
            format!("s{number} begins: {} within {ms} ms", drawn.query)
        });
        let options = SearchOptions {
            refuse_partial: drawn.refuse_partial,
            min_coverage: drawn.min_coverage,
            ..SearchOptions::default()
        };
        let (target, request) = (Target::default(), self.request(drawn));
        let asked = self.root.search(&target, &request, &options);
        let asked = SEARCH.scope(number, asked);
        let patience = drawn.patience.unwrap_or(Duration::from_secs(3_600));
        let outcome = timeout(patience, asked).await.ok();
        let told = outcome.as_ref().map_or("given up".to_owned(), told);
        self.cluster.trace(|| format!("s{number} {told}"));
        let ended = outcome.map(|outcome| Ended { at: now(), outcome });
        let mut history = self.cluster.history.lock();
        history.searches[number].num_left = history.num_out(number);
        history.searches[number].ended = ended;
    }

    fn request(&self, drawn: &Drawn) -> SearchRequest {
        let given = match self.cluster.schedule.broken {
            Some(Broken::IgnoresDeadlines) => drawn.timeout * 3,
            _ => drawn.timeout,
        };
        let body = json!({
            "query": drawn.query,
            "size": drawn.size,
            "track_total_hits": true,
            "timeout": format!("{}ms", given.as_millis()),
        });
        let parsed = parse_search(body.to_string().as_bytes(), &Limits::default());
        parsed.expect("a good search")
    }
}

fn draw(random: &mut Random) -> Drawn {
    let timeouts = [30, 60, 150, 400, 1_000, 3_000, 3_000, 3_000];
    let timeout = timeouts[random.below(timeouts.len() as u64) as usize];
    Drawn {
        query: query(random),
        size: [1, 3, 10, 10, 40, EVERYTHING][random.below(6) as usize],
        timeout: Duration::from_millis(timeout),
        min_coverage: random.chance(1, 8).then_some(0.9),
        refuse_partial: random.chance(1, 10),
        patience: random.chance(1, 12).then(|| millis(random, 1..60)),
        is_last: false,
    }
}

fn query(random: &mut Random) -> Value {
    match random.below(8) {
        0 | 1 => json!({"match_all": {}}),
        2 => json!({"match": {"body": word(random)}}),
        3..=5 => json!({"match": {"body": rare_word(random)}}),
        _ => {
            let words: Vec<String> = (0..within(random, 2..4)).map(|_| word(random)).collect();
            json!({"match": {"body": words.join(" ")}})
        }
    }
}

fn told(outcome: &Result<SearchResponse, RootError>) -> String {
    match outcome {
        Ok(response) => {
            let ids: Vec<&str> = response
                .hits
                .iter()
                .map(|hit| hit.content.id.as_str())
                .collect();
            let total = response.total.map(|total| total.value);
            let failures = response.shards.failures.iter();
            let failures: Vec<String> = failures.map(|failed| failed.fault.to_string()).collect();
            format!("answered {total:?} {ids:?} {failures:?}")
        }
        Err(error) => format!("failed: {error}"),
    }
}
