//! `multi_match`: one text over several fields.

use gleaner_model::{Field, FieldKind, FieldPath};
use gleaner_query::QueryError;
use gleaner_query::dsl::{
    MatchPhrasePrefixQuery, MatchPhraseQuery, MatchQuery, MultiMatchQuery, MultiMatchType,
};
use gleaner_query::error::ErrorType;
use gleaner_query::resolved::Clause;

use super::fields::{SearchField, search_fields};
use super::{Resolver, boosted, is_unsaid, unsaid};

impl Resolver<'_> {
    pub(crate) fn multi_match(&mut self, query: &MultiMatchQuery) -> Result<Clause, QueryError> {
        if query.kind == MultiMatchType::CrossFields {
            return self.cross_fields(query);
        }
        let mut clauses = Vec::new();
        let mut says_nothing = false;
        for searched in search_fields(self.index, &query.fields) {
            self.count_words(1)?;
            match self.one_field(query, &searched)? {
                Some(clause) if is_unsaid(&clause) => says_nothing = true,
                Some(clause) => clauses.push(boosted(clause, searched.boost)),
                None => {}
            }
        }
        let tie_breaker = query.tie_breaker;
        let tie_breaker = tie_breaker.unwrap_or(query.kind.tie_breaker());
        let clause = match clauses.len() {
            0 if says_nothing => unsaid(),
            0 => Clause::MatchNone,
            1 => clauses.remove(0),
            _ => Clause::DisMax {
                clauses,
                tie_breaker,
            },
        };
        Ok(boosted(clause, query.boost))
    }

    /// Returns the clause on one field; `None` where the field cannot take part.
    pub(super) fn one_field(
        &mut self,
        query: &MultiMatchQuery,
        searched: &SearchField,
    ) -> Result<Option<Clause>, QueryError> {
        let name = searched.path.as_str();
        let is_whole = !matches!(
            query.kind,
            MultiMatchType::PhrasePrefix | MultiMatchType::BoolPrefix
        );
        if is_whole && let Some(clause) = self.system_term(name, std::slice::from_ref(&query.query))
        {
            return Ok(Some(clause));
        }
        let (path, field) = match self.indexed_field(name) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(_) if query.options.lenient => return Ok(None),
            Err(error) => return Err(error),
        };
        let clause = match query.kind {
            MultiMatchType::Phrase => self.match_phrase(&phrase_of(query, &path)),
            MultiMatchType::PhrasePrefix => self.phrase_prefix_of(query, &path, &field),
            MultiMatchType::BoolPrefix => self.match_bool_prefix(&match_of(query, &path)),
            MultiMatchType::BestFields
            | MultiMatchType::MostFields
            | MultiMatchType::CrossFields => {
                self.match_field(&path, &field, &query.query, &query.options)
            }
        };
        match clause {
            Ok(clause) => Ok(Some(clause)),
            // Nothing of the field's type: the text is too much for any.
            Err(error) if error.kind == ErrorType::TooManyClauses => Err(error),
            // A field that the client did not name, or lenient: text that is no value of its type
            // matches nothing there.
            Err(_) if searched.from_pattern || query.options.lenient => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn phrase_prefix_of(
        &mut self,
        query: &MultiMatchQuery,
        path: &FieldPath,
        field: &Field,
    ) -> Result<Clause, QueryError> {
        if !matches!(field.kind, FieldKind::Text { .. }) {
            return self.match_field(path, field, &query.query, &query.options);
        }
        let max_expansions = query.options.max_expansions;
        let phrase = phrase_of(query, path);
        self.match_phrase_prefix(&MatchPhrasePrefixQuery {
            phrase,
            max_expansions,
        })
    }
}

fn phrase_of(query: &MultiMatchQuery, path: &FieldPath) -> MatchPhraseQuery {
    MatchPhraseQuery {
        field: path.as_str().to_owned(),
        query: query.query.clone(),
        slop: query.slop,
        analyzer: query.options.analyzer.clone(),
        zero_terms_query: query.options.zero_terms_query,
        boost: 1.0,
    }
}

fn match_of(query: &MultiMatchQuery, path: &FieldPath) -> MatchQuery {
    MatchQuery {
        field: path.as_str().to_owned(),
        query: query.query.clone(),
        options: query.options.clone(),
        boost: 1.0,
    }
}
