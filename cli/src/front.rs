//! `gleaner front`: a process ahead of roots, or of any other HTTP service.

mod reads;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use axum::body::Body;
use gleaner_front::{BackendUrl, Front, FrontOptions, SessionKey, TrustedProxies};
use gleaner_model::Role;
use gleaner_proto::node::Readiness;
use gleaner_server::ServerOptions;
use gleaner_tls::{CertificateFiles, Connector, Trust};
use http::{Request, Response};
use ipnet::IpNet;
use tokio::sync::watch;
use tower::Service as _;

use crate::config::{LogFormat, Span};
use crate::descriptors;
use crate::exit::Exit;
use crate::logging;
use crate::node::membership::Membership;
use crate::node::{stop_asked, stopped};
use crate::serve::address::{Bound, LISTEN, PROBE_LISTEN};
use crate::serve::metrics;
use crate::tls::{NodeTls, check_exposure};

/// How often the front says whether it has a backend to forward to.
const TOLD_EVERY: Duration = Duration::from_millis(200);

/// Stand ahead of roots, or of any other HTTP service: end TLS, balance, keep sessions, survive backends.
///
/// With `--cluster` the backends are the roots of the file, and the address is that of the front's entry in it. With
/// `--backend` they are any HTTP service: `gleaner front --backend URL --cert FILE --key FILE --listen HOST:PORT`
/// encrypts a service that cannot do so itself. Certificates are exchanged when their files change.
#[derive(Debug, clap::Args)]
pub(crate) struct FrontArguments {
    /// A service to forward to, `http://HOST:PORT` or `https://HOST:PORT`; may be repeated
    #[arg(
        long = "backend",
        value_name = "URL",
        env = "GLEANER_FRONT_BACKEND",
        value_delimiter = ','
    )]
    backends: Vec<BackendUrl>,
    /// File with the table `[cluster]`: its roots are the backends
    #[arg(
        long,
        value_name = "FILE",
        env = "GLEANER_FRONT_CLUSTER",
        conflicts_with = "backends",
        required_unless_present = "backends"
    )]
    cluster: Option<PathBuf>,
    /// Name of this front in the file
    #[arg(
        long,
        value_name = "NAME",
        env = "GLEANER_NODE_NAME",
        requires = "cluster"
    )]
    node_name: Option<String>,
    /// Address to listen on [default: that of its entry, or 127.0.0.1:9200]
    #[arg(long, value_name = "HOST:PORT", env = "GLEANER_LISTEN")]
    listen: Option<String>,
    /// Address at which probes and metrics are answered, by a thread of its own [default: none]
    #[arg(long, value_name = "HOST:PORT", env = "GLEANER_PROBE_LISTEN")]
    probe_listen: Option<String>,
    /// Certificate to show, with those between it and its authority, in PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "GLEANER_TLS_CERTIFICATE",
        requires = "key"
    )]
    cert: Option<PathBuf>,
    /// Key of the certificate, in PEM
    #[arg(long, value_name = "FILE", env = "GLEANER_TLS_KEY", requires = "cert")]
    key: Option<PathBuf>,
    /// Authority whose certificates backends must show, in PEM [default: those of the system]
    #[arg(long, value_name = "FILE", env = "GLEANER_TLS_CA")]
    ca: Option<PathBuf>,
    /// Listen on an address that other machines reach without encrypting connections
    #[arg(long, env = "GLEANER_INSECURE")]
    insecure: bool,
    /// Keep the requests of a client on one backend: cookie, cookie:NAME, header:NAME or address
    #[arg(long, value_name = "KEY", env = "GLEANER_FRONT_SESSION")]
    session: Option<SessionKey>,
    /// Path at which a backend that is ready answers 200 [default: none, a connection is enough]
    #[arg(long, value_name = "PATH", env = "GLEANER_FRONT_READY_PATH")]
    ready_path: Option<String>,
    /// Networks of proxies whose word about the client's address is believed, with commas
    #[arg(
        long,
        value_name = "NETWORKS",
        env = "GLEANER_FRONT_TRUSTED_PROXIES",
        value_delimiter = ','
    )]
    trusted_proxies: Vec<IpNet>,
    /// Networks of balancers that begin connections with a PROXY header, with commas
    #[arg(
        long,
        value_name = "NETWORKS",
        env = "GLEANER_FRONT_PROXY_PROTOCOL",
        value_delimiter = ','
    )]
    proxy_protocol: Vec<IpNet>,
    /// Time for the head of an answer
    #[arg(
        long,
        value_name = "TIME",
        default_value = "300s",
        env = "GLEANER_FRONT_TIMEOUT"
    )]
    timeout: Span,
    /// Connections at once, half of the open files allowed at most
    #[arg(long, value_name = "N", default_value_t = 8_192, env = "GLEANER_MAX_CONNECTIONS", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: u32,
    /// How long it goes on as before once it is asked to stop, so that balancers come to know
    #[arg(
        long,
        value_name = "TIME",
        default_value = "0s",
        env = "GLEANER_FRONT_DRAIN_DELAY"
    )]
    drain_delay: Span,
    /// Time that open requests have to end at shutdown
    #[arg(
        long,
        value_name = "TIME",
        default_value = "30s",
        env = "GLEANER_SHUTDOWN_GRACE"
    )]
    shutdown_grace: Span,
    /// What to log: error, warn, info, debug, trace, or per module
    #[arg(
        long,
        value_name = "FILTER",
        default_value = "info",
        env = "GLEANER_LOG"
    )]
    log: String,
    /// How log lines look
    #[arg(long, value_enum, default_value_t = LogFormat::Text, env = "GLEANER_LOG_FORMAT")]
    log_format: LogFormat,
    /// Stop when standard input ends
    #[arg(long, hide = true)]
    stop_with_input: bool,
}

/// Runs the command.
pub(crate) async fn run(arguments: FrontArguments, verbosity: u8) -> Result<Exit> {
    let filter = match verbosity {
        0 => &arguments.log,
        verbosity => logging::filter_of(verbosity + 1),
    };
    logging::install(filter, arguments.log_format)?;
    descriptors::raise();
    let stop = stop_asked(arguments.stop_with_input)?;
    let metrics = metrics::install()?;
    let tls = tls(&arguments)?;
    let (options, listen) = forwarding(&arguments, tls.as_ref())?;
    let listener = Bound::take(&listen, LISTEN).await?.listen()?;
    let address = listener
        .local_addr()
        .context("the listener has no address")?;
    check_exposure(address, tls.is_some(), arguments.insecure)?;
    let _fresh = tls.as_ref().map(NodeTls::keep_fresh);
    let front = Front::start(options);
    let (tell, readiness) = watch::channel(Readiness::Ready);
    let _probes = probes(&arguments, readiness, metrics).await?;
    let telling = tokio::spawn(tell_readiness(front.clone(), tell, stop.clone()));
    let server = server_options(&arguments, tls.as_ref())?;
    tracing::info!(%address, is_encrypted = tls.is_some(), "front serving");
    let drained = async {
        stopped(stop).await;
        front.begin_drain();
        tokio::time::sleep(arguments.drain_delay.0).await;
    };
    let served = gleaner_server::serve(listener, front.clone(), &server, drained).await;
    telling.abort();
    served.context("the server failed")?;
    tracing::info!("stopped");
    Ok(Exit::Success)
}

fn tls(arguments: &FrontArguments) -> Result<Option<NodeTls>> {
    let (Some(certificate), Some(key)) = (&arguments.cert, &arguments.key) else {
        return Ok(None);
    };
    let files = CertificateFiles {
        certificate: certificate.clone(),
        key: key.clone(),
    };
    NodeTls::of_files(files, None).map(Some)
}

fn server_options(arguments: &FrontArguments, tls: Option<&NodeTls>) -> Result<ServerOptions> {
    Ok(ServerOptions {
        max_connections: descriptors::connections(arguments.max_connections as usize),
        shutdown_grace: arguments.shutdown_grace.0,
        // Those of a service that is not ours are its own.
        answers_probes: false,
        tls: tls.map(NodeTls::client_acceptor).transpose()?,
        proxy_protocol: arguments.proxy_protocol.clone(),
        ..ServerOptions::default()
    })
}

/// Returns what the front forwards to and how, and where it listens.
fn forwarding(arguments: &FrontArguments, tls: Option<&NodeTls>) -> Result<(FrontOptions, String)> {
    let mut options = FrontOptions {
        backends: arguments.backends.clone(),
        ready_path: arguments.ready_path.clone(),
        session: arguments.session.clone(),
        trusted_proxies: TrustedProxies::new(arguments.trusted_proxies.clone()),
        answer_within: arguments.timeout.0,
        ..FrontOptions::default()
    };
    let mut listen = arguments.listen.clone();
    if let Some(path) = &arguments.cluster {
        let membership = Membership::read(path)?;
        options.backends = roots(&membership, arguments.ca.is_some())?;
        options.ready_path = Some("/_health/ready".to_owned());
        options.answers_probes = true;
        options.tells_deadline = true;
        options.is_read = reads::is_read;
        let entry = arguments.node_name.as_ref().map(|name| {
            let found = membership.fronts.iter().find(|front| front.name == *name);
            found.with_context(|| format!("`{name}` is no front in `{}`", path.display()))
        });
        let of_entry = entry.transpose()?.map(|front| front.http_address.clone());
        listen = listen.or(of_entry);
    }
    if options.backends.iter().any(BackendUrl::is_encrypted) {
        options.connector = Some(connector(arguments, tls)?);
    }
    Ok((
        options,
        listen.unwrap_or_else(|| "127.0.0.1:9200".to_owned()),
    ))
}

fn connector(arguments: &FrontArguments, tls: Option<&NodeTls>) -> Result<Connector> {
    let trust = match &arguments.ca {
        Some(ca) => Trust::Authorities(ca.clone()),
        None => Trust::System,
    };
    let own = tls.map(|tls| Arc::clone(tls.certificates()));
    Ok(Connector::new(&trust, own, gleaner_tls::Alpn::Http1)?)
}

/// Returns the roots of a cluster; over TLS where their authority is given.
fn roots(membership: &Membership, is_encrypted: bool) -> Result<Vec<BackendUrl>> {
    let scheme = if is_encrypted { "https" } else { "http" };
    let mut backends = Vec::new();
    for member in membership
        .nodes
        .iter()
        .filter(|member| member.role == Role::Root)
    {
        let Some(address) = &member.http_address else {
            bail!(
                "`{}` has no `http_address`, so no front can reach it",
                member.name
            );
        };
        backends.push(format!("{scheme}://{address}").parse()?);
    }
    ensure!(
        !backends.is_empty(),
        "the cluster has no root to forward to"
    );
    Ok(backends)
}

/// Answers probes and metrics on their own address, where there is one.
async fn probes(
    arguments: &FrontArguments,
    readiness: watch::Receiver<Readiness>,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
) -> Result<Option<tokio::task::JoinHandle<()>>> {
    let Some(address) = &arguments.probe_listen else {
        return Ok(None);
    };
    let listener = Bound::take(address, PROBE_LISTEN).await?.listen()?;
    let router = gleaner_api::probes(readiness, metrics);
    let service = tower::service_fn(move |request: Request<hyper::body::Incoming>| {
        let mut router = router.clone();
        async move {
            let answer: Result<Response<Body>, std::convert::Infallible> =
                router.call(request).await;
            answer
        }
    });
    let options = ServerOptions::default();
    Ok(Some(tokio::spawn(async move {
        let never = std::future::pending();
        if let Err(error) = gleaner_server::serve_probes(listener, service, &options, never).await {
            tracing::error!(%error, "the listener of probes failed");
        }
    })))
}

/// Says whether the front is ready, whenever that changes.
async fn tell_readiness(front: Front, tell: watch::Sender<Readiness>, stop: watch::Receiver<bool>) {
    let mut looks = tokio::time::interval(TOLD_EVERY);
    loop {
        looks.tick().await;
        let reason = if *stop.borrow() {
            Some("it stops")
        } else if front.is_ready() {
            None
        } else {
            Some("no backend is ready")
        };
        let now = match reason {
            None => Readiness::Ready,
            Some(reason) => Readiness::NotReady {
                reason: reason.to_owned(),
            },
        };
        tell.send_if_modified(|known| {
            let has_changed = *known != now;
            *known = now;
            has_changed
        });
    }
}
