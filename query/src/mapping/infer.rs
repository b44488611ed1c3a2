//! Fields that documents bring: inferred from JSON, by templates, detection and `dynamic`.

use std::collections::BTreeMap;

use gleaner_model::{
    ChosenTemplates, DateFormat, Dynamic, Field, FieldKind, FieldPath, Mapping, MappingVersion,
};
use serde_json::{Map, Value, json};

use super::properties::{self, Draft};
use super::{
    Declaration, MappingRules, check_limits, copies, malformed, merge, template, too_deep,
    too_many_fields,
};
use crate::date::DateFormatter;
use crate::error::{ErrorType, QueryError};

/// Returns the mapping of version `since` that a document needs, or `None` when `mapping` already knows its
/// fields. Each field that it adds came with that version. `mapping` may itself be of that version: documents
/// that make a mapping grow together add their fields one after the other, and all of them name the version
/// that the mapping will have. A template that is `chosen` for a field makes it.
///
/// Objects between the mapping and a new field are added too. Ordinals start at [`Mapping::next_ordinal`].
/// Nothing is added where `dynamic` is false, or where a value is null. Constants stay as they are:
/// [`super::set_constants`] gives them their values.
///
/// # Errors
/// `strict_dynamic_mapping_exception` where `dynamic` is strict; `mapper_parsing_exception` for a
/// name or a template that cannot be used, and for a value inside a field that is no object;
/// `document_parsing_exception` where a template is chosen that there is not;
/// [`ErrorType::TooManyFields`] where the mapping would have more fields than it may;
/// `illegal_argument_exception` where another limit is passed, or an object stands where others are copied to.
pub fn infer_document(
    document: &Map<String, Value>,
    chosen: &ChosenTemplates,
    mapping: &Mapping,
    rules: &MappingRules,
    since: MappingVersion,
) -> Result<Option<Mapping>, QueryError> {
    let mut inference = Inference {
        chosen,
        mapping,
        rules,
        found: BTreeMap::new(),
        next: mapping.next_ordinal(),
        since,
    };
    for (name, value) in document {
        inference.visit(name, value)?;
    }
    if inference.found.is_empty() {
        return Ok(None);
    }
    let added = inference.found.len();
    let mut grown = mapping.clone();
    grown.fields.extend(inference.found);
    grown.version = since;
    check_limits(&grown, rules).map_err(|fault| match fault.kind {
        ErrorType::TooManyFields => adding(fault, added),
        _ => fault,
    })?;
    copies::check(&grown, Some(mapping))?;
    Ok(Some(grown))
}

/// New fields beyond those that a mapping may have which are still counted, so that the refusal tells how many they are.
const MOST_TOO_MANY: usize = 16_384;

/// Says of a refusal how many fields were being added.
fn adding(mut fault: QueryError, added: usize) -> QueryError {
    fault.reason = format!("{} while adding new fields [{added}]", fault.reason);
    fault
}

struct Inference<'a> {
    chosen: &'a ChosenTemplates,
    mapping: &'a Mapping,
    rules: &'a MappingRules,
    found: BTreeMap<FieldPath, Field>,
    next: u32,
    /// Version of the mapping that what is found comes with.
    since: MappingVersion,
}

impl Inference<'_> {
    fn field(&self, path: &str) -> Option<&Field> {
        let found = self.found.get(path);
        found.or_else(|| self.mapping.fields.get(path))
    }

    fn kind(&self, path: &str) -> Option<&FieldKind> {
        self.field(path).map(|field| &field.kind)
    }

    /// Looks at a value, and at everything inside it.
    fn visit(&mut self, path: &str, value: &Value) -> Result<(), QueryError> {
        match (value, self.kind(path)) {
            (Value::Null, _) => Ok(()),
            (Value::Array(items), _) => items.iter().try_for_each(|item| self.visit(path, item)),
            (Value::Object(entries), Some(FieldKind::Object { enabled: true, .. })) => {
                self.visit_entries(path, entries)
            }
            (_, Some(_)) => self.copy(path, value),
            (_, None) => self.introduce(path, value),
        }
    }

    /// Adds what the value of a known field is copied to and the mapping lacks, as if it stood there.
    fn copy(&mut self, path: &str, value: &Value) -> Result<(), QueryError> {
        let field = self.field(path);
        let targets = field.map_or_else(Vec::new, |field| field.copy_to.clone());
        for target in targets {
            if !value.is_object() && self.kind(target.as_str()).is_none() {
                self.introduce(target.as_str(), value)?;
            }
        }
        Ok(())
    }

    fn visit_entries(
        &mut self,
        path: &str,
        entries: &Map<String, Value>,
    ) -> Result<(), QueryError> {
        entries
            .iter()
            .try_for_each(|(name, value)| self.visit(&format!("{path}.{name}"), value))
    }

    /// Adds an unknown field, and the objects above it, as the nearest known object allows.
    fn introduce(&mut self, path: &str, value: &Value) -> Result<(), QueryError> {
        let added = self.found.len();
        if added > self.rules.total_fields.saturating_add(MOST_TOO_MANY) {
            return Err(adding(too_many_fields(self.rules), added));
        }
        properties::check_name(path)?;
        let Some((ancestor, dynamic)) = self.ancestor(path)? else {
            return Ok(());
        };
        match dynamic {
            Dynamic::False => return Ok(()),
            Dynamic::Strict => return Err(strict(path, ancestor)),
            Dynamic::True => {}
        }
        // Before anything is added: a name of many dots would cost the square of its length.
        if path.split('.').count() > self.rules.depth {
            return Err(too_deep(path, self.rules.depth));
        }
        let known = ancestor.map_or(0, |ancestor| ancestor.len() + 1);
        for (dot, _) in path.match_indices('.').filter(|(dot, _)| *dot >= known) {
            self.add_object(&path[..dot])?;
        }
        match value {
            Value::Object(entries) => {
                self.add_object(path)?;
                // A template may have made it something else, or closed it.
                self.visit_known(path, entries)
            }
            _ => {
                self.add_value(path, value)?;
                self.copy(path, value)
            }
        }
    }

    fn visit_known(&mut self, path: &str, entries: &Map<String, Value>) -> Result<(), QueryError> {
        match self.kind(path) {
            Some(FieldKind::Object { enabled: true, .. }) => self.visit_entries(path, entries),
            _ => Ok(()),
        }
    }

    /// Returns the nearest known object above `path` with the rule that holds in it; `None` where
    /// an object's content is not looked at.
    fn ancestor<'p>(
        &self,
        path: &'p str,
    ) -> Result<Option<(Option<&'p str>, Dynamic)>, QueryError> {
        let mut nearest = None;
        let mut rule = None;
        for (dot, _) in path.rmatch_indices('.') {
            let parent = &path[..dot];
            match self.kind(parent) {
                None => {}
                Some(FieldKind::Object { enabled: false, .. }) => return Ok(None),
                Some(FieldKind::Object { dynamic, .. }) => {
                    nearest = nearest.or(Some(parent));
                    rule = rule.or(*dynamic);
                }
                Some(kind) => {
                    return Err(malformed(format!(
                        "Could not dynamically add mapping for field [{path}]. Existing mapping \
                         for [{parent}] must be of type object but found [{}].",
                        kind.type_name()
                    )));
                }
            }
        }
        Ok(Some((nearest, rule.unwrap_or(self.mapping.dynamic))))
    }

    fn add_object(&mut self, path: &str) -> Result<(), QueryError> {
        match self.by_template(path, "object", "object")? {
            Some(declared) => self.add_declared(path, &declared),
            None => {
                self.add(properties::implicit_object(path));
                Ok(())
            }
        }
    }

    fn add_value(&mut self, path: &str, value: &Value) -> Result<(), QueryError> {
        let inferred = self.inferred(value);
        match self.by_template(path, inferred.json_type, inferred.type_name)? {
            Some(declared) => self.add_declared(path, &declared),
            None => self.add_declared(path, &inferred.declared),
        }
    }

    /// Returns what a template declares for a new field, which would be of type `default_type` without one.
    fn by_template(
        &self,
        path: &str,
        json_type: &str,
        default_type: &str,
    ) -> Result<Option<Map<String, Value>>, QueryError> {
        let templates = &self.mapping.dynamic_templates;
        template::find(templates, self.chosen, path, json_type, default_type)
    }

    fn add_declared(
        &mut self,
        path: &str,
        declared: &Map<String, Value>,
    ) -> Result<(), QueryError> {
        let kept = MappingRules {
            declaration: Declaration::Kept,
            ..*self.rules
        };
        let drafts = properties::read_field(path, declared, &kept)?;
        drafts.into_iter().for_each(|draft| self.add(draft));
        Ok(())
    }

    fn add(&mut self, draft: Draft) {
        let path = FieldPath::new(draft.path.as_str());
        let field = merge::number(draft, self.next, self.since);
        self.next += 1;
        self.found.insert(path, field);
    }

    fn inferred(&self, value: &Value) -> InferredField {
        match value {
            Value::Bool(_) => InferredField::plain("boolean", "boolean"),
            Value::Number(number) if number.is_f64() => InferredField::plain("double", "float"),
            Value::Number(_) => InferredField::plain("long", "long"),
            Value::String(text) => self.inferred_text(text),
            Value::Null | Value::Array(_) | Value::Object(_) => InferredField::text(),
        }
    }

    fn inferred_text(&self, text: &str) -> InferredField {
        let is_number = text.parse::<f64>().is_ok_and(f64::is_finite);
        // Pure numbers are no dates: years and epochs would be guessed too often.
        if self.mapping.date_detection && !is_number {
            let formats = &self.mapping.dynamic_date_formats;
            if let Some(format) = formats.iter().find(|format| reads(format, text)) {
                return InferredField::date(format);
            }
        }
        if self.mapping.numeric_detection && is_number {
            return if text.parse::<i64>().is_ok() {
                InferredField::plain("long", "long")
            } else {
                InferredField::plain("double", "float")
            };
        }
        InferredField::text()
    }
}

fn reads(format: &str, text: &str) -> bool {
    // No date is that long; prose is recognized without compiling the format.
    text.len() <= 64
        && DateFormatter::parse_pattern(format).is_ok_and(|formatter| formatter.parse(text).is_ok())
}

/// What JSON suggests a new field to be.
struct InferredField {
    /// For `match_mapping_type`.
    json_type: &'static str,
    /// Type of a template's field that names none.
    type_name: &'static str,
    declared: Map<String, Value>,
}

impl InferredField {
    fn plain(json_type: &'static str, type_name: &'static str) -> Self {
        let mut declared = Map::new();
        declared.insert("type".to_owned(), Value::from(type_name));
        Self {
            json_type,
            type_name,
            declared,
        }
    }

    fn text() -> Self {
        let mut inferred = Self::plain("string", "text");
        let keyword = json!({"keyword": {"type": "keyword", "ignore_above": 256}});
        inferred.declared.insert("fields".to_owned(), keyword);
        inferred
    }

    fn date(format: &str) -> Self {
        let mut inferred = Self::plain("date", "date");
        if format != DateFormat::DEFAULT {
            let format = Value::from(format);
            inferred.declared.insert("format".to_owned(), format);
        }
        inferred
    }
}

fn strict(path: &str, ancestor: Option<&str>) -> QueryError {
    let name = path.rsplit('.').next().unwrap_or(path);
    let within = ancestor.unwrap_or("_doc");
    QueryError::new(
        ErrorType::StrictDynamicMapping,
        format!(
            "mapping set to strict, dynamic introduction of [{name}] within [{within}] is not allowed"
        ),
    )
}
