//! The configuration of `gleaner serve`: flags over environment over file over defaults.
//!
//! A setting has one name everywhere: `search_threads` in the file, `--search-threads` as a flag,
//! `GLEANER_SEARCH_THREADS` in the environment. The layers are tables that are laid over each other,
//! so no setting can be forgotten in between; keys that nobody knows are refused.

mod flags;
mod units;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use gleaner_ambassador::RedisUrl;
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::node::membership::{Membership, check_names_etcd};
use crate::telemetry::TRACE_SHARE;

pub(crate) use flags::Flags;
pub(crate) use units::{Allowance, ByteSize, Span};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// One line a message, for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Whose dialect the server says it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Distribution {
    /// What elasticsearch-py and its kin expect.
    Elasticsearch,
    /// What opensearch-py and its kin expect.
    Opensearch,
}

/// Longest lease that a leaf may give: what roots believe in, too.
const LONGEST_LEASE: std::time::Duration = std::time::Duration::from_secs(3);

/// Most replicas of an index, as `index.number_of_replicas` bounds them.
const MOST_REPLICAS: u32 = 1_024;

/// Most threads that evaluate queries: more than any machine has cores, and few enough to be started.
const MOST_THREADS: usize = 1_024;

/// Least memory of searches, of one or all: with less hardly any finds room.
const LEAST_MEMORY: ByteSize = ByteSize(64 << 10);

/// Least time for which keys are taken after the cluster state was last heard of. Etcd is asked for a sign of life every
/// 5 s and gives it within 1 s: with less, requests to a quiet cluster would be refused again and again.
const LEAST_SECURITY_MAX_AGE: Span = Span(std::time::Duration::from_secs(7));

/// Every setting of a server, resolved. Meanings and units stand at the flags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) data: PathBuf,
    pub(crate) listen: String,
    /// Empty: the address that is listened on.
    pub(crate) publish_address: String,
    pub(crate) probe_listen: String,
    pub(crate) secure: bool,
    pub(crate) no_keys: bool,
    pub(crate) insecure: bool,
    /// Empty: none.
    pub(crate) tls_certificate: PathBuf,
    pub(crate) tls_key: PathBuf,
    pub(crate) tls_ca: PathBuf,
    pub(crate) security_max_age: Span,
    pub(crate) allowed_hosts: String,
    pub(crate) reindex_remote_whitelist: String,
    pub(crate) cluster_name: String,
    pub(crate) node_name: String,
    pub(crate) distribution: Distribution,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    /// Empty: none; `-`: standard output.
    pub(crate) access_log: PathBuf,
    /// Empty: with the other lines.
    pub(crate) slow_log: PathBuf,
    /// Empty: no spans are exported.
    pub(crate) otlp_endpoint: String,
    pub(crate) trace_share: f64,
    pub(crate) auto_create_index: bool,
    pub(crate) default_replicas: u32,
    pub(crate) search_timeout: Span,
    pub(crate) hedge_share: f64,
    pub(crate) choose_copies: bool,
    /// 0: one per core.
    pub(crate) search_threads: usize,
    pub(crate) search_queue: usize,
    pub(crate) search_lease: Span,
    pub(crate) search_lease_after: Span,
    pub(crate) query_memory: ByteSize,
    pub(crate) memory_per_query: ByteSize,
    pub(crate) filter_cache: ByteSize,
    pub(crate) document_cache: ByteSize,
    /// 0: no answers are kept.
    pub(crate) cache_memory: ByteSize,
    pub(crate) cache_entry: ByteSize,
    /// Empty: answers that fall out of memory are dropped.
    pub(crate) cache_overflow: String,
    /// Empty: none.
    pub(crate) cache_overflow_password_file: PathBuf,
    pub(crate) term_lists_memory: ByteSize,
    pub(crate) term_lists_cache: ByteSize,
    pub(crate) indexing_memory: ByteSize,
    pub(crate) write_queue: ByteSize,
    pub(crate) flush_operations: u64,
    pub(crate) flush_interval: Span,
    pub(crate) verify_at_opening: bool,
    /// Bytes a second; 0: files of open copies are not checked.
    pub(crate) scrub_rate: ByteSize,
    pub(crate) flood_stage: f64,
    pub(crate) high_watermark: f64,
    pub(crate) max_line: ByteSize,
    pub(crate) max_bulk: ByteSize,
    pub(crate) max_body: ByteSize,
    pub(crate) body_memory: ByteSize,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_address: usize,
    pub(crate) max_rpc_connections: usize,
    pub(crate) write_timeout: Span,
    pub(crate) http_cors_enabled: bool,
    pub(crate) http_cors_allow_origin: String,
    pub(crate) http_cors_allow_methods: String,
    pub(crate) http_cors_allow_headers: String,
    pub(crate) http_cors_expose_headers: String,
    pub(crate) http_cors_allow_credentials: bool,
    pub(crate) http_cors_max_age: u64,
    pub(crate) shutdown_grace: Span,
}

impl Default for Config {
    fn default() -> Self {
        let seconds = |number| Span(std::time::Duration::from_secs(number));
        Self {
            data: "gleaner-data".into(),
            listen: "127.0.0.1:9200".to_owned(),
            publish_address: String::new(),
            probe_listen: String::new(),
            secure: false,
            no_keys: false,
            insecure: false,
            tls_certificate: PathBuf::new(),
            tls_key: PathBuf::new(),
            tls_ca: PathBuf::new(),
            security_max_age: seconds(300),
            allowed_hosts: String::new(),
            reindex_remote_whitelist: String::new(),
            cluster_name: "gleaner".to_owned(),
            node_name: "gleaner-1".to_owned(),
            distribution: Distribution::Elasticsearch,
            // The engine's library tells of every merge at `info`.
            log: "info,tantivy=warn".to_owned(),
            log_format: LogFormat::Text,
            access_log: PathBuf::new(),
            slow_log: PathBuf::new(),
            otlp_endpoint: String::new(),
            trace_share: TRACE_SHARE,
            auto_create_index: true,
            default_replicas: 1,
            search_timeout: seconds(60),
            hedge_share: 0.05,
            choose_copies: true,
            search_threads: 0,
            search_queue: 1_000,
            search_lease: Span(std::time::Duration::from_millis(500)),
            search_lease_after: seconds(30),
            query_memory: ByteSize(1 << 30),
            memory_per_query: ByteSize(256 << 20),
            filter_cache: ByteSize(128 << 20),
            document_cache: ByteSize(64 << 20),
            cache_memory: ByteSize(256 << 20),
            cache_entry: ByteSize(1 << 20),
            cache_overflow: String::new(),
            cache_overflow_password_file: PathBuf::new(),
            term_lists_memory: ByteSize(1 << 30),
            term_lists_cache: ByteSize(64 << 20),
            indexing_memory: ByteSize(128 << 20),
            write_queue: ByteSize(512 << 20),
            flush_operations: 500_000,
            flush_interval: seconds(60),
            verify_at_opening: true,
            scrub_rate: ByteSize(8 << 20),
            flood_stage: 0.95,
            high_watermark: 0.90,
            max_line: ByteSize(4 << 10),
            max_bulk: ByteSize(100 << 20),
            max_body: ByteSize(32 << 20),
            body_memory: ByteSize(1 << 30),
            max_connections: 8_192,
            max_connections_per_address: 0,
            max_rpc_connections: gleaner_proto::MAX_CONNECTIONS,
            write_timeout: seconds(30),
            http_cors_enabled: false,
            http_cors_allow_origin: String::new(),
            http_cors_allow_methods: "OPTIONS,HEAD,GET,POST,PUT,DELETE".to_owned(),
            http_cors_allow_headers: "X-Requested-With,Content-Type,Content-Length,Authorization,Accept,User-Agent,X-Elastic-Client-Meta"
                .to_owned(),
            http_cors_expose_headers: "X-elastic-product".to_owned(),
            http_cors_allow_credentials: false,
            http_cors_max_age: 1_728_000,
            shutdown_grace: seconds(30),
        }
    }
}

impl Config {
    /// Lays flags (which hold the environment's values too) over the file over the defaults.
    ///
    /// # Errors
    /// A file that cannot be read, a key that nobody knows, a value that means nothing.
    pub(crate) fn resolve(flags: &Flags, file: Option<&Path>) -> Result<Self> {
        let mut table = match file {
            Some(path) => read(path).with_context(|| format!("in `{}`", path.display()))?,
            None => Table::new(),
        };
        table.extend(Table::try_from(flags).context("cannot lay flags over the file")?);
        let config: Self = table.try_into()?;
        config.check()?;
        Ok(config)
    }

    /// As [`Self::resolve`], from the file of a cluster's member: its table `[cluster]` is returned
    /// apart. Where nothing else says so, the member listens at the `http_address` of its entry there.
    ///
    /// # Errors
    /// As [`Self::resolve`], and when the file has no such table.
    pub(crate) fn resolve_member(flags: &Flags, file: &Path) -> Result<(Self, Membership)> {
        let in_file = || format!("in `{}`", file.display());
        let text = std::fs::read_to_string(file).context("cannot read the configuration");
        let mut table: Table =
            toml::from_str(&text.with_context(in_file)?).with_context(in_file)?;
        let cluster = table
            .remove("cluster")
            .context("there is no table `[cluster]` that names the members")
            .with_context(in_file)?;
        check_names_etcd(&cluster).with_context(in_file)?;
        let membership: Membership = cluster.try_into().with_context(in_file)?;
        // What is wrong in the file is told before flags hide where it came from.
        table.clone().try_into::<Self>().with_context(in_file)?;
        table.extend(Table::try_from(flags).context("cannot lay flags over the file")?);
        let says_listen = table.contains_key("listen");
        let mut config: Self = table.try_into()?;
        let mut members = membership.nodes.iter();
        let entry = members.find(|member| member.name == config.node_name);
        let of_entry = entry.and_then(|member| member.http_address.as_ref());
        if let Some(address) = of_entry.filter(|_| !says_listen) {
            config.listen.clone_from(address);
        }
        config.check()?;
        Ok((config, membership))
    }

    /// Writes the configuration as the file that would give it.
    pub(crate) fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }

    /// Checks how large requests may be.
    fn check_sizes(&self) -> Result<()> {
        ensure!(
            self.max_line.0 >= 128,
            "`max_line` is {}, wanted 128b and more: hardly a request would fit",
            self.max_line
        );
        ensure!(
            self.max_bulk.0 > 0 && self.max_body.0 > 0,
            "`max_bulk` and `max_body` are {} and {}, wanted more than 0b: no request would fit",
            self.max_bulk,
            self.max_body
        );
        ensure!(
            self.body_memory.0 > 0,
            "`body_memory` is 0b: no request with a body could be read"
        );
        Ok(())
    }

    fn check(&self) -> Result<()> {
        self.check_security()?;
        let (flood, high) = (self.flood_stage, self.high_watermark);
        ensure!(
            0.0 < high && high <= flood && flood <= 1.0,
            "wanted 0 < high_watermark <= flood_stage <= 1, saw {high} and {flood}"
        );
        check_share("hedge_share", self.hedge_share)?;
        check_share("trace_share", self.trace_share)?;
        self.overflow_url()?;
        ensure!(
            !self.search_timeout.0.is_zero(),
            "`search_timeout` is 0: no search could end; -1 is without limit"
        );
        self.check_sizes()?;
        for (name, memory) in [
            ("query_memory", self.query_memory),
            ("memory_per_query", self.memory_per_query),
            ("term_lists_memory", self.term_lists_memory),
        ] {
            ensure!(
                memory.0 >= LEAST_MEMORY.0,
                "`{name}` is {memory}, wanted {LEAST_MEMORY} or more: searches would find no room"
            );
        }
        ensure!(
            self.flush_operations > 0,
            "`flush_operations` is 0: shards would commit without end"
        );
        ensure!(
            self.search_threads <= MOST_THREADS,
            "`search_threads` is {}, wanted {MOST_THREADS} at most: all are started at once",
            self.search_threads
        );
        ensure!(
            self.search_queue > 0,
            "`search_queue` is 0: no search could wait"
        );
        ensure!(
            self.max_connections > 0,
            "`max_connections` is 0: nobody could connect"
        );
        ensure!(
            self.max_rpc_connections > 0,
            "`max_rpc_connections` is 0: no other node could connect"
        );
        ensure!(
            !self.write_timeout.0.is_zero(),
            "`write_timeout` is 0: no answer could be sent; -1 is without limit"
        );
        ensure!(
            !self.http_cors_enabled || !self.http_cors_allow_origin.trim().is_empty(),
            "`http_cors_enabled` is true and `http_cors_allow_origin` names no origin"
        );
        ensure!(
            self.default_replicas <= MOST_REPLICAS,
            "`default_replicas` is {}, wanted 0 to {MOST_REPLICAS}",
            self.default_replicas
        );
        ensure!(
            self.search_lease.0 <= LONGEST_LEASE,
            "`search_lease` is {}, wanted 3s at most: refreshes wait for it",
            self.search_lease
        );
        ensure!(
            self.indexing_memory.0 >= 20_000_000,
            "`indexing_memory` is {}, writers need 20000000b at least",
            self.indexing_memory
        );
        Ok(())
    }
}

impl Config {
    /// Must clients show API keys as soon as this node serves?
    pub(crate) fn requires_keys(&self) -> bool {
        self.secure && !self.no_keys
    }

    /// Does the data folder hold what other users of the machine must not read?
    pub(crate) fn holds_secrets(&self) -> bool {
        self.secure || !self.tls_certificate.as_os_str().is_empty()
    }

    /// Returns where answers go that fall out of the memory of the cache; `None`: nowhere.
    ///
    /// # Errors
    /// What is no address.
    pub(crate) fn overflow_url(&self) -> Result<Option<RedisUrl>> {
        let url = Some(&self.cache_overflow).filter(|url| !url.is_empty());
        let url = url.map(|url| {
            url.parse()
                .with_context(|| format!("`cache_overflow` is `{url}`"))
        });
        url.transpose()
    }

    fn check_security(&self) -> Result<()> {
        check_security_max_age("security_max_age", self.security_max_age)?;
        self.check_tls()
    }

    fn check_tls(&self) -> Result<()> {
        let is_given = |path: &PathBuf| !path.as_os_str().is_empty();
        let has_certificate = is_given(&self.tls_certificate);
        ensure!(
            has_certificate == is_given(&self.tls_key),
            "`tls_certificate` and `tls_key` go together, and one of them is missing"
        );
        ensure!(
            has_certificate || !is_given(&self.tls_ca),
            "`tls_ca` says whose certificates other nodes must show, and this one has none: set \
             `tls_certificate` and `tls_key`"
        );
        ensure!(
            self.secure || !self.no_keys,
            "`no_keys` says what to leave out of `secure`, and that is not set"
        );
        ensure!(
            !self.insecure || self.no_keys || !(self.secure || has_certificate),
            "`insecure` is for connections that are not encrypted; `secure` and `tls_certificate` encrypt them"
        );
        Ok(())
    }
}

/// Refuses a share that is none.
///
/// # Errors
/// A number that is not between 0 and 1.
pub(crate) fn check_share(name: &str, share: f64) -> Result<()> {
    ensure!(
        (0.0..=1.0).contains(&share),
        "`{name}` is {share}, wanted 0 to 1"
    );
    Ok(())
}

/// Refuses a time in which a quiet cluster may give no sign of life.
///
/// # Errors
/// A time that is too short, by the name of its setting.
pub(crate) fn check_security_max_age(name: &str, age: Span) -> Result<()> {
    ensure!(
        age.0 >= LEAST_SECURITY_MAX_AGE.0,
        "`{name}` is {age}, wanted {LEAST_SECURITY_MAX_AGE} or more, or -1 for no limit: a quiet cluster gives a sign of \
         life every 6 s"
    );
    Ok(())
}

/// Reads a file, and refuses what is wrong in it before other layers hide where it came from.
fn read(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path).context("cannot read the configuration")?;
    let table: Table = toml::from_str(&text)?;
    ensure!(
        !table.contains_key("cluster"),
        "a table `[cluster]` names members of a cluster: start them with `gleaner leaf` or `gleaner \
         root`, and a server in one process without this file (`--config`, GLEANER_CONFIG)"
    );
    toml::from_str::<Config>(&text)?;
    Ok(table)
}

#[cfg(test)]
mod tests;
