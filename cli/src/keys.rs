//! `gleaner keys`: API keys of a cluster, made, listed and revoked.

mod reset;
mod rights;
mod table;

use std::io::{Write as _, stdout};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::config::Allowance;
use crate::exit::Exit;
use crate::remote::{self, RemoteArguments};
use crate::terminal;
use rights::RightsArguments;

/// Make, list and revoke the API keys of a cluster that was started with `--secure`.
///
/// Who asks is told by `--api-key` (GLEANER_API_KEY): a key can give others no more than it has itself.
#[derive(Debug, clap::Args)]
pub(crate) struct KeysArguments {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, clap::Subcommand)]
enum KeysCommand {
    Create(Box<CreateArguments>),
    List(ListArguments),
    Revoke(RevokeArguments),
    Reset(reset::ResetArguments),
}

/// Make a key, and print it: it is never shown again.
///
/// Standard output is what stands behind `ApiKey` in the header `Authorization`, and what `--api-key` takes.
#[derive(Debug, clap::Args)]
struct CreateArguments {
    #[command(flatten)]
    remote: RemoteArguments,
    /// Name for people
    #[arg(long, value_name = "NAME", required_unless_present = "anonymous")]
    name: Option<String>,
    /// Say what requests without a key may do; no key is made
    #[arg(long, conflicts_with_all = ["name", "expires"])]
    anonymous: bool,
    #[command(flatten)]
    rights: RightsArguments,
    /// When it ends, from now: 12h, 30d [default: never]
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// Requests a second, such as 50/s [default: what fronts allow a key]
    #[arg(long, value_name = "N/s")]
    rate: Option<Allowance>,
    /// Search CPU a second, such as 2000ms/s [default: what fronts allow a key]
    #[arg(long, value_name = "N ms/s")]
    cost: Option<Allowance>,
    /// Requests at once [default: what fronts allow a key]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    concurrent: Option<u32>,
}

/// List the keys, without their secrets.
#[derive(Debug, clap::Args)]
struct ListArguments {
    #[command(flatten)]
    remote: RemoteArguments,
    /// Those too that were revoked or have ended
    #[arg(long)]
    all: bool,
    /// Print what the server answers, in JSON
    #[arg(long)]
    json: bool,
}

/// Revoke keys: every node refuses them within a second.
#[derive(Debug, clap::Args)]
struct RevokeArguments {
    #[command(flatten)]
    remote: RemoteArguments,
    /// Ids of keys, as `gleaner keys list` shows them
    #[arg(value_name = "ID", required_unless_present = "name")]
    ids: Vec<String>,
    /// All keys of this name; `*` stands for any characters
    #[arg(long, value_name = "NAME", conflicts_with = "ids")]
    name: Option<String>,
}

/// What a person who gives a key limits should know.
const LIMITS_NOTICE: &str = "notice: fronts hold keys to their limits (`gleaner front --cluster`); where clients reach \
                             roots or `gleaner serve` without a front, the limits have no effect";

/// Runs the command.
pub(crate) async fn run(arguments: KeysArguments) -> Result<Exit> {
    match arguments.command {
        KeysCommand::Create(arguments) => create(*arguments).await?,
        KeysCommand::List(arguments) => list(arguments).await?,
        KeysCommand::Revoke(arguments) => revoke(arguments).await?,
        KeysCommand::Reset(arguments) => reset::run(arguments).await?,
    }
    Ok(Exit::Success)
}

async fn create(arguments: CreateArguments) -> Result<()> {
    let name = match arguments.name {
        Some(name) => name,
        None => "_anonymous".to_owned(),
    };
    let has_limits =
        arguments.rate.is_some() || arguments.cost.is_some() || arguments.concurrent.is_some();
    let allowance = |given: &Option<Allowance>| given.map(|allowance| allowance.0);
    let body = json!({
        "name": name,
        "expiration": arguments.expires,
        "role_descriptors": arguments.rights.descriptors()?,
        "limits": {
            "requests_per_second": allowance(&arguments.rate),
            "cost_ms_per_second": allowance(&arguments.cost),
            "concurrent": arguments.concurrent,
        },
    });
    let body = without_nulls(body);
    let answer = asked(&arguments.remote, Method::POST, &body).await?;
    let id = answer["id"].as_str().unwrap_or_default();
    match answer["encoded"].as_str() {
        Some(encoded) => {
            terminal::say(&format!(
                "key {id} ({name}) is made; keep what follows, it is not shown again"
            ));
            writeln!(stdout(), "{encoded}")?;
        }
        None => terminal::say("requests without a key may do this from now on"),
    }
    if has_limits {
        terminal::say(LIMITS_NOTICE);
    }
    Ok(())
}

/// Leaves out what was not said.
fn without_nulls(mut body: Value) -> Value {
    if let Value::Object(entries) = &mut body {
        entries.retain(|_, value| !value.is_null());
        for (_, value) in entries.iter_mut() {
            *value = without_nulls(value.take());
        }
    }
    body
}

async fn list(arguments: ListArguments) -> Result<()> {
    let remote = arguments.remote.remote()?;
    let request = remote.request(Method::GET, &["_security", "api_key"]);
    let request = request.query(&[("active_only", !arguments.all)]);
    let answer = request.send().await;
    let answer = remote::json(answer.map_err(|error| remote.unanswered(&error))?).await?;
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&answer)?,
        false => table::of(&answer),
    };
    writeln!(stdout(), "{}", text.trim_end())?;
    Ok(())
}

async fn revoke(arguments: RevokeArguments) -> Result<()> {
    let body = match arguments.name {
        Some(name) => json!({"name": name}),
        None => json!({"ids": arguments.ids}),
    };
    let answer = asked(&arguments.remote, Method::DELETE, &body).await?;
    let num = |key: &str| answer[key].as_array().map_or(0, Vec::len);
    let (now, before) = (
        num("invalidated_api_keys"),
        num("previously_invalidated_api_keys"),
    );
    ensure!(now + before > 0, "there is no such key");
    terminal::say(&format!(
        "{now} revoked now, {before} had been revoked before"
    ));
    Ok(())
}

async fn asked(remote: &RemoteArguments, method: Method, body: &Value) -> Result<Value> {
    let remote = remote.remote()?;
    let request = remote
        .request(method, &["_security", "api_key"])
        .header("content-type", "application/json")
        .body(body.to_string());
    let answer = request.send().await;
    let answer = answer.map_err(|error| remote.unanswered(&error))?;
    remote::json(answer)
        .await
        .with_context(|| format!("asked `{}`", remote.address()))
}
