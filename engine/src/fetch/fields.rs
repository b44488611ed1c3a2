//! `fields`: values taken from `_source` by path, as the mapping reads them: what is indexed of them.

mod level;
mod points;
mod ranges;

use std::collections::HashMap;
use std::sync::Arc;

use gleaner_document::{FieldReader, FieldValue};
use gleaner_model::mapping::{Codec, matches_pattern};
use gleaner_model::{Field, FieldKind, FieldPath, Mapping, NumberKind};
use gleaner_partial::control::Control;
use gleaner_query::address::ip_text;
use gleaner_query::date::Instant;
use gleaner_query::search::FieldFormat;
use gleaner_query::source::{all_at, objects_at, values_at, whole_at};
use indexmap::IndexMap;
use serde_json::Value;

use level::Level;
use points::PointFormat;
use ranges::RangeReader;

use super::ShownFields;
use super::doc_values::{Format, is_formatted, no_format};
use crate::error::EngineError;
use crate::view::View;

/// Fields to show.
pub(super) struct Plan {
    root: Level,
    unmapped: UnmappedFields,
}

struct FieldPlan {
    /// Under which it is shown: its own, or that of an alias.
    path: FieldPath,
    /// Its own path in the mapping.
    own_path: FieldPath,
    /// Where its values stand in `_source`: for a multi-field its parent, and what is copied there.
    source_paths: Vec<FieldPath>,
    reader: FieldReader,
    format: Format,
    is_date: bool,
    /// Whether its numbers are of 32 bits or fewer.
    is_narrow: bool,
    shape: Shape,
    /// The value that every document has, whether it says so or not.
    constant: Option<String>,
    /// The point that stands for `null`, of a `geo_point` that has one.
    null_point: Option<Value>,
    /// Reads its values, where they are ranges.
    ranges: Option<RangeReader>,
}

/// What the values of a field are in `_source`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Texts, numbers and the like.
    Plain,
    /// Objects, which are shown as they are.
    Objects,
    /// Either.
    Any,
    /// Either: bounds, or a network.
    Ranges,
    /// Points in all their forms.
    Points(PointFormat),
}

impl Shape {
    /// Returns that of a field whose values are shown in the format `asked` for.
    ///
    /// # Errors
    /// When points have no such format; where the field was not named whole, they are shown in their own.
    fn of(kind: &FieldKind, asked: Option<&str>, is_named: bool) -> Result<Self, EngineError> {
        Ok(match kind {
            FieldKind::Completion => Self::Any,
            FieldKind::Encoded {
                codec: Codec::GeoPoint,
                ..
            } => Self::Points(match PointFormat::new(asked) {
                Err(_) if !is_named => PointFormat::GeoJson,
                format => format?,
            }),
            FieldKind::Encoded { .. } => Self::Ranges,
            kind if kind.is_flattened() || kind.is_of_features() => Self::Objects,
            _ => Self::Plain,
        })
    }
}

/// Where the values of fields come from.
pub(crate) struct Origins<'m> {
    mapping: &'m Mapping,
    /// Which fields copy their values to a path.
    copies: HashMap<&'m str, Vec<&'m FieldPath>>,
}

impl Plan {
    pub(super) fn new(
        view: &View,
        asked: &[FieldFormat],
        control: &Control,
    ) -> Result<Self, EngineError> {
        let mut root = Level::root();
        let mut unmapped = UnmappedFields {
            mapping: Arc::clone(view.mapping()),
            patterns: Vec::new(),
        };
        if asked.is_empty() {
            return Ok(Self { root, unmapped });
        }
        let origins = Origins::of(view.mapping());
        let mut wanted = IndexMap::new();
        for asked in each_once(asked) {
            control.check()?;
            if asked.include_unmapped {
                unmapped.patterns.push(asked.field.clone());
            }
            want(asked, view.mapping(), &mut wanted)?;
        }
        for (path, asked) in wanted {
            control.check()?;
            if let Some(plan) = FieldPlan::asked(view, path, asked, &origins)? {
                root.add(view.mapping(), plan);
            }
        }
        if !unmapped.patterns.is_empty() {
            root.add_all_nested(view.mapping());
        }
        Ok(Self { root, unmapped })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.root.is_empty() && self.unmapped.patterns.is_empty()
    }

    /// Adds the values of a document; fields without any are left out.
    pub(super) fn read(
        &self,
        source: &Value,
        shown: &mut ShownFields<'_, '_>,
    ) -> Result<(), EngineError> {
        self.root.read(&self.unmapped, source, shown)
    }

    /// Returns what the fields that are asked for left out of a document, by the names under which they are shown; of
    /// nested objects, nothing. `ignored` are the paths of all fields that left out something.
    pub(super) fn ignored_values(
        &self,
        source: &Value,
        ignored: &[String],
    ) -> IndexMap<String, Vec<Value>> {
        let mut shown = IndexMap::new();
        for own_path in ignored {
            for field in self.root.fields_of(own_path) {
                let values = field.ignored_values(source);
                if !values.is_empty() {
                    shown.insert(field.path.to_string(), values);
                }
            }
        }
        shown
    }
}

/// Returns what is asked for without repetitions: of equal ones the last.
fn each_once(asked: &[FieldFormat]) -> impl Iterator<Item = &FieldFormat> {
    let key = |asked: &'_ FieldFormat| (asked.field.clone(), asked.format.clone());
    let last: HashMap<_, usize> = (0..asked.len()).map(|at| (key(&asked[at]), at)).collect();
    let all = asked.iter().enumerate();
    all.filter(move |(at, asked)| last[&key(asked)] == *at)
        .map(|(_, asked)| asked)
}

/// Adds the fields that `asked` names to those that are shown. Each is shown once, however many patterns name it: the
/// last of them says how.
///
/// # Errors
/// For a format that one of them does not have.
fn want<'a>(
    asked: &'a FieldFormat,
    mapping: &Mapping,
    wanted: &mut IndexMap<FieldPath, &'a FieldFormat>,
) -> Result<(), EngineError> {
    let (pattern, format) = (asked.field.as_str(), asked.format.as_deref());
    if let Some(((_, field), _)) = mapping.flattened(pattern) {
        // A key of it; patterns stand for no keys.
        let path = FieldPath::new(pattern);
        if is_formatted(format) {
            return Err(no_format(&path, &field.kind, "doesn't support formats."));
        }
        wanted.insert(path, asked);
        return Ok(());
    }
    for (path, _) in mapping.matching(pattern) {
        let Some((_, field)) = mapping.resolved(path.as_str()) else {
            continue;
        };
        if matches!(field.kind, FieldKind::Object { .. }) || field.kind.is_keyed() {
            continue;
        }
        if is_formatted(format) {
            check_format(path, field, asked)?;
        }
        wanted.insert(path.clone(), asked);
    }
    Ok(())
}

/// Refuses a format that a field does not have.
fn check_format(path: &FieldPath, field: &Field, asked: &FieldFormat) -> Result<(), EngineError> {
    let format = asked.format.as_deref();
    let is_named = asked.field == path.as_str();
    let shape = Shape::of(&field.kind, format, is_named)?;
    let has_formats = is_of_dates(&field.kind) || matches!(shape, Shape::Points(_));
    if is_named && !has_formats {
        return Err(no_format(path, &field.kind, "doesn't support formats."));
    }
    Format::new(&field.kind, format).map(drop)
}

/// What of a document the mapping does not know.
struct UnmappedFields {
    mapping: Arc<Mapping>,
    /// Of paths that are wanted.
    patterns: Vec<String>,
}

impl UnmappedFields {
    /// Adds the values of an object that no field of the mapping takes, as they are. The paths of its fields begin
    /// with `prefix`, which is left out of their names. Nested objects in it are passed over.
    fn read(&self, prefix: &str, object: &Value, shown: &mut IndexMap<String, Vec<Value>>) {
        if !self.patterns.is_empty() {
            let mut path = prefix.to_owned();
            self.visit(&mut path, prefix.len(), object, shown);
        }
    }

    fn visit(
        &self,
        path: &mut String,
        begin: usize,
        value: &Value,
        shown: &mut IndexMap<String, Vec<Value>>,
    ) {
        match value {
            Value::Null => {}
            Value::Array(items) => {
                for item in items {
                    self.visit(path, begin, item, shown);
                }
            }
            Value::Object(entries) => {
                for (name, inner) in entries {
                    let length = path.len();
                    if length > begin {
                        path.push('.');
                    }
                    path.push_str(name);
                    if !self.is_nested(path) {
                        self.visit(path, begin, inner, shown);
                    }
                    path.truncate(length);
                }
            }
            scalar => {
                let is_wanted = |pattern: &String| matches_pattern(pattern, path);
                if self.is_unread(path) && self.patterns.iter().any(is_wanted) {
                    let values = shown.entry(path[begin..].to_owned()).or_default();
                    values.push(scalar.clone());
                }
            }
        }
    }

    /// Returns whether no field takes a plain value at a path.
    fn is_unread(&self, path: &str) -> bool {
        let field = self.mapping.field(path);
        field.is_none_or(|field| matches!(field.kind, FieldKind::Object { enabled: false, .. }))
    }

    fn is_nested(&self, path: &str) -> bool {
        let field = self.mapping.fields.get(path);
        field.is_some_and(|field| matches!(field.kind, FieldKind::Object { nested: true, .. }))
    }
}

impl<'m> Origins<'m> {
    /// Gathers what every field copies.
    pub(crate) fn of(mapping: &'m Mapping) -> Self {
        let mut copies: HashMap<_, Vec<_>> = HashMap::new();
        for (path, field) in &mapping.fields {
            for to in &field.copy_to {
                copies.entry(to.as_str()).or_default().push(path);
            }
        }
        Self { mapping, copies }
    }

    /// Returns where the values of a field stand in `_source`: what feeds it, then what is copied there.
    pub(crate) fn source_paths(&self, path: &FieldPath) -> Vec<FieldPath> {
        let own = self.mapping.fed_from(path.as_str());
        let copied = self.copies.get(own).into_iter().flatten();
        let copied = copied.map(|from| (*from).clone());
        std::iter::once(FieldPath::new(own)).chain(copied).collect()
    }
}

impl FieldPlan {
    /// Returns what shows a field as it is asked for; `None` where it is gone.
    fn asked(
        view: &View,
        path: FieldPath,
        asked: &FieldFormat,
        origins: &Origins<'_>,
    ) -> Result<Option<Self>, EngineError> {
        let mapping = view.mapping();
        if let Some(((_, field), _)) = mapping.flattened(path.as_str()) {
            let own = mapping.own_path(path.as_str());
            let plan = Self::new(view, &own, field, Format::Raw, origins);
            return Ok(Some(Self { path, ..plan }));
        }
        let Some((own, field)) = mapping.resolved(path.as_str()) else {
            return Ok(None);
        };
        let format = asked.format.as_deref();
        let shape = Shape::of(&field.kind, format, asked.field == path.as_str())?;
        let format = Format::new(&field.kind, format)?;
        let plan = Self::new(view, own, field, format, origins);
        Ok(Some(Self {
            path,
            shape,
            ..plan
        }))
    }

    fn new(
        view: &View,
        path: &FieldPath,
        field: &Field,
        format: Format,
        origins: &Origins<'_>,
    ) -> Self {
        let is_narrow = matches!(
            field.kind,
            FieldKind::Number {
                number: NumberKind::Float | NumberKind::HalfFloat,
                ..
            }
        );
        Self {
            path: path.clone(),
            own_path: path.clone(),
            source_paths: origins.source_paths(path),
            reader: FieldReader::new(field, view.analyzers()),
            format,
            is_date: matches!(field.kind, FieldKind::Date { .. }),
            is_narrow,
            shape: Shape::Plain,
            constant: field.kind.constant().map(str::to_owned),
            null_point: field.declared.get("null_value").cloned(),
            ranges: RangeReader::of(&field.kind),
        }
    }

    /// Returns what is shown of an object, the paths of whose fields begin with `prefix`.
    fn shown_values(&self, object: &Value, prefix: &str) -> Vec<Value> {
        if let Some(constant) = &self.constant {
            return vec![Value::from(constant.as_str())];
        }
        let paths = self.source_paths.iter();
        let paths = paths.filter_map(|path| path.as_str().strip_prefix(prefix));
        let values = paths.flat_map(|path| self.values(object, path));
        let mut shown = match self.shape {
            Shape::Points(format) => {
                let mut shown = Vec::new();
                let (null, reading) = (self.null_point.as_ref(), self.reader.reading());
                values.for_each(|value| format.show(value, null, reading, &mut shown));
                shown
            }
            Shape::Ranges => {
                let show = |value| self.ranges.as_ref()?.show(value, &self.format);
                values.filter_map(show).collect()
            }
            Shape::Plain | Shape::Objects | Shape::Any => {
                values.filter_map(|value| self.shown(value)).collect()
            }
        };
        // A list grows by four values at first, and most fields have one.
        shown.shrink_to_fit();
        shown
    }

    /// Returns the values at a path; the objects there where the field is made of such, and whole lists where
    /// one may be a point.
    fn values<'v>(&self, source: &'v Value, path: &str) -> Vec<&'v Value> {
        match self.shape {
            Shape::Plain => values_at(source, path),
            Shape::Objects => objects_at(source, path),
            Shape::Any | Shape::Ranges => all_at(source, path),
            Shape::Points(_) => whole_at(source, path),
        }
    }

    /// Returns what the field left out of a document, as it stands there.
    fn ignored_values(&self, source: &Value) -> Vec<Value> {
        let mut ignored = Vec::new();
        for path in &self.source_paths {
            for value in whole_at(source, path.as_str()) {
                self.collect_ignored(value, &mut ignored);
            }
        }
        ignored
    }

    fn collect_ignored(&self, value: &Value, ignored: &mut Vec<Value>) {
        let has_points = matches!(self.shape, Shape::Points(_));
        match value {
            // A list that begins with a number is one point.
            Value::Array(items) if !has_points || !items.first().is_some_and(Value::is_number) => {
                for item in items {
                    self.collect_ignored(item, ignored);
                }
            }
            one if self.reader.ignores(one) => ignored.push(one.clone()),
            _ => {}
        }
    }

    fn shown(&self, value: &Value) -> Option<Value> {
        Some(match self.reader.read(value) {
            Some(FieldValue::Text(text)) => Value::from(text.into_owned()),
            Some(FieldValue::I64(number)) => Value::from(number),
            Some(FieldValue::U64(number)) => Value::from(number),
            Some(FieldValue::F64(number)) => self.fraction(number),
            Some(FieldValue::Bool(flag)) => Value::Bool(flag),
            Some(FieldValue::Date(ms)) => self.format.date(Instant::from_millis(ms)),
            Some(FieldValue::DateNanos(nanos)) => self.format.date(Instant::from_nanos(nanos)),
            Some(FieldValue::Ip(address)) => Value::from(ip_text(u128::from(address))),
            Some(FieldValue::Feature { .. }) => return None,
            // A date that its format does not read may still be milliseconds.
            None if self.shape != Shape::Plain && !value.is_null() => value.clone(),
            None if self.is_date => self.format.date(Instant::from_millis(milliseconds(value)?)),
            None => return None,
        })
    }

    fn fraction(&self, number: f64) -> Value {
        Value::from(match self.is_narrow {
            true => shortest(number),
            false => number,
        })
    }
}

/// Returns a number of 32 bits by the fewest digits that tell it from its neighbours.
fn shortest(number: f64) -> f64 {
    (number as f32).to_string().parse().unwrap_or(number)
}

/// Returns whether values of a field are dates or ranges of dates.
fn is_of_dates(kind: &FieldKind) -> bool {
    matches!(
        kind,
        FieldKind::Date { .. }
            | FieldKind::Encoded {
                codec: Codec::DateRange(_),
                ..
            }
    )
}

fn milliseconds(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}
