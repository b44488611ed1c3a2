//! The flags that name a server, and who asks it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use gleaner_client::remote::RemoteOptions;

pub(crate) use gleaner_client::remote::{Remote, address, body, index_name, json, unanswered};

/// Which server, and who asks.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RemoteArguments {
    /// Address of the server, or of any other server of the dialect
    #[arg(
        long,
        env = "GLEANER_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:9200"
    )]
    pub(crate) url: String,
    /// Basic authentication, as NAME:PASSWORD
    #[arg(
        long,
        value_name = "NAME:PASSWORD",
        env = "GLEANER_USER",
        hide_env_values = true
    )]
    user: Option<String>,
    /// API key, as the server gave it (base64 of id:key)
    #[arg(
        long,
        value_name = "KEY",
        env = "GLEANER_API_KEY",
        hide_env_values = true
    )]
    api_key: Option<String>,
    /// Authority whose certificate an `https` server must show, in PEM [default: those of the system]
    #[arg(long, value_name = "FILE", env = "GLEANER_CACERT")]
    cacert: Option<PathBuf>,
    /// A further header on each request; may be repeated
    #[arg(
        long = "header",
        value_name = "NAME: VALUE",
        env = "GLEANER_HEADER",
        hide_env_values = true
    )]
    headers: Vec<String>,
    /// Seconds until a request is given up
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 120,
        env = "GLEANER_TIMEOUT"
    )]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

impl RemoteArguments {
    /// Returns the same for another server.
    pub(crate) fn asking(&self, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ..self.clone()
        }
    }

    /// Returns the address of a process's probes, where neither a key nor an authority is asked for: none is sent.
    pub(crate) fn asking_probes(&self, address: &str) -> Self {
        Self {
            url: format!("http://{address}"),
            user: None,
            api_key: None,
            cacert: None,
            headers: Vec::new(),
            timeout: self.timeout,
        }
    }

    /// Returns the server; nothing is sent yet.
    ///
    /// # Errors
    /// An address, a header or credentials that are none.
    pub(crate) fn remote(&self) -> Result<Remote> {
        Remote::new(&RemoteOptions {
            url: self.url.clone(),
            user: self.user.clone(),
            api_key: self.api_key.clone(),
            cacert: self.cacert.clone(),
            headers: self.headers.clone(),
            timeout: Duration::from_secs(self.timeout),
            is_own: false,
        })
    }
}
