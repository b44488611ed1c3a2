//! `gleaner adapter redis`: a Redis server for those who read metrics and log lines.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use gleaner_ambassador::{RedisReport, SlowLog};
use gleaner_server::ServerOptions;
use http::header;
use tokio::time::timeout;

use super::slow_lines::{SlowLines, SlowState};
use crate::companion::{Companion, CompanionArguments, listen, secret};
use crate::config::Span;
use crate::exit::Exit;
use crate::flags::{Given, refuse};

/// Show a Redis server as Prometheus metrics, and its slow commands as log lines.
///
/// GET /metrics answers under the names of redis_exporter, so that dashboards made for that one go on working; each
/// scrape asks the server once. With --slowlog each entry of SLOWLOG is written to standard output as a line of JSON,
/// once, also when the server starts anew; with --slowlog-state also when the adapter does.
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
    #[arg(long, env = "GLEANER_ADAPTER_SLOWLOG_ARGUMENTS")]
    slowlog_arguments: bool,
    /// How often slow commands are asked for
    #[arg(
        long,
        value_name = "TIME",
        default_value = "5s",
        env = "GLEANER_ADAPTER_SLOWLOG_PERIOD"
    )]
    slowlog_period: Span,
    /// File that remembers the last slow command that was written: an adapter that starts again writes none of them
    /// twice [default: none, all that the server holds are written]
    #[arg(long, value_name = "FILE", env = "GLEANER_ADAPTER_SLOWLOG_STATE")]
    slowlog_state: Option<PathBuf>,
    #[command(flatten)]
    companion: CompanionArguments,
}

impl RedisArguments {
    /// Checks that the flags go together.
    ///
    /// # Errors
    /// A flag about slow commands without `--slowlog`.
    fn check(&self) -> Result<()> {
        if self.slowlog {
            return Ok(());
        }
        let flags_of_slowlog = [
            Given::new("--slowlog-arguments", self.slowlog_arguments),
            Given::new("--slowlog-state", self.slowlog_state.is_some()),
        ];
        refuse(&flags_of_slowlog, "without `--slowlog`")
    }
}

/// Runs the command.
pub(super) async fn run(arguments: RedisArguments, verbosity: u8) -> Result<Exit> {
    arguments.check()?;
    let password = secret(arguments.password_file.as_deref())?;
    let state = arguments.slowlog_state.map(SlowState::open).transpose()?;
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
    let _telling = companion.tell(|| None::<&str>);
    let following = arguments.slowlog.then(|| {
        let log = SlowLog::new(report(), arguments.slowlog_arguments);
        let lines = SlowLines::new(log, arguments.redis.clone(), state);
        tokio::spawn(lines.follow(arguments.slowlog_period.0, companion.stopped()))
    });
    let grace = arguments.companion.shutdown_grace.0;
    let options = ServerOptions {
        shutdown_grace: grace,
        ..ServerOptions::default()
    };
    gleaner_server::serve(listener, page, &options, companion.stopped()).await?;
    if let Some(following) = following {
        // Lines that are being written are written whole, and remembered, unless nobody takes them.
        drop(timeout(grace, following).await);
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
