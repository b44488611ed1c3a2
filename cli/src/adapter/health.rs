//! `gleaner adapter health`: does a search engine answer a real query as it should?

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use gleaner_client::http::http_client;
use gleaner_server::ServerOptions;
use http::StatusCode;
use reqwest::Url;
use serde_json::{Value, json};

use crate::companion::{Companion, CompanionArguments, listen};
use crate::config::Span;
use crate::exit::Exit;

/// Ask a service a real query and compare its answer: not only whether it listens, but whether it finds.
///
/// All that stands in the expected answer must stand in the answer; what it leaves out may be anything. Objects are
/// compared by their names, lists in their order and length. The exit code is 0 where it does and 1 where it does not,
/// for the health check of a container; with --listen the same is answered at GET /health, 200 or 503.
///
///   gleaner adapter health --url http://127.0.0.1:9200/wiki/_search --query query.json --expect expect.json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct HealthArguments {
    /// Where the query is sent
    #[arg(long, value_name = "URL", env = "GLEANER_ADAPTER_URL")]
    url: Url,
    /// File with the query, sent as JSON by POST [default: none, by GET]
    #[arg(long, value_name = "FILE", env = "GLEANER_ADAPTER_QUERY")]
    query: Option<PathBuf>,
    /// File with what must stand in the answer [default: any answer of 200]
    #[arg(long, value_name = "FILE", env = "GLEANER_ADAPTER_EXPECT")]
    expect: Option<PathBuf>,
    /// Time that the service has to answer; later is not healthy
    #[arg(
        long,
        value_name = "TIME",
        default_value = "2s",
        env = "GLEANER_ADAPTER_TIMEOUT"
    )]
    timeout: Span,
    /// Authority whose certificate an `https` service must show, in PEM [default: those of the system]
    #[arg(long, value_name = "FILE", env = "GLEANER_CACERT")]
    cacert: Option<PathBuf>,
    /// Answer at this address instead, again and again
    #[arg(long, value_name = "HOST:PORT", env = "GLEANER_LISTEN")]
    listen: Option<String>,
    #[command(flatten)]
    companion: CompanionArguments,
}

/// A query and what its answer must hold.
struct Check {
    client: reqwest::Client,
    url: Url,
    query: Option<Value>,
    expect: Option<Value>,
}

/// Runs the command.
pub(super) async fn run(arguments: HealthArguments, verbosity: u8) -> Result<Exit> {
    let client = http_client(
        arguments.url.scheme() == "https",
        arguments.cacert.as_deref(),
    )?;
    let check = Check {
        client: client.timeout(arguments.timeout.0).no_proxy().build()?,
        url: arguments.url,
        query: arguments.query.as_deref().map(read).transpose()?,
        expect: arguments.expect.as_deref().map(read).transpose()?,
    };
    // An image sets the variable for all commands; one that is emptied asks once.
    let address = arguments.listen.filter(|address| !address.is_empty());
    let Some(address) = address else {
        let (is_healthy, told) = check.tell().await;
        writeln!(stdout(), "{told}")?;
        return Ok(if is_healthy {
            Exit::Success
        } else {
            Exit::Failure
        });
    };
    let companion = Companion::start(&arguments.companion, "adapter", None, verbosity).await?;
    let page = Router::new()
        .route("/health", get(health))
        .with_state(Arc::new(check));
    let listener = listen(&address, "health by a query").await?;
    let _telling = companion.tell(|| None::<&str>);
    let options = ServerOptions {
        shutdown_grace: arguments.companion.shutdown_grace.0,
        ..ServerOptions::default()
    };
    gleaner_server::serve(listener, page, &options, companion.stopped()).await?;
    Ok(Exit::Success)
}

async fn health(State(check): State<Arc<Check>>) -> impl IntoResponse {
    let (is_healthy, told) = check.tell().await;
    let status = if is_healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, axum::Json(told))
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("`{}` is no JSON", path.display()))
}

impl Check {
    /// Asks once, and says what came of it.
    async fn tell(&self) -> (bool, Value) {
        let begun = Instant::now();
        let asked = self.ask().await;
        let took = begun.elapsed();
        let took_ms = took.as_secs_f64() * 1e3;
        match asked {
            Ok(()) => (
                true,
                json!({"status": "healthy", "took_ms": rounded(took_ms)}),
            ),
            Err(error) => (
                false,
                json!({"status": "not healthy", "took_ms": rounded(took_ms), "reason": format!("{error:#}")}),
            ),
        }
    }

    async fn ask(&self) -> Result<()> {
        let request = match &self.query {
            Some(query) => self.client.post(self.url.clone()).json(query),
            None => self.client.get(self.url.clone()),
        };
        let answer = request.send().await.map_err(reqwest::Error::without_url)?;
        let status = answer.status();
        ensure!(status.is_success(), "the service answered {status}");
        let Some(expect) = &self.expect else {
            return Ok(());
        };
        let answer: Value = answer.json().await.context("the answer is no JSON")?;
        match difference(expect, &answer, "") {
            None => Ok(()),
            Some(why) => anyhow::bail!(why),
        }
    }
}

fn rounded(milliseconds: f64) -> f64 {
    (milliseconds * 100.0).round() / 100.0
}

/// Returns the first place at which the answer is not as expected.
fn difference(expect: &Value, answer: &Value, place: &str) -> Option<String> {
    match (expect, answer) {
        (Value::Object(expect), Value::Object(answer)) => {
            expect.iter().find_map(|(name, expect)| {
                let place = format!("{place}/{name}");
                match answer.get(name) {
                    Some(answer) => difference(expect, answer, &place),
                    None => Some(format!("`{place}` is not there")),
                }
            })
        }
        (Value::Array(expect), Value::Array(answer)) => {
            if expect.len() != answer.len() {
                return Some(format!(
                    "`{place}` has {} values, expected {}",
                    answer.len(),
                    expect.len()
                ));
            }
            let mut pairs = expect.iter().zip(answer).enumerate();
            pairs.find_map(|(at, (expect, answer))| {
                difference(expect, answer, &format!("{place}/{at}"))
            })
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => None,
        (expect, answer) if expect == answer => None,
        (expect, answer) => Some(format!("`{place}` is {answer}, expected {expect}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_must_be_there_and_more_may_be() {
        let answer = json!({"hits": {"total": {"value": 3}, "hits": [{"_id": "a", "_score": 1.5}]}, "took": 4});
        for expect in [
            json!({"hits": {"total": {"value": 3.0}}}),
            json!({"hits": {"hits": [{"_id": "a"}]}}),
            json!({}),
        ] {
            assert_eq!(difference(&expect, &answer, ""), None, "{expect}");
        }
        let wrong = [
            (
                json!({"hits": {"total": {"value": 4}}}),
                "`/hits/total/value` is 3, expected 4",
            ),
            (
                json!({"hits": {"hits": []}}),
                "`/hits/hits` has 1 values, expected 0",
            ),
            (json!({"timed_out": false}), "`/timed_out` is not there"),
        ];
        for (expect, why) in wrong {
            assert_eq!(difference(&expect, &answer, "").as_deref(), Some(why));
        }
    }
}
