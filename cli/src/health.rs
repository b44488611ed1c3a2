//! `gleaner health`: does a node serve? For scripts, and for images without other tools.

use std::{
    io::{Write, stdout},
    path::PathBuf,
    time::Duration,
};

use anyhow::Result;
use gleaner_client::http::http_client;

use crate::{exit::Exit, remote};

/// Ask a node whether it serves; the exit code is 0 when it is ready and 1 when it is not.
#[derive(Debug, clap::Args)]
pub(crate) struct HealthArguments {
    /// The node
    #[arg(
        long,
        default_value = "http://127.0.0.1:9200",
        value_name = "URL",
        env = "GLEANER_URL",
        hide_env_values = true
    )]
    url: String,
    /// Authority whose certificate an `https` node must show, in PEM [default: those of the system]
    #[arg(long, value_name = "FILE", env = "GLEANER_CACERT")]
    cacert: Option<PathBuf>,
    /// How long to wait for the answer, in seconds
    #[arg(long, default_value_t = 2, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

/// Runs the command.
pub(crate) async fn run(arguments: HealthArguments) -> Result<Exit> {
    let (base, user) = remote::address(&arguments.url)?;
    let client = http_client(base.scheme() == "https", arguments.cacert.as_deref())?
        .timeout(Duration::from_secs(arguments.timeout))
        .no_proxy();
    let client = client.build()?;
    let url = format!("{}/_health/ready", base.as_str().trim_end_matches('/'));
    let mut request = client.get(url);
    if let Some((name, password)) = user {
        request = request.basic_auth(name, Some(password));
    }
    let answer = request.send().await;
    let answer = answer.map_err(|error| remote::unanswered(&base, &error))?;
    let is_ready = answer.status().is_success();
    let body = answer.text().await.unwrap_or_default();
    writeln!(stdout(), "{}", body.trim())?;
    Ok(if is_ready {
        Exit::Success
    } else {
        Exit::Failure
    })
}
