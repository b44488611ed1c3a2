//! How a canonical score came about, with the numbers used.
//!
//! Each node opens a cursor of its own on the one document, so its value is what ranking computes,
//! to the bit. Meant for a few documents of an answer, not for speed.

mod across;
mod functions;

use std::sync::Arc;

use gleaner_model::FieldPath;
use gleaner_partial::control::Control;
use gleaner_partial::score::bm25::norm_of;
use gleaner_partial::score::model::{Model, TermNumbers};
use gleaner_query::answer::Explanation;
use gleaner_query::resolved::{Bm25, Clause, IntervalScoring, Intervals, ShardQuery};
use tantivy::{DocId, SegmentReader};

use super::canonical::{Asked, Cursor};
use crate::filter_cache::FilterCache;
use crate::lower::Scope;
use crate::view::split_place;
use crate::{EngineError, View};

/// Explains the score of the document at `place`; `None` where the query does not match it.
///
/// # Errors
/// `EvaluationError::MissingStatistics`, when the index cannot be read, and when `control` stops it.
pub(crate) fn explain(
    view: &Arc<View>,
    place: u64,
    query: &ShardQuery,
    control: &Control,
) -> Result<Option<Explanation>, EngineError> {
    let (ord, doc) = split_place(place);
    let segment = view
        .segments()
        .get(ord as usize)
        .filter(|s| doc < s.reader().max_doc());
    let segment = segment
        .ok_or_else(|| EngineError::internal(format!("place {place:#x} is not of this view")))?;
    let control = Arc::new(control.apart());
    let scope = Scope {
        view,
        model: &Arc::new(Model::new(
            Arc::clone(&query.statistics),
            &query.similarities,
        )),
        control: &control,
        // One document is no reason to keep bitmaps.
        filters: &FilterCache::none(),
    };
    let explainer = Explainer {
        scope,
        reader: segment.reader(),
        doc,
    };
    let explanation = explainer.node(&query.query, 1.0);
    control.check_refused()?;
    control.check_whole()?;
    // The control says which errors are stops that tantivy carried through.
    explanation.map_err(|error| match control.check() {
        Err(stop) => stop.into(),
        Ok(()) => error,
    })
}

struct Explainer<'a> {
    scope: Scope<'a>,
    reader: &'a SegmentReader,
    doc: DocId,
}

impl Explainer<'_> {
    fn node(&self, clause: &Clause, boost: f64) -> Result<Option<Explanation>, EngineError> {
        let mut cursor = Cursor::open(&self.scope, self.reader, clause, boost, Asked::Any)?;
        let Some(score) = cursor.score(self.doc) else {
            return Ok(None);
        };
        let frequency = cursor.frequency(self.doc);
        let (description, details) = self.parts(clause, boost, frequency)?;
        Ok(Some(Explanation {
            value: score as f32,
            description,
            details,
        }))
    }

    fn parts(
        &self,
        clause: &Clause,
        boost: f64,
        frequency: Option<(f64, u32)>,
    ) -> Result<(String, Vec<Explanation>), EngineError> {
        let model = self.scope.model;
        Ok(match clause {
            Clause::Term { field, term } => {
                let idf = idf_of(model.term(field, term)?);
                self.weight(field, term, factors(boost, [idf]), frequency)
            }
            Clause::Exact { field, value } => match value.scored_term() {
                Some(term) => {
                    let idf = idf_of(model.term(field, term)?);
                    self.weight(field, term, factors(boost, [idf]), frequency)
                }
                None => constant(boost),
            },
            Clause::Synonyms { field, terms } => {
                let idf = idf_of(model.group(field, terms)?);
                let what = format!("Synonym({})", terms.join(" "));
                self.weight(field, &what, factors(boost, [idf]), frequency)
            }
            Clause::Phrase {
                field, positions, ..
            } => {
                let mut idfs = Vec::new();
                for numbers in model.phrase(field, positions) {
                    idfs.push(idf_of(numbers?));
                }
                let text: Vec<String> =
                    positions.iter().map(|(_, terms)| terms.join("|")).collect();
                let what = format!("\"{}\"", text.join(" "));
                self.weight(field, &what, factors(boost, idfs), frequency)
            }
            Clause::Boost { clause, factor } => {
                let inner = self.node(clause, boost * f64::from(*factor))?;
                (
                    format!("boost of {factor}, applied to:"),
                    inner.into_iter().collect(),
                )
            }
            Clause::Blended { field, terms } => {
                let idf = model.group(field, terms.iter().map(|(term, _)| term))?;
                let mut details = vec![idf_of(idf)];
                for (term, factor) in terms {
                    let alone = vec![(term.clone(), *factor)];
                    details.extend(self.alone(field, terms, &alone, boost)?);
                }
                (
                    format!("sum over the terms of {field} that a fuzzy term stands for:"),
                    details,
                )
            }
            Clause::Intervals(_) | Clause::AtLeast { .. } | Clause::Across { .. } => {
                self.related(clause, boost, frequency)?
            }
            Clause::Bool { must, should, .. } => (
                "sum of:".to_owned(),
                self.all(must.iter().chain(should), boost)?,
            ),
            Clause::DisMax {
                clauses,
                tie_breaker,
            } => (
                format!("max plus {tie_breaker} times others of:"),
                self.all(clauses, boost)?,
            ),
            Clause::Demote {
                positive, factor, ..
            } => (
                format!("score, times {factor} where the negative query matches, of:"),
                self.all([positive.as_ref()], boost)?,
            ),
            Clause::Functions(scored) => self.functions(scored, boost)?,
            _ => constant(boost),
        })
    }

    /// Words over several fields, of a number, and that stand to each other.
    fn related(
        &self,
        clause: &Clause,
        boost: f64,
        frequency: Option<(f64, u32)>,
    ) -> Result<(String, Vec<Explanation>), EngineError> {
        Ok(match clause {
            Clause::Intervals(intervals) => self.intervals(intervals, boost, frequency)?,
            Clause::AtLeast { clauses, field } => (
                format!("sum of those that match, at least as many as [{field}] says, of:"),
                self.all(clauses, boost)?,
            ),
            Clause::Across { .. } => self.across(clause, boost)?,
            _ => constant(boost),
        })
    }

    /// Words that stand to each other in some way.
    fn intervals(
        &self,
        intervals: &Intervals,
        boost: f64,
        frequency: Option<(f64, u32)>,
    ) -> Result<(String, Vec<Explanation>), EngineError> {
        let Intervals { field, source, .. } = intervals;
        if intervals.scoring == IntervalScoring::Saturated {
            let description = format!(
                "{field}:{source}, boost {boost} * freq / (freq + 1), where each interval adds 1 / (its \
                 length - the least one + 1)"
            );
            return Ok((description, Vec::new()));
        }
        let mut terms: Vec<&str> = intervals.terms();
        terms.sort_unstable();
        terms.dedup();
        let terms: Vec<String> = terms.into_iter().map(str::to_owned).collect();
        let mut idfs = Vec::new();
        for numbers in self.scope.model.phrase(field, &[(0, terms)]) {
            idfs.push(idf_of(numbers?));
        }
        Ok(self.weight(field, &source.to_string(), factors(boost, idfs), frequency))
    }

    fn all<'c>(
        &self,
        clauses: impl IntoIterator<Item = &'c Clause>,
        boost: f64,
    ) -> Result<Vec<Explanation>, EngineError> {
        let mut details = Vec::new();
        for clause in clauses {
            details.extend(self.node(clause, boost)?);
        }
        Ok(details)
    }

    /// A term of a blended group: it takes the group's document frequency.
    fn alone(
        &self,
        field: &FieldPath,
        group: &[(String, f32)],
        only: &[(String, f32)],
        boost: f64,
    ) -> Result<Option<Explanation>, EngineError> {
        // The others stay in the group with factor 0, so that the group's numbers stay.
        let terms = group.iter().map(|(term, factor)| {
            let is_it = only.iter().any(|(wanted, _)| wanted == term);
            (term.clone(), if is_it { *factor } else { 0.0 })
        });
        let clause = Clause::Blended {
            field: field.clone(),
            terms: terms.collect(),
        };
        let mut cursor = Cursor::open(&self.scope, self.reader, &clause, boost, Asked::Any)?;
        let score = cursor.score(self.doc).filter(|score| *score > 0.0);
        let description = |(term, factor): &(String, f32)| format!("{field}:{term}^{factor}");
        Ok(score.map(|score| Explanation {
            value: score as f32,
            description: only.iter().map(description).collect(),
            details: Vec::new(),
        }))
    }

    fn weight(
        &self,
        field: &FieldPath,
        what: &str,
        mut details: Vec<Explanation>,
        frequency: Option<(f64, u32)>,
    ) -> (String, Vec<Explanation>) {
        let description = match (frequency, self.scope.model.norms(field)) {
            (Some((frequency, length)), Some(norms)) => {
                let similarity = norms.similarity();
                let length = f64::from(length);
                details.push(tf_of(frequency, length, similarity, norms.average()));
                format!(
                    "weight({field}:{what}) [BM25], boost * idf * {} * tf of:",
                    similarity.gain()
                )
            }
            _ => format!("weight({field}:{what}), boost * idf of:"),
        };
        (description, details)
    }
}

fn constant(boost: f64) -> (String, Vec<Explanation>) {
    (format!("constant score, boost {boost}"), Vec::new())
}

fn leaf(value: f64, description: impl Into<String>) -> Explanation {
    Explanation {
        value: value as f32,
        description: description.into(),
        details: Vec::new(),
    }
}

/// Returns the first details of a weight.
fn factors(boost: f64, idfs: impl IntoIterator<Item = Explanation>) -> Vec<Explanation> {
    let boost = leaf(boost, "boost");
    std::iter::once(boost).chain(idfs).collect()
}

fn idf_of(numbers: TermNumbers) -> Explanation {
    Explanation {
        value: numbers.idf as f32,
        description: "idf, computed as log(1 + (N - n + 0.5) / (n + 0.5)) from:".to_owned(),
        details: vec![
            leaf(
                numbers.matching as f64,
                "n, number of documents containing term",
            ),
            leaf(
                numbers.documents as f64,
                "N, total number of documents with field",
            ),
        ],
    }
}

fn tf_of(frequency: f64, length: f64, similarity: Bm25, average: f64) -> Explanation {
    let norm = norm_of(similarity, length, average);
    Explanation {
        value: (frequency / (frequency + norm)) as f32,
        description: "tf, computed as freq / (freq + k1 * (1 - b + b * dl / avgdl)) from:"
            .to_owned(),
        details: vec![
            leaf(frequency, "freq, occurrences of term within document"),
            leaf(similarity.k1(), "k1, term saturation parameter"),
            leaf(similarity.b(), "b, length normalization parameter"),
            leaf(length, "dl, length of field (approximate)"),
            leaf(average, "avgdl, average length of field"),
        ],
    }
}
