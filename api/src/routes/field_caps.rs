//! `_field_caps`: what fields can do, over several indices.

mod filters;

use std::collections::{BTreeMap, BTreeSet};

use gleaner_model::mapping::{Codec, INDEX, KeywordKind, matches_pattern};
use gleaner_model::{Field, FieldKind, IndexMeta, Mapping};
use gleaner_query::json::{ObjectReader, scalar_text};
use gleaner_query::names;
use http::Method;
use serde_json::{Map, Value, json};

use super::index_filter;
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::{INDICES, SOURCE};
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};

use filters::{Filters, Kind};

const FIELD_CAPS: &[Parameter] = &[
    Parameter::honoured("fields"),
    Parameter::honoured("include_unmapped"),
    Parameter::honoured("types"),
    Parameter::refused("include_empty_fields", "leaving out fields without values"),
    Parameter::honoured("filters"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "field_caps",
    methods: &[Method::GET, Method::POST],
    paths: &["/_field_caps", "/{index}/_field_caps"],
    parameters: &[FIELD_CAPS, INDICES, SOURCE],
    is_refused: false,
}
.answered_by(|request| Box::pin(field_caps(request)))];

/// Metadata fields that can be asked for by name, with their types.
const METADATA_FIELDS: [(&str, &str); 11] = [
    ("_doc_count", "integer"),
    ("_field_names", "_field_names"),
    ("_id", "_id"),
    ("_ignored", "_ignored"),
    (INDEX, INDEX),
    ("_nested_path", "_nested_path"),
    ("_routing", "_routing"),
    ("_seq_no", "_seq_no"),
    ("_source", "_source"),
    ("_tier", "keyword"),
    ("_version", "_version"),
];

/// Those of them that Elasticsearch can search and that are searched here.
const SEARCHABLE: [&str; 5] = ["_id", "_ignored", INDEX, "_routing", "_seq_no"];

/// Those that a search can sort by or aggregate here. Elasticsearch can by `_version` too, and since 8.15 by `_ignored`.
const AGGREGATABLE: [&str; 2] = [INDEX, "_seq_no"];

/// What a field is in one index.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Capability {
    type_name: &'static str,
    is_searchable: bool,
    is_aggregatable: bool,
    is_metadata: bool,
    /// What its mapping says of it under `meta`.
    meta: Vec<(String, String)>,
}

/// Field → type → indices with it.
type TypesByField<'a> = BTreeMap<String, BTreeMap<&'static str, Vec<(&'a str, Capability)>>>;

async fn field_caps(mut request: Request) -> Answer {
    let body = request.json().await?;
    let mut filter = None;
    let mut wanted = request.parameters.list("fields").unwrap_or_default();
    if let Some(body) = &body {
        let mut reader = ObjectReader::part("field_caps_request", body)?;
        if let Some(fields) = reader.texts("fields")? {
            wanted = fields;
        }
        filter = index_filter::take(&mut reader, &request)?;
        reader.unsupported_unless_empty(&["runtime_mappings"])?;
        reader.finish()?;
    }
    if wanted.is_empty() {
        return Err(ApiError::validation(&["no fields specified".to_owned()]));
    }
    let types = request.parameters.list("types");
    let filters = request.parameters.list("filters").unwrap_or_default();
    let filters = Filters::parse(&filters)?;
    let target = request.target()?;
    let state = request.root().cluster().state();
    let expression = target.expression.as_deref().unwrap_or_default();
    let mut resolved = names::resolve(expression, &state, &target.options)?;
    if let Some(filter) = filter {
        resolved = index_filter::matching(&request, &target, resolved, filter).await?;
    }
    let mut found: TypesByField<'_> = BTreeMap::new();
    for index in &resolved {
        collect(&index.meta, &wanted, types.as_deref(), &filters, &mut found);
    }
    let indices: Vec<&str> = resolved
        .iter()
        .map(|found| found.meta.name.as_str())
        .collect();
    let has_unmapped = request.parameters.is_set("include_unmapped")?;
    let fields: Map<String, Value> = found
        .iter()
        .map(|(field, types)| (field.clone(), shown(types, &indices, has_unmapped)))
        .collect();
    Ok(Reply::json(&json!({"indices": indices, "fields": fields})))
}

fn collect<'a>(
    index: &'a IndexMeta,
    wanted: &[String],
    types: Option<&[String]>,
    filters: &Filters,
    found: &mut TypesByField<'a>,
) {
    let is_wanted = |path: &str| wanted.iter().any(|pattern| matches_pattern(pattern, path));
    let mut add = |path: &str, capability: Capability| {
        let is_type = |name: &String| name == capability.type_name;
        if is_wanted(path) && types.is_none_or(|types| types.iter().any(is_type)) {
            let by_type = found.entry(path.to_owned()).or_default();
            by_type
                .entry(capability.type_name)
                .or_default()
                .push((index.name.as_str(), capability));
        }
    };
    for (path, field) in &index.mapping.fields {
        // What can be done with an alias is what can be done with its field.
        let field = index.mapping.field(path.as_str()).unwrap_or(field);
        let is_nested = is_nested(field) || index.mapping.nested_parent(path.as_str()).is_some();
        let is_left_out = is_nested && !filters.keep(Kind::Nested);
        if filters.keep(kind_of(field)) && !is_left_out && !field.kind.is_keyed() {
            add(path.as_str(), capability(field));
        }
    }
    let has_metadata = filters.keep(Kind::Metadata);
    let metadata = METADATA_FIELDS.into_iter();
    for (name, type_name) in metadata.filter(|_| has_metadata) {
        add(
            name,
            Capability {
                type_name,
                is_metadata: true,
                is_searchable: SEARCHABLE.contains(&name),
                is_aggregatable: AGGREGATABLE.contains(&name),
                meta: Vec::new(),
            },
        );
    }
    let implied = match filters.keep(Kind::Parent) {
        true => implied_objects(&index.mapping),
        false => Vec::new(),
    };
    for path in implied {
        let type_name = "object";
        add(
            &path,
            Capability {
                type_name,
                is_searchable: false,
                is_aggregatable: false,
                is_metadata: false,
                meta: Vec::new(),
            },
        );
    }
}

fn is_nested(field: &Field) -> bool {
    matches!(field.kind, FieldKind::Object { nested: true, .. })
}

fn kind_of(field: &Field) -> Kind {
    match field.kind {
        FieldKind::Object { .. } => Kind::Parent,
        _ if field.is_multi_field => Kind::MultiField,
        _ => Kind::Value,
    }
}

/// Returns the name of the family that a type belongs to: of types that are searched alike.
fn family_of(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Keyword {
            family: KeywordKind::Wildcard | KeywordKind::Constant(_) | KeywordKind::Unset,
            ..
        } => "keyword",
        kind => kind.type_name(),
    }
}

fn capability(field: &Field) -> Capability {
    let kind = &field.kind;
    let meta = field.declared.get("meta").and_then(Value::as_object);
    let meta = meta.into_iter().flatten();
    let is_object = matches!(kind, FieldKind::Object { .. });
    let is_point = matches!(
        kind,
        FieldKind::Encoded {
            codec: Codec::GeoPoint,
            ..
        }
    );
    // Its column is for scores alone.
    let is_feature = matches!(
        kind,
        FieldKind::Number { number, .. } if number.positive_score_impact().is_some()
    );
    Capability {
        type_name: family_of(kind),
        is_searchable: !is_object && kind.is_searchable(),
        is_aggregatable: !is_object && !is_feature && (kind.has_column() || is_point),
        is_metadata: false,
        meta: meta
            .filter_map(|(key, value)| Some((key.clone(), scalar_text(value)?)))
            .collect(),
    }
}

/// Returns the paths that are prefixes of fields but stand nowhere themselves.
fn implied_objects(mapping: &Mapping) -> Vec<String> {
    let mut objects = std::collections::BTreeSet::new();
    for (path, field) in &mapping.fields {
        if field.is_multi_field {
            continue;
        }
        for (at, _) in path.as_str().match_indices('.') {
            let prefix = &path.as_str()[..at];
            if mapping.field(prefix).is_none() {
                objects.insert(prefix.to_owned());
            }
        }
    }
    objects.into_iter().collect()
}

/// Returns what the indices say under `meta`: for each key the values, each once.
fn merged_meta<'a>(of: &'a [(&str, Capability)]) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut merged: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (key, value) in of.iter().flat_map(|(_, capability)| &capability.meta) {
        merged.entry(key).or_default().insert(value);
    }
    merged
}

/// Returns a field's types; indices are named where the types or capabilities differ.
fn shown(
    types: &BTreeMap<&'static str, Vec<(&str, Capability)>>,
    indices: &[&str],
    has_unmapped: bool,
) -> Value {
    let mut object = Map::new();
    let unmapped: Vec<&str> = indices
        .iter()
        .filter(|index| !types.values().flatten().any(|(name, _)| name == *index))
        .copied()
        .collect();
    let is_unmapped_shown = has_unmapped && !unmapped.is_empty();
    let is_mixed = types.len() > 1 || is_unmapped_shown;
    for (type_name, of) in types {
        let is_searchable = of.iter().all(|(_, capability)| capability.is_searchable);
        let is_aggregatable = of.iter().all(|(_, capability)| capability.is_aggregatable);
        let mut entry = json!({
            "type": type_name,
            "metadata_field": of.iter().all(|(_, capability)| capability.is_metadata),
            "searchable": is_searchable,
            "aggregatable": is_aggregatable,
        });
        let named = |lacks: &dyn Fn(&Capability) -> bool| -> Vec<&str> {
            of.iter()
                .filter(|(_, c)| lacks(c))
                .map(|(name, _)| *name)
                .collect()
        };
        if is_mixed {
            entry["indices"] = json!(named(&|_| true));
        }
        let not_searchable = named(&|capability| !capability.is_searchable);
        if !not_searchable.is_empty() && not_searchable.len() < of.len() {
            entry["non_searchable_indices"] = json!(not_searchable);
        }
        let not_aggregatable = named(&|capability| !capability.is_aggregatable);
        if !not_aggregatable.is_empty() && not_aggregatable.len() < of.len() {
            entry["non_aggregatable_indices"] = json!(not_aggregatable);
        }
        let meta = merged_meta(of);
        if !meta.is_empty() {
            entry["meta"] = json!(meta);
        }
        object.insert((*type_name).to_owned(), entry);
    }
    if is_unmapped_shown {
        let entry = json!({
            "type": "unmapped", "metadata_field": false, "searchable": false,
            "aggregatable": false, "indices": unmapped,
        });
        object.insert("unmapped".to_owned(), entry);
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use gleaner_query::mapping::{MappingRules, parse_mapping};

    use super::*;
    use crate::testing::{create, got, speaking};

    fn long(more: &Value) -> Capability {
        let mut declared = json!({"properties": {"x": {"type": "long"}}});
        if !more.is_null() {
            declared["properties"]["x"]["meta"] = more.clone();
        }
        let mapping = parse_mapping(&declared, None, &MappingRules::default());
        let mapping = mapping.expect("a good mapping");
        capability(mapping.field("x").expect("it is declared"))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn metadata_and_features_can_do_what_elasticsearch_says() {
        let dialect = speaking();
        let declared = json!({"mappings": {"properties": {
            "rank": {"type": "rank_feature"}, "ranks": {"type": "rank_features"},
        }}});
        create(&dialect, "books", &declared).await;
        let answer = got(&dialect, "/books/_field_caps?fields=*").await;
        for (field, type_name) in [
            ("_doc_count", "integer"),
            ("_field_names", "_field_names"),
            ("_nested_path", "_nested_path"),
            ("_tier", "keyword"),
        ] {
            let shown = &answer["fields"][field][type_name];
            let expected = json!({"type": type_name, "metadata_field": true, "searchable": false, "aggregatable": false});
            assert_eq!(shown, &expected, "{field}");
        }
        let able = |field: &str, type_name: &str| {
            let shown = &answer["fields"][field][type_name];
            ["searchable", "aggregatable", "metadata_field"].map(|key| shown[key] == true)
        };
        for (field, is_searchable, is_aggregatable) in [
            ("_id", true, false),
            ("_ignored", true, false),
            ("_index", true, true),
            ("_routing", true, false),
            ("_seq_no", true, true),
            ("_source", false, false),
            ("_version", false, false),
        ] {
            let expected = [is_searchable, is_aggregatable, true];
            assert_eq!(able(field, field), expected, "{answer}");
        }
        assert_eq!(able("rank", "rank_feature"), [true, false, false]);
        assert_eq!(able("ranks", "rank_features"), [false, false, false]);
        let answer = got(&dialect, "/books/_field_caps?fields=_ver*,r*").await;
        let names = answer["fields"].as_object().expect("an object").keys();
        assert_eq!(names.collect::<Vec<_>>(), ["_version", "rank", "ranks"]);
    }

    #[test]
    fn meta_lists_the_values_of_all_indices() {
        let of = vec![
            ("a", long(&json!({"unit": "m", "metric_type": "gauge"}))),
            ("b", long(&json!({"unit": "km"}))),
            ("c", long(&json!({"unit": "m"}))),
        ];
        let types = BTreeMap::from([("long", of)]);
        let entry = &shown(&types, &["a", "b", "c"], false)["long"];
        let meta = json!({"metric_type": ["gauge"], "unit": ["km", "m"]});
        assert_eq!(entry["meta"], meta);
        let types = BTreeMap::from([("long", vec![("a", long(&Value::Null))])]);
        let entry = &shown(&types, &["a"], false)["long"];
        assert!(entry.get("meta").is_none(), "{entry}");
    }
}
