//! Writes to data streams: what may be written by the name of a stream, and by that of one of its indices.
//!
//! Source: Elasticsearch, `TransportBulkAction` and `DataStreamTimestampFieldMapper`.

use std::fmt;

use gleaner_model::{ClusterState, IndexMeta};
use gleaner_proto::write::{Condition, WriteAction, WriteFault};
use gleaner_query::QueryError;
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::IngestItem;
use crate::RootError;

/// Refuses an item that goes to `index` and that its data stream does not take; indices of none take all.
pub(super) fn check(
    state: &ClusterState,
    index: &IndexMeta,
    item: &IngestItem,
) -> Result<(), RootError> {
    let Some(stream) = index.stream_name() else {
        return Ok(());
    };
    if index.name.as_str() == item.index {
        return check_rewritten(item, stream.as_str());
    }
    let of = state.data_streams.get(stream);
    let is_allowed = of.is_some_and(|of| of.allow_custom_routing);
    check_routing(item, stream.as_str(), is_allowed)?;
    check_appended(item)
}

/// Refuses a document with a routing of its own, unless those are allowed.
pub(super) fn check_routing(
    item: &IngestItem,
    stream: &str,
    is_allowed: bool,
) -> Result<(), QueryError> {
    let is_given = item.routing.as_ref().is_some_and(|given| !given.is_empty());
    if !is_given || is_allowed {
        return Ok(());
    }
    Err(QueryError::illegal(format!(
        "index request targeting data stream [{stream}] specifies a custom routing but the [allow_custom_routing] \
         setting was not enabled in the data stream's template."
    )))
}

/// Refuses what is no new document, with the time that it tells of.
pub(super) fn check_appended(item: &IngestItem) -> Result<(), RootError> {
    match &item.action {
        WriteAction::Index {
            source,
            create: true,
        } => check_timestamp(source),
        _ => {
            let reason = "only write ops with an op_type of create are allowed in data streams";
            Err(QueryError::illegal(reason).into())
        }
    }
}

/// Refuses new documents, and those that take the place of whatever is there: they go to the data stream. What is there may be
/// changed, and deleted.
fn check_rewritten(item: &IngestItem, stream: &str) -> Result<(), RootError> {
    let WriteAction::Index { source, create } = &item.action else {
        return Ok(());
    };
    let which = match (create, &item.condition) {
        (true, _) => "op_type=create",
        (false, Condition::Is { .. }) => return check_timestamp(source),
        (false, _) => "op_type=index and no if_primary_term and if_seq_no set",
    };
    Err(QueryError::illegal(format!(
        "index request with {which} targeting backing indices is disallowed, target corresponding data stream [{stream}] \
         instead"
    ))
    .into())
}

/// Refuses a document that does not tell of one time.
fn check_timestamp(source: &[u8]) -> Result<(), RootError> {
    // What is no JSON is told where documents are read.
    let Ok(document) = serde_json::from_slice::<Timestamped<'_>>(source) else {
        return Ok(());
    };
    let text = document.timestamp.map(RawValue::get);
    let num_times = match text {
        None => 0,
        Some(list) if list.starts_with('[') => {
            let times: Result<NumTimes, _> = serde_json::from_str(list);
            times.map_or(0, |NumTimes(number)| number)
        }
        Some(_) => 1,
    };
    let reason = match num_times {
        0 => "data stream timestamp field [@timestamp] is missing",
        1 => return Ok(()),
        _ => "data stream timestamp field [@timestamp] encountered multiple values",
    };
    Err(RootError::Write(WriteFault::Document {
        kind: "document_parsing_exception".into(),
        reason: reason.to_owned(),
        cause: None,
    }))
}

/// How many items of a list are not null; none of them is kept.
struct NumTimes(usize);

impl<'de> Deserialize<'de> for NumTimes {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(Self(0))
    }
}

impl<'de> Visitor<'de> for NumTimes {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Self, A::Error> {
        while let Some(item) = items.next_element::<Option<IgnoredAny>>()? {
            self.0 += usize::from(item.is_some());
        }
        Ok(self)
    }
}

/// What every document of a data stream has.
#[derive(serde::Deserialize)]
struct Timestamped<'a> {
    #[serde(borrow, rename = "@timestamp")]
    timestamp: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_tells_of_one_time() {
        for (source, expected) in [
            (r#"{"@timestamp": "2026-01-01"}"#, None),
            (r#"{"@timestamp": ["2026-01-01"]}"#, None),
            (r#"{"@timestamp": [null, 7]}"#, None),
            (r#"{"@timestamp": [7, 8]}"#, Some("multiple values")),
            (r#"{"@timestamp": []}"#, Some("missing")),
            (r#"{"@timestamp": null}"#, Some("missing")),
            ("{}", Some("missing")),
        ] {
            let found = check_timestamp(source.as_bytes());
            let reason = found.err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(reason, None, "{source}"),
                Some(text) => assert!(
                    reason.is_some_and(|reason| reason.contains(text)),
                    "{source}"
                ),
            }
        }
    }
}
