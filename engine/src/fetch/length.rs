//! How long the documents of hits take to show, by numbers that are at hand: nothing is read.
//!
//! Called by the leaf, which has threads for what is short and others for what is long.

use gleaner_query::resolved::{Access, Clause, Pattern};
use gleaner_query::search::FieldFormat;

use super::{FetchSpec, HighlightSpec};
use crate::length::{Length, building};
use crate::lower::num_nodes;
use crate::view::View;

/// What reading a document takes, in postings that are looked at: some 30 µs where its block must be unpacked, and most
/// blocks hold several.
const READING: u64 = 1_536;

/// What showing a field of a document takes, or getting ready to.
const SHOWING: u64 = 256;

/// What looking for fragments in a field of a document takes, for each part of the query.
const HIGHLIGHTING: u64 = 1_024;

/// What explaining a part of a score takes.
const EXPLAINING: u64 = 2_048;

/// What asking a posting list about one document takes.
const ASKING: u64 = 256;

/// Estimates how long a fetch takes of so many hits of each view. It calls none brief: documents may have to come from a
/// disk.
pub fn length<'v>(hits: impl Iterator<Item = (&'v View, usize)>, spec: &FetchSpec<'_>) -> Length {
    let of_view = |(view, num_hits): (&View, usize)| {
        let shard = Extent {
            documents: view.num_documents(),
            fields: view.mapping().fields.len() as u64,
        };
        work(shard, num_hits as u64, spec)
    };
    Length::of_work(hits.map(of_view).fold(0, u64::saturating_add))
}

/// How much there is in a shard.
#[derive(Clone, Copy)]
struct Extent {
    documents: u64,
    fields: u64,
}

/// Returns what showing `num_hits` documents of a shard takes, in postings that are looked at.
fn work(shard: Extent, num_hits: u64, spec: &FetchSpec<'_>) -> u64 {
    let num_mapped = shard.fields;
    let shown = num_fields(spec.fields, num_mapped) + num_fields(spec.docvalue_fields, num_mapped);
    let highlighted = spec.highlight.map_or(0, |of| highlighting(&of, num_mapped));
    let explained = spec.explain.map_or(0, |query| {
        EXPLAINING.saturating_mul(num_nodes(&query.query) as u64)
    });
    let named = spec.named.iter();
    let named = named.map(|named| asking(&named.clause, shard.documents));
    let of_hit = READING
        .saturating_add(SHOWING.saturating_mul(shown))
        .saturating_add(highlighted)
        .saturating_add(explained)
        .saturating_add(named.fold(0, u64::saturating_add));
    // What makes ready for the first is as much again.
    of_hit.saturating_mul(num_hits.saturating_add(u64::from(num_hits > 0 && shown > 0)))
}

/// Returns how many fields are shown, at most.
fn num_fields(asked: &[FieldFormat], num_mapped: u64) -> u64 {
    let fields = asked
        .iter()
        .map(|asked| num_matching(&asked.field, num_mapped));
    fields.fold(0, u64::saturating_add)
}

fn num_matching(pattern: &str, num_mapped: u64) -> u64 {
    match pattern.contains('*') {
        true => num_mapped,
        false => 1,
    }
}

fn highlighting(spec: &HighlightSpec<'_>, num_mapped: u64) -> u64 {
    let fields = spec.highlight.fields.iter().enumerate();
    let of_field = |(at, (pattern, _)): (usize, &(String, _))| {
        let query = spec.field_queries.get(at).and_then(Option::as_ref);
        let parts = num_nodes(query.unwrap_or(spec.query)) as u64;
        num_matching(pattern, num_mapped).saturating_mul(HIGHLIGHTING.saturating_mul(parts))
    };
    fields.map(of_field).fold(0, u64::saturating_add)
}

/// Returns what asking whether a document matches takes: what is no posting list is gathered first, from all documents.
fn asking(clause: &Clause, documents: u64) -> u64 {
    let own = match clause {
        Clause::Pattern { pattern, .. } => documents.saturating_add(building_of(pattern)),
        _ => match clause.access() {
            Access::Column | Access::Dictionary => documents,
            Access::Postings => ASKING.saturating_mul(1 + clause.num_terms() as u64),
            Access::Ids(num_ids) => ASKING.saturating_mul(num_ids as u64),
            Access::Nothing | Access::Everything | Access::Children => ASKING,
        },
    };
    let inside = clause.children();
    let inside = inside.map(|(_, clause)| asking(clause, documents));
    inside.fold(own, u64::saturating_add)
}

/// An automaton is built once and kept.
fn building_of(pattern: &Pattern) -> u64 {
    building(pattern) / 16
}

#[cfg(test)]
mod tests {
    use gleaner_model::FieldPath;
    use gleaner_query::resolved::{NamedClause, ShardQuery};

    use super::*;

    const SHARD: Extent = Extent {
        documents: 100_000,
        fields: 990,
    };

    fn is_long(num_hits: u64, spec: &FetchSpec<'_>) -> bool {
        Length::of_work(work(SHARD, num_hits, spec)) == Length::Long
    }

    fn fields(patterns: &[&str]) -> Vec<FieldFormat> {
        let field = |pattern: &&str| FieldFormat {
            field: (*pattern).to_owned(),
            format: None,
            include_unmapped: false,
        };
        patterns.iter().map(field).collect()
    }

    #[test]
    fn many_documents_and_many_fields_are_long() {
        let plain = FetchSpec::default();
        assert!(!is_long(10, &plain) && !is_long(200, &plain));
        assert!(is_long(256, &plain));
        let (few, all) = (fields(&["title", "n", "tag"]), fields(&["*"]));
        for (asked, expected) in [(&few, false), (&all, true)] {
            let shown = FetchSpec {
                fields: asked,
                ..plain
            };
            let columns = FetchSpec {
                docvalue_fields: asked,
                ..plain
            };
            assert_eq!(is_long(10, &shown), expected);
            assert_eq!(is_long(10, &columns), expected);
            assert!(!is_long(0, &shown), "there is nothing to show");
        }
        let often = fields(&["title"; 1_000]);
        let often = FetchSpec {
            fields: &often,
            ..plain
        };
        assert!(is_long(10, &often));
    }

    #[test]
    fn what_asks_each_document_about_a_pattern_is_long() {
        let field = || FieldPath::new("title");
        let term = |word: &str| Clause::Term {
            field: field(),
            term: word.to_owned(),
        };
        let pattern = Clause::Pattern {
            field: field(),
            pattern: Pattern::Wildcard {
                pattern: "*er*".to_owned(),
                ignore_case: false,
            },
        };
        for (clause, expected) in [(term("a"), false), (pattern, true)] {
            let named = [NamedClause {
                name: "it".to_owned(),
                clause,
            }];
            let spec = FetchSpec {
                named: &named,
                ..FetchSpec::default()
            };
            assert_eq!(is_long(10, &spec), expected);
        }
        let many = Clause::DisMax {
            clauses: (0..1_000).map(|n| term(&n.to_string())).collect(),
            tie_breaker: 0.0,
        };
        for (query, expected) in [(term("a"), false), (many, true)] {
            let query = ShardQuery::best(query, std::sync::Arc::default(), 10);
            let spec = FetchSpec {
                explain: Some(&query),
                ..FetchSpec::default()
            };
            assert_eq!(is_long(10, &spec), expected);
        }
    }
}
