//! The query as asked → the tree that leaves evaluate, for one index.
//!
//! Text is analysed here, once; patterns that score (fuzzy terms, phrase prefixes) need the terms
//! they stand for, which only the shards know. The first pass notes what to ask in
//! [`Expansions::wanted`]; the second finds the merged answers. Everything else is decided by the
//! mapping alone, so all shards evaluate the same tree.

mod across;
mod constants;
mod encoded;
mod expansions;
mod factors;
mod fields;
mod function;
mod graph;
mod group;
mod intervals;
mod keyed;
mod like;
mod match_only;
mod metadata;
mod minimum;
mod multi;
mod pattern;
mod positions;
mod prefix;
mod range;
mod spans;
mod synonyms;
mod text;
mod values;

use std::ops::Bound;

use gleaner_analysis::{Analyzer, AnalyzerRegistry, Meter, TooMuch};
use gleaner_model::{DocumentId, Field, FieldKind, FieldPath, IndexMeta, Mapping};
use gleaner_query::dsl::{BoolQuery, Query, TermQuery};
use gleaner_query::error::ErrorType;
use gleaner_query::limits::Limits;
use gleaner_query::mapping::is_metadata;
use gleaner_query::resolved::{Clause, NamedClause, Pattern, Scalar};
use gleaner_query::{QueryError, query_string};

use constants::Constants;
use metadata::{can_exist, unsearchable};
use minimum::required;
use pattern::{PatternKind, escape_wildcard};

pub use expansions::Expansions;
pub(crate) use factors::check_factors;
pub use fields::expand_fields;

/// Resolves queries for one index.
pub struct Resolver<'a> {
    /// The index.
    pub index: &'a IndexMeta,
    /// Its analyzers.
    pub analyzers: &'a AnalyzerRegistry,
    /// Limits on requests.
    pub limits: &'a Limits,
    /// The request's time, milliseconds since the epoch.
    pub now_ms: i64,
    /// Terms that patterns stand for.
    pub expansions: &'a mut Expansions,
    /// Words of texts resolved so far, counted for each field.
    pub num_words: usize,
    /// Bytes of intervals copied so far, since alternatives stand in phrases.
    pub num_copied_bytes: usize,
    /// Named queries resolved so far.
    pub named: Vec<NamedClause>,
    /// Of what the analysis of all texts makes.
    meter: Meter<'static>,
    constants: Constants<'a>,
}

impl<'a> Resolver<'a> {
    /// Returns a resolver for `index` that has resolved nothing yet.
    pub fn new(
        index: &'a IndexMeta,
        analyzers: &'a AnalyzerRegistry,
        limits: &'a Limits,
        now_ms: i64,
        expansions: &'a mut Expansions,
    ) -> Self {
        Self {
            index,
            analyzers,
            limits,
            now_ms,
            expansions,
            num_words: 0,
            num_copied_bytes: 0,
            named: Vec::new(),
            meter: Meter::for_request(),
            constants: Constants::of(&index.mapping),
        }
    }

    /// Returns the tree for `query`.
    ///
    /// # Errors
    /// [`QueryError`] when the query cannot be asked of this index.
    pub fn resolve(&mut self, query: &Query) -> Result<Clause, QueryError> {
        let mut clause = self.clause_of(query)?;
        self.meter.check().map_err(too_much)?;
        // Queries inside are settled already.
        if query.children().is_empty() {
            self.constants.settle(&mut clause)?;
            match_only::settle(self.mapping(), &mut clause);
        }
        Ok(clause)
    }

    fn clause_of(&mut self, query: &Query) -> Result<Clause, QueryError> {
        match query {
            Query::MatchAll { boost } => Ok(boosted(Clause::MatchAll, *boost)),
            Query::MatchNone => Ok(Clause::MatchNone),
            Query::Match(query) => self.match_text(query),
            Query::MatchPhrase(query) => self.match_phrase(query),
            Query::MatchPhrasePrefix(query) => self.match_phrase_prefix(query),
            Query::MatchBoolPrefix(query) => self.match_bool_prefix(query),
            Query::MultiMatch(query) => self.multi_match(query),
            Query::Term(query) => self.term(query),
            Query::Terms(query) => self.terms(query),
            Query::TermsLookup(_)
            | Query::TermsSet(_)
            | Query::Intervals(_)
            | Query::Span(_)
            | Query::CombinedFields(_)
            | Query::MoreLikeThis(_) => self.related(query),
            Query::Range(query) => self.range(query),
            Query::Exists { field, .. } if !can_exist(field) => Err(unsearchable(field)),
            Query::Exists { field, boost } => self.counted_exists(field, *boost),
            Query::Geo(query) => self.geo(query),
            Query::Ids { values, boost } => Ok(boosted(ids(values), *boost)),
            Query::Prefix(query) => self.pattern(query, PatternKind::Prefix),
            Query::Wildcard(query) => self.pattern(query, PatternKind::Wildcard),
            Query::Regexp(query) => self.pattern(query, PatternKind::Regexp),
            Query::Fuzzy(query) => self.fuzzy(query),
            Query::Bool(query) => self.bool(query),
            Query::Named { name, query } => {
                let clause = self.resolve(query)?;
                self.named.push(NamedClause {
                    name: name.clone(),
                    clause: clause.clone(),
                });
                Ok(clause)
            }
            Query::ConstantScore { filter, boost } => {
                let filter = self.resolve(filter)?;
                Ok(boosted(Clause::Constant(Box::new(filter)), *boost))
            }
            Query::DisMax {
                queries,
                tie_breaker,
                boost,
            } => {
                let clauses = self.resolve_all(queries)?;
                Ok(boosted(
                    Clause::DisMax {
                        clauses,
                        tie_breaker: *tie_breaker,
                    },
                    *boost,
                ))
            }
            Query::Boosting {
                positive,
                negative,
                negative_boost,
                boost,
            } => {
                let positive = Box::new(self.resolve(positive)?);
                let negative = Box::new(self.resolve(negative)?);
                let factor = *negative_boost;
                Ok(boosted(
                    Clause::Demote {
                        positive,
                        negative,
                        factor,
                    },
                    *boost,
                ))
            }
            Query::FunctionScore(query) => self.function_score(query),
            Query::DistanceFeature(query) => self.distance_feature(query),
            Query::RankFeature(query) => self.rank_feature(query),
            Query::QueryString(query) => self.parsed(&query_string::parse(query, self.limits)?),
            Query::SimpleQueryString(query) => {
                self.parsed(&query_string::parse_simple(query, self.limits)?)
            }
            Query::Group(group) => self.group(group),
            Query::OverFields(query) => self.over_fields(query),
        }
    }

    /// Returns the tree for words over several fields, of documents, and that stand to each other.
    fn related(&mut self, query: &Query) -> Result<Clause, QueryError> {
        match query {
            Query::TermsLookup(query) => Err(not_looked_up(
                "terms",
                &query.document.index,
                &query.document.id,
            )),
            Query::TermsSet(query) => self.terms_set(query),
            Query::Intervals(query) => self.intervals(query),
            Query::Span(query) => self.span(query),
            Query::CombinedFields(query) => self.combined_fields(query),
            Query::MoreLikeThis(query) => self.more_like_this(query),
            _ => Ok(Clause::MatchNone),
        }
    }

    fn resolve_all(&mut self, queries: &[Query]) -> Result<Vec<Clause>, QueryError> {
        queries.iter().map(|query| self.resolve(query)).collect()
    }

    fn bool(&mut self, query: &BoolQuery) -> Result<Clause, QueryError> {
        let must = self.resolve_all(&query.must)?;
        let should = self.resolve_all(&query.should)?;
        let filter = self.resolve_all(&query.filter)?;
        let must_not = self.resolve_all(&query.must_not)?;
        if must.is_empty() && should.is_empty() && filter.is_empty() && must_not.is_empty() {
            return Ok(boosted(Clause::MatchAll, query.boost));
        }
        let optional = should.len() as u32;
        let minimum_should_match = match &query.minimum_should_match {
            Some(minimum) => required(minimum, optional),
            None if must.is_empty() && filter.is_empty() => u32::from(optional > 0),
            None => 0,
        };
        let clause = Clause::Bool {
            must,
            should,
            filter,
            must_not,
            minimum_should_match,
        };
        Ok(boosted(clause, query.boost))
    }

    fn term(&mut self, query: &TermQuery) -> Result<Clause, QueryError> {
        if let Some(clause) = self.system_term(&query.field, std::slice::from_ref(&query.value)) {
            return Ok(boosted(clause, query.boost));
        }
        let Some((path, field)) = self.indexed_field(&query.field)? else {
            return Ok(Clause::MatchNone);
        };
        let clause = match query.case_insensitive {
            true => self.in_any_case(&path, &field, &query.value)?,
            false => self.exact(&path, &field, &query.value)?,
        };
        Ok(boosted(clause, query.boost))
    }

    /// Returns the clause for a value in upper or lower case.
    fn in_any_case(
        &self,
        path: &FieldPath,
        field: &Field,
        value: &serde_json::Value,
    ) -> Result<Clause, QueryError> {
        if keyed::key_of(&field.kind).is_some() {
            // The key stands before the value, and its case counts.
            return Err(keyed::not_asked_of_keys("case insensitive term"));
        }
        match &field.kind {
            FieldKind::Text { .. } | FieldKind::Keyword { .. } => {
                let text = self.normalized(field, &values::text_of(value));
                Ok(Clause::Pattern {
                    field: path.clone(),
                    pattern: Pattern::Wildcard {
                        pattern: escape_wildcard(&text),
                        ignore_case: true,
                    },
                })
            }
            FieldKind::Boolean { .. } => self.exact(path, field, value),
            FieldKind::Number { .. }
            | FieldKind::Date { .. }
            | FieldKind::Ip { .. }
            | FieldKind::Encoded { .. }
            | FieldKind::Alias { .. }
            | FieldKind::Completion
            | FieldKind::Binary { .. }
            | FieldKind::Object { .. } => {
                let reason = format!(
                    "failed to create query: [{path}] field which is of type [{}], does not support \
                     case insensitive term queries",
                    field.kind.type_name()
                );
                Err(QueryError::new(ErrorType::QueryShard, reason))
            }
        }
    }

    fn terms(&mut self, query: &gleaner_query::dsl::TermsQuery) -> Result<Clause, QueryError> {
        let limit = self.index.settings.max_terms_count;
        if query.values.len() > limit {
            return Err(QueryError::illegal(format!(
                "The number of terms [{}] used in the Terms Query request has exceeded the allowed \
                 maximum of [{limit}]. This maximum can be set by changing the \
                 [index.max_terms_count] index level setting.",
                query.values.len()
            )));
        }
        if let Some(clause) = self.system_term(&query.field, &query.values) {
            return Ok(boosted(Clause::Constant(Box::new(clause)), query.boost));
        }
        let Some((path, field)) = self.indexed_field(&query.field)? else {
            return Ok(Clause::MatchNone);
        };
        let mut wanted = Vec::with_capacity(query.values.len());
        let (mut spans, mut ranges) = (Vec::new(), Vec::new());
        for value in &*query.values {
            match unscored(self.exact(&path, &field, value)?) {
                Clause::Exact { value, .. } => wanted.push(value),
                Clause::Term { term, .. } => wanted.push(Scalar::Text(term)),
                Clause::Range {
                    lower: Bound::Included(first),
                    upper: Bound::Included(last),
                    ..
                } => match first == last {
                    // A date to the millisecond, or a network of one address.
                    true => wanted.push(first),
                    false => spans.push((first, last)),
                },
                Clause::MatchNone => {}
                other => ranges.push(other),
            }
        }
        ranges.extend(range::of_spans(&path, spans));
        // Each is a walk over the whole column.
        if ranges.len() > self.limits.clauses {
            let reason = format!("maxClauseCount is set to {}", self.limits.clauses);
            return Err(QueryError::new(ErrorType::TooManyClauses, reason));
        }
        wanted.sort_unstable();
        wanted.dedup();
        if !wanted.is_empty() {
            ranges.push(Clause::AnyOf {
                field: path,
                values: wanted,
            });
        }
        let clause = match ranges.len() {
            0 => Clause::MatchNone,
            1 => ranges.remove(0),
            _ => Clause::Constant(Box::new(any_of(ranges))),
        };
        Ok(boosted(clause, query.boost))
    }

    fn mapping(&self) -> &Mapping {
        &self.index.mapping
    }

    /// Returns the field to search; `None` when the mapping does not know it. What can be asked of
    /// metadata was answered before: the rest is refused, or nothing would be found in silence.
    fn indexed_field(&self, path: &str) -> Result<Option<(FieldPath, Field)>, QueryError> {
        if let Some(((root, _), key)) = self.mapping().flattened(path) {
            return self.key(root, key);
        }
        if is_metadata(path) {
            return Err(unsearchable(path));
        }
        let Some((path, field)) = self.mapping().resolved(path) else {
            return Ok(None);
        };
        if matches!(field.kind, FieldKind::Object { .. }) {
            return Ok(None);
        }
        if is_feature(&field.kind) {
            return Err(QueryError::illegal(format!(
                "Queries on [{}] fields are not supported: [{path}] is one",
                field.kind.type_name()
            )));
        }
        if !field.kind.is_searchable() {
            return Err(not_indexed(path.as_str()));
        }
        Ok(Some((path.clone(), field.clone())))
    }

    fn analyzer_named(&self, name: &str) -> Result<Analyzer, QueryError> {
        self.analyzers
            .analyzer(name)
            .ok_or_else(|| QueryError::illegal(format!("[match] analyzer [{name}] not found")))
    }
}

/// Returns the refusal of a query that names a document, where none is read: in the filter of an alias, which an older
/// version may have kept.
/// Returns the error for texts of a query whose analysis makes too much.
fn too_much(fault: TooMuch) -> QueryError {
    QueryError::illegal(fault.to_string())
}

fn not_looked_up(query: &str, index: &str, id: &str) -> QueryError {
    QueryError::illegal(format!(
        "[{query}] of the document [{index}/{id}] is not supported here: it is looked up for the queries \
         of a request, but not in the filter of an alias"
    ))
}

/// Returns whether only `rank_feature` queries read the field.
fn is_feature(kind: &FieldKind) -> bool {
    matches!(kind, FieldKind::Number { number, .. } if number.positive_score_impact().is_some())
}

/// Refuses a query on a field that is kept out of the index.
fn not_indexed(path: &str) -> QueryError {
    QueryError::new(
        ErrorType::QueryShard,
        format!("failed to create query: Cannot search on field [{path}] since it is not indexed."),
    )
}

/// Puts a factor on a clause's score; a factor of 1 adds nothing.
fn boosted(clause: Clause, factor: f32) -> Clause {
    if factor == 1.0 || matches!(clause, Clause::MatchNone) || is_unsaid(&clause) {
        clause
    } else {
        Clause::Boost {
            clause: Box::new(clause),
            factor,
        }
    }
}

/// Returns what a text that says nothing becomes in a query string: the group around it leaves it
/// out; alone it matches nothing.
fn unsaid() -> Clause {
    Clause::Exists { fields: Vec::new() }
}

fn is_unsaid(clause: &Clause) -> bool {
    matches!(clause, Clause::Exists { fields } if fields.is_empty())
}

/// Takes off that every match scores the same.
fn unscored(clause: Clause) -> Clause {
    match clause {
        Clause::Constant(inner) => *inner,
        other => other,
    }
}

/// Joins clauses by OR.
fn any_of(should: Vec<Clause>) -> Clause {
    Clause::Bool {
        must: Vec::new(),
        should,
        filter: Vec::new(),
        must_not: Vec::new(),
        minimum_should_match: 1,
    }
}

/// Joins clauses by AND.
fn all_of(must: Vec<Clause>) -> Clause {
    Clause::Bool {
        must,
        should: Vec::new(),
        filter: Vec::new(),
        must_not: Vec::new(),
        minimum_should_match: 0,
    }
}

fn ids(texts: &[String]) -> Clause {
    let mut ids: Vec<DocumentId> = texts
        .iter()
        .filter_map(|id| DocumentId::parse(id).ok())
        .collect();
    ids.sort();
    ids.dedup();
    if ids.is_empty() {
        Clause::MatchNone
    } else {
        Clause::Ids { ids }
    }
}

#[cfg(test)]
mod tests;
