//! `gleaner serve`: everything in one process, on one folder.

pub(crate) mod address;
pub(crate) mod edge;
pub(crate) mod folder;
pub(crate) mod metrics;
pub(crate) mod node;

use std::{
    io::{Write, stdout},
    path::PathBuf,
};

use anyhow::{Context, Result};

use crate::{
    config::{Config, Flags},
    descriptors,
    exit::Exit,
    exposure::{Door, Opening},
    logging, signals,
    telemetry::Telemetry,
    tls::NodeTls,
};
use address::listen;
use folder::DataFolder;
use node::Node;

/// Serve an index folder over HTTP, in the dialect that search clients speak.
///
/// Settings come from flags, over the environment, over the file, over defaults. SIGINT and SIGTERM
/// end it in order: open requests are answered and everything is committed.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArguments {
    /// File of settings, in TOML
    #[arg(long, value_name = "FILE", env = "GLEANER_CONFIG")]
    config: Option<PathBuf>,
    /// Print the settings in force, as such a file, and end
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Runs the command; `verbosity` is how often `-v` was given.
pub(crate) async fn run(arguments: ServeArguments, verbosity: u8) -> Result<Exit> {
    let config = Config::resolve(&arguments.flags, arguments.config.as_deref())?;
    if arguments.print_config {
        stdout().write_all(config.to_toml()?.as_bytes())?;
        return Ok(Exit::Success);
    }
    let filter = if verbosity > 0 {
        logging::filter_of(verbosity + 1)
    } else {
        &config.log
    };
    let telemetry = Telemetry::of(&config, "serve", filter)?;
    descriptors::raise();
    let stop = signals::server_stop_asked()?;
    let folder = DataFolder::take(&config.data)?;
    if config.holds_secrets() {
        folder.close();
    }
    let listener = listen(&config.listen).await?;
    let address = listener
        .local_addr()
        .context("the listener has no address")?
        .to_string();
    let tls = NodeTls::of(&config, folder.path())?;
    Opening {
        door: Door::Node,
        is_encrypted: tls.is_some(),
        leaves_out_keys: config.no_keys,
        is_meant: config.insecure,
    }
    .check(listener.local_addr()?)?;
    let is_new = folder.is_new();
    let node = Node::start(folder, &config, tls)?;
    tracing::info!(%address, data = %config.data.display(), "serving");
    if is_new {
        // A courtesy: nobody has to read it.
        drop(stdout().write_all(first_steps(&address, &config).as_bytes()));
    }
    let node = node.with_access_log(telemetry.access_log());
    let served = node.serve(listener, &config, stop).await;
    telemetry.end().await;
    served?;
    tracing::info!("stopped; everything is committed");
    Ok(Exit::Success)
}

fn first_steps(address: &str, config: &Config) -> String {
    let ca = config.secure.then(|| config.data.join("tls/ca.pem"));
    // Our own commands read the key from the environment.
    let own_trust = ca
        .as_ref()
        .map_or_else(String::new, |ca| format!(" --cacert {}", ca.display()));
    let key = match config.requires_keys() {
        true => " -H \"Authorization: ApiKey $GLEANER_API_KEY\"",
        false => "",
    };
    let (scheme, trust) = match ca {
        Some(_) => ("https", format!("{own_trust}{key}")),
        None => ("http", String::new()),
    };
    let url = format!("{scheme}://{}", address.replace("0.0.0.0", "localhost"));
    format!(
        "A new folder. Try:

  curl{trust} '{url}/'
  curl{trust} -X POST '{url}/notes/_doc/1?refresh=true' -H 'Content-Type: application/json' \\
    -d '{{\"title\": \"First\", \"text\": \"what others scattered\"}}'
  curl{trust} '{url}/notes/_search?q=scattered&pretty'
  gleaner index{own_trust} --url {url} --index notes FILE.ndjson

"
    )
}
