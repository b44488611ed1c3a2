//! The terms of a document as they are written: piece by piece, since a tree of them takes many times their bytes.
//!
//! Called by: the routes. Read first: [`Shown`].

use std::collections::BTreeMap;
use std::time::Duration;

use gleaner_model::FieldPath;
use gleaner_query::resolved::{FieldStatistics, FieldTotals};
use gleaner_root::term_vectors::{FieldVector, TermPlace, TermVectors};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::request::{DocumentRequest, TokenForm};
use crate::routes::analyze::Offsets;

/// Steps of writing one place of a term, in bytes.
const PLACE_STEPS: usize = 64;

/// A document's terms with what of them is shown.
pub(super) struct Shown {
    found: TermVectors,
    /// `None` where the document is in no index.
    id: Option<String>,
    form: Form,
    took: Duration,
}

/// What is shown.
#[derive(Clone, Copy)]
struct Form {
    tokens: TokenForm,
    field_statistics: bool,
    term_statistics: bool,
}

impl Shown {
    pub(super) fn new(found: TermVectors, wanted: &DocumentRequest, took: Duration) -> Self {
        let is_artificial = wanted.request.artificial.is_some();
        Self {
            found,
            id: (!is_artificial).then(|| wanted.request.get.id.clone()),
            form: Form {
                tokens: wanted.tokens,
                field_statistics: wanted.request.field_statistics,
                term_statistics: wanted.request.term_statistics,
            },
            took,
        }
    }

    /// Returns how much there is to write, roughly in bytes.
    pub(super) fn num_steps(&self) -> usize {
        let terms = self
            .found
            .fields
            .values()
            .flat_map(|vector| vector.terms.iter());
        terms
            .map(|(term, places)| term.len() + PLACE_STEPS * (1 + places.len()))
            .sum()
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let read = self.found.document.as_ref();
        let is_found = self.id.is_none() || read.is_some();
        let mut shown = serializer.serialize_map(None)?;
        shown.serialize_entry("_index", &self.found.index)?;
        if let Some(id) = &self.id {
            shown.serialize_entry("_id", id)?;
        }
        shown.serialize_entry("_version", &read.map_or(0, |document| document.version.0))?;
        shown.serialize_entry("found", &is_found)?;
        shown.serialize_entry("took", &(self.took.as_millis() as u64))?;
        if is_found {
            shown.serialize_entry("term_vectors", &Fields(self))?;
        }
        shown.end()
    }
}

/// The fields by their names.
struct Fields<'a>(&'a Shown);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Shown { found, form, .. } = self.0;
        let fields = found.fields.iter().map(|(path, vector)| {
            let field = ShownField {
                vector,
                numbers: Numbers::of(found, path),
                form: *form,
            };
            (path.as_str(), field)
        });
        serializer.collect_map(fields)
    }
}

/// What was counted of a field over all shards.
#[derive(Clone, Copy)]
struct Numbers<'a> {
    field: Option<&'a FieldStatistics>,
    /// By term.
    documents: Option<&'a BTreeMap<String, u64>>,
    totals: Option<&'a FieldTotals>,
}

impl<'a> Numbers<'a> {
    fn of(found: &'a TermVectors, path: &FieldPath) -> Self {
        Self {
            field: found.statistics.fields.get(path),
            documents: found.statistics.terms.get(path),
            totals: found.statistics.totals.get(path),
        }
    }
}

/// What a number is that a leaf did not tell, as in the dialect.
fn or_unknown(number: Option<u64>) -> Value {
    number.map_or_else(|| Value::from(-1), Value::from)
}

struct ShownField<'a> {
    vector: &'a FieldVector,
    numbers: Numbers<'a>,
    form: Form,
}

impl Serialize for ShownField<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (vector, numbers) = (self.vector, self.numbers);
        let texts: Vec<&str> = vector.texts.iter().map(String::as_str).collect();
        let offsets = Offsets::new(&texts);
        let mut shown = serializer.serialize_map(None)?;
        if self.form.field_statistics {
            let statistics = json!({
                "sum_doc_freq": or_unknown(numbers.totals.map(|totals| totals.postings)),
                "doc_count": or_unknown(numbers.field.map(|field| field.documents)),
                "sum_ttf": or_unknown(numbers.totals.map(|totals| totals.occurrences)),
            });
            shown.serialize_entry("field_statistics", &statistics)?;
        }
        let terms = Terms {
            field: self,
            offsets: &offsets,
        };
        shown.serialize_entry("terms", &terms)?;
        shown.end()
    }
}

/// The terms of a field by their texts.
struct Terms<'a> {
    field: &'a ShownField<'a>,
    offsets: &'a Offsets,
}

impl Serialize for Terms<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let terms = self.field.vector.terms.iter().map(|(term, places)| {
            let (field, offsets) = (self.field, self.offsets);
            let shown = ShownTerm {
                field,
                offsets,
                term,
                places,
            };
            (term, shown)
        });
        serializer.collect_map(terms)
    }
}

struct ShownTerm<'a> {
    field: &'a ShownField<'a>,
    offsets: &'a Offsets,
    term: &'a str,
    places: &'a [TermPlace],
}

impl Serialize for ShownTerm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ShownField {
            vector,
            numbers,
            form,
        } = self.field;
        let mut shown = serializer.serialize_map(None)?;
        if form.term_statistics {
            let documents = numbers.documents.and_then(|counts| counts.get(self.term));
            let totals = numbers.totals;
            let occurrences = totals.and_then(|totals| totals.terms.get(self.term));
            shown.serialize_entry("doc_freq", &or_unknown(documents.copied()))?;
            shown.serialize_entry("ttf", &or_unknown(occurrences.copied()))?;
        }
        shown.serialize_entry("term_freq", &self.places.len())?;
        if form.tokens.positions || form.tokens.offsets {
            let tokens = Tokens {
                term: self,
                form: form.tokens,
            };
            shown.serialize_entry("tokens", &tokens)?;
        }
        if let Some(score) = vector.scores.get(self.term) {
            shown.serialize_entry("score", &float(*score))?;
        }
        shown.end()
    }
}

/// The places of a term.
struct Tokens<'a> {
    term: &'a ShownTerm<'a>,
    form: TokenForm,
}

impl Serialize for Tokens<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let offsets = self.term.offsets;
        let tokens = self.term.places.iter().map(|place| ShownToken {
            place: *place,
            offsets,
            form: self.form,
        });
        serializer.collect_seq(tokens)
    }
}

struct ShownToken<'a> {
    place: TermPlace,
    offsets: &'a Offsets,
    form: TokenForm,
}

impl Serialize for ShownToken<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shown = serializer.serialize_map(None)?;
        if self.form.positions {
            shown.serialize_entry("position", &self.place.position)?;
        }
        if self.form.offsets {
            shown.serialize_entry("start_offset", &self.offsets.units(self.place.start))?;
            shown.serialize_entry("end_offset", &self.offsets.units(self.place.end))?;
        }
        shown.end()
    }
}

/// Returns a number with the fewest digits that distinguish it from other floats.
fn float(number: f32) -> Value {
    let short = number.to_string().parse::<f64>();
    Value::from(short.unwrap_or(f64::from(number)))
}
