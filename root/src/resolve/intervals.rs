//! `intervals`: rules → sources of minimal intervals, texts analysed and patterns expanded.
//!
//! Source: Elasticsearch, `IntervalBuilder` and `IntervalsSourceProvider`.

mod phrases;

use gleaner_model::{Field, FieldKind, FieldPath};
use gleaner_query::QueryError;
use gleaner_query::dsl::{
    IntervalFilter, IntervalMatch, IntervalPattern, IntervalPatternKind, IntervalRange,
    IntervalRule, IntervalTerms, IntervalsQuery,
};
use gleaner_query::error::ErrorType;
use gleaner_query::resolved::{
    Clause, ExpansionRequest, IntervalScoring, IntervalSource, Intervals, Pattern, TermEdge,
};

use self::phrases::{any_of, in_places};
use super::graph::{Stretch, TokenGraph};
use super::pattern::literals;
use super::positions::check_places;
use super::text::{edits, positions};
use super::{Resolver, boosted};

/// Terms that a pattern may stand for (Elasticsearch, *intervals query*).
const MAX_EXPANSIONS: usize = 128;

/// Writes a word as the terms of a field are written.
type Normalize<'s> = Box<dyn Fn(&str) -> String + 's>;

impl Resolver<'_> {
    pub(super) fn intervals(&mut self, query: &IntervalsQuery) -> Result<Clause, QueryError> {
        let Some((path, field)) = self.indexed_field(&query.field)? else {
            return Ok(Clause::MatchNone);
        };
        check_text("interval", &path, &field)?;
        let source = self.rule(&path, &field, &query.rule)?;
        Ok(boosted(
            clause(path, source, IntervalScoring::Saturated),
            query.boost,
        ))
    }

    fn rule(
        &mut self,
        path: &FieldPath,
        field: &Field,
        rule: &IntervalRule,
    ) -> Result<IntervalSource, QueryError> {
        match rule {
            IntervalRule::Match(rule) => self.words_of(path, field, rule),
            IntervalRule::Pattern(rule) => self.words_like(path, field, rule),
            IntervalRule::Range(rule) => self.words_between(path, field, rule),
            IntervalRule::AnyOf { rules, filter } => {
                let source = any_of(self.rules(path, field, rules)?);
                self.filtered(path, field, source, filter.as_ref())
            }
            IntervalRule::AllOf {
                rules,
                order,
                max_gaps,
                filter,
            } => {
                let sources = self.rules(path, field, rules)?;
                let source = self.combined(sources, *order, *max_gaps)?;
                self.filtered(path, field, source, filter.as_ref())
            }
        }
    }

    fn rules(
        &mut self,
        path: &FieldPath,
        field: &Field,
        rules: &[IntervalRule],
    ) -> Result<Vec<IntervalSource>, QueryError> {
        rules
            .iter()
            .map(|rule| self.rule(path, field, rule))
            .collect()
    }

    fn filtered(
        &mut self,
        path: &FieldPath,
        field: &Field,
        source: IntervalSource,
        filter: Option<&IntervalFilter>,
    ) -> Result<IntervalSource, QueryError> {
        let Some(IntervalFilter { relation, rule }) = filter else {
            return Ok(source);
        };
        let by = self.rule(path, field, rule)?;
        self.filter_alternatives(source, *relation, by)
    }

    /// Returns the field whose words count; `None` where the mapping does not know it.
    fn used_field(
        &self,
        path: &FieldPath,
        field: &Field,
        terms: &IntervalTerms,
    ) -> Result<Option<(FieldPath, Field)>, QueryError> {
        let Some(name) = &terms.use_field else {
            return Ok(Some((path.clone(), field.clone())));
        };
        let found = self.indexed_field(name)?;
        if let Some((path, field)) = &found {
            check_text("interval", path, field)?;
        }
        Ok(found)
    }

    fn words_of(
        &mut self,
        path: &FieldPath,
        field: &Field,
        rule: &IntervalMatch,
    ) -> Result<IntervalSource, QueryError> {
        let Some((used_path, used_field)) = self.used_field(path, field, &rule.terms)? else {
            return Ok(IntervalSource::Nothing);
        };
        let analyzer = self.search_analyzer(&used_field, rule.terms.analyzer.as_deref())?;
        let tokens = self.analyzed(&analyzer, &rule.query.as_str().into())?;
        let sources = match TokenGraph::of(&tokens) {
            Some(graph) => {
                let stretches = graph.stretches(&used_path)?;
                let sources = stretches.into_iter().map(|stretch| match stretch {
                    Stretch::Terms(words) => Ok(terms(&used_path, words)),
                    Stretch::Paths(paths) => self.paths_of(&used_path, paths),
                });
                sources.collect::<Result<_, _>>()?
            }
            None => in_places(&used_path, positions(tokens)),
        };
        let source = self.combined(sources, rule.order, rule.max_gaps)?;
        self.filtered(path, field, source, rule.filter.as_ref())
    }

    fn words_like(
        &mut self,
        path: &FieldPath,
        field: &Field,
        rule: &IntervalPattern,
    ) -> Result<IntervalSource, QueryError> {
        let Some((used_path, used_field)) = self.used_field(path, field, &rule.terms)? else {
            return Ok(IntervalSource::Nothing);
        };
        let pattern = {
            let normalize = self.normalizer_of(&used_field, &rule.terms)?;
            pattern_of(&rule.kind, &rule.text, &*normalize)
        };
        match pattern {
            Pattern::Regexp { .. } => {
                self.check_regexp(&rule.text)?;
                self.expanded(&used_path, pattern, self.limits.clauses)
            }
            Pattern::Fuzzy {
                term, distance: 0, ..
            } => Ok(terms(&used_path, vec![term])),
            pattern => self.expanded(&used_path, pattern, MAX_EXPANSIONS),
        }
    }

    fn words_between(
        &mut self,
        path: &FieldPath,
        field: &Field,
        rule: &IntervalRange,
    ) -> Result<IntervalSource, QueryError> {
        let Some((used_path, used_field)) = self.used_field(path, field, &rule.terms)? else {
            return Ok(IntervalSource::Nothing);
        };
        let pattern = {
            let normalize = self.normalizer_of(&used_field, &rule.terms)?;
            let edge = |edge: &TermEdge| TermEdge {
                term: normalize(&edge.term),
                is_included: edge.is_included,
            };
            let (lower, upper) = (edge(&rule.lower), edge(&rule.upper));
            Pattern::Between { lower, upper }
        };
        self.expanded(&used_path, pattern, self.limits.clauses)
    }

    /// Returns what writes words as the terms of the field are written.
    fn normalizer_of<'s>(
        &'s self,
        field: &'s Field,
        terms: &IntervalTerms,
    ) -> Result<Normalize<'s>, QueryError> {
        Ok(match &terms.analyzer {
            Some(name) => {
                let analyzer = self.analyzer_named(name)?;
                // As of `Resolver::normalized`.
                let normalized = move |text: &str| analyzer.normalize(text, &self.meter);
                Box::new(move |text| normalized(text).unwrap_or_default())
            }
            None => Box::new(move |text| self.normalized_pattern(field, text)),
        })
    }

    /// Returns the places of the terms that a pattern stands for.
    ///
    /// # Errors
    /// [`QueryError`] when there are more than `most`.
    pub(super) fn expanded(
        &mut self,
        path: &FieldPath,
        pattern: Pattern,
        most: usize,
    ) -> Result<IntervalSource, QueryError> {
        self.count_words(1)?;
        let most = most.min(self.limits.expansions);
        let shown = pattern.to_string();
        let request = ExpansionRequest {
            field: path.clone(),
            pattern,
            limit: most + 1,
        };
        let Some(found) = self.expansions.look_up(request, most + 1) else {
            return Ok(IntervalSource::Nothing);
        };
        if found.len() > most {
            let reason = format!("[{shown}] expanded to too many terms (limit {most})");
            return Err(QueryError::new(ErrorType::TooManyClauses, reason));
        }
        let found: Vec<String> = found.iter().map(|found| found.term.clone()).collect();
        self.count_words(found.len())?;
        Ok(terms(path, found))
    }
}

/// Returns the pattern of a rule, what stands for itself in it written as terms are.
fn pattern_of(
    kind: &IntervalPatternKind,
    text: &str,
    normalize: &dyn Fn(&str) -> String,
) -> Pattern {
    let ignore_case = false;
    match kind {
        IntervalPatternKind::Prefix => Pattern::Prefix {
            prefix: normalize(text),
            ignore_case,
        },
        IntervalPatternKind::Wildcard => Pattern::Wildcard {
            pattern: literals::of_wildcard(text, normalize),
            ignore_case,
        },
        IntervalPatternKind::Regexp => Pattern::Regexp {
            expression: literals::of_regexp(text, normalize),
            ignore_case,
        },
        IntervalPatternKind::Fuzzy {
            fuzziness,
            prefix_length,
            transpositions,
        } => {
            let term = normalize(text);
            Pattern::Fuzzy {
                distance: edits(*fuzziness, term.chars().count()),
                term,
                prefix_length: *prefix_length,
                transpositions: *transpositions,
            }
        }
    }
}

/// Returns the documents with an interval.
pub(super) fn clause(field: FieldPath, source: IntervalSource, scoring: IntervalScoring) -> Clause {
    match source {
        IntervalSource::Nothing => Clause::MatchNone,
        source => Clause::Intervals(Box::new(Intervals {
            field,
            source,
            scoring,
        })),
    }
}

/// Refuses fields whose words have no places.
pub(super) fn check_text(what: &str, path: &FieldPath, field: &Field) -> Result<(), QueryError> {
    match &field.kind {
        FieldKind::Text { .. } => check_places(what, path, field),
        other => Err(QueryError::illegal(format!(
            "Can only use {what} queries on text fields - not on [{path}] which is of type [{}]",
            other.type_name()
        ))),
    }
}

/// Returns the places of any of some terms.
pub(super) fn terms(path: &FieldPath, mut terms: Vec<String>) -> IntervalSource {
    terms.sort_unstable();
    terms.dedup();
    match terms.is_empty() {
        true => IntervalSource::Nothing,
        false => IntervalSource::Terms {
            field: path.clone(),
            terms,
        },
    }
}

#[cfg(test)]
mod tests;
