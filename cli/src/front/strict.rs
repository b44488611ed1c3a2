//! Clients that come without encryption: where they are sent, and what browsers are asked to remember.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use gleaner_front::RedirectToHttps;
use gleaner_server::ServerOptions;

use crate::companion::AbortOnDrop;
use crate::config::Span;
use crate::serve::address::{Bound, REDIRECT_LISTEN};

/// Flags about connections without encryption.
#[derive(Debug, clap::Args)]
pub(crate) struct StrictArguments {
    /// Address at which requests without encryption are redirected (308) to the encrypted one [default: none]
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "GLEANER_FRONT_REDIRECT_LISTEN",
        requires = "cert"
    )]
    redirect_listen: Option<String>,
    /// Port at which clients reach the encrypted address [default: that of `--listen`]
    #[arg(
        long,
        value_name = "PORT",
        env = "GLEANER_FRONT_REDIRECT_PORT",
        requires = "redirect_listen"
    )]
    redirect_port: Option<u16>,
    /// How long browsers shall come encrypted only, such as 365d (Strict-Transport-Security) [default: they are not asked]
    #[arg(
        long,
        value_name = "TIME",
        env = "GLEANER_FRONT_STRICT_TRANSPORT",
        requires = "cert"
    )]
    pub(super) strict_transport: Option<Span>,
}

impl StrictArguments {
    /// Redirects until the result is dropped, where there is an address to redirect at; `encrypted` is where the front
    /// listens.
    ///
    /// # Errors
    /// An address that is taken or not this machine's.
    pub(super) async fn redirect(&self, encrypted: SocketAddr) -> Result<Option<AbortOnDrop>> {
        let Some(address) = &self.redirect_listen else {
            return Ok(None);
        };
        let listener = Bound::take(address, REDIRECT_LISTEN).await?.listen()?;
        let address = listener
            .local_addr()
            .context("the listener has no address")?;
        let port = self.redirect_port.unwrap_or(encrypted.port());
        tracing::info!(%address, port, "requests without encryption are redirected");
        let serving = tokio::spawn(async move {
            let options = ServerOptions {
                answers_probes: false,
                ..ServerOptions::default()
            };
            let redirect = RedirectToHttps { port };
            let served =
                gleaner_server::serve(listener, redirect, &options, std::future::pending());
            if let Err(error) = served.await {
                tracing::error!(%error, "the server that redirects failed");
            }
        });
        Ok(Some(AbortOnDrop(serving)))
    }
}
