//! Nested objects: each is a document of its own, inside the one that holds it.

use serde::{Deserialize, Serialize};

use super::{FieldKind, FieldPath, Mapping};

/// Which documents around a nested object have its values too (`include_in_parent`, `include_in_root`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Included {
    /// None has.
    #[default]
    Nowhere,
    /// The one that holds the object: another nested object, or the root.
    Parent,
    /// The root, whatever is between.
    Root,
    /// Both.
    ParentAndRoot,
}

impl Included {
    /// Returns whether no document around has the values.
    pub fn is_nowhere(&self) -> bool {
        *self == Self::Nowhere
    }

    /// Returns whether the document that holds the object has its values.
    pub fn in_parent(self) -> bool {
        matches!(self, Self::Parent | Self::ParentAndRoot)
    }

    /// Returns whether the root has its values, whatever is between.
    pub fn in_root(self) -> bool {
        matches!(self, Self::Root | Self::ParentAndRoot)
    }
}

impl Mapping {
    /// Returns the paths of the nested objects that `path` lies in, itself left out, the outermost first.
    pub fn nested_around<'a>(
        &'a self,
        path: &'a str,
    ) -> impl Iterator<Item = (&'a FieldPath, Included)> {
        path.match_indices('.').filter_map(|(dot, _)| {
            let (own, field) = self.fields.get_key_value(&path[..dot])?;
            match field.kind {
                FieldKind::Object {
                    nested: true,
                    included,
                    ..
                } => Some((own, included)),
                _ => None,
            }
        })
    }

    /// Returns the innermost nested object that `path` lies in.
    pub fn nested_parent<'a>(&'a self, path: &'a str) -> Option<&'a FieldPath> {
        self.nested_around(path).last().map(|(parent, _)| parent)
    }

    /// Returns whether the document itself has the values at `path`: none of them are in a nested object, or each
    /// such object hands its values on.
    pub fn is_in_root(&self, path: &str) -> bool {
        let around = self.nested_around(path);
        around.fold(true, |is_parent_in_root, (_, included)| {
            included.in_root() || (included.in_parent() && is_parent_in_root)
        })
    }

    /// Returns how many objects are nested.
    pub fn num_nested(&self) -> usize {
        let fields = self.fields.values();
        let is_nested = |kind: &FieldKind| matches!(kind, FieldKind::Object { nested: true, .. });
        fields.filter(|field| is_nested(&field.kind)).count()
    }
}
