//! The searches: every intersection and union of the query set, as the dialect's `match`.

use std::path::Path;

use anyhow::Result;
use gleaner_datasets::query_set::{self, Class, TaggedQuery};
use gleaner_datasets::{Generator, Input};
use gleaner_query::limits::Limits;
use gleaner_query::search::{SearchRequest, parse_search};
use serde_json::json;

use crate::corpus::SEED;

/// A word that no document holds: what a new root is asked first, so that it knows the index.
const UNHEARD: &str = "zqxjkvbpygh";

/// How terms are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// All of them.
    Intersection,
    /// Any of them.
    Union,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Intersection, Self::Union];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Intersection => "intersection",
            Self::Union => "union",
        }
    }

    fn operator(self) -> &'static str {
        match self {
            Self::Intersection => "and",
            Self::Union => "or",
        }
    }
}

/// One of the two ways to scatter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Shards,
    Terms,
}

impl Way {
    pub(super) const ALL: [Self; 2] = [Self::Shards, Self::Terms];

    /// Returns the value of `scatter`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Shards => "shards",
            Self::Terms => "terms",
        }
    }
}

/// What is wanted beside the hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    /// Nothing: the ids of the ten best and the dialect's total, exact up to 10,000.
    Nothing,
    /// The total, exact however large.
    ExactTotal,
    /// The waterfall.
    Profile,
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) kind: Kind,
    /// Words apart by spaces.
    pub(super) text: String,
}

impl Asked {
    /// Returns the request.
    pub(super) fn request(&self, way: Way, extra: Extra) -> Result<SearchRequest> {
        let mut body = json!({
            "query": {"match": {"body": {"query": self.text, "operator": self.kind.operator()}}},
            "size": 10,
            "_source": false,
            "scatter": way.name(),
        });
        match extra {
            Extra::Nothing => {}
            Extra::ExactTotal => body["track_total_hits"] = true.into(),
            Extra::Profile => body["profile"] = true.into(),
        }
        Ok(parse_search(
            body.to_string().as_bytes(),
            &Limits::default(),
        )?)
    }
}

/// Returns a search that finds nothing.
pub(super) fn unheard() -> Asked {
    Asked {
        kind: Kind::Union,
        text: UNHEARD.to_owned(),
    }
}

/// Returns the guide's worked example.
pub(super) fn worked() -> Vec<Asked> {
    let asked = |kind| Asked {
        kind,
        text: "cat dog".to_owned(),
    };
    Kind::ALL.map(asked).to_vec()
}

/// Returns the intersections and unions of the set in `data`, or generated ones where there is none.
///
/// # Errors
/// When the set cannot be read.
pub(super) fn all(data: Option<&Path>) -> Result<Vec<Asked>> {
    let set = match data {
        Some(data) => query_set::read(Input::open(&data.join("queries/sbg_queries.txt"))?)?,
        None => generated(),
    };
    Ok(set.iter().filter_map(asked).collect())
}

fn asked(query: &TaggedQuery) -> Option<Asked> {
    let kind = match query.class() {
        Class::Intersection => Kind::Intersection,
        Class::Union => Kind::Union,
        _ => return None,
    };
    // `+all +of +these`: the operator says it.
    let words = query.query.split_whitespace();
    let words: Vec<&str> = words.map(|word| word.trim_start_matches('+')).collect();
    Some(Asked {
        kind,
        text: words.join(" "),
    })
}

fn generated() -> Vec<TaggedQuery> {
    let generator = Generator::new(SEED, 0);
    let tags = [Class::Intersection, Class::Union];
    let queries = (0..200).map(|position| TaggedQuery {
        query: generator.query(position),
        tags: vec![tags[position as usize % tags.len()].name().to_owned()],
    });
    queries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intersections_and_unions_are_asked_and_nothing_else() {
        let tagged = |query: &str, tag: &str| TaggedQuery {
            query: query.to_owned(),
            tags: vec![tag.to_owned()],
        };
        let set = [
            tagged("+griffith +observatory", "intersection"),
            tagged("\"griffith observatory\"", "phrase"),
            tagged("griffith observatory", "union"),
            tagged("+jaguar -car", "negated"),
        ];
        let found: Vec<Asked> = set.iter().filter_map(asked).collect();
        let text = "griffith observatory".to_owned();
        let expected = Kind::ALL.map(|kind| Asked {
            kind,
            text: text.clone(),
        });
        assert_eq!(found, expected);
    }
}
