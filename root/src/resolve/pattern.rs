//! Clauses on the terms that a pattern matches, and over the fields that a query string names.

pub(super) mod literals;

use gleaner_model::mapping::matches_pattern;
use gleaner_model::{FieldKind, FieldPath};
use gleaner_query::QueryError;
use gleaner_query::dsl::{FieldsQuery, MatchQuery, PatternQuery, Query};
use gleaner_query::error::ErrorType;
use gleaner_query::mapping::{INDEX_PREFIX, MAX_PREFIX_CHARS, is_metadata};
use gleaner_query::resolved::{Clause, Pattern};

use super::fields::search_fields;
use super::prefix::LastWord;
use super::{Resolver, boosted, is_unsaid, keyed, unsaid};

impl Resolver<'_> {
    /// Resolves what a query string asks of several fields.
    pub(crate) fn over_fields(&mut self, query: &FieldsQuery) -> Result<Clause, QueryError> {
        let mut clauses = Vec::new();
        let mut says_nothing = false;
        for searched in search_fields(self.index, &query.fields) {
            self.count_words(1)?;
            let clause = Query::clone(&query.clause).on_field(searched.path.as_str());
            match self.resolve(&clause) {
                Ok(Clause::MatchNone) => {}
                Ok(clause) if is_unsaid(&clause) => says_nothing = true,
                Ok(clause) => clauses.push(boosted(clause, searched.boost)),
                Err(error) if error.kind == ErrorType::TooManyClauses => return Err(error),
                Err(_) if searched.from_pattern || query.lenient => {}
                Err(error) => return Err(error),
            }
        }
        let clause = match clauses.len() {
            0 if says_nothing => unsaid(),
            0 => Clause::MatchNone,
            1 => clauses.remove(0),
            _ => Clause::DisMax {
                clauses,
                tie_breaker: query.tie_breaker,
            },
        };
        Ok(boosted(clause, query.boost))
    }

    /// Returns `exists`, of which each field counts: all of them are looked at.
    pub(super) fn counted_exists(&mut self, field: &str, boost: f32) -> Result<Clause, QueryError> {
        let kind = self.mapping().field(field).map(|field| &field.kind);
        if kind.is_some_and(FieldKind::is_of_features) {
            return Err(QueryError::illegal(
                "[rank_features] fields do not support [exists] queries",
            ));
        }
        let clause = self.exists(field);
        if let Clause::Exists { fields } = &clause {
            self.count_words(fields.len())?;
        }
        Ok(boosted(clause, boost))
    }

    /// All documents if the index's name is like the pattern, or none.
    fn index_like(&self, query: &PatternQuery, kind: PatternKind) -> Result<Clause, QueryError> {
        let value = match query.case_insensitive {
            true => query.value.to_lowercase(),
            false => query.value.clone(),
        };
        let pattern = match kind {
            PatternKind::Prefix => format!("{value}*"),
            PatternKind::Wildcard => value,
            PatternKind::Regexp => return Err(not_text(kind, "_index", "_index")),
        };
        Ok(match matches_pattern(&pattern, self.index.name.as_str()) {
            true => Clause::MatchAll,
            false => Clause::MatchNone,
        })
    }

    pub(crate) fn pattern(
        &mut self,
        query: &PatternQuery,
        kind: PatternKind,
    ) -> Result<Clause, QueryError> {
        if query.field == "_index" {
            return Ok(boosted(self.index_like(query, kind)?, query.boost));
        }
        if is_metadata(&query.field) {
            return Err(not_text(kind, &query.field, &query.field));
        }
        let Some((path, field)) = self.indexed_field(&query.field)? else {
            return Ok(Clause::MatchNone);
        };
        if !matches!(
            field.kind,
            FieldKind::Text { .. } | FieldKind::Keyword { .. }
        ) {
            return Err(not_text(kind, &query.field, field.kind.type_name()));
        }
        if keyed::key_of(&field.kind).is_some() {
            if kind != PatternKind::Prefix {
                return Err(keyed::not_asked_of_keys(kind.name()));
            }
            if query.case_insensitive {
                return Err(keyed::not_asked_of_keys("case insensitive prefix"));
            }
        }
        if let (PatternKind::Prefix, FieldKind::Text { .. }, Some(options)) =
            (kind, &field.kind, &query.analysis)
        {
            let text = MatchQuery {
                field: query.field.clone(),
                query: query.value.as_str().into(),
                options: options.clone(),
                boost: query.boost,
            };
            return self.bool_prefix(&text, LastWord::Always);
        }
        let ignore_case = query.case_insensitive;
        if let (PatternKind::Prefix, false) = (kind, ignore_case)
            && let Some(prefixes) = self.prefixes_of(&path, &query.value)
        {
            return Ok(boosted(prefixes, query.boost));
        }
        let value = query.value.as_str();
        let normalize = |text: &str| match query.normalize && kind != PatternKind::Regexp {
            true => self.normalized_pattern(&field, text),
            false => self.normalized(&field, text),
        };
        let pattern = match kind {
            PatternKind::Prefix => Pattern::Prefix {
                prefix: normalize(value),
                ignore_case,
            },
            PatternKind::Wildcard => Pattern::Wildcard {
                pattern: literals::of_wildcard(value, normalize),
                ignore_case,
            },
            PatternKind::Regexp => {
                let is_normalized = matches!(
                    field.kind,
                    FieldKind::Keyword {
                        normalizer: Some(_),
                        ..
                    }
                );
                let expression = match is_normalized {
                    true => literals::of_regexp(value, normalize),
                    false => value.to_owned(),
                };
                self.check_regexp(value)?;
                Pattern::Regexp {
                    expression,
                    ignore_case,
                }
            }
        };
        Ok(boosted(
            Clause::Pattern {
                field: path,
                pattern,
            },
            query.boost,
        ))
    }

    /// Returns what finds a beginning of several words in the field that `search_as_you_type` brings for
    /// them; `None` for other fields, and for what is longer than the beginnings that are kept.
    fn prefixes_of(&self, path: &FieldPath, value: &str) -> Option<Clause> {
        let is_kept = (1..=MAX_PREFIX_CHARS).contains(&value.chars().count());
        let term = || Clause::Term {
            field: path_of_prefixes(path),
            term: value.to_owned(),
        };
        (is_kept && self.has_prefixes(path)).then(|| Clause::Constant(Box::new(term())))
    }

    /// Returns whether `search_as_you_type` has brought a field of beginnings for the field at `path`.
    pub(super) fn has_prefixes(&self, path: &FieldPath) -> bool {
        let field = self.mapping().field(path_of_prefixes(path).as_str());
        field.is_some_and(|field| field.is_multi_field && field.declared.is_empty())
    }

    /// Refuses a regular expression that is longer than the index allows.
    pub(super) fn check_regexp(&self, expression: &str) -> Result<(), QueryError> {
        let limit = self.index.settings.max_regex_length;
        let length = expression.chars().count();
        if length > limit {
            return Err(QueryError::illegal(format!(
                "The length of regex [{length}] used in the Regexp Query request has exceeded the \
                 allowed maximum of [{limit}]. This maximum can be set by changing the \
                 [index.max_regex_length] index level setting."
            )));
        }
        Ok(())
    }
}

fn path_of_prefixes(path: &FieldPath) -> FieldPath {
    FieldPath::new(format!("{path}.{INDEX_PREFIX}"))
}

fn not_text(kind: PatternKind, field: &str, type_name: &str) -> QueryError {
    QueryError::new(
        ErrorType::QueryShard,
        format!(
            "Can only use {} queries on keyword, text and wildcard fields - not on [{field}] which \
             is of type [{type_name}]",
            kind.name()
        ),
    )
}

/// Returns the pattern that only `text` is like.
pub(super) fn escape_wildcard(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Which kind of pattern a clause holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatternKind {
    Prefix,
    Wildcard,
    Regexp,
}

impl PatternKind {
    fn name(self) -> &'static str {
        match self {
            Self::Prefix => "prefix",
            Self::Wildcard => "wildcard",
            Self::Regexp => "regexp",
        }
    }
}
