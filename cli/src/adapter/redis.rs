//! `gleaner adapter redis`: a Redis server for those who read metrics and log lines.

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use gleaner_ambassador::{RedisReport, SlowLog};
use gleaner_server::ServerOptions;
use http::header;
use serde_json::json;

use crate::companion::{Companion, CompanionArguments, listen, secret};
use crate::config::Span;
use crate::exit::Exit;

/// Show a Redis server as Prometheus metrics, and its slow commands as log lines.
///
/// GET /metrics answers under the names of redis_exporter, so that dashboards made for that one go on working; each
/// scrape asks the server once. With --slowlog each entry of SLOWLOG is written to standard output as a line of JSON,
/// once, also when the server starts anew.
#[derive(Debug, clap::Args)]
pub(super) struct RedisArguments {
    /// The server
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:6379",
        env = "GLEANER_ADAPTER_REDIS"
    )]
    redis: String,
    /// Address at which metrics are answered
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9121",
        env = "GLEANER_LISTEN"
    )]
    listen: String,
    /// File with the password of the server
    #[arg(long, value_name = "FILE", env = "GLEANER_ADAPTER_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
    /// Time that the server has to answer
    #[arg(
        long,
        value_name = "TIME",
        default_value = "5s",
        env = "GLEANER_ADAPTER_TIMEOUT"
    )]
    timeout: Span,
    /// Write each slow command to standard output
    #[arg(long, env = "GLEANER_ADAPTER_SLOWLOG")]
    slowlog: bool,
    /// Write the arguments of slow commands too; they may be secrets
    #[arg(long, env = "GLEANER_ADAPTER_SLOWLOG_ARGUMENTS", requires = "slowlog")]
    slowlog_arguments: bool,
    /// How often slow commands are asked for
    #[arg(
        long,
        value_name = "TIME",
        default_value = "5s",
        env = "GLEANER_ADAPTER_SLOWLOG_PERIOD"
    )]
    slowlog_period: Span,
    #[command(flatten)]
    companion: CompanionArguments,
}

/// Runs the command.
pub(super) async fn run(arguments: RedisArguments, verbosity: u8) -> Result<Exit> {
    let password = secret(arguments.password_file.as_deref())?;
    let companion = Companion::start(&arguments.companion, "adapter", None, verbosity).await?;
    let report = || {
        let within = arguments.timeout.0;
        RedisReport::new(arguments.redis.clone(), password.clone(), within)
    };
    let page = Router::new()
        .route("/metrics", get(metrics))
        .route(
            "/",
            get(|| async { "metrics of a Redis server are at /metrics\n" }),
        )
        .with_state(Arc::new(report()));
    let listener = listen(&arguments.listen, "metrics of a Redis server").await?;
    let _telling = companion.tell(|| None);
    let following = arguments.slowlog.then(|| {
        let log = SlowLog::new(report(), arguments.slowlog_arguments);
        tokio::spawn(follow(
            log,
            arguments.redis.clone(),
            arguments.slowlog_period.0,
        ))
    });
    let options = ServerOptions {
        shutdown_grace: arguments.companion.shutdown_grace.0,
        ..ServerOptions::default()
    };
    gleaner_server::serve(listener, page, &options, companion.stopped()).await?;
    if let Some(following) = following {
        following.abort();
    }
    Ok(Exit::Success)
}

async fn metrics(State(report): State<Arc<RedisReport>>) -> impl IntoResponse {
    let content_type = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (content_type, report.scrape().await)
}

/// Writes slow commands until standard output ends.
async fn follow(mut log: SlowLog, server: String, period: Duration) {
    let mut failed = None;
    loop {
        match log.news().await {
            Ok(news) => {
                failed = None;
                if news.missed > 0 {
                    tracing::warn!(
                        missed = news.missed,
                        "slow commands were dropped by the server before they were read"
                    );
                }
                for entry in news.entries {
                    let time = chrono::DateTime::from_timestamp(entry.timestamp, 0);
                    let line = json!({
                        "@timestamp": time.map(|time| time.to_rfc3339()),
                        "message": format!("{} took {} µs", entry.command, entry.duration_us),
                        "log": {"level": "warn"},
                        "event": {"module": "redis", "dataset": "redis.slowlog", "duration": entry.duration_us * 1_000},
                        "redis": {"slowlog": entry, "run_id": news.run_id},
                        "server": {"address": server},
                    });
                    if writeln!(stdout(), "{line}").is_err() {
                        return;
                    }
                }
            }
            Err(error) => {
                let why = error.to_string();
                if failed.as_ref() != Some(&why) {
                    tracing::warn!(server, why, "slow commands are not known");
                }
                failed = Some(why);
            }
        }
        tokio::time::sleep(period).await;
    }
}
