//! One search: how it is sent, and what became of it.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use reqwest::{
    Method, RequestBuilder, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_TYPE},
};
use serde::Deserialize;
use serde_json::Value;

use crate::remote::{self, Remote};

/// The searches of a run, ready to be sent. Cheap to clone.
#[derive(Clone)]
pub(super) struct Searches {
    requests: Arc<[RequestBuilder]>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A whole answer with a status of success.
    Answered {
        /// It ran out of time and says so.
        timed_out: bool,
        /// Some shards are missing from it.
        is_partial: bool,
    },
    /// No answer, or a refusal: `http_429`, `timeout`, `connect`, `broken`, `unreadable`.
    Failed(String),
}

/// What is read of an answer; the rest is skipped.
#[derive(Deserialize)]
struct Answer {
    timed_out: bool,
    #[serde(rename = "_shards")]
    shards: Shards,
}

#[derive(Deserialize)]
struct Shards {
    failed: u64,
}

impl Searches {
    /// Prepares a search of `index` for each body.
    pub(super) fn new(remote: &Remote, index: &str, bodies: Vec<Value>) -> Self {
        let request = |body: Value| {
            remote
                .request(Method::POST, &[index, "_search"])
                .header(CONTENT_TYPE, "application/json")
                // Packing would be measured too, on both sides.
                .header(ACCEPT_ENCODING, "identity")
                .body(body.to_string())
        };
        Self {
            requests: bodies.into_iter().map(request).collect(),
        }
    }

    /// Returns how many there are.
    pub(super) fn number(&self) -> usize {
        self.requests.len()
    }

    /// Asks the first, so that a wrong index or query ends the command before the run.
    pub(super) async fn try_first(&self) -> Result<()> {
        let answer = self.request(0).send().await.context("no answer")?;
        let status = answer.status();
        // Overload is what a run may be there to find.
        if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
            let body = answer.bytes().await.context("the answer broke off")?;
            bail!("the first query: {}", remote::reason(status, &body));
        }
        Ok(())
    }

    /// Sends the search whose turn it is and waits for its whole answer.
    pub(super) async fn ask(&self, number: u64) -> Outcome {
        let turn = (number % self.requests.len() as u64) as usize;
        let answer = match self.request(turn).send().await {
            Ok(answer) => answer,
            Err(error) => return failed(&error),
        };
        let status = answer.status();
        match answer.bytes().await {
            Err(error) => failed(&error),
            Ok(_) if !status.is_success() => Outcome::Failed(format!("http_{}", status.as_u16())),
            Ok(body) => outcome(&body),
        }
    }

    fn request(&self, turn: usize) -> RequestBuilder {
        let request = self.requests[turn].try_clone();
        request.expect("a body in memory can be sent again")
    }
}

fn outcome(body: &[u8]) -> Outcome {
    match serde_json::from_slice::<Answer>(body) {
        Ok(answer) => Outcome::Answered {
            timed_out: answer.timed_out,
            is_partial: answer.shards.failed > 0,
        },
        Err(_) => Outcome::Failed("unreadable".to_owned()),
    }
}

fn failed(error: &reqwest::Error) -> Outcome {
    let kind = match error {
        error if error.is_connect() => "connect",
        error if error.is_timeout() => "timeout",
        _ => "broken",
    };
    Outcome::Failed(kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_whether_it_is_whole() {
        let of = |text: &str| outcome(text.as_bytes());
        let whole = r#"{"took":1,"timed_out":false,"_shards":{"total":2,"failed":0},"hits":{}}"#;
        let answered = |timed_out, is_partial| Outcome::Answered {
            timed_out,
            is_partial,
        };
        assert_eq!(of(whole), answered(false, false));
        let partial = r#"{"timed_out":true,"_shards":{"failed":1}}"#;
        assert_eq!(of(partial), answered(true, true));
        assert_eq!(of("<html>"), Outcome::Failed("unreadable".to_owned()));
    }
}
