//! Texts whose last word is a prefix: `match_bool_prefix`, `match_phrase_prefix`.

use gleaner_model::{FieldKind, FieldPath};
use gleaner_query::QueryError;
use gleaner_query::dsl::{MatchPhrasePrefixQuery, MatchQuery};
use gleaner_query::error::ErrorType;
use gleaner_query::resolved::{Clause, ExpansionRequest, Pattern};

use super::graph::TokenGraph;
use super::positions::{check_words, placeless};
use super::text::{Position, joined, phrase, plain, positions, term_of, zero_terms};
use super::{Resolver, any_of, boosted, too_much, values};

/// When the last word of a text is a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LastWord {
    /// Where it ends the text: a space, a full stop or a stop word behind it says that it is whole
    /// (Elasticsearch, `MatchQueryParser`).
    IfItEnds,
    /// Whatever follows it, as query strings want it, whose `*` stands at the end.
    Always,
}

impl Resolver<'_> {
    pub(crate) fn match_bool_prefix(&mut self, query: &MatchQuery) -> Result<Clause, QueryError> {
        self.bool_prefix(query, LastWord::IfItEnds)
    }

    /// Returns the words of a text, the last of which is a prefix as `rule` says.
    pub(super) fn bool_prefix(
        &mut self,
        query: &MatchQuery,
        rule: LastWord,
    ) -> Result<Clause, QueryError> {
        let Some((path, field)) = self.indexed_field(&query.field)? else {
            return Ok(Clause::MatchNone);
        };
        let Some(tokens) = self.tokens(&field, &query.query, &query.options)? else {
            if !matches!(field.kind, FieldKind::Keyword { .. }) {
                return self.match_text(query);
            }
            let start = self.normalized(&field, &values::text_of(&query.query));
            return Ok(boosted(prefix(&path, start), query.boost));
        };
        if let Some(graph) = TokenGraph::of(&tokens) {
            let options = placeless(&field, &query.options);
            let clauses = self.graph_bool_prefix(&path, &graph, &options)?;
            let clause = joined(clauses, &query.options);
            return Ok(boosted(clause, query.boost));
        }
        let is_prefix = match rule {
            LastWord::Always => true,
            LastWord::IfItEnds => {
                let analyzer = self.search_analyzer(&field, query.options.analyzer.as_deref())?;
                let text = values::text_of(&query.query);
                let end = analyzer.end_of(&text, &self.meter).map_err(too_much)?;
                tokens.last().is_some_and(|last| last.end == end)
            }
        };
        let mut positions = positions(tokens);
        let Some((_, last)) = positions.pop() else {
            let clause = zero_terms(query.options.zero_terms_query);
            return Ok(boosted(clause, query.boost));
        };
        let mut clauses = self.clauses_of(&path, &positions, &query.options);
        clauses.push(match is_prefix {
            true => last_word(&path, last),
            false => self.terms_at(&path, &last, &query.options),
        });
        Ok(boosted(joined(clauses, &query.options), query.boost))
    }

    pub(crate) fn match_phrase_prefix(
        &mut self,
        query: &MatchPhrasePrefixQuery,
    ) -> Result<Clause, QueryError> {
        let phrase_query = &query.phrase;
        let Some((path, field)) = self.indexed_field(&phrase_query.field)? else {
            return Ok(Clause::MatchNone);
        };
        if !matches!(field.kind, FieldKind::Text { .. }) {
            return Err(QueryError::new(
                ErrorType::QueryShard,
                format!(
                    "Can only use phrase prefix queries on text fields - not on [{path}] which is \
                     of type [{}]",
                    field.kind.type_name()
                ),
            ));
        }
        let tokens = self.phrase_tokens(&field, phrase_query)?;
        check_words(&path, &field, &tokens)?;
        let (slop, max_expansions) = (phrase_query.slop, query.max_expansions);
        let clause = match TokenGraph::of(&tokens) {
            Some(graph) => self.graph_phrase_prefix(&path, &graph, slop, max_expansions)?,
            None if tokens.is_empty() => zero_terms(phrase_query.zero_terms_query),
            None => self.phrase_prefix(&path, positions(tokens), slop, max_expansions),
        };
        Ok(boosted(clause, phrase_query.boost))
    }

    /// Returns the phrase of `positions`, of which the last stands for the terms that start so.
    pub(super) fn phrase_prefix(
        &mut self,
        path: &FieldPath,
        mut positions: Vec<Position>,
        slop: u32,
        max_expansions: u32,
    ) -> Clause {
        let Some((position, last)) = positions.pop() else {
            return Clause::MatchNone;
        };
        // Elasticsearch asks the field of beginnings for a phrase, whose terms are not expanded
        // (`SearchAsYouTypeFieldType.phrasePrefixQuery`).
        let limit = match slop == 0 && !positions.is_empty() && self.has_prefixes(path) {
            true => self.limits.expansions,
            false => max_expansions as usize,
        };
        let terms = self.prefix_terms(path, &last, limit);
        if terms.is_empty() {
            return Clause::MatchNone;
        }
        if positions.is_empty() {
            return any_of(terms.into_iter().map(|term| term_of(path, term)).collect());
        }
        positions.push((position, terms));
        phrase(path, positions, slop)
    }

    fn prefix_terms(&mut self, path: &FieldPath, prefixes: &[String], limit: usize) -> Vec<String> {
        let mut terms = Vec::new();
        for prefix in prefixes {
            let pattern = Pattern::Prefix {
                prefix: prefix.clone(),
                ignore_case: false,
            };
            let request = ExpansionRequest {
                field: path.clone(),
                pattern,
                limit,
            };
            let found = self
                .expansions
                .look_up(request, self.limits.expansions)
                .unwrap_or_default();
            terms.extend(found.iter().map(|candidate| candidate.term.clone()));
        }
        terms.sort();
        terms.dedup();
        terms
    }
}

/// Returns the clause for terms that start so.
fn prefix(path: &FieldPath, prefix: String) -> Clause {
    Clause::Pattern {
        field: path.clone(),
        pattern: Pattern::Prefix {
            prefix,
            ignore_case: false,
        },
    }
}

/// Returns the clause for the last word of a text: a prefix, or whole terms where several stand for
/// each other there.
pub(super) fn last_word(path: &FieldPath, mut terms: Vec<String>) -> Clause {
    match terms.len() {
        1 => prefix(path, terms.remove(0)),
        _ => plain(path, &terms),
    }
}
