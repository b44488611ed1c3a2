//! A mapping, prepared for reading documents: a tree of names with everything a value needs.

use gleaner_analysis::{Analyzer, AnalyzerRegistry, Meter, Normalizer};
use gleaner_model::{Dynamic, Field, FieldKind, FieldPath, Mapping, MappingVersion, NumberKind};
use gleaner_query::date::DateFormatter;
use gleaner_query::encoded::{Reading, read_point};
use gleaner_query::mapping::counted_by;
use hashbrown::HashMap;
use serde_json::{Map, Value};

use super::FieldValue;
use super::convert::Scalar;

/// Number of the root in [`Plan::nodes`].
pub(super) const ROOT: u32 = 0;

/// The tree; nodes refer to each other by number.
pub(super) struct Plan {
    nodes: Vec<Node>,
    /// Of the mapping.
    pub(super) version: MappingVersion,
}

/// A field or object.
pub(super) struct Node {
    pub(super) path: FieldPath,
    pub(super) kind: NodeKind,
    /// Whether values here are those of the document itself: no nested object around keeps them.
    pub(super) is_in_root: bool,
    /// Objects only.
    children: HashMap<Box<str>, u32>,
}

pub(super) enum NodeKind {
    Object {
        /// Rule for unknown fields inside, inherited where not declared.
        dynamic: Dynamic,
        is_enabled: bool,
        /// Whether each such object is a document of its own.
        is_nested: bool,
    },
    Leaf(Box<Leaf>),
}

/// A field that takes values.
pub(super) struct Leaf {
    pub(super) ordinal: u32,
    pub(super) kind: FieldKind,
    pub(super) dates: Option<DateFormatter>,
    pub(super) normalizer: Option<Normalizer>,
    /// Of text that can be searched, or whose tokens are counted.
    pub(super) analyzer: Option<Analyzer>,
    /// Every value goes there too.
    pub(super) multi_fields: Vec<u32>,
    /// Every value goes there and to the multi-fields there (`copy_to`).
    pub(super) copies: Vec<u32>,
    /// Where else they should go, once the mapping has those fields.
    pub(super) missing_copies: Vec<MissingTarget>,
    /// Whether it, one of its multi-fields or what it is copied to holds text: then a number is wanted
    /// as it is written.
    pub(super) takes_text: bool,
    /// Stands for an explicit `null`.
    pub(super) null: Option<FieldValue<'static>>,
}

/// A field that `copy_to` names and the mapping lacks.
pub(super) struct MissingTarget {
    /// The nearest known object above it.
    pub(super) parent: u32,
    /// What that says of unknown fields.
    pub(super) dynamic: Dynamic,
    /// Name below it.
    pub(super) name: Box<str>,
}

impl Plan {
    pub(super) fn new(mapping: &Mapping, analyzers: &AnalyzerRegistry) -> Self {
        let root = Node {
            path: FieldPath::new(""),
            kind: NodeKind::Object {
                dynamic: mapping.dynamic,
                is_enabled: true,
                is_nested: false,
            },
            is_in_root: true,
            children: HashMap::new(),
        };
        let mut plan = Self {
            nodes: vec![root],
            version: mapping.version,
        };
        // Paths are sorted, so an object comes before what is in it.
        let mut numbers = HashMap::new();
        for (path, field) in &mapping.fields {
            let number = plan.insert(path, field, analyzers);
            plan.nodes[number as usize].is_in_root = mapping.is_in_root(path.as_str());
            numbers.insert(path.as_str(), number);
        }
        for (path, field) in &mapping.fields {
            let number = numbers[path.as_str()];
            for to in &field.copy_to {
                match numbers.get(to.as_str()) {
                    Some(copy) => plan.with_leaf(number, |leaf| leaf.copies.push(*copy)),
                    None => {
                        let missing = plan.missing(to);
                        plan.with_leaf(number, |leaf| leaf.missing_copies.extend(missing));
                    }
                }
            }
            let fed_from = numbers.get(mapping.fed_from(path.as_str()));
            if let Some(from) = fed_from.filter(|_| field.is_multi_field) {
                plan.with_leaf(*from, |leaf| leaf.multi_fields.push(number));
            }
        }
        plan.note_text();
        plan
    }

    /// Notes which leaves hand values to a field of text, multi-fields of copies included.
    fn note_text(&mut self) {
        for _ in 0..2 {
            for number in 0..self.nodes.len() as u32 {
                let NodeKind::Leaf(leaf) = &self.node(number).kind else {
                    continue;
                };
                let mut fed = leaf.multi_fields.iter().chain(&leaf.copies);
                let takes_text = is_text(&leaf.kind) || fed.any(|fed| self.takes_text(*fed));
                self.with_leaf(number, |leaf| leaf.takes_text = takes_text);
            }
        }
    }

    fn takes_text(&self, number: u32) -> bool {
        matches!(&self.node(number).kind, NodeKind::Leaf(leaf) if leaf.takes_text || is_text(&leaf.kind))
    }

    /// Says what becomes of values for `path`, which the mapping lacks; `None` where nobody wants them.
    fn missing(&self, path: &FieldPath) -> Option<MissingTarget> {
        let mut parent = ROOT;
        for name in path.as_str().split('.') {
            let NodeKind::Object {
                is_enabled: true,
                dynamic,
                ..
            } = self.node(parent).kind
            else {
                return None;
            };
            match self.child(parent, name) {
                Some(child) => parent = child,
                None => {
                    return Some(MissingTarget {
                        parent,
                        dynamic,
                        name: name.into(),
                    });
                }
            }
        }
        None
    }

    pub(super) fn node(&self, number: u32) -> &Node {
        &self.nodes[number as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns what stands under `name` in an object.
    pub(super) fn child(&self, number: u32, name: &str) -> Option<u32> {
        self.node(number).children.get(name).copied()
    }

    /// Returns the leaves that take values, with their numbers.
    pub(super) fn leaves(&self) -> impl Iterator<Item = (usize, &Leaf)> {
        self.nodes
            .iter()
            .enumerate()
            .filter_map(|(number, node)| match &node.kind {
                NodeKind::Leaf(leaf) if !leaf.is_alias() => Some((number, &**leaf)),
                NodeKind::Leaf(_) | NodeKind::Object { .. } => None,
            })
    }

    fn insert(&mut self, path: &FieldPath, field: &Field, analyzers: &AnalyzerRegistry) -> u32 {
        let (parent, name) = match path.as_str().rsplit_once('.') {
            Some((parent, name)) => (self.find(parent), name),
            None => (ROOT, path.as_str()),
        };
        let number = self.nodes.len() as u32;
        let kind = match &field.kind {
            FieldKind::Object {
                dynamic,
                enabled,
                nested,
                ..
            } => NodeKind::Object {
                dynamic: dynamic.unwrap_or_else(|| self.dynamic(parent)),
                is_enabled: *enabled,
                is_nested: *nested,
            },
            _ => NodeKind::Leaf(Box::new(Leaf::new(field, analyzers))),
        };
        // A multi-field has no place in documents: only its parent feeds it.
        if !field.is_multi_field {
            self.nodes[parent as usize]
                .children
                .insert(name.into(), number);
        }
        self.nodes.push(Node {
            path: path.clone(),
            kind,
            is_in_root: true,
            children: HashMap::new(),
        });
        number
    }

    /// Returns the node of a path whose fields are already inserted; the root when there is none.
    fn find(&self, path: &str) -> u32 {
        let step = |number: u32, name: &str| self.child(number, name);
        path.split('.').try_fold(ROOT, step).unwrap_or(ROOT)
    }

    fn dynamic(&self, number: u32) -> Dynamic {
        match self.node(number).kind {
            NodeKind::Object { dynamic, .. } => dynamic,
            NodeKind::Leaf(_) => Dynamic::False,
        }
    }

    fn with_leaf(&mut self, number: u32, change: impl FnOnce(&mut Leaf)) {
        if let NodeKind::Leaf(leaf) = &mut self.nodes[number as usize].kind {
            change(leaf);
        }
    }
}

impl Leaf {
    pub(super) fn new(field: &Field, analyzers: &AnalyzerRegistry) -> Self {
        let Field { ordinal, kind, .. } = field;
        let dates = match kind {
            FieldKind::Date { format, .. } => DateFormatter::parse_pattern(&format.0).ok(),
            _ => None,
        };
        let normalizer = match kind {
            FieldKind::Keyword {
                normalizer: Some(name),
                ..
            } => analyzers.normalizer(name),
            _ => None,
        };
        let analyzer = match kind {
            FieldKind::Text {
                analyzer,
                index: true,
                ..
            } => analyzers.analyzer(analyzer),
            FieldKind::Number {
                number: NumberKind::TokenCount { .. },
                ..
            } => counted_by(&field.declared).and_then(|name| analyzers.analyzer(name)),
            _ => None,
        };
        let mut leaf = Self {
            ordinal: *ordinal,
            kind: kind.clone(),
            dates,
            normalizer,
            analyzer,
            multi_fields: Vec::new(),
            copies: Vec::new(),
            missing_copies: Vec::new(),
            takes_text: is_text(kind),
            null: None,
        };
        leaf.null = match kind.is_of_points() {
            true => null_point(&field.declared),
            false => leaf.null_value(),
        };
        leaf
    }

    /// Returns by whose rules values of the field are read. Where it skips malformed values today's rules apply always:
    /// a document that was taken does not say whether it was taken with the value or without it.
    pub(super) fn reading_as(&self, reading: Reading) -> Reading {
        match self.ignores_malformed() {
            true => Reading::New,
            false => reading,
        }
    }

    /// Returns whether it is another name of a field.
    fn is_alias(&self) -> bool {
        matches!(self.kind, FieldKind::Alias { .. })
    }

    fn null_value(&self) -> Option<FieldValue<'static>> {
        let scalar = match &self.kind {
            FieldKind::Keyword { null_value, .. }
            | FieldKind::Date { null_value, .. }
            | FieldKind::Ip { null_value, .. } => Scalar::Text(null_value.clone()?.into()),
            FieldKind::Number { null_value, .. } => {
                let number = null_value.as_ref()?;
                let whole = number.as_i64().map(Scalar::I64);
                let whole = whole.or_else(|| number.as_u64().map(Scalar::U64));
                whole.or_else(|| number.as_f64().map(Scalar::F64))?
            }
            FieldKind::Boolean { null_value, .. } => Scalar::Bool((*null_value)?),
            FieldKind::Text { .. }
            | FieldKind::Object { .. }
            | FieldKind::Encoded { .. }
            | FieldKind::Alias { .. }
            | FieldKind::Completion
            | FieldKind::Binary { .. } => return None,
        };
        if let FieldKind::Number {
            number: NumberKind::TokenCount { .. },
            ..
        } = &self.kind
        {
            // It is a number of tokens itself.
            return match scalar {
                Scalar::I64(number) => Some(FieldValue::I64(number)),
                _ => None,
            };
        }
        let meter = Meter::for_document();
        self.read(&scalar, Reading::Taken, &meter).ok().flatten()
    }
}

/// Returns what stands for `null` in a field of points; the mapping may have been taken by an earlier version.
fn null_point(declared: &Map<String, Value>) -> Option<FieldValue<'static>> {
    let point = read_point(declared.get("null_value")?, Reading::Taken).ok()?;
    Some(FieldValue::Text(point.term().into()))
}

fn is_text(kind: &FieldKind) -> bool {
    matches!(kind, FieldKind::Text { .. } | FieldKind::Keyword { .. })
}
