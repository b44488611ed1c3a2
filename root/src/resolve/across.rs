//! One text over several fields at once: `combined_fields`, `multi_match` of type `cross_fields`, `terms_set`.
//!
//! Each word is one clause over all fields, so a document has a word when any field has it.

use gleaner_analysis::Token;
use gleaner_model::{Field, FieldKind, FieldPath};
use gleaner_query::QueryError;
use gleaner_query::dsl::{
    CombinedFieldsQuery, MultiMatchQuery, SetMinimum, TermsSetQuery, TextOptions,
};
use gleaner_query::error::ErrorType;
use gleaner_query::resolved::{Blend, Clause};
use serde_json::Value;

use super::fields::{SearchField, search_fields};
use super::graph::{Stretch, TokenGraph};
use super::text::{joined, plain, positions};
use super::{Resolver, all_of, any_of, boosted, required};

/// Fields that one analyzer makes words for.
struct FieldGroup {
    analyzer: String,
    /// The fields with their factors.
    fields: Vec<(FieldPath, f32)>,
}

impl Resolver<'_> {
    pub(super) fn combined_fields(
        &mut self,
        query: &CombinedFieldsQuery,
    ) -> Result<Clause, QueryError> {
        let mut groups: Vec<FieldGroup> = Vec::new();
        for searched in search_fields(self.index, &query.fields) {
            let Some((path, field)) = self.indexed_field(searched.path.as_str())? else {
                continue;
            };
            match &field.kind {
                FieldKind::Text { .. } => {
                    add_to_group(&mut groups, &path, &field, &searched, None);
                }
                _ if searched.from_pattern => {}
                other => {
                    return Err(QueryError::illegal(format!(
                        "Field [{path}] of type [{}] does not support [combined_fields] queries",
                        other.type_name()
                    )));
                }
            }
        }
        let clause = match groups.as_slice() {
            [] => Clause::MatchNone,
            [group] => self.words_across(group, &query.query, &query.options, Blend::OneField)?,
            _ => {
                return Err(QueryError::illegal(
                    "All fields in [combined_fields] query must have the same search analyzer",
                ));
            }
        };
        Ok(boosted(clause, query.boost))
    }

    /// Returns `multi_match` of type `cross_fields`: fields of one analyzer are searched word by word as if they were
    /// one, those of different analyzers as alternatives.
    pub(super) fn cross_fields(&mut self, query: &MultiMatchQuery) -> Result<Clause, QueryError> {
        let tie_breaker = query.tie_breaker.unwrap_or(query.kind.tie_breaker());
        let options = &query.options;
        let (mut groups, mut clauses) = (Vec::new(), Vec::new());
        for searched in search_fields(self.index, &query.fields) {
            let found = match self.indexed_field(searched.path.as_str()) {
                Ok(found) => found,
                Err(_) if options.lenient => None,
                Err(error) => return Err(error),
            };
            match found {
                Some((path, field)) if is_grouped(&field, options) => {
                    let named = options.analyzer.as_deref();
                    add_to_group(&mut groups, &path, &field, &searched, named);
                }
                // What holds no words is asked for the whole text.
                _ => {
                    let alone = self.one_field(query, &searched)?;
                    clauses.extend(alone.map(|clause| boosted(clause, searched.boost)));
                }
            }
        }
        for group in &groups {
            let blend = Blend::Best(tie_breaker);
            clauses.push(self.words_across(group, &query.query, options, blend)?);
        }
        let clause = match clauses.len() {
            0 => Clause::MatchNone,
            1 => clauses.remove(0),
            _ => Clause::DisMax {
                clauses,
                tie_breaker,
            },
        };
        Ok(boosted(clause, query.boost))
    }

    fn words_across(
        &mut self,
        group: &FieldGroup,
        text: &Value,
        options: &TextOptions,
        blend: Blend,
    ) -> Result<Clause, QueryError> {
        let analyzer = self.analyzer_named(&group.analyzer)?;
        let tokens: Vec<Token> = self.analyzed(&analyzer, text)?;
        self.count_words(tokens.len() * (group.fields.len() - 1))?;
        let across = |words: &[String]| across(&group.fields, words, blend);
        let clauses = match TokenGraph::of(&tokens) {
            None => {
                let positions = positions(tokens);
                positions.iter().map(|(_, words)| across(words)).collect()
            }
            Some(graph) => {
                let first = &group.fields[0].0;
                let stretches = graph.stretches(first)?.into_iter();
                let clause = |stretch| match stretch {
                    Stretch::Terms(words) => across(&words),
                    // Words have no places over several fields: all of a path's are wanted.
                    Stretch::Paths(paths) => any_of(
                        paths
                            .iter()
                            .map(|path| {
                                all_of(path.iter().map(|(_, words)| across(words)).collect())
                            })
                            .collect(),
                    ),
                };
                stretches.map(clause).collect()
            }
        };
        Ok(joined(clauses, options))
    }

    pub(super) fn terms_set(&mut self, query: &TermsSetQuery) -> Result<Clause, QueryError> {
        let minimum = match &query.minimum {
            SetMinimum::Given(_) => None,
            SetMinimum::Field(name) => Some(self.field_of_minimum(name)?),
        };
        let Some((path, field)) = self.indexed_field(&query.field)? else {
            return Ok(Clause::MatchNone);
        };
        self.count_words(query.terms.len())?;
        let clauses = query.terms.iter();
        let clauses = clauses.map(|term| self.exact(&path, &field, term));
        let clauses: Vec<Clause> = clauses.collect::<Result<_, _>>()?;
        let clause = match (&query.minimum, minimum) {
            (_, Some(field)) => Clause::AtLeast { clauses, field },
            _ if clauses.is_empty() => Clause::MatchNone,
            (SetMinimum::Given(minimum), None) => {
                let minimum = required(minimum, clauses.len() as u32).max(1);
                some_of(clauses, minimum)
            }
            (SetMinimum::Field(_), None) => Clause::MatchNone,
        };
        Ok(boosted(clause, query.boost))
    }

    /// Returns the field that says how many of several values must match.
    fn field_of_minimum(&self, name: &str) -> Result<FieldPath, QueryError> {
        let minimum = self.mapping().own_path(name);
        let known = self.mapping().field(name);
        let reason = match known.map(|field| &field.kind) {
            Some(FieldKind::Number {
                number,
                doc_values: true,
                ..
            }) if number.positive_score_impact().is_none() => return Ok(minimum),
            None => format!("failed to find minimum_should_match field [{minimum}]"),
            Some(kind) => format!(
                "[minimum_should_match_field] must be a number with doc values, but [{minimum}] is of type [{}]",
                kind.type_name()
            ),
        };
        Err(QueryError::new(ErrorType::QueryShard, reason))
    }
}

/// Returns what matches where so many of `clauses` do.
fn some_of(clauses: Vec<Clause>, minimum_should_match: u32) -> Clause {
    Clause::Bool {
        must: Vec::new(),
        should: clauses,
        filter: Vec::new(),
        must_not: Vec::new(),
        minimum_should_match,
    }
}

/// Adds a field to the group of its analyzer, `named` where one is given.
fn add_to_group(
    groups: &mut Vec<FieldGroup>,
    path: &FieldPath,
    field: &Field,
    searched: &SearchField,
    named: Option<&str>,
) {
    let analyzer = match &field.kind {
        FieldKind::Text {
            analyzer,
            search_analyzer,
            ..
        } => named.or(search_analyzer.as_deref()).unwrap_or(analyzer),
        _ => named.unwrap_or("keyword"),
    };
    let field = (path.clone(), searched.boost);
    match groups.iter_mut().find(|group| group.analyzer == analyzer) {
        Some(group) => group.fields.push(field),
        None => groups.push(FieldGroup {
            analyzer: analyzer.to_owned(),
            fields: vec![field],
        }),
    }
}

/// Returns whether a field's words are looked for beside those of others.
fn is_grouped(field: &Field, options: &TextOptions) -> bool {
    match &field.kind {
        FieldKind::Text { .. } => true,
        FieldKind::Keyword { normalizer, .. } => {
            let is_constant = field.kind.is_constant();
            normalizer.is_none() && options.fuzziness.is_none() && !is_constant
        }
        _ => false,
    }
}

/// Returns the words of one place in any of the fields.
fn across(fields: &[(FieldPath, f32)], words: &[String], blend: Blend) -> Clause {
    match (fields, blend) {
        ([(path, factor)], _) => boosted(plain(path, words), *factor),
        (fields, blend) => {
            let factors = fields.iter().map(|(_, factor)| *factor);
            Clause::Across {
                clauses: fields.iter().map(|(path, _)| plain(path, words)).collect(),
                weights: factors.collect(),
                blend,
            }
        }
    }
}
