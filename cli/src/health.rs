//! `gleaner health`: does a node serve? For scripts, and for images without other tools.

use std::{
    io::{Write, stdout},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::Result;
use gleaner_client::http::http_client;

use crate::{exit::Exit, remote, serve::address::PROBE_LISTEN};

/// Ask a node whether it serves; the exit code is 0 when it is ready and 1 when it is not.
#[derive(Debug, clap::Args)]
pub(crate) struct HealthArguments {
    /// The node [default: its probes, where --probe-listen names them, else GLEANER_URL, else http://127.0.0.1:9200]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Where the node answers probes, as the node itself was given it: in a container both have the same environment
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "GLEANER_PROBE_LISTEN",
        default_value = "",
        hide_default_value = true
    )]
    probe_listen: String,
    /// What is asked where neither is given
    #[arg(
        long,
        hide = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:9200",
        env = "GLEANER_URL",
        hide_env_values = true
    )]
    otherwise: String,
    /// Authority whose certificate an `https` node must show, in PEM [default: those of the system]
    #[arg(long, value_name = "FILE", env = "GLEANER_CACERT")]
    cacert: Option<PathBuf>,
    /// How long to wait for the answer, in seconds
    #[arg(long, default_value_t = 2, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

impl HealthArguments {
    /// Returns the address that is asked.
    fn node(&self) -> Result<String> {
        if let Some(url) = &self.url {
            return Ok(url.clone());
        }
        if self.probe_listen.is_empty() {
            return Ok(self.otherwise.clone());
        }
        let address = PROBE_LISTEN.complete(&self.probe_listen)?;
        // A process that listens everywhere is asked on this machine.
        let address = match address.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_unspecified() => {
                let here: IpAddr = match address.is_ipv4() {
                    true => Ipv4Addr::LOCALHOST.into(),
                    false => Ipv6Addr::LOCALHOST.into(),
                };
                SocketAddr::new(here, address.port()).to_string()
            }
            _ => address,
        };
        Ok(format!("http://{address}"))
    }
}

/// Runs the command.
pub(crate) async fn run(arguments: HealthArguments) -> Result<Exit> {
    let (base, user) = remote::address(&arguments.node()?)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(url: Option<&str>, probe_listen: &str) -> String {
        let arguments = HealthArguments {
            url: url.map(str::to_owned),
            probe_listen: probe_listen.to_owned(),
            otherwise: "https://server".to_owned(),
            cacert: None,
            timeout: 2,
        };
        arguments.node().expect("an address")
    }

    #[test]
    fn what_is_asked_is_named_by_hand_or_by_the_environment_of_the_node() {
        assert_eq!(asked(Some("http://a"), "127.0.0.1:9210"), "http://a");
        assert_eq!(asked(None, ""), "https://server");
        assert_eq!(asked(None, "127.0.0.1:1"), "http://127.0.0.1:1");
        assert_eq!(asked(None, "0.0.0.0:1"), "http://127.0.0.1:1");
        assert_eq!(asked(None, "[::]:1"), "http://[::1]:1");
        assert_eq!(asked(None, "127.0.0.1"), "http://127.0.0.1:9210");
    }
}
