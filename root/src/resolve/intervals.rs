//! `intervals`: rules → sources of minimal intervals, texts analysed and patterns expanded.
//!
//! Source: Elasticsearch, `IntervalBuilder` and `IntervalsSourceProvider`.

use gleaner_model::{Field, FieldKind, FieldPath};
use gleaner_query::QueryError;
use gleaner_query::dsl::{
    IntervalFilter, IntervalMatch, IntervalPattern, IntervalPatternKind, IntervalRule,
    IntervalTerms, IntervalsQuery,
};
use gleaner_query::error::ErrorType;
use gleaner_query::resolved::{
    Clause, ExpansionRequest, IntervalOrder, IntervalScoring, IntervalSource, Intervals, Pattern,
};

use super::graph::{Stretch, TokenGraph};
use super::text::{Position, edits, positions};
use super::{Resolver, boosted};

/// Terms that a pattern may stand for (Elasticsearch, *intervals query*).
const MAX_EXPANSIONS: usize = 128;

/// Ways in which alternatives of several words can stand in a phrase, at most.
const MAX_ALTERNATIVES: usize = 128;

impl Resolver<'_> {
    pub(super) fn intervals(&mut self, query: &IntervalsQuery) -> Result<Clause, QueryError> {
        let Some((path, field)) = self.indexed_field(&query.field)? else {
            return Ok(Clause::MatchNone);
        };
        check_text("interval", &path, &field)?;
        let source = self.rule((&path, &field), &query.rule)?;
        Ok(boosted(
            clause(path, source, IntervalScoring::Saturated),
            query.boost,
        ))
    }

    fn rule(
        &mut self,
        around: (&FieldPath, &Field),
        rule: &IntervalRule,
    ) -> Result<IntervalSource, QueryError> {
        match rule {
            IntervalRule::Match(rule) => self.words_of(around, rule),
            IntervalRule::Pattern(rule) => self.words_like(around, rule),
            IntervalRule::AnyOf { rules, filter } => {
                let source = IntervalSource::AnyOf(self.rules(around, rules)?);
                self.filtered(around, source, filter.as_ref())
            }
            IntervalRule::AllOf {
                rules,
                order,
                max_gaps,
                filter,
            } => {
                let sources = self.rules(around, rules)?;
                let source = combined(sources, *order, *max_gaps)?;
                self.filtered(around, source, filter.as_ref())
            }
        }
    }

    fn rules(
        &mut self,
        around: (&FieldPath, &Field),
        rules: &[IntervalRule],
    ) -> Result<Vec<IntervalSource>, QueryError> {
        rules.iter().map(|rule| self.rule(around, rule)).collect()
    }

    fn filtered(
        &mut self,
        around: (&FieldPath, &Field),
        source: IntervalSource,
        filter: Option<&IntervalFilter>,
    ) -> Result<IntervalSource, QueryError> {
        let Some(IntervalFilter { relation, rule }) = filter else {
            return Ok(source);
        };
        Ok(IntervalSource::Filter {
            source: Box::new(source),
            relation: *relation,
            by: Box::new(self.rule(around, rule)?),
        })
    }

    /// Returns the field whose words count; `None` where the mapping does not know it.
    fn used_field(
        &self,
        (path, field): (&FieldPath, &Field),
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
        around: (&FieldPath, &Field),
        rule: &IntervalMatch,
    ) -> Result<IntervalSource, QueryError> {
        let Some((path, field)) = self.used_field(around, &rule.terms)? else {
            return Ok(IntervalSource::Nothing);
        };
        let analyzer = self.search_analyzer(&field, rule.terms.analyzer.as_deref())?;
        let tokens = self.analyzed(&analyzer, &rule.query.as_str().into())?;
        let sources = match TokenGraph::of(&tokens) {
            Some(graph) => {
                let stretches = graph.stretches(&path)?;
                let sources = stretches.into_iter().map(|stretch| match stretch {
                    Stretch::Terms(words) => Ok(terms(&path, words)),
                    Stretch::Paths(paths) => paths_of(&path, paths),
                });
                sources.collect::<Result<_, _>>()?
            }
            None => in_places(&path, positions(tokens)),
        };
        let source = combined(sources, rule.order, rule.max_gaps)?;
        self.filtered(around, source, rule.filter.as_ref())
    }

    fn words_like(
        &mut self,
        around: (&FieldPath, &Field),
        rule: &IntervalPattern,
    ) -> Result<IntervalSource, QueryError> {
        let Some((path, field)) = self.used_field(around, &rule.terms)? else {
            return Ok(IntervalSource::Nothing);
        };
        let text = match &rule.terms.analyzer {
            Some(name) => self.analyzer_named(name)?.normalize(&rule.text),
            None => self.normalized_pattern(&field, &rule.text),
        };
        let ignore_case = false;
        let pattern = match &rule.kind {
            IntervalPatternKind::Prefix => Pattern::Prefix {
                prefix: text,
                ignore_case,
            },
            IntervalPatternKind::Wildcard => Pattern::Wildcard {
                pattern: text,
                ignore_case,
            },
            IntervalPatternKind::Fuzzy {
                fuzziness,
                prefix_length,
                transpositions,
            } => match edits(*fuzziness, text.chars().count()) {
                0 => return Ok(terms(&path, vec![text])),
                distance => Pattern::Fuzzy {
                    term: text,
                    distance,
                    prefix_length: *prefix_length,
                    transpositions: *transpositions,
                },
            },
        };
        self.expanded(&path, pattern, MAX_EXPANSIONS)
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
        FieldKind::Text { .. } => Ok(()),
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

/// Returns the words of a text, each with the places before it that a removed word has left.
fn in_places(path: &FieldPath, positions: Vec<Position>) -> Vec<IntervalSource> {
    let mut next = 0;
    let with_gap = |(position, words): Position| {
        let gap = position - next;
        next = position + 1;
        let source = terms(path, words);
        match gap {
            0 => source,
            before => IntervalSource::Extend {
                source: Box::new(source),
                before,
                after: 0,
            },
        }
    };
    positions.into_iter().map(with_gap).collect()
}

/// Returns the paths that stand for each other in a text, each a phrase.
fn paths_of(path: &FieldPath, paths: Vec<Vec<Position>>) -> Result<IntervalSource, QueryError> {
    let phrases = paths.into_iter().map(|words| {
        let words = in_places(path, words);
        combined(words, IntervalOrder::Adjacent, None)
    });
    Ok(IntervalSource::AnyOf(phrases.collect::<Result<_, _>>()?))
}

/// Returns one interval of each source put together.
///
/// # Errors
/// [`QueryError`] when too many alternatives stand in a phrase.
fn combined(
    mut sources: Vec<IntervalSource>,
    order: IntervalOrder,
    max_gaps: Option<u32>,
) -> Result<IntervalSource, QueryError> {
    let (order, max_gaps) = match (order, max_gaps) {
        // Right behind each other.
        (IntervalOrder::Ordered, Some(0)) | (IntervalOrder::Adjacent, _) => {
            (IntervalOrder::Adjacent, None)
        }
        other => other,
    };
    match sources.len() {
        0 => return Ok(IntervalSource::Nothing),
        1 => return Ok(sources.remove(0)),
        _ => {}
    }
    match order {
        IntervalOrder::Adjacent => pulled_up(&sources, order, max_gaps),
        IntervalOrder::Unordered => {
            let sources = repeated(sources);
            Ok(match (sources.len(), max_gaps) {
                (1, None) => sources
                    .into_iter()
                    .next()
                    .unwrap_or(IntervalSource::Nothing),
                _ => all_of(sources, order, max_gaps),
            })
        }
        IntervalOrder::Ordered | IntervalOrder::Separate => Ok(all_of(sources, order, max_gaps)),
    }
}

fn all_of(
    sources: Vec<IntervalSource>,
    order: IntervalOrder,
    max_gaps: Option<u32>,
) -> IntervalSource {
    IntervalSource::AllOf {
        sources,
        order,
        max_gaps,
    }
}

/// Puts sources that are alike together: of two equal words, two places are meant.
fn repeated(sources: Vec<IntervalSource>) -> Vec<IntervalSource> {
    let mut counted: Vec<(IntervalSource, u32)> = Vec::new();
    for source in sources {
        match counted.iter_mut().find(|(known, _)| *known == source) {
            Some((_, times)) => *times += 1,
            None => counted.push((source, 1)),
        }
    }
    let counted = counted.into_iter().map(|(source, times)| match times {
        1 => source,
        times => IntervalSource::Repeat {
            source: Box::new(source),
            times,
        },
    });
    counted.collect()
}

/// Returns all ways to choose among alternatives of different lengths: of two of which one holds the other, the longer
/// one is no minimal interval, but may be the one that what follows stands right behind.
///
/// # Errors
/// [`QueryError`] when there are too many.
pub(super) fn pulled_up(
    sources: &[IntervalSource],
    order: IntervalOrder,
    max_gaps: Option<u32>,
) -> Result<IntervalSource, QueryError> {
    let mut ways: Vec<Vec<IntervalSource>> = vec![Vec::new()];
    for source in sources {
        let alternatives = match source {
            IntervalSource::AnyOf(alternatives) => alternatives.as_slice(),
            one => std::slice::from_ref(one),
        };
        if ways.len() * alternatives.len() > MAX_ALTERNATIVES {
            let reason = format!(
                "the alternatives stand for more than [{MAX_ALTERNATIVES}] phrases; ask for fewer at \
                 a time"
            );
            return Err(QueryError::new(ErrorType::TooManyClauses, reason));
        }
        let longer = ways.iter().flat_map(|way| {
            alternatives.iter().map(move |alternative| {
                let mut way = way.clone();
                way.push(alternative.clone());
                way
            })
        });
        ways = longer.collect();
    }
    let mut ways: Vec<IntervalSource> = ways
        .into_iter()
        .map(|way| all_of(way, order, max_gaps))
        .collect();
    Ok(match ways.len() {
        0 => IntervalSource::Nothing,
        1 => ways.remove(0),
        _ => IntervalSource::AnyOf(ways),
    })
}

#[cfg(test)]
mod tests;
