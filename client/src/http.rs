//! HTTP clients with the TLS of this project.

use std::path::Path;

use anyhow::{Context, Result};
use gleaner_tls::{Alpn, Connector, Trust};
use reqwest::ClientBuilder;
use reqwest::redirect::Policy;

/// Returns an HTTP client to be, for an address of `https` or of `http`; `ca` is the authority to believe, where that is
/// not the system's.
///
/// It follows no redirect, since that would call an address that nobody gave, and perhaps take credentials there: the
/// caller sees the status and `Location`.
///
/// # Errors
/// An authority that cannot be read.
pub fn http_client(is_encrypted: bool, ca: Option<&Path>) -> Result<ClientBuilder> {
    let trust = match ca {
        _ if !is_encrypted => Trust::Nobody,
        Some(ca) => Trust::Authorities(ca.to_owned()),
        None => Trust::System,
    };
    let connector = Connector::new(&trust, None, Alpn::Http1);
    let connector = connector.context("the server's certificate cannot be checked")?;
    let client = reqwest::Client::builder().redirect(Policy::none());
    Ok(client.use_preconfigured_tls(connector.client_config()))
}
