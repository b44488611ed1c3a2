//! The walk over a document's JSON: no tree is built, text is borrowed where it holds no escapes.

mod completion;
mod features;
mod flattened;
mod nested;
mod refusal;
mod visit;

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use gleaner_analysis::Meter;
use gleaner_model::{Dynamic, FieldKind};
use gleaner_query::encoded::Reading;
use gleaner_query::mapping::{DERIVED_METADATA, DOCUMENT_METADATA};
use serde::Deserializer;
use serde::de::{Error, MapAccess};
use serde_json::Value;

use super::convert::Scalar;
use super::depth::{MAX_LEVELS, is_too_deep};
use super::mismatch::Mismatch;
use super::plan::{Leaf, NodeKind, Plan, ROOT};
use super::{DocumentError, FieldValue, tree};
use refusal::preview;
use visit::{KeySeed, RootVisitor, ValueSeed};

/// Values that small documents have.
const FEW_VALUES: usize = 16;

/// What a walk over a document found.
pub struct WalkOutcome<'de> {
    /// Values, each with the number of its field.
    pub values: Vec<(u32, FieldValue<'de>)>,
    /// Values of nested objects that the document itself does not have, where the walk is strict.
    pub(super) hidden: Vec<(u32, FieldValue<'de>)>,
    /// Numbers of the fields that left out a value, in the order met.
    pub ignored: Vec<u32>,
    /// What the mapping is to have for constants without a value, by the numbers of their fields: the first value that the
    /// document gives to each, where the walk is strict.
    pub(super) constants: BTreeMap<u32, String>,
    /// Whether there are fields that the mapping lacks and wants, or values of constants.
    pub has_unknown: bool,
}

/// How a walk refuses.
#[derive(Clone, Copy)]
pub(super) struct Strictness<'a> {
    /// The document's.
    pub(super) id: &'a str,
    /// Most nested objects, those of all fields together.
    pub(super) most_nested: usize,
}

/// Reads a document; the first thing the mapping refuses ends the walk.
pub(super) fn strictly<'de>(
    plan: &Plan,
    by: Strictness<'_>,
    source: &'de [u8],
) -> Result<WalkOutcome<'de>, DocumentError> {
    let (walk, read) = walked(plan, Some(by), source);
    match (walk.refused, read) {
        (Some(refused), _) => Err(refused),
        (None, Err(error)) => Err(DocumentError::Json {
            reason: error.to_string(),
        }),
        (None, Ok(())) if walk.has_ignored && is_too_deep(source) => Err(DocumentError::Json {
            reason: format!("the document has more than [{MAX_LEVELS}] levels"),
        }),
        (None, Ok(())) => Ok(walk.found),
    }
}

/// Reads as much of a document as the mapping takes.
pub(super) fn leniently<'de>(plan: &Plan, source: &'de [u8]) -> WalkOutcome<'de> {
    let (walk, read) = walked(plan, None, source);
    if let Err(error) = read {
        // The record was checked before it was ordered: only the rest of this document is lost to
        // searches, its source is kept.
        tracing::warn!(%error, "a logged document is not JSON");
    }
    walk.found
}

/// Walks once, and where a number was rounded of which text is wanted, once more with its text.
fn walked<'p, 'de>(
    plan: &'p Plan,
    strict: Option<Strictness<'p>>,
    source: &'de [u8],
) -> (Walk<'p, 'de>, Result<(), serde_json::Error>) {
    let mut walk = Walk::new(plan, strict);
    let mut read = walk.read(source);
    if walk.has_rounded && read.is_ok() {
        walk = Walk::new(plan, strict);
        walk.keeps_text = true;
        read = walk.read(source);
    }
    (walk, read)
}

struct Walk<'p, 'de> {
    plan: &'p Plan,
    /// `None` walks leniently.
    strict: Option<Strictness<'p>>,
    found: WalkOutcome<'de>,
    refused: Option<DocumentError>,
    /// Of what analysis makes of the values that it turns into others.
    meter: Meter<'static>,
    /// By node: the object in which it was last seen, to find keys that stand twice.
    seen_in: Vec<u32>,
    num_objects: u32,
    num_nested: usize,
    /// Features met: their field, the nested object that keeps them, their name.
    features: HashSet<(u32, usize, Box<str>)>,
    /// Keys of flattened objects met, with their field: each is a column.
    flattened_keys: HashSet<(u32, Rc<str>)>,
    /// Bytes that trees may still take.
    tree_bytes: usize,
    /// Whether a value was passed over, however deep it is.
    has_ignored: bool,
    /// Whether a field that takes text met a number that 64 bits do not hold as it is written.
    has_rounded: bool,
    /// Whether such numbers are read with their text, at the cost of reading the field twice.
    keeps_text: bool,
}

/// Where in the mapping a value stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Node(u32),
    /// The mapping lacks the field and wants it.
    Unknown,
    /// Nobody wants it.
    Ignored,
    /// Under the name of metadata: no value may stand here.
    Metadata(&'static str),
}

impl<'p, 'de> Walk<'p, 'de> {
    fn new(plan: &'p Plan, strict: Option<Strictness<'p>>) -> Self {
        let seen_in = if strict.is_some() {
            vec![0; plan.len()]
        } else {
            Vec::new()
        };
        Self {
            plan,
            strict,
            found: WalkOutcome {
                values: Vec::with_capacity(FEW_VALUES),
                hidden: Vec::new(),
                ignored: Vec::new(),
                constants: BTreeMap::new(),
                has_unknown: false,
            },
            refused: None,
            meter: Meter::for_document(),
            seen_in,
            num_objects: 0,
            num_nested: 0,
            features: HashSet::new(),
            flattened_keys: HashSet::new(),
            // A document that was taken is applied as a whole.
            tree_bytes: strict.map_or(usize::MAX, |_| tree::MOST_BYTES),
            has_ignored: false,
            has_rounded: false,
            keeps_text: false,
        }
    }

    fn read(&mut self, source: &'de [u8]) -> Result<(), serde_json::Error> {
        // All of it is looked at once, instead of each text by itself.
        match std::str::from_utf8(source) {
            Ok(text) => self.read_json(serde_json::Deserializer::from_str(text)),
            Err(_) => self.read_json(serde_json::Deserializer::from_slice(source)),
        }
    }

    fn read_json<R: serde_json::de::Read<'de>>(
        &mut self,
        mut json: serde_json::Deserializer<R>,
    ) -> Result<(), serde_json::Error> {
        json.deserialize_map(RootVisitor(self))?;
        json.end()
    }

    /// Returns by whose rules values are read: a lenient walk is over a document that was taken.
    fn reading(&self) -> Reading {
        match self.strict {
            Some(_) => Reading::New,
            None => Reading::Taken,
        }
    }

    /// Remembers why the document is refused; the walk ends with an error of the reader's type.
    fn refuse<E: Error>(&mut self, why: DocumentError) -> Result<(), E> {
        if self.strict.is_none() {
            return Ok(());
        }
        self.refused = Some(why);
        Err(E::custom("refused"))
    }

    fn object<A: MapAccess<'de>>(&mut self, node: u32, mut map: A) -> Result<(), A::Error> {
        self.num_objects += 1;
        let object = self.num_objects;
        self.enter(node)?;
        while let Some(key) = map.next_key_seed(KeySeed)? {
            let place = self.step(node, object, &key)?;
            map.next_value_seed(ValueSeed { walk: self, place })?;
        }
        Ok(())
    }

    /// Goes from an object along `key`, which may be a path.
    fn step<E: Error>(&mut self, from: u32, object: u32, key: &str) -> Result<Place, E> {
        let is_path = key.contains('.');
        let is_visible = key.as_bytes().first().is_some_and(u8::is_ascii_graphic);
        if (is_path || !is_visible) && key.split('.').any(is_blank) {
            self.refuse(DocumentError::EmptyName {
                name: key.to_owned(),
            })?;
            return Ok(Place::Ignored);
        }
        if let Some(name) = self.metadata(from, key) {
            return Ok(Place::Metadata(name));
        }
        let mut node = from;
        let mut rest = Some(key);
        while let Some(path) = rest {
            let (name, below) = match is_path.then(|| path.split_once('.')).flatten() {
                Some((name, below)) => (name, Some(below)),
                None => (path, None),
            };
            rest = below;
            let dynamic = match &self.plan.node(node).kind {
                NodeKind::Object {
                    dynamic,
                    is_enabled: true,
                    ..
                } => *dynamic,
                NodeKind::Object { .. } => return Ok(Place::Ignored),
                NodeKind::Leaf(leaf) => {
                    self.refuse(self.below_leaf(from, key, node, leaf))?;
                    return Ok(Place::Ignored);
                }
            };
            match self.plan.child(node, name) {
                Some(child) => {
                    node = child;
                    if rest.is_some() {
                        self.enter(node)?;
                    }
                }
                None => return self.unknown(node, dynamic, name),
            }
        }
        if let Some(seen_in) = self.seen_in.get_mut(node as usize)
            && std::mem::replace(seen_in, object) == object
        {
            self.refuse(DocumentError::Duplicate {
                name: key.to_owned(),
            })?;
        }
        Ok(Place::Node(node))
    }

    /// Returns the name of metadata that `key` is. A lenient walk knows none: a record that was taken
    /// is applied as it was taken.
    fn metadata(&self, from: u32, key: &str) -> Option<&'static str> {
        if from != ROOT || self.strict.is_none() || !key.starts_with('_') {
            return None;
        }
        let mut names = DOCUMENT_METADATA.into_iter().chain(DERIVED_METADATA);
        names.find(|name| *name == key)
    }

    fn unknown<E: Error>(&mut self, node: u32, dynamic: Dynamic, name: &str) -> Result<Place, E> {
        match dynamic {
            Dynamic::True => Ok(Place::Unknown),
            Dynamic::False => Ok(Place::Ignored),
            Dynamic::Strict => {
                let parent = match self.plan.node(node).path.as_str() {
                    "" => "_doc".to_owned(),
                    path => path.to_owned(),
                };
                self.refuse(DocumentError::Strict {
                    name: name.to_owned(),
                    parent,
                })?;
                Ok(Place::Ignored)
            }
        }
    }

    fn scalar<E: Error>(&mut self, place: Place, scalar: &Scalar<'de>) -> Result<(), E> {
        match place {
            Place::Ignored => Ok(()),
            Place::Metadata(name) => self.refuse(self.not_a_field(name, scalar.text().into())),
            Place::Unknown => {
                self.found.has_unknown = true;
                Ok(())
            }
            Place::Node(number) => match &self.plan.node(number).kind {
                NodeKind::Object {
                    is_enabled: false, ..
                } => Ok(()),
                NodeKind::Object { .. } => self.refuse(self.not_an_object(number)),
                NodeKind::Leaf(leaf) => {
                    self.has_rounded |= leaf.takes_text && matches!(scalar, Scalar::F64(_));
                    self.value(number, leaf, scalar)?;
                    self.copy_to_missing(leaf)?;
                    // Copies do not chain: `value` does not look at them.
                    leaf.copies
                        .iter()
                        .try_for_each(|copy| self.feed(*copy, scalar))
                }
            },
        }
    }

    /// Whether a list at `place` may be one value.
    fn takes_list(&self, place: Place) -> Option<u32> {
        let Place::Node(number) = place else {
            return None;
        };
        let kind = &self.plan.node(number).kind;
        matches!(kind, NodeKind::Leaf(leaf) if leaf.reads_lists()).then_some(number)
    }

    /// Whether numbers at `place` are wanted as they are written.
    fn wants_text(&self, place: Place) -> bool {
        let Place::Node(number) = place else {
            return false;
        };
        let kind = &self.plan.node(number).kind;
        self.keeps_text && matches!(kind, NodeKind::Leaf(leaf) if leaf.takes_text)
    }

    /// Wants the fields that `copy_to` names and the mapping lacks, as their surroundings allow.
    fn copy_to_missing<E: Error>(&mut self, leaf: &Leaf) -> Result<(), E> {
        for missing in &leaf.missing_copies {
            let place = self.unknown(missing.parent, missing.dynamic, &missing.name)?;
            self.found.has_unknown |= place == Place::Unknown;
        }
        Ok(())
    }

    /// Gives a value to a field and to its multi-fields.
    fn value<E: Error>(&mut self, number: u32, leaf: &Leaf, scalar: &Scalar<'de>) -> Result<(), E> {
        if leaf.kind.is_flattened() {
            return self.refuse(self.mismatch(
                number,
                leaf,
                &scalar.text(),
                flattened::no_object(),
            ));
        }
        if leaf.kind.is_of_features() {
            let mismatch = features::no_object(&scalar.text());
            return self.refuse(self.mismatch(number, leaf, &scalar.text(), mismatch));
        }
        match leaf.read(scalar, self.reading(), &self.meter) {
            Ok(Some(_)) if leaf.kind.lacks_value() => self.want_constant(number, scalar),
            Ok(Some(value)) => match self.second_feature(number, leaf) {
                None => self.keep(number, value),
                Some(second) => {
                    self.refuse(self.mismatch(number, leaf, &scalar.text(), second))?;
                }
            },
            // An empty text is no number, and none was ignored.
            Ok(None) if matches!(leaf.kind, FieldKind::Keyword { .. } | FieldKind::Completion) => {
                self.ignore(number);
            }
            Ok(None) => {}
            Err(Mismatch::Malformed(_)) if leaf.ignores_malformed() => self.ignore(number),
            Err(mismatch) => self.refuse(self.mismatch(number, leaf, &scalar.text(), mismatch))?,
        }
        leaf.multi_fields
            .iter()
            .try_for_each(|fed| self.feed(*fed, scalar))
    }

    fn ignore(&mut self, number: u32) {
        if self.found.ignored.last() != Some(&number) {
            self.found.ignored.push(number);
        }
    }

    /// Wants a value in the mapping, for all documents. Nothing else decides what sets a constant: the mapping takes
    /// what is noted here, so that it is not wanted again when the document is read under that mapping.
    fn want_constant(&mut self, number: u32, scalar: &Scalar<'_>) {
        self.found.has_unknown = true;
        if self.strict.is_some() {
            let constant = self.found.constants.entry(number);
            constant.or_insert_with(|| scalar.constant_text().into_owned());
        }
    }

    fn feed<E: Error>(&mut self, number: u32, scalar: &Scalar<'de>) -> Result<(), E> {
        match &self.plan.node(number).kind {
            NodeKind::Leaf(leaf) => self.value(number, leaf, scalar),
            NodeKind::Object { .. } => Ok(()),
        }
    }

    fn null<E: Error>(&mut self, place: Place) -> Result<(), E> {
        if let Place::Metadata(name) = place {
            return self.refuse(self.not_a_field(name, "null".to_owned()));
        }
        self.fill_null(place)
    }

    /// Takes what stands for null at a place, if anything does.
    fn fill_null<E: Error>(&mut self, place: Place) -> Result<(), E> {
        if let Place::Node(number) = place
            && let NodeKind::Leaf(leaf) = &self.plan.node(number).kind
            && !leaf.kind.is_flattened()
        {
            if let Some(value) = leaf.null.clone() {
                match self.second_feature(number, leaf) {
                    None => self.keep(number, value),
                    Some(second) => self.refuse(self.mismatch(number, leaf, "null", second))?,
                }
            }
            return leaf
                .multi_fields
                .iter()
                .try_for_each(|fed| self.fill_null(Place::Node(*fed)));
        }
        Ok(())
    }

    /// An object under the name of metadata.
    fn object_for_metadata<E: Error>(
        &mut self,
        name: &'static str,
        value: &Value,
    ) -> Result<(), E> {
        self.refuse(self.not_a_field(name, preview(value)))
    }

    /// An object where the mapping has a plain field.
    fn object_for_leaf<E: Error>(&mut self, number: u32, value: &Value) -> Result<(), E> {
        let NodeKind::Leaf(leaf) = &self.plan.node(number).kind else {
            return Ok(());
        };
        if leaf.kind.is_flattened() {
            return self.flattened(number, leaf, value);
        }
        if leaf.kind == FieldKind::Completion {
            return self.completion(number, leaf, value);
        }
        if leaf.kind.is_of_features() {
            return self.features(number, leaf, value);
        }
        if let Some(read) = leaf.read_json(value, self.reading()) {
            return match read {
                Ok(values) => {
                    values
                        .into_iter()
                        .for_each(|value| self.keep(number, value));
                    Ok(())
                }
                Err(_) if leaf.ignores_malformed() => {
                    self.ignore(number);
                    Ok(())
                }
                Err(mismatch) => {
                    self.refuse(self.mismatch(number, leaf, &preview(value), mismatch))
                }
            };
        }
        if leaf.ignores_malformed() {
            self.ignore(number);
            return Ok(());
        }
        let reason = match leaf.kind.type_name() {
            name @ ("text" | "keyword") => format!("Can't get {name} on a START_OBJECT"),
            name => format!("Cannot parse object as {name}"),
        };
        self.refuse(self.mismatch(number, leaf, &preview(value), Mismatch::Malformed(reason)))
    }
}

/// Returns whether a name is empty or white space; looks no further than it has to.
fn is_blank(name: &str) -> bool {
    name.chars().all(char::is_whitespace)
}
