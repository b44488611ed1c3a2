//! `gleaner front`: a process ahead of roots, or of any other HTTP service.

mod arguments;
mod kept;
mod limits;
mod reads;
mod rules;
mod split;
mod strict;
mod telemetry;
mod visitors;

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use gleaner_api::ApiOptions;
use gleaner_front::{BackendUrl, Front, FrontOptions, TrustedProxies};
use gleaner_model::{PeerRole, Role};
use gleaner_server::ServerOptions;
use gleaner_tls::{Alpn, CertificateFiles, Connector, ExpectedServer, Trust};

use crate::companion::{AbortOnDrop, Companion};
use crate::descriptors;
use crate::exit::Exit;
use crate::exposure::{Door, Opening};
use crate::node::membership::{ClusterFile, Membership};
use crate::node::state::Calls;
use crate::overflow;
use crate::serve::address::{ADMIN_LISTEN, Bound, LISTEN};
use crate::serve::edge::{guard_of_keepers, guard_of_roots};
use crate::tls::{Dialling, NodeTls};
pub(crate) use arguments::FrontArguments;
use kept::{CacheRoom, FrontCache};
use rules::RulesFile;

/// Runs the command.
pub(crate) async fn run(arguments: FrontArguments, verbosity: u8) -> Result<Exit> {
    let name = arguments.node_name.as_deref();
    let companion = Companion::start(&arguments.companion, "front", name, verbosity).await?;
    let telemetry = arguments.telemetry.start(name)?;
    let tls = tls(&arguments)?;
    let rules = arguments.split.rules_file()?;
    let (options, listen) = forwarding(&arguments, tls.as_ref(), rules.as_ref())?;
    let listener = Bound::take(&listen, LISTEN).await?.listen()?;
    let address = listener
        .local_addr()
        .context("the listener has no address")?;
    Opening {
        door: Door::Front,
        is_encrypted: tls.is_some(),
        leaves_out_keys: false,
        is_meant: arguments.insecure,
    }
    .check(address)?;
    let _fresh = tls.as_ref().map(NodeTls::keep_fresh);
    let kept = front_cache(&arguments, tls.as_ref())?;
    let visitors = kept.as_ref().map(|kept| Arc::clone(&kept.visitors));
    let options = FrontOptions {
        kept: kept.as_ref().and_then(|kept| kept.answers.clone()),
        control: Some(arguments.limits.control(num_fronts(&arguments)?, visitors)),
        ..options
    };
    let front = Front::checked(options)?;
    let following = rules.map(|rules| rules.follow(front.clone()));
    let _following = following.transpose()?;
    let _admin = admin(&arguments, &front).await?;
    let asked = front.clone();
    let _telling = companion.tell(move || (!asked.is_ready()).then_some("no backend is ready"));
    let server = ServerOptions {
        access_log: Some(telemetry.access_log()),
        ..server_options(&arguments, tls.as_ref())?
    };
    tracing::info!(%address, is_encrypted = tls.is_some(), "front serving");
    let _redirect = arguments.strict.redirect(address).await?;
    let drained = async {
        companion.stopped().await;
        front.begin_drain();
        tokio::time::sleep(arguments.drain_delay.0).await;
    };
    let served = gleaner_server::serve(listener, front.clone(), &server, drained).await;
    if let Some(kept) = kept {
        kept.leave().await;
    }
    telemetry.end().await;
    served.context("the server failed")?;
    tracing::info!("stopped");
    Ok(Exit::Success)
}

/// Serves what those who look after the front see and change, where they have an address.
async fn admin(arguments: &FrontArguments, front: &Front) -> Result<Option<AbortOnDrop>> {
    let address = &arguments.split.admin_listen;
    if address.is_empty() {
        return Ok(None);
    }
    let listener = Bound::take(address, ADMIN_LISTEN).await?.listen()?;
    let address = listener
        .local_addr()
        .context("the listener has no address")?;
    split::check_admin(address, arguments.insecure)?;
    tracing::info!(%address, "rules and the shadow are shown");
    // A page that a browser shows may know the address too.
    let guard = guard_of_keepers(&arguments.split.admin_listen, &arguments.allowed_hosts);
    let options = ApiOptions {
        server: ServerOptions {
            answers_probes: false,
            ..ServerOptions::default()
        },
        guard: Arc::new(guard),
        ..ApiOptions::default()
    };
    let admin = front.admin();
    let serving = tokio::spawn(async move {
        let served = gleaner_api::serve(listener, admin, &options, std::future::pending());
        if let Err(error) = served.await {
            tracing::error!(%error, "the server of rules and the shadow failed");
        }
    });
    Ok(Some(AbortOnDrop(serving)))
}

/// Returns how many fronts share the limits: those of the file.
fn num_fronts(arguments: &FrontArguments) -> Result<usize> {
    let path = arguments.cluster.as_ref();
    let fronts = path.map(|path| Ok(ClusterFile::read(path)?.membership.fronts.len()));
    fronts.unwrap_or(Ok(1))
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
        shutdown_grace: arguments.companion.shutdown_grace.0,
        // Those of a service that is not ours are its own.
        answers_probes: false,
        tls: tls.map(NodeTls::client_acceptor).transpose()?,
        proxy_protocol: arguments.proxy_protocol.clone(),
        ..ServerOptions::default()
    })
}

/// Returns what the front forwards to and how, and where it listens.
fn forwarding(
    arguments: &FrontArguments,
    tls: Option<&NodeTls>,
    rules: Option<&RulesFile>,
) -> Result<(FrontOptions, String)> {
    arguments.check_times()?;
    let name = arguments.node_name.as_deref();
    let mut options = FrontOptions {
        backends: arguments.backends.clone(),
        ready_path: arguments.ready_path.clone(),
        session: arguments.session.clone(),
        trusted_proxies: TrustedProxies::new(arguments.trusted_proxies.clone()),
        answer_within: arguments.timeout.0,
        body_grace: arguments.body_grace.0,
        backend_idle: arguments.backend_idle.0,
        split: arguments.split.split(rules, name)?,
        shadow: arguments.split.shadow(),
        strict_transport: arguments.strict.strict_transport.map(|span| span.0),
        ..FrontOptions::default()
    };
    let mut listen = arguments.listen.clone();
    if let Some(path) = &arguments.cluster {
        let membership = ClusterFile::read(path)?.membership;
        options.backends = roots(&membership, arguments.ca.is_some())?;
        options.ready_path = Some("/_health/ready".to_owned());
        options.answers_probes = true;
        options.tells_deadline = true;
        options.is_read = reads::is_read;
        options.same_work = reads::same_work;
        options.binding = Some(Arc::new(reads::RootNames::of(&membership)));
        let entry = arguments.node_name.as_ref().map(|name| {
            let found = membership.fronts.iter().find(|front| front.name == *name);
            found.with_context(|| format!("`{name}` is no front in `{}`", path.display()))
        });
        let of_entry = entry.transpose()?.map(|front| front.http_address.clone());
        listen = listen.or(of_entry);
    }
    let services = options.backends.iter().chain(arguments.split.services());
    let is_encrypted = services.into_iter().any(BackendUrl::is_encrypted);
    if is_encrypted {
        options.connector = Some(connector(arguments, tls, ExpectedServer::ForClients)?);
        if arguments.cluster.is_some() {
            let root = ExpectedServer::Node {
                role: PeerRole::Root,
                cluster: tls.and_then(NodeTls::cluster),
            };
            options.backend_connector = Some(connector(arguments, tls, root)?);
        }
    }
    Ok((
        options,
        listen.unwrap_or_else(|| "127.0.0.1:9200".to_owned()),
    ))
}

/// Returns what keeps the answers of a cluster; `None` ahead of other services, and where the nodes of the cluster ask
/// for certificates and there is none to show.
fn front_cache(arguments: &FrontArguments, tls: Option<&NodeTls>) -> Result<Option<FrontCache>> {
    let Some(path) = &arguments.cluster else {
        return Ok(None);
    };
    let dialling = match (tls, &arguments.ca) {
        (Some(tls), Some(ca)) => {
            let between = tls.with_peers(ca.clone()).between_nodes()?;
            between.map(|nodes| nodes.dialling)
        }
        (None, Some(_)) => {
            tracing::warn!(
                "no answers are kept and no keys are known: without `--cert` the nodes of the cluster do not know this front"
            );
            None
        }
        (_, None) => Some(Dialling::default()),
    };
    let Some(dialling) = dialling else {
        return Ok(None);
    };
    let calls = Calls {
        dialling,
        is_encrypted: arguments.ca.is_some(),
    };
    let password = arguments.cache_overflow_password_file.as_deref();
    let beyond = arguments.cache_overflow.clone();
    let beyond = beyond.map(|url| overflow::beyond(url, password));
    let room = CacheRoom {
        memory_bytes: arguments.cache_memory.0,
        beyond: beyond.transpose()?,
        security_max_age: arguments.security_max_age.0,
    };
    let file = ClusterFile::read(path)?;
    let guard = guard_of_roots(&file.membership, &arguments.allowed_hosts);
    FrontCache::start(&file, &calls, room, guard).map(Some)
}

fn connector(
    arguments: &FrontArguments,
    tls: Option<&NodeTls>,
    expected: ExpectedServer,
) -> Result<Connector> {
    let trust = match &arguments.ca {
        Some(ca) => Trust::Authorities(ca.clone()),
        None => Trust::System,
    };
    let own = tls.map(|tls| Arc::clone(tls.certificates()));
    Ok(Connector::expecting(expected, &trust, own, Alpn::Http1)?)
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
