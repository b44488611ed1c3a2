//! `gleaner search`: a query from the shell.

mod layout;
mod table;

use std::io::{Write, stdout};

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json, value::RawValue};

use crate::{
    exit::Exit,
    remote::{self, RemoteArguments, index_name},
    terminal::Palette,
};
use table::{MARK_END, MARK_START, Table};

/// Search an index.
///
/// QUERY is in the syntax of query strings: words, "phrases", field:value, AND, OR, NOT, ranges,
/// wildcards.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes:\n  0  answered, whether or not something matches\n  1  no answer"
)]
pub(crate) struct SearchArguments {
    #[command(flatten)]
    remote: RemoteArguments,
    /// Index, alias or pattern
    #[arg(long, env = "GLEANER_INDEX", value_name = "NAME", value_parser = index_name)]
    index: String,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    /// How many documents to show
    #[arg(long, value_name = "N", default_value_t = 10)]
    size: u32,
    /// Fields to show and highlight, separated by commas
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',')]
    fields: Vec<String>,
    /// What to search for
    #[arg(required = true)]
    query: Vec<String>,
}

/// Runs the command.
pub(crate) async fn run(arguments: SearchArguments) -> Result<Exit> {
    let remote = arguments.remote.remote()?;
    let answer = remote
        .request(Method::POST, &[&arguments.index, "_search"])
        .json(&body(&arguments))
        .send()
        .await
        .map_err(|error| remote.unanswered(&error))?;
    let answer = remote::body(answer).await?;
    let odd = "the server answered something else than JSON";
    if arguments.json {
        let answer: &RawValue = serde_json::from_slice(&answer).context(odd)?;
        writeln!(stdout(), "{}", layout::over_lines(answer))?;
    } else {
        let answer: Value = serde_json::from_slice(&answer).context(odd)?;
        let table = Table::of(&answer, &arguments.fields, Palette::of_stdout());
        write!(stdout(), "{table}")?;
    }
    Ok(Exit::Success)
}

fn body(arguments: &SearchArguments) -> Value {
    let mut body = json!({
        "query": {"query_string": {"query": arguments.query.join(" ")}},
        "size": arguments.size,
    });
    // The JSON form gives what the server gives, without marks of ours.
    if !arguments.json {
        let all = ["*".to_owned()];
        let fields = if arguments.fields.is_empty() {
            &all[..]
        } else {
            &arguments.fields
        };
        let fields: serde_json::Map<_, _> = fields
            .iter()
            .map(|field| (field.clone(), json!({})))
            .collect();
        body["highlight"] = json!({
            "pre_tags": [MARK_START.to_string()],
            "post_tags": [MARK_END.to_string()],
            "number_of_fragments": 1,
            "fragment_size": 120,
            "fields": fields,
        });
    }
    if !arguments.fields.is_empty() {
        body["_source"] = json!(arguments.fields);
    }
    body
}
