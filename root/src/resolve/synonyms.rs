//! Clauses over texts whose synonyms have several words, as Lucene's `QueryBuilder` makes them: paths
//! that stand for each other are alternatives, each a phrase, or all of its words.

use gleaner_model::FieldPath;
use gleaner_query::QueryError;
use gleaner_query::dsl::TextOptions;
use gleaner_query::resolved::Clause;

use super::graph::{Stretch, TokenGraph};
use super::prefix::last_word;
use super::text::{Position, phrase_or_term};
use super::{Resolver, all_of, any_of};

impl Resolver<'_> {
    /// Returns one clause for each stretch of the text (`match`).
    ///
    /// # Errors
    /// Here and below: [`QueryError`] when there are too many paths.
    pub(super) fn graph_terms(
        &mut self,
        path: &FieldPath,
        graph: &TokenGraph,
        options: &TextOptions,
    ) -> Result<Vec<Clause>, QueryError> {
        let stretches = graph.stretches(path)?;
        let clauses = stretches.iter();
        Ok(clauses
            .map(|stretch| self.stretch(path, stretch, options))
            .collect())
    }

    /// Returns one clause for each stretch, the last word being a prefix (`match_bool_prefix`).
    pub(super) fn graph_bool_prefix(
        &mut self,
        path: &FieldPath,
        graph: &TokenGraph,
        options: &TextOptions,
    ) -> Result<Vec<Clause>, QueryError> {
        let mut stretches = graph.stretches(path)?;
        let last = stretches.pop();
        let mut clauses: Vec<Clause> = stretches
            .iter()
            .map(|stretch| self.stretch(path, stretch, options))
            .collect();
        clauses.extend(last.map(|last| self.last_stretch(path, last, options)));
        Ok(clauses)
    }

    /// Returns a phrase for each path through the text (`match_phrase`).
    pub(super) fn graph_phrase(
        path: &FieldPath,
        graph: &TokenGraph,
        slop: u32,
    ) -> Result<Clause, QueryError> {
        let paths = graph.paths(path)?.into_iter();
        Ok(alternatives(
            paths
                .map(|words| phrase_or_term(path, words, slop))
                .collect(),
        ))
    }

    /// Returns a phrase for each path, its last word being a prefix (`match_phrase_prefix`).
    pub(super) fn graph_phrase_prefix(
        &mut self,
        path: &FieldPath,
        graph: &TokenGraph,
        slop: u32,
        max_expansions: u32,
    ) -> Result<Clause, QueryError> {
        let paths = graph.paths(path)?.into_iter();
        Ok(alternatives(
            paths
                .map(|words| self.phrase_prefix(path, words, slop, max_expansions))
                .collect(),
        ))
    }

    fn stretch(&mut self, path: &FieldPath, stretch: &Stretch, options: &TextOptions) -> Clause {
        match stretch {
            Stretch::Terms(terms) => self.terms_at(path, terms, options),
            Stretch::Paths(paths) => {
                let paths = paths.iter();
                alternatives(
                    paths
                        .map(|words| self.alternative(path, words, options))
                        .collect(),
                )
            }
        }
    }

    fn alternative(
        &mut self,
        path: &FieldPath,
        words: &[Position],
        options: &TextOptions,
    ) -> Clause {
        match words {
            [(_, terms)] => self.terms_at(path, terms, options),
            _ if options.auto_generate_synonyms_phrase_query => {
                phrase_or_term(path, words.to_vec(), 0)
            }
            _ => all_of(self.clauses_of(path, words, options)),
        }
    }

    fn last_stretch(
        &mut self,
        path: &FieldPath,
        stretch: Stretch,
        options: &TextOptions,
    ) -> Clause {
        match stretch {
            Stretch::Terms(terms) => last_word(path, terms),
            Stretch::Paths(paths) => {
                let paths = paths.into_iter();
                alternatives(
                    paths
                        .map(|words| self.last_alternative(path, words, options))
                        .collect(),
                )
            }
        }
    }

    fn last_alternative(
        &mut self,
        path: &FieldPath,
        mut words: Vec<Position>,
        options: &TextOptions,
    ) -> Clause {
        if options.auto_generate_synonyms_phrase_query {
            return self.phrase_prefix(path, words, 0, options.max_expansions);
        }
        let (_, last) = words.pop().unwrap_or_default();
        let mut clauses = self.clauses_of(path, &words, options);
        clauses.push(last_word(path, last));
        alone_or(clauses, all_of)
    }
}

/// Joins what stands for the same.
fn alternatives(clauses: Vec<Clause>) -> Clause {
    alone_or(clauses, any_of)
}

fn alone_or(mut clauses: Vec<Clause>, join: fn(Vec<Clause>) -> Clause) -> Clause {
    match clauses.len() {
        1 => clauses.remove(0),
        _ => join(clauses),
    }
}
