//! Queries made of the documents' own words.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use gleaner_analysis::{Analyzer, AnalyzerRegistry};
use gleaner_datasets::Random;

use super::{Class, Query, analyze, filter};
use crate::corpus::{Corpus, SEED};

/// Documents whose words are counted to tell rare terms from frequent ones.
const COUNTED: usize = 5_000;

/// Documents tried per query wanted before giving up: some are too short.
const TRIES: usize = 50;

/// Draws `per_class` queries of each class: runs of two to four words of a random body as AND, OR,
/// phrase and AND under a filter, and single terms spread evenly over the logarithm of their
/// frequency.
pub(super) fn draw(corpus: &Corpus, per_class: usize, is_real: bool) -> Result<Vec<Query>> {
    let registry = AnalyzerRegistry::builtin();
    let standard = registry
        .analyzer("standard")
        .context("the standard analyzer is built in")?;
    let runs = runs(corpus, &standard, per_class);
    let words = words(corpus, &standard, per_class);
    let mut queries = Vec::new();
    for class in Class::ALL {
        let pool = if class == Class::Term { &words } else { &runs };
        for (position, terms) in pool.iter().enumerate() {
            queries.push(Query {
                class,
                terms: terms.clone(),
                filter: (class == Class::Filtered).then(|| filter(position, is_real)),
            });
        }
    }
    Ok(queries)
}

/// Draws runs of words, each of different terms.
fn runs(corpus: &Corpus, analyzer: &Analyzer, wanted: usize) -> Vec<Vec<String>> {
    let mut random = Random::stream(SEED, 3);
    let mut runs = Vec::with_capacity(wanted);
    for _ in 0..wanted * TRIES {
        if runs.len() == wanted || corpus.articles.is_empty() {
            break;
        }
        let article = &corpus.articles[random.below(corpus.articles.len() as u64) as usize];
        let terms = analyze(analyzer, &article.body);
        let length = 2 + random.below(3) as usize;
        let Some(last_start) = terms.len().checked_sub(length) else {
            continue;
        };
        let start = random.below(last_start as u64 + 1) as usize;
        let run = &terms[start..start + length];
        if run.iter().collect::<BTreeSet<_>>().len() == length {
            runs.push(run.to_vec());
        }
    }
    runs
}

/// Returns terms whose document frequencies lie evenly on a logarithmic scale.
fn words(corpus: &Corpus, analyzer: &Analyzer, wanted: usize) -> Vec<Vec<String>> {
    let step = corpus.articles.len().div_ceil(COUNTED).max(1);
    let mut frequencies: BTreeMap<String, u64> = BTreeMap::new();
    for article in corpus.articles.iter().step_by(step) {
        let terms: BTreeSet<String> = analyze(analyzer, &article.body).into_iter().collect();
        for term in terms {
            *frequencies.entry(term).or_default() += 1;
        }
    }
    let mut by_frequency: Vec<(u64, String)> = frequencies
        .into_iter()
        .map(|(term, frequency)| (frequency, term))
        .collect();
    by_frequency.sort_unstable();
    let Some((most, _)) = by_frequency.last() else {
        return Vec::new();
    };
    let most = (*most as f64).ln();
    let mut taken = BTreeSet::new();
    for n in 0..wanted {
        let frequency = (most * n as f64 / wanted as f64).exp();
        let at = by_frequency.partition_point(|(have, _)| (*have as f64) < frequency);
        // The next one of that frequency or above that is not taken yet.
        taken.extend((at..by_frequency.len()).find(|at| !taken.contains(at)));
    }
    taken
        .into_iter()
        .map(|at| vec![by_frequency[at].1.clone()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Size;

    #[test]
    fn queries_are_of_words_that_stand_together_and_the_same_each_time() {
        let size = Size {
            articles: 60,
            notes: 40,
        };
        let corpus = Corpus::load(None, size).expect("nothing is read");
        let queries = draw(&corpus, 9, false).expect("the analyzer is there");
        assert_eq!(
            queries,
            draw(&corpus, 9, false).expect("the analyzer is there")
        );
        let registry = AnalyzerRegistry::builtin();
        let standard = registry.analyzer("standard").expect("built in");
        for class in Class::ALL {
            assert_eq!(queries.iter().filter(|q| q.class == class).count(), 9);
        }
        for query in queries.iter().filter(|q| q.class == Class::Phrase) {
            let stands = corpus.articles.iter().any(|article| {
                analyze(&standard, &article.body)
                    .windows(query.terms.len())
                    .any(|run| run == query.terms)
            });
            assert!(stands, "{:?}", query.terms);
        }
    }
}
