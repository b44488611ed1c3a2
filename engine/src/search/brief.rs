//! Which searches are so short that handing them to another thread costs more than they do, and which so long that others
//! should not wait for them.

use gleaner_model::FieldPath;
use gleaner_query::aggregation::{Aggregation, AggregationKind, TermsFilter};
use gleaner_query::resolved::{Access, ChildRole, Clause, Pattern, ShardQuery, Statistics};
use gleaner_query::search::TrackTotal;

use super::Target;
use super::shape::Shape;

/// Postings or documents that a brief search looks at, at most: half a millisecond of a core where
/// nothing is pruned.
const MOST_WORK: u64 = 98_304;

/// Of so many postings a pruned search looks at one.
const PASSED_OVER: u64 = 4;

/// What building an automaton counts as: more than a brief search may look at, also where most is passed
/// over. It takes up to some 50 ms.
const BUILDING: u64 = PASSED_OVER * (MOST_WORK + 1);

/// Slots of a phrase, at most, whose comparing with a document is not worth a thought.
const SHORT_PHRASE: usize = 32;

/// What a longer one counts as: in a single long document it takes any time.
const COMPARING: u64 = BUILDING;

/// Bytes of a prefix whose automaton is built in no time.
const SHORT_PREFIX: usize = 64;

/// Hits that it ranks, at most.
const MOST_HITS: usize = 100;

/// Documents among which every search is brief, aggregations and sorts too.
const FEW_DOCUMENTS: u64 = 2_048;

/// Postings that a long search looks at, at least, or what takes as long: some two milliseconds of a core.
const LONG_WORK: u64 = 393_216;

/// What aggregating a document counts as, and what comparing it with others by the keys of a sort.
const AGGREGATING: u64 = 16;
const SORTING: u64 = 4;

/// How long a search takes of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// About half a millisecond at most.
    Brief,
    /// About two milliseconds at most.
    Short,
    /// Longer.
    Long,
}

impl Length {
    /// Estimates how long a search of `targets` takes, by numbers that are at hand: nothing is read. It calls none brief
    /// of which it does not know.
    pub fn of(targets: &[Target], query: &ShardQuery) -> Self {
        let documents = targets
            .iter()
            .map(|target| target.view.num_documents())
            .sum();
        Self::among(documents, query)
    }

    /// Returns how long other work takes that looks at so many postings, or does as much. It calls none brief: what is
    /// looked up may have to come from a disk.
    pub(crate) fn of_work(looked_at: u64) -> Self {
        match looked_at < LONG_WORK {
            true => Self::Short,
            false => Self::Long,
        }
    }

    fn among(documents: u64, query: &ShardQuery) -> Self {
        let looked_at = looked_at(documents, query);
        if looked_at <= MOST_WORK && may_be_brief(documents, query) {
            Self::Brief
        } else if looked_at.saturating_mul(weight(query)) < LONG_WORK {
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
        AGGREGATING
    } else if query.sort.is_empty() {
        1
    } else {
        SORTING
    }
}

fn ranks_by_score(query: &ShardQuery) -> bool {
    query.sort.is_empty() && query.aggregations.is_empty()
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

/// Returns what building the automaton of a pattern counts as.
pub(crate) fn building(pattern: &Pattern) -> u64 {
    match pattern {
        Pattern::Prefix { prefix, .. } if prefix.len() <= SHORT_PREFIX => 0,
        _ => BUILDING,
    }
}

/// Returns what lists cost together that must all match: the shortest leads, the others skip to it.
fn least_times_all(lists: impl ExactSizeIterator<Item = u64>) -> u64 {
    let num_lists = lists.len() as u64;
    lists.min().unwrap_or(0).saturating_mul(num_lists)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn is_brief_among(documents: u64, query: &ShardQuery) -> bool {
        Length::among(documents, query) == Length::Brief
    }

    fn is_long_among(documents: u64, query: &ShardQuery) -> bool {
        Length::among(documents, query) == Length::Long
    }

    /// Returns a query for the ten best of a million documents, of which 1,000 have the term `rare`,
    /// 20,000 `middling`, 200,000 `fair` and 400,000 `common`.
    fn query(clause: Clause) -> ShardQuery {
        let mut statistics = Statistics::default();
        let terms = [
            ("rare", 1_000),
            ("middling", 20_000),
            ("fair", 200_000),
            ("common", 400_000),
        ];
        let terms = terms.map(|(term, documents)| (term.to_owned(), documents));
        statistics.terms.insert(field(), terms.into());
        ShardQuery {
            query: clause,
            statistics: Arc::new(statistics),
            top: 10,
            ..crate::aggregate::testing::query(vec![], vec![])
        }
    }

    fn field() -> FieldPath {
        FieldPath::new("body")
    }

    fn term(term: &str) -> Clause {
        let (field, term) = (field(), term.to_owned());
        Clause::Term { field, term }
    }

    fn any(should: Vec<Clause>, filter: Vec<Clause>) -> Clause {
        Clause::Bool {
            must: vec![],
            should,
            filter,
            must_not: vec![],
            minimum_should_match: 1,
        }
    }

    #[test]
    fn searches_are_brief_by_the_length_of_their_lists() {
        let is_brief = |clause: Clause| is_brief_among(1_000_000, &query(clause));
        assert!(is_brief(term("rare")));
        assert!(!is_brief(term("common")));
        assert!(is_brief(any(vec![term("rare"), term("rare")], vec![])));
        assert!(!is_brief(any(vec![term("rare"), term("common")], vec![])));
        assert!(!is_brief(any(vec![term("rare")], vec![term("unknown")])));
        let all = |must: Vec<Clause>| Clause::Bool {
            must,
            should: vec![],
            filter: vec![],
            must_not: vec![],
            minimum_should_match: 0,
        };
        assert!(is_brief(all(vec![term("rare"), term("common")])));
        assert!(!is_brief(all(vec![term("common"), term("common")])));
        let exists = Clause::Exists {
            fields: vec![field()],
        };
        assert!(!is_brief(all(vec![term("rare"), exists])));
        assert!(!is_brief(all(vec![term("rare"), Clause::MatchAll])));
        assert!(!is_brief(Clause::MatchAll));
        assert!(is_brief(Clause::MatchNone));
    }

    #[test]
    fn what_is_passed_over_does_not_count_where_no_total_is_wanted() {
        let counting = |track_total| ShardQuery {
            track_total,
            ..query(any(vec![term("rare"), term("fair")], vec![]))
        };
        let is_brief = |track_total| is_brief_among(1_000_000, &counting(track_total));
        assert!(is_brief(TrackTotal::No) && is_brief(TrackTotal::UpTo(10_000)));
        assert!(!is_brief(TrackTotal::Exact));
        let filtered = ShardQuery {
            track_total: TrackTotal::No,
            ..query(any(vec![term("fair")], vec![term("rare")]))
        };
        assert!(is_brief_among(1_000_000, &filtered));
        let scores_if_it_matches = Clause::Bool {
            must: vec![],
            should: vec![term("fair")],
            filter: vec![term("rare")],
            must_not: vec![],
            minimum_should_match: 0,
        };
        let optional = ShardQuery {
            query: scores_if_it_matches,
            ..filtered.clone()
        };
        assert!(!is_brief_among(1_000_000, &optional), "it is walked");
        let much_is_filtered = ShardQuery {
            query: any(vec![term("fair")], vec![term("fair")]),
            ..filtered
        };
        assert!(!is_brief_among(1_000_000, &much_is_filtered));
        let phrase = |slop| {
            let positions = vec![
                (0, vec!["fair".to_owned()]),
                (1, vec!["middling".to_owned()]),
            ];
            let field = field();
            let phrase = Clause::Phrase {
                field,
                positions,
                slop,
            };
            ShardQuery {
                track_total: TrackTotal::No,
                ..query(phrase)
            }
        };
        assert!(is_brief_among(1_000_000, &phrase(0)));
        assert!(!is_brief_among(1_000_000, &phrase(1)));
    }

    #[test]
    fn a_long_phrase_is_never_brief() {
        let phrase = |num_words: u32, slop| {
            let positions = (0..num_words).map(|at| (at, vec!["unknown".to_owned()]));
            query(Clause::Phrase {
                field: field(),
                positions: positions.collect(),
                slop,
            })
        };
        assert!(is_brief_among(1_000, &phrase(3, 2)));
        assert!(!is_brief_among(1, &phrase(1_024, 2)));
        assert!(!is_brief_among(1_000, &phrase(33, 1)));
        // One document may say one word a million times.
        assert!(is_brief_among(1_000, &phrase(8, 0)));
        assert!(!is_brief_among(1_000, &phrase(33, 0)));
    }

    #[test]
    fn what_builds_an_automaton_is_never_brief() {
        let field = field();
        let pattern = |pattern| Clause::Pattern {
            field: field.clone(),
            pattern,
        };
        let prefix = pattern(Pattern::Prefix {
            prefix: "er".to_owned(),
            ignore_case: false,
        });
        assert!(is_brief_among(1_000, &query(prefix)));
        let regexp = pattern(Pattern::Regexp {
            expression: "er.*".to_owned(),
            ignore_case: false,
        });
        let wildcard = pattern(Pattern::Wildcard {
            pattern: "*er*".to_owned(),
            ignore_case: false,
        });
        for clause in [
            regexp.clone(),
            wildcard,
            any(vec![term("rare")], vec![regexp.clone()]),
        ] {
            assert!(!is_brief_among(1, &query(clause)));
        }
        let filtered_after = ShardQuery {
            post_filter: Some(regexp),
            ..query(term("rare"))
        };
        assert!(!is_brief_among(1, &filtered_after));
        let counting = |terms: serde_json::Value| ShardQuery {
            aggregations: Arc::new(crate::aggregate::testing::parse(&serde_json::json!({
                "all": {"global": {}, "aggs": {"keys": {"terms": terms}}}
            }))),
            ..query(Clause::MatchAll)
        };
        let field = "k";
        let by_name = serde_json::json!({"field": field, "include": ["a"]});
        assert!(is_brief_among(1, &counting(by_name)));
        let by_pattern = serde_json::json!({"field": field, "exclude": "er.*"});
        assert!(!is_brief_among(1, &counting(by_pattern)));
    }

    #[test]
    fn what_looks_at_every_match_is_brief_among_few_documents_only() {
        let many_hits = ShardQuery {
            top: 10_000,
            ..query(term("rare"))
        };
        assert!(!is_brief_among(1_000_000, &many_hits));
        assert!(is_brief_among(1_000, &many_hits));
    }

    #[test]
    fn what_looks_at_much_or_does_much_with_each_match_is_long() {
        let is_long = |query: &ShardQuery| is_long_among(1_000_000, query);
        let counted = |track_total| ShardQuery {
            track_total,
            ..query(term("common"))
        };
        assert!(!is_long(&counted(TrackTotal::No)), "most is passed over");
        assert!(is_long(&counted(TrackTotal::Exact)));
        let aggregations = serde_json::json!({"most": {"max": {"field": "n"}}});
        let aggregated = |clause| ShardQuery {
            aggregations: Arc::new(crate::aggregate::testing::parse(&aggregations)),
            ..query(clause)
        };
        assert!(is_long(&aggregated(term("fair"))));
        assert!(!is_long(&aggregated(term("rare"))), "few match");
        assert!(
            !is_long_among(10_000, &aggregated(Clause::MatchAll)),
            "there are few"
        );
    }
}
