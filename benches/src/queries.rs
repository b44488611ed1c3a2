//! Queries by class: of the search-benchmark-game, or words that stand together in the documents.

mod own;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use gleaner_analysis::{Analyzer, AnalyzerRegistry, Meter};
use gleaner_datasets::query_set::{self, Class as Tag, TaggedQuery};
use gleaner_datasets::{Generator, Input};
use serde::{Deserialize, Serialize};

use crate::corpus::{Corpus, SEED};

/// The classes whose ratios are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// One term.
    Term,
    /// All of two to some terms.
    And,
    /// Any of two to some terms.
    Or,
    /// Terms next to each other.
    Phrase,
    /// All of the terms, under a filter on a keyword or a date.
    Filtered,
    /// Any of the terms, in the title or in the body: the better of both counts.
    BestField,
    /// Any of the terms; in the title too they count more.
    TitleToo,
    /// Any of the terms; next to each other they count more.
    PhraseToo,
    /// At least two of the terms.
    Two,
}

impl Class {
    /// Those of one clause, in the order of the tables.
    pub const ALL: [Self; 5] = [
        Self::Term,
        Self::And,
        Self::Or,
        Self::Phrase,
        Self::Filtered,
    ];

    /// Those of clauses inside each other, as applications send them.
    pub const COMBINED: [Self; 4] = [Self::BestField, Self::TitleToo, Self::PhraseToo, Self::Two];

    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Term => "term",
            Self::And => "AND",
            Self::Or => "OR",
            Self::Phrase => "phrase",
            Self::Filtered => "filtered",
            Self::BestField => "best of two fields",
            Self::TitleToo => "OR, title preferred",
            Self::PhraseToo => "OR, phrase preferred",
            Self::Two => "two of the terms",
        }
    }
}

/// What a filtered query lets through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Filter {
    /// Documents whose `kind` is this.
    Kind(String),
    /// Documents published within these years, both included; milliseconds of their borders, the
    /// second excluded.
    Published(i64, i64),
}

/// Boost of the title in [`Class::BestField`].
pub const TITLE_BOOST: f32 = 3.0;

/// Where queries come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// The search-benchmark-game's: what people ask; many match little of what is indexed here.
    Game,
    /// Words that stand together in the documents, and terms of all frequencies: as the measurements
    /// were made that the targets come from.
    Own,
    /// The disjunctions of the game, each put together from clauses inside each other.
    Combined,
}

impl Set {
    /// Those of one clause.
    pub const ALL: [Self; 2] = [Self::Game, Self::Own];

    /// Returns the set in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Game => "queries of the search-benchmark-game",
            Self::Own => "queries drawn from the documents",
            Self::Combined => "disjunctions of the search-benchmark-game, combined",
        }
    }

    /// Returns the classes of its queries, in the order of the tables.
    pub fn classes(self) -> &'static [Class] {
        match self {
            Self::Game | Self::Own => &Class::ALL,
            Self::Combined => &Class::COMBINED,
        }
    }

    /// Returns up to `per_class` queries of each class.
    ///
    /// # Errors
    /// When the game's set in `data` cannot be read.
    pub fn queries(
        self,
        data: Option<&Path>,
        corpus: &Corpus,
        per_class: usize,
    ) -> Result<Vec<Query>> {
        match self {
            Self::Game | Self::Combined => sample(data, self.classes(), per_class),
            Self::Own => own::draw(corpus, per_class, data.is_some()),
        }
    }
}

/// A query on the field `body`, and on `title` where its class says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Its class.
    pub class: Class,
    /// Its words after analysis, at least one, in order.
    pub terms: Vec<String>,
    /// Its filter; `Some` in [`Class::Filtered`] only.
    pub filter: Option<Filter>,
}

/// Milliseconds of 2010-01-01 and 2015-01-01: about a quarter of all documents.
const FIVE_YEARS: (i64, i64) = (1_262_304_000_000, 1_420_070_400_000);

/// Returns up to `per_class` queries of each of `classes`, class by class.
///
/// Every n-th of the set in its order, so the same number gives the same queries.
///
/// # Errors
/// When the set in `data` cannot be read.
pub fn sample(data: Option<&Path>, classes: &[Class], per_class: usize) -> Result<Vec<Query>> {
    let registry = AnalyzerRegistry::builtin();
    let standard = registry
        .analyzer("standard")
        .context("the standard analyzer is built in")?;
    let set = match data {
        Some(data) => query_set::read(Input::open(&data.join("queries/sbg_queries.txt"))?)?,
        None => generated(),
    };
    let terms_of = |tag: Tag| -> Vec<Vec<String>> {
        let tagged = set.iter().filter(|query| query.class() == tag);
        let terms = tagged.map(|query| analyze(&standard, &query.query));
        terms.filter(|terms| terms.len() > 1).collect()
    };
    let (all, any, phrases) = (
        terms_of(Tag::Intersection),
        terms_of(Tag::Union),
        terms_of(Tag::Phrase),
    );
    // The set has one query of one term: the words of the others stand in.
    let words: BTreeSet<String> = any.iter().flatten().cloned().collect();
    let words: Vec<Vec<String>> = words.into_iter().map(|word| vec![word]).collect();
    let mut queries = Vec::new();
    for &class in classes {
        let pool = match class {
            Class::Term => &words,
            Class::And | Class::Filtered => &all,
            Class::Or | Class::BestField | Class::TitleToo | Class::PhraseToo | Class::Two => &any,
            Class::Phrase => &phrases,
        };
        for (position, terms) in every_nth(pool, per_class).enumerate() {
            let filter = (class == Class::Filtered).then(|| filter(position, data.is_some()));
            queries.push(Query {
                class,
                terms: terms.clone(),
                filter,
            });
        }
    }
    Ok(queries)
}

fn filter(position: usize, is_real: bool) -> Filter {
    if position.is_multiple_of(2) {
        Filter::Published(FIVE_YEARS.0, FIVE_YEARS.1)
    } else {
        Filter::Kind(if is_real { "wikipedia" } else { "generated" }.to_owned())
    }
}

fn every_nth(pool: &[Vec<String>], wanted: usize) -> impl Iterator<Item = &Vec<String>> {
    let taken = wanted.min(pool.len());
    (0..taken).map(move |n| &pool[n * pool.len() / taken])
}

fn analyze(analyzer: &Analyzer, text: &str) -> Vec<String> {
    analyzer
        .analyze(text, &Meter::unlimited())
        .expect("no bound")
        .into_iter()
        .map(|token| token.text)
        .collect()
}

fn generated() -> Vec<TaggedQuery> {
    let generator = Generator::new(SEED, 0);
    let tags = [Tag::Intersection, Tag::Union, Tag::Phrase];
    let queries = (0..1_500).map(|position| TaggedQuery {
        query: generator.query(position),
        tags: vec![tags[position as usize % tags.len()].name().to_owned()],
    });
    queries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_share_and_only_filtered_ones_have_filters() {
        let classes = [&Class::ALL[..], &Class::COMBINED].concat();
        let sampled = || sample(None, &classes, 7).expect("nothing is read");
        let queries = sampled();
        assert_eq!(queries, sampled());
        for class in classes {
            let of_class: Vec<_> = queries
                .iter()
                .filter(|query| query.class == class)
                .collect();
            assert_eq!(of_class.len(), 7, "{}", class.name());
            for query in of_class {
                assert_eq!(query.filter.is_some(), class == Class::Filtered);
                assert_eq!(query.terms.len() == 1, class == Class::Term);
            }
        }
    }
}
