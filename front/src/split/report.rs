//! What is known of a shadow: how alike its answers are, how fast it is, and where it differs most.

use std::time::Duration;

use gleaner_model::metric;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};

use super::canary::times;
use super::compare::{Likeness, Ranking};

/// Requests that are kept with both lists: those that differ most.
const MOST_WORST: usize = 100;

/// Longest text of a request that is kept, in characters.
const MOST_CHARACTERS: usize = 2_048;

/// How much worse a pair is for another total: less than for a hit that one side lacks, which is a tenth at least.
const OTHER_TOTAL: f64 = 0.02;

/// How much worse a pair is for other scores.
const OTHER_SCORES: f64 = 0.01;

/// Pairs that differ by less are alike, but for the rounding of sums.
const ALIKE: f64 = 1e-9;

/// Badness of a pair with two statuses: more than any two rankings have.
const OTHER_STATUS: f64 = 2.0;

/// One comparison.
pub(super) struct Comparison {
    /// Method and path, and what it asked where that is kept.
    pub(super) request: String,
    pub(super) body: Option<String>,
    pub(super) main: Side,
    pub(super) shadow: Side,
}

/// One answer of two.
pub(super) struct Side {
    pub(super) status: u16,
    pub(super) took: Duration,
    /// `None` where it is no answer to a search.
    pub(super) ranking: Option<Ranking>,
}

/// A request whose answers differ.
#[derive(Debug, Clone, Serialize)]
struct Worst {
    request: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    likeness: Option<Likeness>,
    main: WorstSide,
    shadow: WorstSide,
}

#[derive(Debug, Clone, Serialize)]
struct WorstSide {
    status: u16,
    took_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranking: Option<Ranking>,
}

/// What is known of a shadow since the front began.
pub(crate) struct ShadowReport {
    /// Address of the shadow.
    to: String,
    share: String,
    known: Mutex<Known>,
}

impl std::fmt::Debug for ShadowReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShadowReport")
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

struct Known {
    compared: u64,
    dropped: u64,
    failed: u64,
    other_status: u64,
    searches: u64,
    same: u64,
    other_total: u64,
    overlap: Mean,
    rbo: Mean,
    /// Comparisons by their overlap, in tenths.
    by_overlap: [u64; 11],
    largest_score_difference: f64,
    main_us: Histogram<u64>,
    shadow_us: Histogram<u64>,
    worst: Vec<(f64, Worst)>,
}

#[derive(Default)]
struct Mean {
    number: u64,
    sum: f64,
}

impl Mean {
    fn note(&mut self, value: f64) {
        self.number += 1;
        self.sum += value;
    }

    fn value(&self) -> Option<f64> {
        (self.number > 0).then(|| self.sum / self.number as f64)
    }
}

impl ShadowReport {
    pub(super) fn new(to: String, share: String) -> Self {
        Self {
            to,
            share,
            known: Mutex::new(Known {
                compared: 0,
                dropped: 0,
                failed: 0,
                other_status: 0,
                searches: 0,
                same: 0,
                other_total: 0,
                overlap: Mean::default(),
                rbo: Mean::default(),
                by_overlap: [0; 11],
                largest_score_difference: 0.0,
                main_us: times(),
                shadow_us: times(),
                worst: Vec::new(),
            }),
        }
    }

    /// Notes a copy that was not sent for want of room.
    pub(super) fn note_dropped(&self) {
        count("dropped");
        self.known.lock().dropped += 1;
    }

    /// Notes a copy without an answer.
    pub(super) fn note_failed(&self) {
        count("failed");
        self.known.lock().failed += 1;
    }

    /// Notes two answers.
    pub(super) fn note(&self, comparison: Comparison) {
        count("compared");
        let likeness = match (&comparison.main.ranking, &comparison.shadow.ranking) {
            (Some(main), Some(shadow)) => Some(main.likeness(shadow)),
            _ => None,
        };
        let has_other_status = comparison.main.status != comparison.shadow.status;
        let badness = match likeness {
            _ if has_other_status => OTHER_STATUS,
            Some(likeness) => badness(likeness),
            None => 0.0,
        };
        let mut known = self.known.lock();
        known.compared += 1;
        known.other_status += u64::from(has_other_status);
        record(&mut known.main_us, comparison.main.took);
        record(&mut known.shadow_us, comparison.shadow.took);
        if let Some(likeness) = likeness {
            known.searches += 1;
            known.overlap.note(likeness.overlap);
            known.rbo.note(likeness.rbo);
            known.by_overlap[(likeness.overlap * 10.0).floor().clamp(0.0, 10.0) as usize] += 1;
            known.same += u64::from(
                comparison.main.ranking.as_ref().map(|it| &it.ids)
                    == comparison.shadow.ranking.as_ref().map(|it| &it.ids),
            );
            known.other_total += u64::from(!likeness.has_same_total);
            known.largest_score_difference = known
                .largest_score_difference
                .max(likeness.score_difference);
        }
        if badness > ALIKE {
            known.keep(badness, comparison, likeness);
        }
    }

    /// Returns what is known, as `GET /_front/shadow` answers it.
    pub(crate) fn to_json(&self) -> Value {
        let known = self.known.lock();
        let worst: Vec<&Worst> = known.worst.iter().map(|(_, worst)| worst).collect();
        json!({
            "to": self.to,
            "share": self.share,
            "compared": known.compared,
            "dropped": known.dropped,
            "failed": known.failed,
            "other_status": known.other_status,
            "searches": {
                "compared": known.searches,
                "same_order": known.same,
                "other_total": known.other_total,
                "mean_overlap": known.overlap.value(),
                "mean_rbo": known.rbo.value(),
                "by_overlap_in_tenths": known.by_overlap,
                "largest_score_difference": known.largest_score_difference,
            },
            "main_ms": quantiles(&known.main_us),
            "shadow_ms": quantiles(&known.shadow_us),
            "worst": worst,
        })
    }
}

impl Known {
    /// Keeps a comparison among the worst, the worst first.
    fn keep(&mut self, badness: f64, comparison: Comparison, likeness: Option<Likeness>) {
        let at = self.worst.partition_point(|(other, _)| *other >= badness);
        if at >= MOST_WORST {
            return;
        }
        let side = |side: Side| WorstSide {
            status: side.status,
            took_ms: side.took.as_secs_f64() * 1_000.0,
            ranking: side.ranking,
        };
        let cut = |text: String| text.chars().take(MOST_CHARACTERS).collect::<String>();
        let worst = Worst {
            request: cut(comparison.request),
            body: comparison.body.map(cut),
            likeness,
            main: side(comparison.main),
            shadow: side(comparison.shadow),
        };
        self.worst.insert(at, (badness, worst));
        self.worst.truncate(MOST_WORST);
    }
}

/// Returns how much two rankings differ: 0 where they are alike, below [`OTHER_STATUS`] always.
///
/// Rank-biased overlap alone does not tell: it takes a list that ends for one that goes on as it began, so that of a
/// list and its own beginning is 1.
fn badness(likeness: Likeness) -> f64 {
    let mut badness = (1.0 - likeness.rbo).max(1.0 - likeness.overlap);
    if !likeness.has_same_total {
        badness += OTHER_TOTAL;
    }
    if !likeness.has_same_scores {
        badness += OTHER_SCORES;
    }
    badness
}

fn count(outcome: &'static str) {
    metrics::counter!(metric::FRONT_SHADOWED.name, "outcome" => outcome).increment(1);
}

fn record(times: &mut Histogram<u64>, took: Duration) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    times.saturating_record(micros.max(1));
}

fn quantiles(times: &Histogram<u64>) -> Value {
    let ms = |quantile| times.value_at_quantile(quantile) as f64 / 1_000.0;
    json!({"p50": ms(0.5), "p95": ms(0.95), "p99": ms(0.99), "max": times.max() as f64 / 1_000.0})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(status: u16, ids: &str) -> Side {
        Side {
            status,
            took: Duration::from_millis(5),
            ranking: Some(Ranking {
                ids: ids.chars().map(String::from).collect(),
                scores: ids.chars().map(|_| Some(1.0)).collect(),
                total: Some(ids.len() as u64),
            }),
        }
    }

    #[test]
    fn a_beginning_of_a_list_other_totals_and_other_scores_are_differences() {
        let report = ShadowReport::new("http://new".to_owned(), "5%".to_owned());
        let note = |request: &str, main: Side, shadow: Side| {
            report.note(Comparison {
                request: request.to_owned(),
                body: None,
                main,
                shadow,
            });
        };
        let changed = |change: fn(&mut Ranking)| {
            let mut side = side(200, "ab");
            side.ranking.iter_mut().for_each(change);
            side
        };
        note("same", side(200, "ab"), side(200, "ab"));
        let rounded = changed(|ranking| ranking.scores[0] = Some(1.000_001));
        note("rounded", side(200, "ab"), rounded);
        let large = |score: f32| {
            let mut side = side(200, "ab");
            let scores = side.ranking.iter_mut().map(|ranking| &mut ranking.scores);
            scores.for_each(|scores| scores[0] = Some(f64::from(score)));
            side
        };
        note("large and rounded", large(9_000.0), large(9_000.001));
        let scored = changed(|ranking| ranking.scores[0] = Some(1.5));
        note("scores", side(200, "ab"), scored);
        let counted = changed(|ranking| ranking.total = Some(9));
        note("total", side(200, "ab"), counted);
        note("beginning", side(200, "a"), side(200, "ab"));
        let shown = report.to_json();
        let worst = shown["worst"].as_array().expect("a list");
        let requests: Vec<&Value> = worst.iter().map(|worst| &worst["request"]).collect();
        assert_eq!(requests, ["beginning", "total", "scores"]);
        assert_eq!(worst[0]["likeness"]["overlap"], 0.5);
    }

    #[test]
    fn the_worst_are_kept_with_both_lists_and_no_more_than_a_hundred() {
        let report = ShadowReport::new("http://new".to_owned(), "5%".to_owned());
        let note = |request: String, main: Side, shadow: Side| {
            report.note(Comparison {
                request,
                body: None,
                main,
                shadow,
            });
        };
        for n in 0..200 {
            note(format!("near {n}"), side(200, "abcd"), side(200, "abdc"));
        }
        note("far".to_owned(), side(200, "abcd"), side(200, "efgh"));
        note("fails".to_owned(), side(200, "abcd"), side(500, "abcd"));
        note("same".to_owned(), side(200, "abcd"), side(200, "abcd"));
        report.note_dropped();
        let shown = report.to_json();
        let worst = shown["worst"].as_array().expect("a list");
        assert_eq!(worst.len(), 100);
        assert_eq!(
            (&worst[0]["request"], &worst[1]["request"]),
            (&json!("fails"), &json!("far"))
        );
        assert_eq!(
            worst[1]["shadow"]["ranking"]["ids"],
            json!(["e", "f", "g", "h"])
        );
        assert_eq!(shown["compared"], 203);
        assert_eq!(shown["dropped"], 1);
        assert_eq!(shown["other_status"], 1);
        assert_eq!(shown["searches"]["same_order"], 2);
        assert_eq!(
            shown["searches"]["by_overlap_in_tenths"],
            json!([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 202])
        );
        let page = super::super::page::page(&shown);
        assert!(
            page.contains("far") && page.contains("<table"),
            "{page:.200}"
        );
    }
}
