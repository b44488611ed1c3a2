//! serde's side of the walk: which part of the JSON the reader is at.

use std::borrow::Cow;
use std::fmt;

use gleaner_query::json::tree_bytes;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use super::{Place, Walk};
use crate::convert::Scalar;
use crate::numerals;
use crate::plan::{NodeKind, ROOT};
use crate::tree::{Tree, too_large};

/// Reads the document itself.
pub(super) struct RootVisitor<'w, 'p, 'de>(pub(super) &'w mut Walk<'p, 'de>);

impl<'de> Visitor<'de> for RootVisitor<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.object(ROOT, map)
    }
}

/// Reads a key.
pub(super) struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(KeySeed)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Reads one value at a place.
pub(super) struct ValueSeed<'w, 'p, 'de> {
    pub(super) walk: &'w mut Walk<'p, 'de>,
    pub(super) place: Place,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.place == Place::Ignored {
            self.walk.has_ignored = true;
            return deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ());
        }
        if self.walk.wants_text(self.place) {
            let raw: &'de RawValue = Deserialize::deserialize(deserializer)?;
            return self.read_text(raw.get()).map_err(D::Error::custom);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> ValueSeed<'_, '_, 'de> {
    /// Reads a value from its text, so that a number can be told as it is written.
    fn read_text(self, text: &'de str) -> Result<(), serde_json::Error> {
        let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        let mut json = serde_json::Deserializer::from_str(text);
        if text.starts_with('{')
            && let Some(number) = self.walk.flattened_at(self.place)
        {
            let left = self
                .walk
                .tree_bytes
                .checked_sub(tree_bytes(text.as_bytes()));
            let left = left.ok_or_else(|| serde_json::Error::custom(too_large()))?;
            self.walk.tree_bytes = left;
            let object: Value = numerals::read_as_texts(text)?;
            return self.walk.object_for_leaf(number, &object);
        }
        if !is_number {
            return json.deserialize_any(self);
        }
        let number = Number::deserialize(&mut json)?;
        match number.as_f64().filter(|_| number.is_f64()) {
            Some(value) => self.walk.scalar(self.place, &Scalar::Written(value, text)),
            None => serde_json::Deserializer::from_str(text).deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.walk.scalar(self.place, &Scalar::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.walk.scalar(self.place, &Scalar::I64(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        let scalar = i64::try_from(value).map_or(Scalar::U64(value), Scalar::I64);
        self.walk.scalar(self.place, &scalar)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.walk.scalar(self.place, &Scalar::F64(value))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<(), E> {
        self.walk
            .scalar(self.place, &Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.walk
            .scalar(self.place, &Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.walk.null(self.place)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { walk, place } = self;
        if let Some(number) = walk.takes_list(place) {
            let left = &mut walk.tree_bytes;
            let list = Tree { left }.visit_seq(items)?;
            return walk.object_for_leaf(number, &list);
        }
        while items
            .next_element_seed(ValueSeed {
                walk: &mut *walk,
                place,
            })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Self { walk, place } = self;
        let number = match place {
            Place::Node(number) => number,
            Place::Metadata(name) => {
                let left = &mut walk.tree_bytes;
                let object = Tree { left }.visit_map(map)?;
                return walk.object_for_metadata(name, &object);
            }
            Place::Unknown | Place::Ignored => {
                walk.found.has_unknown = true;
                walk.has_ignored = true;
                return ignore(map);
            }
        };
        match walk.plan.node(number).kind {
            NodeKind::Object {
                is_enabled: true, ..
            } => walk.object(number, map),
            NodeKind::Object { .. } => {
                walk.has_ignored = true;
                ignore(map)
            }
            NodeKind::Leaf(_) => {
                let left = &mut walk.tree_bytes;
                let object = Tree { left }.visit_map(map)?;
                walk.object_for_leaf(number, &object)
            }
        }
    }
}

fn ignore<'de, A: MapAccess<'de>>(map: A) -> Result<(), A::Error> {
    IgnoredAny.visit_map(map).map(|_| ())
}
