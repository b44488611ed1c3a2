//! `gleaner ambassador tcp`: the service broker.

use anyhow::{Context, Result, bail};
use gleaner_ambassador::{BrokerOptions, Endpoints, Target, serve_broker};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Admission, take_address};
use crate::companion::{Companion, CompanionArguments, listen_at};
use crate::config::Span;
use crate::descriptors;
use crate::exit::Exit;
use crate::feed::{Feed, FeedState};

/// Carry connections from an address of this machine to where a service is now.
///
/// The program calls the same address always; where the service is says --to:
///
///   HOST:PORT          the service itself
///   dns:HOST:PORT      the addresses of a name
///   srv:NAME           an SRV record, with its ports, priorities and weights
///   file:PATH          a file with HOST:PORT or a URL in each line
///   env:VARIABLE       a variable with HOST:PORT or a URL, such as DATABASE_URL
///   etcd://HOST:PORT[,HOST:PORT]/KEY    what stands at a key of etcd, written as in a file
///
/// New connections follow the service when it moves; several addresses share them, and one that does not take a
/// connection is passed over.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct TcpArguments {
    /// Address to listen on; one that other machines reach needs --insecure
    #[arg(long, value_name = "HOST:PORT", env = "GLEANER_LISTEN")]
    listen: String,
    /// Listen on an address that other machines reach, and let all of them use the service
    #[arg(long, env = "GLEANER_INSECURE")]
    insecure: bool,
    /// What says where the service is
    #[arg(long, value_name = "TARGET", env = "GLEANER_AMBASSADOR_TO")]
    to: String,
    /// How often a name or a file is looked at again; an answer of DNS is kept for as long as it says
    #[arg(
        long,
        value_name = "TIME",
        default_value = "2s",
        env = "GLEANER_AMBASSADOR_REFRESH"
    )]
    refresh: Span,
    /// Time that each address of the service has to take a connection
    #[arg(
        long,
        value_name = "TIME",
        default_value = "5s",
        env = "GLEANER_AMBASSADOR_TIMEOUT"
    )]
    timeout: Span,
    /// End connections to an address that the service has left; they stay otherwise
    #[arg(long, env = "GLEANER_AMBASSADOR_CLOSE_MOVED")]
    close_moved: bool,
    /// Connections at once, a quarter of the open files allowed at most; further ones wait
    #[arg(long, value_name = "N", default_value_t = 4_096, env = "GLEANER_MAX_CONNECTIONS", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: u32,
    #[command(flatten)]
    companion: CompanionArguments,
}

/// Runs the command.
pub(super) async fn run(arguments: TcpArguments, verbosity: u8) -> Result<Exit> {
    // What cannot be read is refused before anything starts.
    let source = Source::of(&arguments.to)?;
    let companion = Companion::start(&arguments.companion, "ambassador", None, verbosity).await?;
    let admission = match arguments.insecure {
        true => Admission::Anyone,
        false => Admission::ThisMachine { or: "" },
    };
    let bound = take_address(&arguments.listen, admission).await?;
    let (endpoints, following) = source.follow(&arguments).await?;
    let options = BrokerOptions {
        connect_within: arguments.timeout.0,
        closes_moved: arguments.close_moved,
        // Each is two files.
        max_connections: descriptors::connections(arguments.max_connections as usize * 2) / 2,
    };
    let listener = listen_at(bound, "service broker")?;
    let known = endpoints.clone();
    let _telling = companion.tell(move || {
        known
            .borrow()
            .is_empty()
            .then_some("it is not known where the service is")
    });
    let grace = arguments.companion.shutdown_grace.0;
    serve_broker(listener, options, endpoints, companion.stopped(), grace).await;
    following.abort();
    tracing::info!("stopped");
    Ok(Exit::Success)
}

/// What says where the service is.
enum Source {
    Target(Target),
    Etcd(Feed),
}

impl Source {
    fn of(text: &str) -> Result<Self> {
        if let Some(feed) = Feed::etcd(text)? {
            return Ok(Self::Etcd(feed));
        }
        if let Some(name) = text.strip_prefix("env:") {
            let value = std::env::var(name);
            let value = value.with_context(|| format!("`--to {text}`: the variable `{name}`"))?;
            if let Err(why) = Endpoints::parse(&value) {
                bail!("`--to {text}`: {why}");
            }
            return Ok(Self::Target(Target::Value(value)));
        }
        let target = text.parse();
        Ok(Self::Target(
            target.with_context(|| format!("`--to {text}`"))?,
        ))
    }

    async fn follow(
        self,
        arguments: &TcpArguments,
    ) -> Result<(watch::Receiver<Endpoints>, JoinHandle<()>)> {
        match self {
            Self::Target(target) => {
                let followed = target.follow(arguments.refresh.0).await;
                followed.map_err(|why| anyhow::anyhow!("`--to {}`: {why}", arguments.to))
            }
            Self::Etcd(feed) => {
                let mut states = feed.follow(arguments.refresh.0)?;
                let (found, endpoints) = watch::channel(Endpoints::default());
                let following = tokio::spawn(async move {
                    while states.changed().await.is_ok() {
                        let state = states.borrow_and_update().clone();
                        tell(&state, &found);
                    }
                });
                Ok((endpoints, following))
            }
        }
    }
}

/// Passes on where the service is; what cannot be read changes nothing.
fn tell(state: &FeedState, found: &watch::Sender<Endpoints>) {
    let text = match state {
        FeedState::Value(value) => String::from_utf8_lossy(value),
        FeedState::Absent => {
            tracing::warn!("the key is not there; what was known stays");
            return;
        }
        FeedState::Unknown => return,
    };
    match Endpoints::parse(&text) {
        Ok(endpoints) => {
            tracing::info!(addresses = ?endpoints.in_turn(), "the service is here");
            found.send_replace(endpoints);
        }
        Err(why) => tracing::warn!(why, "the value cannot be read; what was known stays"),
    }
}
