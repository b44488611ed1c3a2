//! What a task by query did, as the dialect writes it.

use gleaner_root::by_query::{ByQueryReport, Change};
use gleaner_root::tasks::ByQueryStatus;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::render::document::refused;
use crate::response::Reply;

/// Which counts are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    has_updated: bool,
    has_created: bool,
}

impl Form {
    /// All of them.
    pub(super) const ALL: Self = Self {
        has_updated: true,
        has_created: true,
    };

    /// Returns those that the change makes.
    pub(super) fn of(change: &Change) -> Self {
        Self {
            has_updated: !matches!(change, Change::Delete),
            has_created: matches!(change, Change::Reindex(_)),
        }
    }
}

/// Returns the answer to who has waited.
pub(super) fn answered(report: &ByQueryReport, form: Form) -> Reply {
    Reply::with_status(status_of(report), &response(report, form))
}

fn status_of(report: &ByQueryReport) -> StatusCode {
    let failures = report.failures.iter();
    let failures = failures.map(|failure| ApiError::from(&failure.error).status);
    let timed_out = report.timed_out.then_some(StatusCode::REQUEST_TIMEOUT);
    failures.chain(timed_out).max().unwrap_or(StatusCode::OK)
}

/// Returns the report.
pub(super) fn response(report: &ByQueryReport, form: Form) -> Value {
    let failures: Vec<Value> = report
        .failures
        .iter()
        .map(|failure| {
            let error = refused(&failure.index, failure.shard, &failure.error);
            json!({
                "index": failure.index,
                "id": failure.id,
                "cause": error.to_json(),
                "status": error.status.as_u16(),
            })
        })
        .collect();
    let mut shown = Map::new();
    shown.insert(
        "took".to_owned(),
        Value::from(report.took.as_millis() as u64),
    );
    shown.insert("timed_out".to_owned(), Value::from(report.timed_out));
    shown.extend(status_map(&report.status, form));
    shown.insert("failures".to_owned(), Value::Array(failures));
    Value::Object(shown)
}

/// Returns what a task has done so far.
pub(crate) fn status(status: &ByQueryStatus) -> Value {
    Value::Object(status_map(status, Form::ALL))
}

fn status_map(status: &ByQueryStatus, form: Form) -> Map<String, Value> {
    let counts = &status.counts;
    let mut shown = Map::new();
    let mut put = |key: &str, value: Value| drop(shown.insert(key.to_owned(), value));
    if let Some(slice) = status.slice {
        put("slice_id", slice.into());
    }
    put("total", counts.total.into());
    if form.has_updated {
        put("updated", counts.updated.into());
    }
    if form.has_created {
        put("created", counts.created.into());
    }
    put("deleted", counts.deleted.into());
    put("batches", counts.batches.into());
    put("version_conflicts", counts.version_conflicts.into());
    put("noops", counts.noops.into());
    let retries = json!({"bulk": counts.write_retries, "search": counts.search_retries});
    put("retries", retries);
    put(
        "throttled_millis",
        (counts.throttled.as_millis() as u64).into(),
    );
    let rate = status.requests_per_second.unwrap_or(-1.0);
    put("requests_per_second", rate.into());
    if let Some(reason) = status.cancelled {
        put("canceled", reason.into());
    }
    let until = status.throttled_for.as_millis() as u64;
    put("throttled_until_millis", until.into());
    if !status.slices.is_empty() {
        let slices = status.slices.iter();
        let slices = slices.map(|slice| Value::Object(status_map(slice, form)));
        put("slices", slices.collect());
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gleaner_root::tasks::Counts;

    use super::*;

    #[test]
    fn a_task_that_a_page_out_of_time_has_ended_is_no_success() {
        let report = |timed_out| ByQueryReport {
            took: Duration::ZERO,
            timed_out,
            status: ByQueryStatus {
                slice: None,
                counts: Counts::default(),
                requests_per_second: None,
                throttled_for: Duration::ZERO,
                cancelled: None,
                slices: Vec::new(),
            },
            failures: Vec::new(),
            made: Vec::new(),
        };
        for (timed_out, status) in [(false, StatusCode::OK), (true, StatusCode::REQUEST_TIMEOUT)] {
            assert_eq!(status_of(&report(timed_out)), status);
        }
    }
}
