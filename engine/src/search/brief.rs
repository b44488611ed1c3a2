//! Which searches are so short that handing them to another thread costs more than they do, and which so long that others
//! should not wait for them.

use gleaner_model::FieldPath;
use gleaner_query::aggregation::{Aggregation, AggregationKind, TermsFilter};
use gleaner_query::resolved::{Access, ChildRole, Clause, ShardQuery, Statistics};
use gleaner_query::search::{SortKey, SortTarget, TrackTotal};

use super::Target;
use super::ordered::PROBE;
use super::request::wants_hits_alone;
use super::shape::Shape;
use crate::length::{BUILDING, LONG_WORK, Length, MOST_WORK, PASSED_OVER, building};
use crate::lower;

/// Slots of a phrase, at most, whose comparing with a document is not worth a thought.
const SHORT_PHRASE: usize = 32;

/// What a longer one counts as: in a single long document it takes any time.
const COMPARING: u64 = BUILDING;

/// Hits that it ranks, at most.
const MOST_HITS: usize = 100;

/// Documents among which every search is brief, aggregations and sorts too.
const FEW_DOCUMENTS: u64 = 2_048;

/// What aggregating a document counts as, and what comparing it with others by the keys of a sort.
const AGGREGATING: u64 = 16;
const SORTING: u64 = 4;

/// Terms that are looked up in segments beside what is looked at: of so many it does not count.
const FEW_LOOK_UPS: usize = 256;

/// What looking one up counts as where there are more: some 2 µs.
const LOOKING_UP: u64 = 400;

impl Length {
    /// Estimates how long a search of `targets` takes, by numbers that are at hand: nothing is read. It calls none brief
    /// of which it does not know.
    pub fn of(targets: &[Target], query: &ShardQuery) -> Self {
        let documents = targets
            .iter()
            .map(|target| target.view.num_documents())
            .sum();
        let segments = targets.iter().map(|target| target.view.segments().len());
        Self::among(documents, query).max(Self::of_look_ups(segments.sum(), query))
    }

    /// Returns how long it takes to look up what the clauses of `query` name in so many segments; brief where that is
    /// little beside what is looked at.
    fn of_look_ups(num_segments: usize, query: &ShardQuery) -> Self {
        let filters = query.post_filter.iter().chain(&*query.aggregation_filters);
        let clauses = std::iter::once(&query.query).chain(filters);
        let num_look_ups = clauses.map(num_look_ups).sum::<usize>();
        match num_look_ups.saturating_mul(num_segments) {
            few if few <= FEW_LOOK_UPS => Self::Brief,
            many => Self::of_work(LOOKING_UP.saturating_mul(many as u64)),
        }
    }

    fn among(documents: u64, query: &ShardQuery) -> Self {
        let looked_at = walked(documents, query);
        let along = along_order(documents, query);
        let times = num_aggregations(&query.aggregations).max(1);
        if looked_at.saturating_mul(times) <= MOST_WORK && may_be_brief(documents, query) {
            Self::Brief
        } else if looked_at.saturating_mul(weight(query)) < LONG_WORK
            || along.is_some_and(|along| along < LONG_WORK)
        {
            Self::Short
        } else {
            Self::Long
        }
    }
}

fn may_be_brief(documents: u64, query: &ShardQuery) -> bool {
    match documents <= FEW_DOCUMENTS {
        true => !query.aggregations.iter().any(matches_keys),
        false => ranks_by_score(query) && query.top <= MOST_HITS,
    }
}

/// Returns what a document that is looked at counts as.
fn weight(query: &ShardQuery) -> u64 {
    if !query.aggregations.is_empty() {
        AGGREGATING.saturating_mul(num_aggregations(&query.aggregations))
    } else if query.sort.is_empty() {
        1
    } else {
        SORTING
    }
}

/// Returns how many aggregations there are, those below others included.
fn num_aggregations(all: &[Aggregation]) -> u64 {
    let below = all.iter().map(|one| num_aggregations(&one.sub));
    all.len() as u64 + below.sum::<u64>()
}

/// Returns how many terms, values and other parts of a clause are looked up in each segment.
fn num_look_ups(clause: &Clause) -> usize {
    let num_values = clause.values().map_or(0, |(_, values)| values.len());
    let own = match clause.access() {
        Access::Ids(num_ids) => num_ids,
        _ => clause.num_terms().max(num_values).max(1),
    };
    let inside = clause.children();
    own + inside
        .map(|(_, clause)| num_look_ups(clause))
        .sum::<usize>()
}

fn ranks_by_score(query: &ShardQuery) -> bool {
    let is_by_score = |key: &SortKey| key.target == SortTarget::Score && key.descending;
    let goes_on = query.after.is_some() || query.search_after.is_some();
    let is_first = match query.sort.first() {
        None => true,
        Some(key) => is_by_score(key) && !goes_on && query.collapse.is_none(),
    };
    is_first && query.aggregations.is_empty()
}

/// Returns whether an aggregation, or one below, asks for keys by a pattern, analyses texts, or shows fragments,
/// which may be looked for by a pattern.
fn matches_keys(aggregation: &Aggregation) -> bool {
    let is_pattern = |filter: &Option<TermsFilter>| matches!(filter, Some(TermsFilter::Regex(_)));
    let matches_own = match &aggregation.kind {
        AggregationKind::Terms(request) => {
            is_pattern(&request.include) || is_pattern(&request.exclude)
        }
        AggregationKind::RareTerms(request) => {
            is_pattern(&request.include) || is_pattern(&request.exclude)
        }
        AggregationKind::SignificantTerms(request) => {
            request.text.is_some() || is_pattern(&request.include) || is_pattern(&request.exclude)
        }
        AggregationKind::TopHits(request) => request.highlight.is_some(),
        _ => false,
    };
    matches_own || aggregation.sub.iter().any(matches_keys)
}

/// Returns roughly how many postings or documents a search of so many documents looks at, by numbers
/// that are at hand.
pub(super) fn looked_at(documents: u64, query: &ShardQuery) -> u64 {
    let walked = walked(documents, query);
    along_order(documents, query).map_or(walked, |along| along.min(walked))
}

/// Returns what a search counts as that finds its hits along an order of the documents, where that is known to be short; `None`
/// where it is not. It is no reason to call it brief: the order may have to be made first.
fn along_order(documents: u64, query: &ShardQuery) -> Option<u64> {
    // How many have to be looked at for so many groups is not known.
    let has_others = query.post_filter.is_some() || query.collapse.is_some();
    let is_alone = wants_hits_alone(query) && !has_others;
    let by_score = |key: &SortKey| key.target == SortTarget::Score;
    if !is_alone || query.track_scores || query.sort.iter().any(by_score) {
        return None;
    }
    let work = Work {
        documents,
        statistics: &query.statistics,
    };
    let num_matches = match lower::simplify(&query.query, 1.0).0 {
        Clause::MatchAll => documents,
        Clause::Term { field, term } if !query.sort.is_empty() => work.list(field, term),
        _ => return None,
    };
    let probes = (query.top as u64).saturating_mul(documents) / num_matches.max(1);
    Some(probes.saturating_mul(PROBE))
}

/// As [`looked_at`], where all matches are looked at that are not passed over by their bounds.
fn walked(documents: u64, query: &ShardQuery) -> u64 {
    let work = Work {
        documents,
        statistics: &query.statistics,
    };
    let shape = Shape::of(&query.query, 1.0);
    let passed_over = match query.track_total {
        TrackTotal::Exact => 1,
        _ if ranks_by_score(query) && shape.is_some() => PASSED_OVER,
        _ => 1,
    };
    let apart = query.post_filter.iter().chain(&*query.aggregation_filters);
    let apart: u64 = apart.map(|clause| work.of(clause)).sum();
    let within = shape.iter().flat_map(|shape| &shape.filters);
    let within: u64 = within.map(|(clause, _)| work.of(clause)).sum();
    // What filters cost does not depend on what is passed over.
    work.of(&query.query).saturating_sub(within) / passed_over + within + apart
}

/// Returns whether `clause` is made of words alone: of others that must match with it, only theirs are
/// looked at.
fn is_of_words(clause: &Clause) -> bool {
    let mut inside = clause.children();
    match clause {
        Clause::Phrase { .. }
        | Clause::Intervals(_)
        | Clause::DisMax { .. }
        | Clause::Demote { .. }
        | Clause::Functions(_) => false,
        _ if clause.access() == Access::Children => {
            inside.all(|(role, clause)| role == ChildRole::Scored && is_of_words(clause))
        }
        _ => clause.access() == Access::Postings,
    }
}

/// What is known before anything is read.
struct Work<'a> {
    documents: u64,
    statistics: &'a Statistics,
}

impl Work<'_> {
    /// Returns how many postings or documents a clause looks at, at most.
    fn of(&self, clause: &Clause) -> u64 {
        let inside = clause.children().map(|(_, clause)| self.of(clause));
        match clause {
            Clause::Pattern { pattern, .. } => self.documents + building(pattern),
            Clause::Phrase {
                field, positions, ..
            } => {
                let list = |term: &String| self.list(field, term);
                let lists = positions.iter();
                let lists = lists.map(|(_, terms)| terms.iter().map(list).sum());
                let is_long = positions.len() > SHORT_PHRASE;
                // Positions are many times what documents are.
                4 * least_times_all(lists) + if is_long { COMPARING } else { 0 }
            }
            // Positions of all words are read, and put together.
            Clause::Intervals(intervals) => {
                let terms = intervals.terms();
                let lists = terms.iter().map(|term| self.list(&intervals.field, term));
                4 * lists.sum::<u64>() + COMPARING
            }
            Clause::Bool { must, .. } => {
                // Only lists are skipped through; columns and patterns are read whole, whichever clause leads.
                let (mut lists, mut others) = (Vec::new(), 0);
                for (at, work) in inside.enumerate() {
                    match must.get(at).is_some_and(is_of_words) {
                        true => lists.push(work),
                        false => others += work,
                    }
                }
                least_times_all(lists.into_iter()) + others
            }
            _ => match clause.access() {
                Access::Nothing => 0,
                Access::Everything | Access::Dictionary => self.documents,
                // A column is read a word at a time, and a filter is remembered.
                Access::Column => self.documents / 4,
                Access::Ids(num_ids) => 16 * num_ids as u64,
                Access::Postings => {
                    let terms = clause.terms();
                    let lists = terms.map(|(field, terms)| {
                        let list = |term: &str| self.list(field, term);
                        terms.into_iter().map(list).sum()
                    });
                    lists.unwrap_or(0)
                }
                Access::Children => inside.sum(),
            },
        }
    }

    /// Returns how long a posting list is, at most: known of terms that score.
    fn list(&self, field: &FieldPath, term: &str) -> u64 {
        let terms = self.statistics.terms.get(field);
        let known = terms.and_then(|terms| terms.get(term)).copied();
        known.unwrap_or(self.documents / 4)
    }
}

/// Returns what lists cost together that must all match: the shortest leads, the others skip to it.
fn least_times_all(lists: impl ExactSizeIterator<Item = u64>) -> u64 {
    let num_lists = lists.len() as u64;
    lists.min().unwrap_or(0).saturating_mul(num_lists)
}

#[cfg(test)]
mod tests;
