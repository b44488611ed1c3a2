//! tantivy's own collector under global numbers, to show what it gets wrong.

use gleaner_query::resolved::{Clause, Statistics};
use tantivy::Term;
use tantivy::collector::TopDocs;
use tantivy::query::{
    Bm25StatisticsProvider, BooleanQuery, EnableScoring, Occur, Query, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use crate::corpus::{Corpus, body, word};
use crate::layout::Cluster;
use crate::oracle;

struct Global<'a>(&'a Statistics);

impl Bm25StatisticsProvider for Global<'_> {
    fn total_num_tokens(&self, _: Field) -> tantivy::Result<u64> {
        Ok(self.0.fields[&body()].total_length)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.0.fields[&body()].documents)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let bytes = term.serialized_value_bytes();
        let text = std::str::from_utf8(bytes).expect("terms are text");
        Ok(self.0.terms[&body()][text])
    }
}

/// Returns whether `TopDocs` under global numbers misses, in any shard's list or in the merged one,
/// a score that scoring every document finds: (in a shard's, in the merged one).
///
/// Both sides are tantivy's f32 scores, deleted documents left out.
pub(crate) fn is_wrong(
    cluster: &Cluster,
    clause: &Clause,
    words: &[u32],
    (corpus, top): (&Corpus, usize),
) -> (bool, bool) {
    let numbers = oracle::statistics(corpus, clause);
    let (mut pruned, mut all, mut is_shard_wrong) = (Vec::new(), Vec::new(), false);
    for target in &cluster.targets {
        let searcher = target.view.searcher();
        let column = target.view.field("body").expect("it is mapped").column;
        let query = disjunction(column, words);
        let collector = TopDocs::with_limit(top).order_by_score();
        let provider = Global(&numbers);
        let hits = searcher.search_with_statistics_provider(&query, &collector, &provider);
        let hits: Vec<f32> = hits
            .expect("it searches")
            .into_iter()
            .map(|(score, _)| score)
            .collect();
        let scoring = EnableScoring::enabled_from_statistics_provider(&provider, searcher);
        let weight = query.weight(scoring).expect("it has a weight");
        let mut every = Vec::new();
        for reader in searcher.segment_readers() {
            let keep = &mut |doc, score| {
                if !reader.is_deleted(doc) {
                    every.push(score);
                }
            };
            weight.for_each(reader, keep).expect("it scores");
        }
        is_shard_wrong |= best(hits.clone(), top) != best(every.clone(), top);
        pruned.extend(hits);
        all.extend(every);
    }
    (is_shard_wrong, best(pruned, top) != best(all, top))
}

fn disjunction(column: Field, words: &[u32]) -> Box<dyn Query> {
    let term = |&w: &u32| {
        let term = Term::from_field_text(column, &word(w));
        let query: Box<dyn Query> = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
        (Occur::Should, query)
    };
    Box::new(BooleanQuery::new(words.iter().map(term).collect()))
}

/// The best scores, rounded so that the order of additions does not matter.
fn best(mut scores: Vec<f32>, top: usize) -> Vec<i64> {
    scores.sort_by(|a, b| b.total_cmp(a));
    scores.truncate(top);
    scores
        .into_iter()
        .map(|score| (f64::from(score) * 1e4).round() as i64)
        .collect()
}
