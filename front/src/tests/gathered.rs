//! Requests that all backends answer together.

use super::*;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Response, Uri};

use crate::{Binding, Join};

/// Has all backends answer every request; the answer has a line for each: its status, or why there is none.
#[derive(Debug, Clone, Copy)]
struct All;

impl Binding for All {
    fn backend_of(&self, _: &Parts, _: &Bytes) -> Option<usize> {
        None
    }

    fn join_of(&self, _: &Parts, _: &Bytes) -> Option<Box<dyn Join>> {
        Some(Box::new(Self))
    }
}

impl Join for All {
    fn asked(&self, _: &Uri) -> Option<PathAndQuery> {
        None
    }

    fn refusal(&self) -> Option<Response<Bytes>> {
        None
    }

    fn join(&self, answers: Vec<Result<Response<Bytes>, String>>) -> Response<Bytes> {
        let lines = answers.into_iter().map(|answer| match answer {
            Ok(answer) => answer.status().as_u16().to_string(),
            Err(reason) => reason,
        });
        Response::new(lines.collect::<Vec<_>>().join("\n").into())
    }
}

/// Starts a backend that answers probes with this.
async fn probed(status: &'static str) -> Recorder {
    Recorder::replying(move |arrived| match arrived.line == "GET /ready" {
        true => Reply::Bytes(recorder::plain(status, "")),
        false => Reply::Echo,
    })
    .await
}

/// Returns what is answered once all backends were looked at.
async fn answer_of(backends: &[Recorder]) -> String {
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let options = FrontOptions {
        ready_path: Some("/ready".to_owned()),
        probe_every: SHORT / 20,
        binding: Some(Arc::new(All)),
        ..FrontOptions::default()
    };
    let front = Running::ahead_of(&addresses, options).await;
    for backend in backends {
        // The second look begins when the first is known.
        backend
            .until("two looks", |seen| seen.arrived.len() >= 2)
            .await;
    }
    let answer = front.client().await.get("/").await;
    answer.expect("an answer").body
}

#[tokio::test]
async fn a_backend_that_is_not_ready_is_left_out_and_named() {
    let backends = [probed("200 OK").await, probed("503 Later").await];
    assert_eq!(answer_of(&backends).await, "200\nit is not ready");
}

#[tokio::test]
async fn where_no_backend_is_ready_all_are_asked() {
    let backends = [probed("503 Later").await, probed("503 Later").await];
    assert_eq!(answer_of(&backends).await, "200\n200");
}
