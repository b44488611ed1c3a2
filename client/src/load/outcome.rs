//! What became of each document of a request, as the server's answer says.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::record::Record;
use crate::remote::cause;

/// What became of one record.
pub(super) enum Outcome {
    Accepted,
    /// The server is busy or at fault.
    Rejected(Rejection),
    /// Too large together with others of the request; none of these is in.
    TooLarge(String),
    Refused(String),
    /// It was to be created and is there; the reason says so.
    Taken(String),
    /// Its index takes no documents, whatever they are; names the index and says why.
    Kept(String),
}

/// Why a record is not in now, and how it is sent again.
pub(super) struct Rejection {
    /// For the case that this goes on for too long.
    pub(super) reason: String,
    /// The id that the server made or was given, where the document may be in all the same.
    pub(super) id: Option<String>,
}

/// What became of a request's records.
pub(super) struct RequestOutcome {
    /// One per record, in order.
    pub(super) outcomes: Vec<Outcome>,
    /// The indices that accepted any, where the server names them.
    pub(super) written: BTreeSet<String>,
}

#[derive(Deserialize)]
struct BulkAnswer<'a> {
    #[serde(borrow)]
    items: Vec<BTreeMap<String, Item<'a>>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(rename = "_index", borrow)]
    index: Option<Cow<'a, str>>,
    #[serde(rename = "_id", borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(default)]
    status: u16,
    error: Option<Value>,
}

/// Does the status say "not now" rather than "no"?
pub(crate) fn is_busy(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}

/// Reads what became of each record.
pub(super) fn told(records: &[Record], body: &[u8]) -> Result<RequestOutcome> {
    let answer: BulkAnswer<'_> =
        serde_json::from_slice(body).context("the server's answer to a bulk request is odd")?;
    ensure!(
        answer.items.len() == records.len(),
        "the server answered {} items to a request of {}",
        answer.items.len(),
        records.len()
    );
    let mut told = RequestOutcome {
        outcomes: Vec::with_capacity(records.len()),
        written: BTreeSet::new(),
    };
    for (record, item) in records.iter().zip(answer.items) {
        let item = item.into_iter().next();
        let (action, item) = item.context("the server answered an item without an action")?;
        let index = item.index.clone();
        let outcome = outcome(record, &action, item);
        if let (Outcome::Accepted, Some(index)) = (&outcome, index)
            && !told.written.contains(&*index)
        {
            told.written.insert(index.into_owned());
        }
        told.outcomes.push(outcome);
    }
    Ok(told)
}

/// Is it a fault of the index rather than of the document: a block, one that is closed or gone, or that
/// others may not write to?
fn is_of_index(status: u16, error: &Value) -> bool {
    matches!(
        (status, error["type"].as_str().unwrap_or_default()),
        (403, "cluster_block_exception")
            | (400, "index_closed_exception")
            | (404, "index_not_found_exception")
            | (401 | 403, "security_exception")
    )
}

fn outcome(record: &Record, action: &str, item: Item<'_>) -> Outcome {
    match item.error {
        None => Outcome::Accepted,
        Some(error) if is_busy(item.status) || item.status == 500 => {
            // A 429 is a plain no; of what the others left behind, nobody knows.
            let id = item.id.filter(|id| item.status != 429 && !id.is_empty());
            Outcome::Rejected(Rejection {
                reason: cause(&error),
                id: id.map(Cow::into_owned),
            })
        }
        Some(error) if item.status == 413 => Outcome::TooLarge(cause(&error)),
        Some(error) if is_of_index(item.status, &error) => {
            let index = item.index.unwrap_or_default();
            Outcome::Kept(format!("index `{index}`: {}", cause(&error)))
        }
        // Ids of ours are nobody else's: an earlier try of this very document got through.
        Some(_) if item.status == 409 && action == "create" && record.has_derived_id => {
            Outcome::Accepted
        }
        Some(error) if item.status == 409 && action == "create" => Outcome::Taken(cause(&error)),
        Some(error) => Outcome::Refused(cause(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::record::Place;

    fn record(has_derived_id: bool) -> Record {
        Record {
            place: Place {
                input: 0,
                position: 0,
            },
            action: "{\"create\":{}}".to_owned(),
            source: Some("{}".to_owned()),
            has_derived_id,
        }
    }

    fn said(has_derived_id: bool, item: &str) -> String {
        let body = format!("{{\"errors\":true,\"items\":[{item}]}}");
        let told = told(&[record(has_derived_id)], body.as_bytes()).expect("an answer");
        match told.outcomes.into_iter().next().expect("one") {
            Outcome::Accepted => "accepted".to_owned(),
            Outcome::Rejected(Rejection { reason, id }) => {
                format!("rejected {reason}{}", id.unwrap_or_default())
            }
            Outcome::TooLarge(reason) => format!("too large {reason}"),
            Outcome::Refused(reason) => format!("refused {reason}"),
            Outcome::Taken(reason) => format!("taken {reason}"),
            Outcome::Kept(reason) => format!("kept {reason}"),
        }
    }

    #[test]
    fn items_are_accepted_rejected_or_refused() {
        let item = |action: &str, status: u16, error: &str| {
            format!("{{\"{action}\":{{\"_id\":\" 1\",\"status\":{status}{error}}}}}")
        };
        let error = r#","error":{"type":"t","reason":"r"}"#;
        assert_eq!(said(false, &item("index", 201, "")), "accepted");
        assert_eq!(said(false, &item("delete", 404, "")), "accepted");
        assert_eq!(said(false, &item("index", 429, error)), "rejected t: r");
        assert_eq!(said(false, &item("index", 503, error)), "rejected t: r 1");
        assert_eq!(said(false, &item("index", 500, error)), "rejected t: r 1");
        assert_eq!(said(false, &item("update", 413, error)), "too large t: r");
        assert_eq!(said(false, &item("index", 400, error)), "refused t: r");
        assert_eq!(said(false, &item("index", 409, error)), "refused t: r");
        assert_eq!(said(false, &item("create", 409, error)), "taken t: r");
        assert_eq!(said(true, &item("create", 409, error)), "accepted");
    }

    #[test]
    fn a_fault_of_the_index_is_none_of_the_document() {
        let item = |status: u16, kind: &str| {
            format!(
                r#"{{"index":{{"_index":"books","status":{status},"error":{{"type":"{kind}","reason":"r"}}}}}}"#
            )
        };
        for (status, kind) in [
            (403, "cluster_block_exception"),
            (400, "index_closed_exception"),
            (404, "index_not_found_exception"),
            (401, "security_exception"),
            (403, "security_exception"),
        ] {
            let told = format!("kept index `books`: {kind}: r");
            assert_eq!(said(false, &item(status, kind)), told);
        }
        let told = said(false, &item(429, "cluster_block_exception"));
        assert!(told.starts_with("rejected "), "a full disk: {told}");
        let told = said(false, &item(404, "document_missing_exception"));
        assert!(told.starts_with("refused "), "{told}");
    }

    #[test]
    fn indices_that_took_something_are_named() {
        let body = br#"{"items":[{"index":{"_index":"a","status":201}},
            {"index":{"_index":"b","status":400,"error":{"type":"t","reason":"r"}}}]}"#;
        let told = told(&[record(false), record(false)], body).expect("an answer");
        assert_eq!(told.written.into_iter().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn an_answer_that_does_not_fit_is_an_error() {
        for body in ["{\"items\":[]}", "{\"items\":[{}]}", "{}", "<html>"] {
            assert!(told(&[record(false)], body.as_bytes()).is_err(), "{body}");
        }
    }
}
