//! `span_*`: spans → sources of intervals of one field, scored by BM25.
//!
//! Lucene enumerates all spans; here those that hold others are left out, so of a word that is said three times before
//! another one the nearest counts alone. Which documents match is the same, but for spans held against others by
//! `span_not`, `span_containing` and `span_within`, where the shortest ones decide.

use gleaner_model::FieldPath;
use gleaner_query::QueryError;
use gleaner_query::dsl::{IntervalRelation, Query, SpanQuery, SpanRule};
use gleaner_query::resolved::{
    Clause, IntervalOrder, IntervalScoring, IntervalSource, NamedClause, Pattern,
};

use super::intervals::{check_text, clause, terms};
use super::pattern::PatternKind;
use super::{Resolver, boosted, match_only, values};

/// Spans of one field.
struct Spans {
    field: FieldPath,
    source: IntervalSource,
}

impl Spans {
    fn new(field: FieldPath, source: IntervalSource) -> Self {
        Self { field, source }
    }

    /// Returns none of a field that the mapping does not know.
    fn none(field: &str) -> Self {
        Self::new(FieldPath::new(field), IntervalSource::Nothing)
    }
}

impl Resolver<'_> {
    pub(super) fn span(&mut self, query: &SpanQuery) -> Result<Clause, QueryError> {
        let Spans { field, source } = self.span_rule(&query.rule)?;
        let clause = clause(field, source, IntervalScoring::Bm25);
        Ok(boosted(clause, query.boost))
    }

    fn span_rule(&mut self, rule: &SpanRule) -> Result<Spans, QueryError> {
        match rule {
            SpanRule::Term { field, value } => {
                self.count_words(1)?;
                let Some(path) = self.span_field(field)? else {
                    return Ok(Spans::none(field));
                };
                let source = terms(&path, vec![values::text_of(value)]);
                Ok(Spans::new(path, source))
            }
            SpanRule::Named { name, inner } => self.named_spans(name, inner),
            SpanRule::Multi(query) => self.span_multi(query),
            SpanRule::Or(clauses) => {
                let (path, sources) = self.span_rules("span_or", clauses)?;
                Ok(Spans::new(path, IntervalSource::AnyOf(sources)))
            }
            SpanRule::Spaced {
                inner,
                field: of_gap,
                width,
            } => {
                let Spans { field, source } = self.span_rule(inner)?;
                let path = self.span_field(of_gap)?;
                let path = path.unwrap_or_else(|| FieldPath::new(of_gap.as_str()));
                check_same("span_near", &field, &path)?;
                Ok(Spans::new(field, widened(source, *width)))
            }
            SpanRule::Near {
                clauses,
                slop,
                in_order,
            } => {
                let (path, mut sources) = self.span_rules("span_near", clauses)?;
                if sources.len() == 1 {
                    return Ok(Spans::new(path, sources.remove(0)));
                }
                let (order, max_gaps) = match (in_order, slop) {
                    (true, 0) => (IntervalOrder::Adjacent, None),
                    (true, slop) => (IntervalOrder::Ordered, Some(*slop)),
                    (false, slop) => (IntervalOrder::Unordered, Some(*slop)),
                };
                let source = self.pulled_up(sources, order, max_gaps)?;
                Ok(Spans::new(path, source))
            }
            SpanRule::First { inner, end } => {
                let Spans { field, source } = self.span_rule(inner)?;
                let source = IntervalSource::First {
                    source: Box::new(source),
                    end: *end,
                };
                Ok(Spans { field, source })
            }
            SpanRule::Not {
                include,
                exclude,
                pre,
                post,
            } => {
                let Spans { field, source } = self.span_rule(exclude)?;
                let source = IntervalSource::Extend {
                    source: Box::new(source),
                    before: *post,
                    after: *pre,
                };
                let (relation, by) = (IntervalRelation::NotOverlapping, Spans { field, source });
                self.span_filter("span_not", include, relation, by)
            }
            SpanRule::Containing { big, little } => {
                let by = self.span_rule(little)?;
                self.span_filter("span_containing", big, IntervalRelation::Containing, by)
            }
            SpanRule::Within { big, little } => {
                let by = self.span_rule(big)?;
                self.span_filter("span_within", little, IntervalRelation::ContainedBy, by)
            }
        }
    }

    /// Returns spans inside others, and lets hits tell whether they match them as a query of its own.
    fn named_spans(&mut self, name: &str, rule: &SpanRule) -> Result<Spans, QueryError> {
        let Spans { field, source } = self.span_rule(rule)?;
        self.count_copy(&source)?;
        let mut clause = clause(field.clone(), source.clone(), IntervalScoring::Bm25);
        match_only::settle(self.mapping(), &mut clause);
        self.named.push(NamedClause {
            name: name.to_owned(),
            clause,
        });
        Ok(Spans { field, source })
    }

    fn span_filter(
        &mut self,
        name: &str,
        rule: &SpanRule,
        relation: IntervalRelation,
        by: Spans,
    ) -> Result<Spans, QueryError> {
        let Spans { field, source } = self.span_rule(rule)?;
        check_same(name, &field, &by.field)?;
        let source = IntervalSource::Filter {
            source: Box::new(source),
            relation,
            by: Box::new(by.source),
        };
        Ok(Spans { field, source })
    }

    fn span_rules(
        &mut self,
        name: &str,
        clauses: &[SpanRule],
    ) -> Result<(FieldPath, Vec<IntervalSource>), QueryError> {
        let mut first: Option<FieldPath> = None;
        let mut sources = Vec::with_capacity(clauses.len());
        for clause in clauses {
            let Spans { field, source } = self.span_rule(clause)?;
            match &first {
                Some(first) => check_same(name, first, &field)?,
                None => first = Some(field),
            }
            sources.push(source);
        }
        let path = first.ok_or_else(|| {
            QueryError::parsing(format!("[{name}] must include at least one clause"))
        })?;
        Ok((path, sources))
    }

    /// Returns a field whose words have places; `None` where the mapping does not know it.
    fn span_field(&self, name: &str) -> Result<Option<FieldPath>, QueryError> {
        let Some((path, field)) = self.indexed_field(name)? else {
            return Ok(None);
        };
        check_text("span", &path, &field)?;
        Ok(Some(path))
    }

    fn span_multi(&mut self, query: &Query) -> Result<Spans, QueryError> {
        let name = match query {
            Query::Prefix(pattern) | Query::Wildcard(pattern) | Query::Regexp(pattern) => {
                &pattern.field
            }
            Query::Fuzzy(fuzzy) => &fuzzy.field,
            _ => {
                return Err(QueryError::parsing(
                    "[span_multi] [match] must be one of [prefix, wildcard, regexp, fuzzy]",
                ));
            }
        };
        let Some(path) = self.span_field(name)? else {
            return Ok(Spans::none(name));
        };
        let clause = match query {
            // As it is: terms of its own that search_as_you_type brings have other places.
            Query::Prefix(pattern) => Clause::Pattern {
                field: path.clone(),
                pattern: Pattern::Prefix {
                    prefix: pattern.value.clone(),
                    ignore_case: pattern.case_insensitive,
                },
            },
            Query::Wildcard(pattern) => self.pattern(pattern, PatternKind::Wildcard)?,
            Query::Regexp(pattern) => self.pattern(pattern, PatternKind::Regexp)?,
            Query::Fuzzy(fuzzy) => self.fuzzy(fuzzy)?,
            _ => Clause::MatchNone,
        };
        let source = match unboosted(clause) {
            Clause::Pattern { field, pattern } => {
                self.expanded(&field, pattern, self.limits.clauses)?
            }
            Clause::Term { term, .. } => terms(&path, vec![term]),
            Clause::Blended { terms: found, .. } => {
                terms(&path, found.into_iter().map(|(term, _)| term).collect())
            }
            _ => IntervalSource::Nothing,
        };
        Ok(Spans::new(path, source))
    }
}

/// Returns intervals with so many positions behind them.
fn widened(source: IntervalSource, after: u32) -> IntervalSource {
    match source {
        IntervalSource::AnyOf(sources) => {
            let sources = sources.into_iter().map(|source| widened(source, after));
            IntervalSource::AnyOf(sources.collect())
        }
        source => IntervalSource::Extend {
            source: Box::new(source),
            before: 0,
            after,
        },
    }
}

/// Takes a factor off: the score is that of the spans around.
fn unboosted(clause: Clause) -> Clause {
    match clause {
        Clause::Boost { clause, .. } => *clause,
        other => other,
    }
}

fn check_same(name: &str, one: &FieldPath, other: &FieldPath) -> Result<(), QueryError> {
    match one == other {
        true => Ok(()),
        false => Err(QueryError::illegal(format!(
            "[{name}] Clauses must have same field, but they have [{one}] and [{other}]"
        ))),
    }
}
