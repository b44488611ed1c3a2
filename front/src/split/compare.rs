//! Two answers to one search, held against each other.
//!
//! Rank-biased overlap: W. Webber, A. Moffat, J. Zobel, *A Similarity Measure for Indefinite Rankings*, TOIS 28(4), 2010,
//! extrapolated from lists of any two lengths (equation 32).

use std::collections::HashSet;
use std::io::Read as _;

use bytes::Bytes;
use http::{HeaderMap, header};
use serde::Serialize;
use serde_json::Value;

/// Hits that are compared.
const DEPTH: usize = 10;

/// Weight of each rank relative to the one before, as in the paper's own examples: the first ten have 86 % of all.
const PERSISTENCE: f64 = 0.9;

/// Longest id that is kept of a hit, in characters.
const MOST_CHARACTERS: usize = 64;

/// Scores that differ by less, of the larger one or of 1 where both are below, are the same: they are computed with single
/// precision, which has 24 bits, and sums of several terms have fewer.
const SAME_SCORE: f64 = 1e-5;

/// Largest answer that is unpacked and compared.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// The beginning of the list of an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Ranking {
    /// `INDEX/ID`, or the id alone.
    pub(super) ids: Vec<String>,
    pub(super) scores: Vec<Option<f64>>,
    pub(super) total: Option<u64>,
}

/// How alike two answers are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Likeness {
    /// The share of hits that both have, of the longer list: 0 to 1.
    pub(super) overlap: f64,
    /// Rank-biased overlap: 0 to 1.
    pub(super) rbo: f64,
    /// Largest difference between the scores of a hit that both have.
    pub(super) score_difference: f64,
    /// Are the scores of each hit that both have the same, but for rounding?
    pub(super) has_same_scores: bool,
    /// Are the totals the same?
    pub(super) has_same_total: bool,
}

impl Ranking {
    /// Reads the answer to a search; `None` where it is none.
    pub(super) fn of(headers: &HeaderMap, body: &Bytes, names_index: bool) -> Option<Self> {
        let answer: Value = serde_json::from_slice(&unpacked(headers, body)?).ok()?;
        let hits = &answer["hits"];
        let total = &hits["total"];
        let mut ranking = Self {
            total: total.as_u64().or_else(|| total["value"].as_u64()),
            ..Self::default()
        };
        for hit in hits["hits"].as_array()?.iter().take(DEPTH) {
            let id = hit["_id"].as_str().unwrap_or_default();
            let index = hit["_index"].as_str().unwrap_or_default();
            let whole = match names_index {
                true => format!("{index}/{id}"),
                false => id.to_owned(),
            };
            ranking
                .ids
                .push(whole.chars().take(MOST_CHARACTERS).collect());
            ranking.scores.push(hit["_score"].as_f64());
        }
        Some(ranking)
    }

    /// Returns how alike two lists are.
    pub(super) fn likeness(&self, other: &Self) -> Likeness {
        Likeness {
            overlap: overlap(&self.ids, &other.ids),
            rbo: rbo(&self.ids, &other.ids, PERSISTENCE),
            score_difference: self
                .scores_of_both(other)
                .map(|(one, other)| (one - other).abs())
                .fold(0.0, f64::max),
            has_same_scores: self
                .scores_of_both(other)
                .all(|(one, other)| is_same_score(one, other)),
            has_same_total: self.total == other.total,
        }
    }

    /// Returns both scores of each hit that both lists have.
    fn scores_of_both(&self, other: &Self) -> impl Iterator<Item = (f64, f64)> {
        let ours = self.ids.iter().zip(&self.scores);
        ours.filter_map(move |(id, score)| {
            let at = other.ids.iter().position(|other| other == id)?;
            Some(((*score)?, other.scores[at]?))
        })
    }
}

fn is_same_score(one: f64, other: f64) -> bool {
    (one - other).abs() <= SAME_SCORE * one.abs().max(other.abs()).max(1.0)
}

fn unpacked(headers: &HeaderMap, body: &Bytes) -> Option<Bytes> {
    let coding = headers.get(header::CONTENT_ENCODING);
    match coding.map(http::HeaderValue::as_bytes) {
        None | Some(b"identity") => Some(body.clone()),
        Some(b"gzip") => {
            let decoder = flate2::read::GzDecoder::new(&body[..]);
            let mut whole = Vec::new();
            decoder
                .take(MOST_BYTES as u64)
                .read_to_end(&mut whole)
                .ok()?;
            Some(whole.into())
        }
        Some(_) => None,
    }
}

/// Returns the share of items that both lists have, of the longer one; two empty lists are alike.
pub(super) fn overlap(one: &[String], other: &[String]) -> f64 {
    let longest = one.len().max(other.len());
    if longest == 0 {
        return 1.0;
    }
    let known: HashSet<&String> = one.iter().collect();
    let shared = other.iter().filter(|item| known.contains(item)).count();
    shared as f64 / longest as f64
}

/// Returns the extrapolated rank-biased overlap of two lists without repetitions; two empty lists are alike.
pub(super) fn rbo(one: &[String], other: &[String], p: f64) -> f64 {
    let (short, long) = if one.len() <= other.len() {
        (one, other)
    } else {
        (other, one)
    };
    let (s, l) = (short.len(), long.len());
    if l == 0 {
        return 1.0;
    }
    if s == 0 {
        return 0.0;
    }
    let (mut in_short, mut in_long) = (HashSet::new(), HashSet::new());
    let (mut shared, mut shared_at_s) = (0.0, 0.0);
    let (mut sum, mut weight) = (0.0, 1.0);
    for depth in 1..=l {
        let item = &long[depth - 1];
        in_long.insert(item);
        shared += f64::from(u8::from(in_short.contains(item)));
        if let Some(item) = short.get(depth - 1) {
            in_short.insert(item);
            shared += f64::from(u8::from(in_long.contains(item)));
        }
        if depth == s {
            shared_at_s = shared;
        }
        weight *= p;
        let d = depth as f64;
        sum += shared / d * weight;
        if depth > s {
            let s = s as f64;
            sum += shared_at_s * (d - s) / (s * d) * weight;
        }
    }
    let rest = (shared - shared_at_s) / l as f64 + shared_at_s / s as f64;
    (1.0 - p) / p * sum + rest * weight
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::seq::SliceRandom as _;
    use rand::{Rng as _, SeedableRng as _};
    use serde_json::json;

    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    /// The definition, term by term: the agreement at each depth, that of the short list assumed to go on.
    fn by_definition(one: &[String], other: &[String], p: f64) -> f64 {
        let (short, long) = if one.len() <= other.len() {
            (one, other)
        } else {
            (other, one)
        };
        let (s, l) = (short.len(), long.len());
        let shared = |depth: usize| {
            let of_short: HashSet<_> = short.iter().take(depth).collect();
            long.iter()
                .take(depth)
                .filter(|item| of_short.contains(item))
                .count() as f64
        };
        let agreement = |depth: usize| {
            let assumed = shared(s) * depth.saturating_sub(s) as f64 / s as f64;
            (shared(depth) + assumed) / depth as f64
        };
        let seen: f64 = (1..=l)
            .map(|depth| agreement(depth) * p.powi(depth as i32 - 1))
            .sum();
        // From the end of the long list on the agreement stays as it is.
        (1.0 - p) * seen + agreement(l) * p.powi(l as i32)
    }

    #[test]
    fn overlap_and_rank_biased_overlap_are_what_their_definitions_say() {
        let mut random = StdRng::seed_from_u64(37);
        let alphabet = list("abcdefghijklmnopqrst");
        for _ in 0..1_000 {
            let mut pick = || {
                let mut items = alphabet.clone();
                items.shuffle(&mut random);
                items.truncate(random.random_range(1..=15));
                items
            };
            let (one, other) = (pick(), pick());
            for p in [0.5, 0.9, 0.98] {
                let (fast, slow) = (rbo(&one, &other, p), by_definition(&one, &other, p));
                assert!(
                    (fast - slow).abs() < 1e-9,
                    "{one:?} {other:?} {p}: {fast} {slow}"
                );
                assert!(
                    (rbo(&other, &one, p) - fast).abs() < 1e-12,
                    "it is symmetric"
                );
                assert!((-1e-12..=1.0 + 1e-12).contains(&fast), "{fast}");
            }
            let shared = one.iter().filter(|item| other.contains(item)).count() as f64;
            let share = shared / one.len().max(other.len()) as f64;
            assert!((overlap(&one, &other) - share).abs() < 1e-9);
        }
        for (one, other, expected) in [
            ("abc", "abc", 1.0),
            ("abc", "def", 0.0),
            ("", "", 1.0),
            ("", "a", 0.0),
        ] {
            assert!(
                (rbo(&list(one), &list(other), 0.9) - expected).abs() < 1e-12,
                "{one} {other}"
            );
        }
        assert!(rbo(&list("abcd"), &list("bacd"), 0.9) < rbo(&list("abcd"), &list("abdc"), 0.9));
    }

    #[test]
    fn answers_are_read_as_searches_give_them() {
        let hits = json!([
            {"_index": "a", "_id": "1", "_score": 2.5}, {"_index": "a", "_id": "2", "_score": null}
        ]);
        let answer = json!({"hits": {"total": {"value": 7}, "hits": hits}}).to_string();
        let read = |body: &str, names| {
            Ranking::of(
                &HeaderMap::new(),
                &Bytes::copy_from_slice(body.as_bytes()),
                names,
            )
        };
        let one = read(&answer, true).expect("an answer");
        assert_eq!(
            (one.ids.join(","), one.total),
            ("a/1,a/2".to_owned(), Some(7))
        );
        let plain = read(
            &json!({"hits": {"total": 7, "hits": hits}}).to_string(),
            false,
        );
        assert_eq!(
            plain.as_ref().map(|it| it.ids.join(",")),
            Some("1,2".to_owned())
        );
        assert_eq!(plain.and_then(|it| it.total), Some(7));
        for other in ["", "[]", "{}", r#"{"hits":{"hits":3}}"#] {
            assert_eq!(read(other, true), None, "{other}");
        }
        let mut other = one.clone();
        other.scores[0] = Some(2.0);
        let likeness = one.likeness(&other);
        assert!((likeness.score_difference - 0.5).abs() < 1e-12 && likeness.has_same_total);
        assert!((likeness.overlap - 1.0).abs() < 1e-12 && !likeness.has_same_scores);
    }

    #[test]
    fn scores_of_single_precision_are_the_same_whatever_their_size() {
        for (one, other, is_same) in [
            (0.0, 0.0, true),
            (0.1, 0.100_005, true),
            (0.1, 0.100_02, false),
            (1.0, 1.000_005, true),
            (1.0, 1.000_02, false),
            // Two neighbours of single precision.
            (8_000.0, f64::from(8_000.0_f32.next_up()), true),
            (8_000.0, 8_000.05, true),
            (8_000.0, 8_000.2, false),
            (-8_000.0, -8_000.05, true),
            (-1.0, 1.0, false),
        ] {
            assert_eq!(is_same_score(one, other), is_same, "{one} {other}");
            assert_eq!(is_same_score(other, one), is_same, "{other} {one}");
        }
    }
}
