//! One hit as the dialect writes it.

use gleaner_model::NodeId;
use gleaner_query::answer::{Explanation, Hit, InnerHitList, MatchedQuery};
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// What is shown of hits.
#[derive(Debug, Clone, Default)]
pub(crate) struct HitForm {
    /// `_version`.
    pub(crate) has_version: bool,
    /// `_seq_no` and `_primary_term`.
    pub(crate) has_seq_no: bool,
    /// Whether `_id` is left out (`stored_fields=_none_`).
    pub(crate) is_bare: bool,
    /// Sort values shown, the tie-break being the last; `None` is all.
    pub(crate) num_sort_values: Option<usize>,
    /// Whether totals within hits are bare numbers.
    pub(crate) has_plain_totals: bool,
    /// Whether `_source` is left out although the hit has it (`stored_fields` without it).
    pub(crate) is_without_source: bool,
}

impl HitForm {
    /// Whether `_source` is shown where the hit has it.
    pub(crate) fn has_source(&self) -> bool {
        !self.is_bare && !self.is_without_source
    }
}

/// A hit, in the dialect's order of keys.
#[derive(Serialize)]
pub(crate) struct HitBody<'a> {
    #[serde(rename = "_shard", skip_serializing_if = "Option::is_none")]
    shard: Option<String>,
    #[serde(rename = "_node", skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    #[serde(rename = "_index")]
    index: &'a str,
    #[serde(rename = "_id", skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "_version", skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(rename = "_seq_no", skip_serializing_if = "Option::is_none")]
    seq_no: Option<u64>,
    #[serde(rename = "_primary_term", skip_serializing_if = "Option::is_none")]
    term: Option<u64>,
    #[serde(rename = "_score")]
    score: Option<f32>,
    #[serde(rename = "_routing", skip_serializing_if = "Option::is_none")]
    routing: Option<&'a str>,
    #[serde(rename = "_ignored", skip_serializing_if = "<[String]>::is_empty")]
    ignored: &'a [String],
    #[serde(rename = "_source", skip_serializing_if = "Option::is_none")]
    source: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    fields: &'a IndexMap<String, Vec<Value>>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    ignored_field_values: &'a IndexMap<String, Vec<Value>>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    highlight: &'a IndexMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "<[Value]>::is_empty")]
    sort: &'a [Value],
    #[serde(skip_serializing_if = "Option::is_none")]
    matched_queries: Option<MatchedBody<'a>>,
    #[serde(rename = "_explanation", skip_serializing_if = "Option::is_none")]
    explanation: Option<&'a Explanation>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    inner_hits: IndexMap<&'a str, InnerHitsBody<'a>>,
}

/// Named queries that a hit matches: their names, or what each of them scores where that was asked for.
#[derive(Serialize)]
#[serde(untagged)]
enum MatchedBody<'a> {
    Names(Vec<&'a str>),
    Scores(IndexMap<&'a str, f32>),
}

impl<'a> MatchedBody<'a> {
    fn new(matched: &'a [MatchedQuery]) -> Option<Self> {
        let scored = |MatchedQuery { name, score }: &'a MatchedQuery| Some((&**name, (*score)?));
        if matched.is_empty() {
            return None;
        }
        let scores: Option<IndexMap<&str, f32>> = matched.iter().map(scored).collect();
        let names = || matched.iter().map(|matched| &*matched.name).collect();
        Some(scores.map_or_else(|| Self::Names(names()), Self::Scores))
    }
}

/// Hits within a hit.
#[derive(Serialize)]
struct InnerHitsBody<'a> {
    hits: ListBody<'a>,
}

/// A list of hits.
#[derive(Serialize)]
struct ListBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Value>,
    max_score: Option<f32>,
    hits: Vec<HitBody<'a>>,
}

impl<'a> InnerHitsBody<'a> {
    fn new(list: &'a InnerHitList, around: &HitForm) -> Self {
        let form = HitForm {
            has_version: list.has_version,
            has_seq_no: list.has_seq_no,
            num_sort_values: list.num_sort_values,
            has_plain_totals: around.has_plain_totals,
            ..HitForm::default()
        };
        let total = list
            .total
            .map(|(value, is_exact)| match around.has_plain_totals {
                true => json!(value),
                false => {
                    let relation = if is_exact { "eq" } else { "gte" };
                    json!({"value": value, "relation": relation})
                }
            });
        let hits = list.hits.iter();
        Self {
            hits: ListBody {
                total,
                max_score: list.max_score,
                hits: hits.map(|hit| HitBody::new(hit, &form, None)).collect(),
            },
        }
    }
}

impl<'a> HitBody<'a> {
    /// Returns the form of `hit`; a `_source` that is no JSON is left out. One that is explained shows
    /// its shard and the node that ranked it.
    pub(crate) fn new(hit: &'a Hit, form: &HitForm, explained: Option<&'a NodeId>) -> Self {
        let content = &hit.content;
        let source = hit.source.as_deref().filter(|_| form.has_source());
        Self {
            shard: explained.map(|_| format!("[{}][{}]", hit.index, hit.shard)),
            node: explained.map(|node| &*node.0),
            index: &hit.index,
            id: (!form.is_bare).then(|| content.id.as_str()),
            version: form.has_version.then_some(content.version.0),
            seq_no: form.has_seq_no.then_some(content.seq_no.0),
            term: form.has_seq_no.then_some(content.term.0),
            score: hit.score,
            routing: content.routing.as_deref(),
            ignored: &content.ignored,
            source: source.and_then(raw),
            fields: &content.fields,
            ignored_field_values: &content.ignored_values,
            highlight: &content.highlight,
            sort: &hit.sort[..form
                .num_sort_values
                .unwrap_or(usize::MAX)
                .min(hit.sort.len())],
            matched_queries: MatchedBody::new(&content.matched_queries),
            explanation: content.explanation.as_ref(),
            inner_hits: hit
                .inner_hits
                .iter()
                .map(|(name, list)| (name.as_str(), InnerHitsBody::new(list, form)))
                .collect(),
        }
    }
}

/// Returns JSON bytes to be copied into an answer as they are.
pub(crate) fn raw(bytes: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(bytes).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gleaner_model::{DocumentId, PrimaryTerm, SeqNo, Version};
    use gleaner_query::answer::FetchedHit;

    use super::*;

    #[test]
    fn what_was_left_out_is_shown_behind_the_fields() {
        let hit = Hit {
            index: "books".to_owned(),
            score: None,
            sort: Vec::new(),
            content: FetchedHit {
                id: DocumentId::parse("7").expect("a good id"),
                routing: None,
                seq_no: SeqNo(4),
                term: PrimaryTerm(1),
                version: Version(3),
                source: Bytes::new(),
                ignored: vec!["k".to_owned(), "n".to_owned()],
                ignored_values: [("k".to_owned(), vec![json!("too long"), json!(7)])]
                    .into_iter()
                    .collect(),
                matched_queries: Vec::new(),
                fields: [("k".to_owned(), vec![json!("ok")])].into_iter().collect(),
                highlight: IndexMap::new(),
                explanation: None,
            },
            source: None,
            shard: 0,
            group: None,
            is_group_of_nanos: false,
            inner_hits: IndexMap::new(),
        };
        let body = HitBody::new(&hit, &HitForm::default(), None);
        let shown = serde_json::to_string(&body).expect("plain data");
        let expected = r#"{"_index":"books","_id":"7","_score":null,"_ignored":["k","n"],"fields":{"k":["ok"]},"ignored_field_values":{"k":["too long",7]}}"#;
        assert_eq!(shown, expected);
    }
}
