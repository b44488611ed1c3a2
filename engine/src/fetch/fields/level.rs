//! Fields by the nested objects that they lie in: each such object shows its own values together.

use gleaner_model::{FieldKind, Mapping};
use gleaner_query::source::objects_at;
use serde_json::Value;

use super::super::ShownFields;
use super::{FieldPlan, UnmappedFields};
use crate::error::EngineError;

/// Fields of the document itself, or of the nested objects at one path.
pub(super) struct Level {
    /// With which the paths of its fields begin: empty, or a path and a dot.
    prefix: String,
    fields: Vec<FieldPlan>,
    /// Nested objects in it.
    nested: Vec<Level>,
}

impl Level {
    /// Returns the level of the document itself.
    pub(super) fn root() -> Self {
        Self::at(String::new())
    }

    fn at(prefix: String) -> Self {
        Self {
            prefix,
            fields: Vec::new(),
            nested: Vec::new(),
        }
    }

    /// Returns whether no field was added.
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.nested.is_empty()
    }

    /// Returns the fields of this level that show the one at `own_path` of the mapping: itself, and aliases of it.
    pub(super) fn fields_of(&self, own_path: &str) -> impl Iterator<Item = &FieldPlan> {
        let fields = self.fields.iter();
        fields.filter(move |field| field.own_path.as_str() == own_path)
    }

    /// Adds a field to the level that it lies in.
    pub(super) fn add(&mut self, mapping: &Mapping, field: FieldPlan) {
        let path = field.path.clone();
        self.level_of(mapping, path.as_str()).fields.push(field);
    }

    /// Adds a level for all nested objects of a mapping.
    pub(super) fn add_all_nested(&mut self, mapping: &Mapping) {
        for (path, field) in &mapping.fields {
            if matches!(field.kind, FieldKind::Object { nested: true, .. }) {
                let around = self.level_of(mapping, path.as_str());
                around.level_at(path.as_str());
            }
        }
    }

    fn level_of(&mut self, mapping: &Mapping, path: &str) -> &mut Self {
        let around = mapping.nested_around(path);
        around.fold(self, |level, (nested, _)| level.level_at(nested.as_str()))
    }

    fn level_at(&mut self, path: &str) -> &mut Self {
        let is_at = |level: &Self| level.prefix.strip_suffix('.') == Some(path);
        let known = self.nested.iter().position(is_at);
        let at = known.unwrap_or_else(|| {
            self.nested.push(Self::at(format!("{path}.")));
            self.nested.len() - 1
        });
        &mut self.nested[at]
    }

    /// Adds the values of one object of this level, by names below it; fields without any are left out.
    pub(super) fn read(
        &self,
        unmapped: &UnmappedFields,
        object: &Value,
        shown: &mut ShownFields<'_, '_>,
    ) -> Result<(), EngineError> {
        for field in &self.fields {
            let values = field.shown_values(object, &self.prefix);
            shown.add(self.name(field.path.as_str()), values)?;
        }
        unmapped.read(&self.prefix, object, &mut shown.fields);
        for level in &self.nested {
            let name = self.name(level.prefix.trim_end_matches('.'));
            let mut objects = Vec::new();
            for object in objects_at(object, name) {
                objects.extend(level.shown(unmapped, object, shown)?);
            }
            if !objects.is_empty() {
                // What is in them was charged as it was read.
                shown.charge(name, &[])?;
                shown.fields.insert(name.to_owned(), objects);
            }
        }
        Ok(())
    }

    /// Returns the values of a nested object; `None` where it has none that are wanted. They are charged as those of the
    /// object `around` it.
    fn shown(
        &self,
        unmapped: &UnmappedFields,
        object: &Value,
        around: &mut ShownFields<'_, '_>,
    ) -> Result<Option<Value>, EngineError> {
        let mut shown = ShownFields::new(around.meter.as_deref_mut());
        self.read(unmapped, object, &mut shown)?;
        around.num_bytes += shown.num_bytes;
        let entries = shown.fields.into_iter();
        let entries = entries.map(|(name, values)| (name, Value::Array(values)));
        Ok((entries.len() > 0).then(|| Value::Object(entries.collect())))
    }

    fn name<'p>(&self, path: &'p str) -> &'p str {
        path.strip_prefix(self.prefix.as_str()).unwrap_or(path)
    }
}
