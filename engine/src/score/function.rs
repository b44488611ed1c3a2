//! Scores made of functions of a document: values of fields, their distance from an origin, chance.
//!
//! Values come from columns, in f64 and in the order of the functions, so that no layout changes a bit.
//! A document for which a function has no number refuses the search: nothing is scored in its place.

use std::sync::Arc;

use gleaner_model::mapping::{Codec, NANOS_PER_MILLI};
use gleaner_model::{FieldKind, FieldPath};
use gleaner_partial::control::{Control, Refusal};
use gleaner_query::encoded::GeoPoint;
use gleaner_query::resolved::{Decay, Function, FunctionScore, Origin};
use smallvec::SmallVec;
use tantivy::columnar::{Column, StrColumn};
use tantivy::query::Scorer;
use tantivy::{DocId, SegmentReader};
use twox_hash::XxHash3_64;

use super::canonical::{Asked, Cursor, holds};
use crate::EngineError;
use crate::doc_values::{DocValues, PointColumn};
use crate::lower::{self, Scope};
use crate::schema::names;

/// Bits of a random number: what a float of 32 bits holds between 0 and 1.
const RANDOM_BITS: u32 = 24;

/// Scores documents of one segment by functions.
pub(crate) struct Functions {
    query: Cursor,
    /// Factor on the query's score that is not in it yet.
    boost: f64,
    functions: Vec<OpenFunction>,
    /// How what they give is made a score.
    modes: FunctionScore,
    control: Arc<Control>,
}

struct OpenFunction {
    /// `None` is all documents.
    filter: Option<Box<dyn Scorer>>,
    weight: f64,
    value: OpenValue,
}

/// What a function reads.
enum OpenValue {
    One,
    Field {
        function: Function,
        numbers: Numbers,
    },
    Random {
        seed: u64,
        source: RandomSource,
    },
}

/// What the random number of a document depends on.
enum RandomSource {
    Identity(Column<u64>),
    Numbers(Numbers),
    Terms(StrColumn),
}

impl Functions {
    /// Opens the functions of `scored`, the query's score multiplied by `boost`.
    ///
    /// # Errors
    /// As [`Cursor::open`].
    pub(crate) fn open(
        scope: &Scope<'_>,
        reader: &SegmentReader,
        scored: &FunctionScore,
        boost: f64,
        asked: Asked,
    ) -> Result<Self, EngineError> {
        // What a least score keeps out must not hang on what stands around it.
        let (within, boost) = match scored.min_score {
            Some(_) => (1.0, boost),
            None => (boost, 1.0),
        };
        let mut functions = Vec::with_capacity(scored.functions.len());
        for (filter, function) in scored.filters.iter().zip(&scored.functions) {
            let filter = match filter {
                gleaner_query::resolved::Clause::MatchAll => None,
                filter => Some(lower::filter(scope, filter)?.scorer(reader, 1.0)?),
            };
            functions.push(OpenFunction {
                filter,
                weight: f64::from(function.weight),
                value: OpenValue::open(scope, reader, &function.function)?,
            });
        }
        Ok(Self {
            query: Cursor::open(scope, reader, &scored.query, within, asked)?,
            boost,
            functions,
            modes: scored.clone(),
            control: Arc::clone(scope.control),
        })
    }

    /// Returns the score of `doc`, `None` where it does not match. `doc` never falls.
    pub(crate) fn score(&mut self, doc: DocId) -> Option<f64> {
        let query = self.query.score(doc)?;
        // As many as most queries have: nothing is allocated for a document.
        let mut given = SmallVec::<[(f64, f64); 4]>::new();
        for function in &mut self.functions {
            let is_asked = function.filter.as_mut().is_none_or(|docs| holds(docs, doc));
            if is_asked {
                match function.value.at(doc) {
                    Ok(value) => given.push((value * function.weight, function.weight)),
                    Err(refusal) => {
                        self.control.refuse(refusal);
                        return None;
                    }
                }
            }
        }
        let modes = &self.modes;
        if modes.functions.is_empty() {
            return self.admitted(query, query * self.boost);
        }
        let functions = modes.score_mode.combine(given.into_iter());
        let functions = functions.min(f64::from(modes.max_boost));
        let unboosted = modes.boost_mode.combine(query, functions);
        let score = modes.boost_mode.combine(query * self.boost, functions);
        self.admitted(unboosted, score)
    }

    /// Returns `score` unless the document scores too little without what stands around.
    fn admitted(&self, unboosted: f64, score: f64) -> Option<f64> {
        if score.is_nan() || score < 0.0 {
            let reason = format!("function score query returned an invalid score: {score}");
            self.control.refuse(Refusal::Query(reason));
            return None;
        }
        let is_less = |least: f32| (unboosted as f32) < least;
        let is_out = self.modes.min_score.is_some_and(is_less);
        (!is_out).then(|| score.min(f64::from(f32::MAX)))
    }
}

impl OpenValue {
    fn open(
        scope: &Scope<'_>,
        reader: &SegmentReader,
        function: &Function,
    ) -> Result<Self, EngineError> {
        let field = match function {
            Function::One => return Ok(Self::One),
            Function::Random { seed, field } => {
                let source = RandomSource::open(scope, reader, field.as_ref())?;
                return Ok(Self::Random {
                    seed: *seed,
                    source,
                });
            }
            Function::FieldValue { field, .. }
            | Function::Decay(Decay { field, .. })
            | Function::Proximity { field, .. }
            | Function::Feature { field, .. } => field,
        };
        let numbers = Numbers::open(scope, reader, field)?;
        let function = match function {
            Function::Feature { field, curve } if curve.is_typical() => Function::Feature {
                field: field.clone(),
                curve: curve.settled(&scope.model.field(field)?),
            },
            function => function.clone(),
        };
        Ok(Self::Field { numbers, function })
    }

    /// Returns the function's number of `doc`.
    fn at(&self, doc: DocId) -> Result<f64, Refusal> {
        match self {
            Self::One => Ok(1.0),
            Self::Random { seed, source } => source.draw(*seed, doc),
            Self::Field { function, numbers } => value_of(function, numbers, doc),
        }
    }
}

fn value_of(function: &Function, numbers: &Numbers, doc: DocId) -> Result<f64, Refusal> {
    match function {
        Function::FieldValue {
            field,
            factor,
            modifier,
            missing,
        } => {
            let value = numbers.smallest(doc).or(*missing).ok_or_else(|| {
                Refusal::Query(format!(
                    "Missing value for field [{field}]: [field_value_factor] without [missing] needs \
                     one in every document that is scored"
                ))
            })?;
            let factored = modifier.apply(value * factor);
            if factored.is_nan() || factored < 0.0 {
                return Err(Refusal::Query(format!(
                    "field value function must not produce negative scores, but got: [{factored}] for \
                     field value: [{value:?}] of [{field}]"
                )));
            }
            Ok(factored)
        }
        Function::Decay(decay) => {
            let distances = numbers.distances(doc, decay.origin)?;
            Ok(decay.apply(&distances))
        }
        Function::Proximity { origin, pivot, .. } => {
            let distances = numbers.distances(doc, *origin)?;
            let nearest = distances.into_iter().reduce(f64::min);
            Ok(nearest.map_or(0.0, |distance| pivot / (pivot + distance)))
        }
        Function::Feature { curve, .. } => Ok(numbers
            .smallest(doc)
            .map_or(0.0, |value| curve.apply(value))),
        Function::One | Function::Random { .. } => Ok(1.0),
    }
}

/// How far the values of a document are: one, mostly.
type Distances = SmallVec<[f64; 2]>;

/// The values of a field in one segment as fractions.
pub(super) enum Numbers {
    Nothing,
    Whole(Column<i64>),
    /// Instants in nanoseconds, which fractions do not hold; as fractions they are milliseconds.
    Nanos(Column<i64>),
    Unsigned(Column<u64>),
    Fraction(Column<f64>),
    Boolean(Column<bool>),
    /// Points on the earth.
    Points(Arc<PointColumn>),
    /// The same as terms: they are read for each document, as a few need not wait until all are.
    PointTerms(StrColumn),
}

impl Numbers {
    pub(super) fn open(
        scope: &Scope<'_>,
        reader: &SegmentReader,
        field: &FieldPath,
    ) -> Result<Self, EngineError> {
        let Some(handle) = scope.view.values(field.as_str()) else {
            return Ok(Self::Nothing);
        };
        let handle = handle.as_ref();
        if let FieldKind::Encoded {
            codec: Codec::GeoPoint,
            ..
        } = &handle.kind
        {
            let decoded = scope.view.segment_of(reader)?.decoded();
            if let Some(points) = decoded.known_points(handle) {
                return Ok(Self::Points(points));
            }
            let column = reader.fast_fields().str(handle.name.as_str())?;
            return Ok(column.map_or(Self::Nothing, Self::PointTerms));
        }
        Ok(match DocValues::open_in(reader, handle)? {
            Some(DocValues::I64(column) | DocValues::Date(column)) => Self::Whole(column),
            Some(DocValues::DateNanos(column)) => Self::Nanos(column),
            Some(DocValues::U64(column)) => Self::Unsigned(column),
            Some(DocValues::F64(column)) => Self::Fraction(column),
            Some(DocValues::Bool(column)) => Self::Boolean(column),
            Some(DocValues::Ip(_) | DocValues::Terms(_)) | None => Self::Nothing,
        })
    }

    /// Returns the smallest value of `doc`: columns keep them ascending.
    pub(super) fn smallest(&self, doc: DocId) -> Option<f64> {
        match self {
            Self::Nothing | Self::Points(_) | Self::PointTerms(_) => None,
            Self::Whole(column) => column.first(doc).map(|value| value as f64),
            Self::Nanos(column) => column.first(doc).map(millis_of),
            Self::Unsigned(column) => column.first(doc).map(|value| value as f64),
            Self::Fraction(column) => column.first(doc),
            Self::Boolean(column) => column.first(doc).map(f64::from),
        }
    }

    /// Returns how far each value of `doc` is from `origin`.
    fn distances(&self, doc: DocId, origin: Origin) -> Result<Distances, Refusal> {
        Ok(match origin {
            Origin::Number(origin) => self.all(doc, |value| (value - origin).abs()),
            Origin::Nanos(origin) => match self {
                Self::Nanos(column) => {
                    let values = column.values_for_doc(doc);
                    values.map(|value| value.abs_diff(origin) as f64).collect()
                }
                _ => Distances::new(),
            },
            Origin::Point(origin) => match self {
                Self::Points(points) => {
                    let points = points.of_document(doc);
                    points.map(|point| origin.distance_m(&point)).collect()
                }
                Self::PointTerms(column) => term_distances(column, doc, &origin)?,
                _ => Distances::new(),
            },
        })
    }

    fn all(&self, doc: DocId, of: impl Fn(f64) -> f64) -> Distances {
        match self {
            Self::Nothing | Self::Points(_) | Self::PointTerms(_) => Distances::new(),
            Self::Whole(column) => {
                let values = column.values_for_doc(doc);
                values.map(|value| of(value as f64)).collect()
            }
            Self::Nanos(column) => {
                let values = column.values_for_doc(doc);
                values.map(|value| of(millis_of(value))).collect()
            }
            Self::Unsigned(column) => {
                let values = column.values_for_doc(doc);
                values.map(|value| of(value as f64)).collect()
            }
            Self::Fraction(column) => column.values_for_doc(doc).map(of).collect(),
            Self::Boolean(column) => {
                let values = column.values_for_doc(doc);
                values.map(|value| of(f64::from(value))).collect()
            }
        }
    }
}

fn millis_of(nanos: i64) -> f64 {
    nanos.div_euclid(NANOS_PER_MILLI) as f64
}

/// Returns how far the points of `doc`, which are read now, are from `origin`.
fn term_distances(column: &StrColumn, doc: DocId, origin: &GeoPoint) -> Result<Distances, Refusal> {
    let mut text = String::new();
    let mut distances = Distances::new();
    for ord in column.term_ords(doc) {
        text.clear();
        let read = column.ord_to_str(ord, &mut text);
        read.map_err(Refusal::unread("reading a point"))?;
        let point = GeoPoint::of_term(&text).ok_or_else(|| Refusal::Unread {
            action: "reading a point",
            reason: "a column of points has a term that is none".to_owned(),
        })?;
        distances.push(origin.distance_m(&point));
    }
    Ok(distances)
}

impl RandomSource {
    fn open(
        scope: &Scope<'_>,
        reader: &SegmentReader,
        field: Option<&FieldPath>,
    ) -> Result<Self, EngineError> {
        let Some(field) = field else {
            return Ok(Self::Identity(reader.fast_fields().u64(names::ID_HASH)?));
        };
        if let Some(column) = scope.view.constant(field.as_str())? {
            return Ok(Self::Terms(column));
        }
        let handle = scope.view.field(field.as_str());
        let values = handle.map(|handle| DocValues::open_in(reader, handle));
        Ok(match values.transpose()?.flatten() {
            Some(DocValues::Terms(column)) => Self::Terms(column),
            _ => Self::Numbers(Numbers::open(scope, reader, field)?),
        })
    }

    /// Returns a number from 0 to 1.
    fn draw(&self, seed: u64, doc: DocId) -> Result<f64, Refusal> {
        let hash = |bytes: &[u8]| XxHash3_64::oneshot_with_seed(seed, bytes);
        let hash = match self {
            Self::Identity(column) => hash(&column.first(doc).unwrap_or_default().to_le_bytes()),
            Self::Numbers(numbers) => {
                let value = numbers.smallest(doc).unwrap_or_default();
                hash(&value.to_bits().to_le_bytes())
            }
            Self::Terms(column) => {
                let mut text = String::new();
                if let Some(ord) = column.term_ords(doc).next() {
                    let read = column.ord_to_str(ord, &mut text);
                    read.map_err(Refusal::unread("reading a term"))?;
                }
                hash(text.as_bytes())
            }
        };
        let bits = hash >> (u64::BITS - RANDOM_BITS);
        Ok(bits as f64 / f64::from(1_u32 << RANDOM_BITS))
    }
}
