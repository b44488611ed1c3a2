//! What became of each document of a request, as the server's answer says.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::record::Record;
use crate::remote::cause;

/// What became of one record.
pub(super) enum Outcome {
    Accepted,
    /// The server is busy; the reason is for the case that this goes on for too long.
    Rejected(String),
    Refused(String),
}

#[derive(Deserialize)]
struct BulkAnswer {
    items: Vec<BTreeMap<String, Item>>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    status: u16,
    error: Option<Value>,
}

/// Does the status say "not now" rather than "no"?
pub(super) fn is_busy(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}

/// Reads what became of each record.
pub(super) fn outcomes(records: &[Record], body: &[u8]) -> Result<Vec<Outcome>> {
    let answer: BulkAnswer =
        serde_json::from_slice(body).context("the server's answer to a bulk request is odd")?;
    ensure!(
        answer.items.len() == records.len(),
        "the server answered {} items to a request of {}",
        answer.items.len(),
        records.len()
    );
    let items = answer.items.into_iter().map(|item| item.into_iter().next());
    let outcome = |(record, item): (&Record, Option<(String, Item)>)| {
        let (action, item) = item.context("the server answered an item without an action")?;
        Ok(match item.error {
            None => Outcome::Accepted,
            Some(error) if is_busy(item.status) => Outcome::Rejected(cause(&error)),
            // Ids of ours are nobody else's: an earlier try of this very document got through.
            Some(_) if item.status == 409 && action == "create" && record.has_derived_id => {
                Outcome::Accepted
            }
            Some(error) => Outcome::Refused(cause(&error)),
        })
    };
    records.iter().zip(items).map(outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::record::Place;

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

    fn told(has_derived_id: bool, item: &str) -> String {
        let body = format!("{{\"errors\":true,\"items\":[{item}]}}");
        let outcomes = outcomes(&[record(has_derived_id)], body.as_bytes()).expect("an answer");
        match outcomes.into_iter().next().expect("one") {
            Outcome::Accepted => "accepted".to_owned(),
            Outcome::Rejected(reason) => format!("rejected {reason}"),
            Outcome::Refused(reason) => format!("refused {reason}"),
        }
    }

    #[test]
    fn items_are_accepted_rejected_or_refused() {
        let item = |action: &str, status: u16, error: &str| {
            format!("{{\"{action}\":{{\"_id\":\"1\",\"status\":{status}{error}}}}}")
        };
        let error = r#","error":{"type":"t","reason":"r"}"#;
        assert_eq!(told(false, &item("index", 201, "")), "accepted");
        assert_eq!(told(false, &item("delete", 404, "")), "accepted");
        assert_eq!(told(false, &item("index", 429, error)), "rejected t: r");
        assert_eq!(told(false, &item("index", 503, error)), "rejected t: r");
        assert_eq!(told(false, &item("index", 400, error)), "refused t: r");
        assert_eq!(told(false, &item("create", 409, error)), "refused t: r");
        assert_eq!(told(true, &item("create", 409, error)), "accepted");
    }

    #[test]
    fn an_answer_that_does_not_fit_is_an_error() {
        for body in ["{\"items\":[]}", "{\"items\":[{}]}", "{}", "<html>"] {
            assert!(
                outcomes(&[record(false)], body.as_bytes()).is_err(),
                "{body}"
            );
        }
    }
}
