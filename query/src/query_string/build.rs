//! What each term of a query string means, as clauses of the DSL.

use serde_json::Value;

use super::lexer::RangeToken;
use super::syntax_error;
use crate::dsl::{
    FieldsQuery, Fuzziness, FuzzyQuery, MAX_DETERMINIZED_STATES, MatchPhraseQuery, MatchQuery,
    MultiMatchQuery, MultiMatchType, PatternQuery, Query, QueryStringQuery, RangeQuery,
    TextOptions, ZeroTerms, check_regexp,
};
use crate::encoded::Relation;
use crate::error::QueryError;
use crate::limits::Limits;

/// Pseudo-field whose value is the name of a field that must exist.
const EXISTS_FIELD: &str = "_exists_";

/// Makes clauses with the options of one query string. `field` is what the text names before a
/// colon; `None` stands for the query's fields.
#[derive(Clone, Copy)]
pub(super) struct Builder<'a> {
    query: &'a QueryStringQuery,
    limits: &'a Limits,
}

impl<'a> Builder<'a> {
    pub(super) fn new(query: &'a QueryStringQuery, limits: &'a Limits) -> Self {
        Self { query, limits }
    }

    /// Words to analyse; `>=10` and its kin are ranges, `_exists_:f` is `exists`.
    pub(super) fn text(self, field: Option<&str>, text: &str) -> Option<Query> {
        if text.is_empty() {
            return None;
        }
        if field == Some(EXISTS_FIELD) {
            return Some(exists(text));
        }
        let named = field.or(self.query.default_field.as_deref());
        if let (Some(named), Some(range)) = (named, comparison(text)) {
            return Some(self.range(Some(named), &range));
        }
        let mut query = self.matching(field, text, self.query.kind);
        if let (Some(_), Query::Match(query)) = (named, &mut query) {
            query.options.time_zone.clone_from(&self.query.time_zone);
        }
        Some(query)
    }

    /// `match` on one plain field, else `multi_match`.
    pub(super) fn matching(self, field: Option<&str>, text: &str, kind: MultiMatchType) -> Query {
        let fields = self.fields(field);
        let is_per_term = matches!(
            kind,
            MultiMatchType::BestFields | MultiMatchType::MostFields | MultiMatchType::CrossFields
        );
        match fields.as_slice() {
            [(field, boost)] if is_per_term && !field.contains('*') => Query::Match(MatchQuery {
                field: field.clone(),
                query: Value::from(text),
                options: self.options(),
                boost: *boost,
            }),
            _ => self.multi_match(fields, text, kind),
        }
    }

    fn multi_match(self, fields: Vec<(String, f32)>, text: &str, kind: MultiMatchType) -> Query {
        let is_open = fields.is_empty() || fields.iter().any(|(field, _)| field == "*");
        let mut options = self.options();
        // Over all fields some cannot hold the text.
        options.lenient |= is_open;
        Query::MultiMatch(MultiMatchQuery {
            fields,
            query: Value::from(text),
            kind,
            tie_breaker: self.query.tie_breaker,
            slop: self.query.phrase_slop,
            options,
            boost: 1.0,
        })
    }

    fn options(self) -> TextOptions {
        TextOptions {
            operator: self.query.default_operator,
            fuzziness: None,
            analyzer: self.query.analyzer.clone(),
            lenient: self.query.lenient,
            zero_terms_query: ZeroTerms::Ignore,
            minimum_should_match: None,
            ..self.query.fuzzy.clone()
        }
    }

    /// Quoted text; `slop` overrides the query's. No text at all is a value of keywords.
    pub(super) fn phrase(
        self,
        field: Option<&str>,
        text: &str,
        slop: Option<f32>,
    ) -> Option<Query> {
        if field == Some(EXISTS_FIELD) {
            return (!text.is_empty()).then(|| exists(text));
        }
        // A float's cast saturates; slop is a count of moves.
        let slop = slop.map_or(self.query.phrase_slop, |slop| slop as u32);
        let fields = self.fields(field);
        if let [(field, boost)] = fields.as_slice()
            && !field.contains('*')
            && !self.query.lenient
        {
            return Some(Query::MatchPhrase(MatchPhraseQuery {
                field: field.clone(),
                query: Value::from(text),
                slop,
                analyzer: self.query.analyzer.clone(),
                zero_terms_query: ZeroTerms::Ignore,
                boost: *boost,
            }));
        }
        let mut query = self.multi_match(fields, text, MultiMatchType::Phrase);
        if let Query::MultiMatch(query) = &mut query {
            query.slop = slop;
        }
        Some(query)
    }

    /// A word within some edits; `None` is the query's `fuzziness`.
    pub(super) fn fuzzy(
        self,
        field: Option<&str>,
        term: &str,
        distance: Option<f32>,
    ) -> Result<Query, QueryError> {
        self.check_pattern(term)?;
        let options = &self.query.fuzzy;
        let fuzziness = match distance {
            None => options
                .fuzziness
                .unwrap_or(Fuzziness::Auto { low: 3, high: 6 }),
            Some(distance) => Fuzziness::Edits(edits(distance)),
        };
        Ok(self.over_fields(field, |field| {
            Query::Fuzzy(FuzzyQuery {
                field,
                value: term.to_owned(),
                fuzziness,
                prefix_length: options.prefix_length,
                max_expansions: options.max_expansions,
                transpositions: options.fuzzy_transpositions,
                normalize: true,
                boost: 1.0,
            })
        }))
    }

    /// `prefix*`.
    pub(super) fn prefix(self, field: Option<&str>, prefix: &str) -> Result<Query, QueryError> {
        self.check_pattern(prefix)?;
        if field == Some(EXISTS_FIELD) {
            return Ok(exists(&format!("{prefix}*")));
        }
        let options = self.query.analyze_wildcard.then(|| self.options());
        Ok(self.over_fields(field, |field| {
            Query::Prefix(PatternQuery {
                analysis: options,
                ..pattern_of(field, prefix)
            })
        }))
    }

    /// A word with wildcards; `*` alone asks whether the field has a value.
    pub(super) fn wildcard(self, field: Option<&str>, image: &str) -> Result<Query, QueryError> {
        self.check_pattern(image)?;
        if field == Some(EXISTS_FIELD) {
            return Ok(exists(image));
        }
        if image == "*" {
            return Ok(self.any_value(field));
        }
        if !self.query.allow_leading_wildcard && image.starts_with(['*', '?']) {
            return Err(syntax_error(
                &self.query.query,
                "'*' or '?' not allowed as first character in WildcardQuery",
            ));
        }
        Ok(self.pattern(field, image, Query::Wildcard))
    }

    fn any_value(self, field: Option<&str>) -> Query {
        let fields = self.fields(field);
        if fields.is_empty() || fields.iter().any(|(field, _)| field == "*") {
            return Query::MatchAll { boost: 1.0 };
        }
        if let [(only, boost)] = fields.as_slice() {
            return exists(only).boosted(*boost);
        }
        self.over_fields(field, |field| Query::Exists { field, boost: 1.0 })
    }

    /// `/expression/`.
    pub(super) fn regexp(self, field: Option<&str>, expression: &str) -> Result<Query, QueryError> {
        check_regexp(expression, self.limits)?;
        Ok(self.pattern(field, expression, Query::Regexp))
    }

    fn pattern(self, field: Option<&str>, value: &str, kind: fn(PatternQuery) -> Query) -> Query {
        self.over_fields(field, |field| kind(pattern_of(field, value)))
    }

    /// `[a TO b]`.
    pub(super) fn range(self, field: Option<&str>, range: &RangeToken) -> Query {
        let bound = |text: &Option<String>, is_included| {
            text.as_ref()
                .map(|text| (Value::from(text.as_str()), is_included))
        };
        self.over_fields(field, |field| {
            Query::Range(RangeQuery {
                relation: Relation::default(),
                field,
                lower: bound(&range.lower, range.includes_lower),
                upper: bound(&range.upper, range.includes_upper),
                format: None,
                time_zone: self.query.time_zone.clone(),
                normalize: true,
                boost: 1.0,
            })
        })
    }

    /// The fields a clause is about: what is named, `*` for all, or the query's, which may be empty.
    fn fields(self, field: Option<&str>) -> Vec<(String, f32)> {
        match field {
            None => self.query.fields.clone(),
            Some(field) => vec![(field.to_owned(), 1.0)],
        }
    }

    /// `clause` of one plain field, else over the fields.
    fn over_fields(self, field: Option<&str>, clause: impl FnOnce(String) -> Query) -> Query {
        let fields = self.fields(field);
        if let [(only, boost)] = fields.as_slice()
            && !only.contains('*')
            && !self.query.lenient
        {
            return clause(only.clone()).boosted(*boost);
        }
        let tie_breaker = self.query.tie_breaker;
        Query::OverFields(FieldsQuery {
            fields,
            clause: Box::new(clause(String::new())),
            tie_breaker: tie_breaker.unwrap_or(self.query.kind.tie_breaker()),
            lenient: self.query.lenient,
            boost: 1.0,
        })
    }

    fn check_pattern(self, text: &str) -> Result<(), QueryError> {
        crate::dsl::value::check_chars(text, self.limits.pattern_chars, "query_string")
    }
}

fn pattern_of(field: String, value: &str) -> PatternQuery {
    PatternQuery {
        field,
        value: value.to_owned(),
        case_insensitive: false,
        normalize: true,
        analysis: None,
        max_determinized_states: MAX_DETERMINIZED_STATES,
        boost: 1.0,
    }
}

fn exists(field: &str) -> Query {
    Query::Exists {
        field: field.to_owned(),
        boost: 1.0,
    }
}

/// Reads `>a`, `>=a`, `<a`, `<=a`.
fn comparison(text: &str) -> Option<RangeToken> {
    let is_lower = text.starts_with('>');
    let rest = text.strip_prefix(['>', '<'])?;
    let (value, is_included) = match rest.strip_prefix('=') {
        Some(value) => (value, true),
        None => (rest, false),
    };
    if value.is_empty() {
        return None;
    }
    let bound = Some(value.to_owned());
    let (lower, upper) = if is_lower {
        (bound, None)
    } else {
        (None, bound)
    };
    Some(RangeToken {
        lower,
        upper,
        includes_lower: is_included,
        includes_upper: is_included,
    })
}

/// Elasticsearch's `Fuzziness.asDistance`: what is behind the point counts for nothing.
fn edits(distance: f32) -> u8 {
    // The cast saturates; two edits are the most.
    (distance as u8).min(2)
}
