//! The sections of a node in `_nodes`.
//!
//! There is no virtual machine: `jvm` is named after the program, and its heap is the memory of queries and answers, as in
//! `_nodes/stats`. What a node does not tell is 0.

use std::collections::BTreeMap;

use gleaner_model::node_stats::NodeStats;
use gleaner_query::aggregation;
use serde_json::{Map, Value, json};

use crate::request::Request;
use crate::routes::index::nested_settings;
use crate::routes::nodes::{Member, THREAD_POOLS, thread_pool};

/// How often clients may find new figures of a process and its machine, in milliseconds: as the dialect says it.
const REFRESHED_MS: u64 = 1_000;

/// The only value that the dialect has. There are no elections: leases say who is the primary of a shard.
const ELECTION_STRATEGY: &str = "supports_voting_only";

/// A node, and what is known of it.
pub(super) struct Subject<'a> {
    pub(super) request: &'a Request,
    pub(super) member: &'a Member,
    /// What it told; `None` where it did not, or was not asked.
    pub(super) told: Option<&'a NodeStats>,
}

impl Subject<'_> {
    /// Returns the sections by name; `is_flat` says how settings are shown.
    pub(super) fn sections(&self, is_flat: bool) -> Vec<(&'static str, Value)> {
        let mut sections = vec![
            ("settings", self.settings(is_flat)),
            ("os", self.os()),
            ("jvm", self.jvm()),
            ("thread_pool", thread_pools(self.told)),
            ("transport", self.transport()),
            ("plugins", json!([])),
            ("modules", json!([])),
            ("ingest", json!({"processors": []})),
            ("aggregations", aggregations()),
            ("total_indexing_buffer", self.indexing_buffer()),
        ];
        if let Some(pid) = self.pid() {
            let process = json!({
                "refresh_interval_in_millis": REFRESHED_MS,
                "id": pid,
                "mlockall": false,
            });
            sections.push(("process", process));
        }
        if let Some(address) = &self.member.http_address {
            let http = json!({
                "bound_address": [address],
                "publish_address": address,
                "max_content_length_in_bytes": self.request.app.options.max_bulk_bytes,
            });
            sections.push(("http", http));
        }
        sections
    }

    fn settings(&self, is_flat: bool) -> Value {
        let state = self.request.root().cluster().state();
        let mut flat = Map::new();
        let mut set = |key: &str, value: Value| flat.insert(key.to_owned(), value);
        set("client.type", "node".into());
        set("cluster.election.strategy", ELECTION_STRATEGY.into());
        set("cluster.name", state.cluster_name.as_str().into());
        set("http.type", "gleaner".into());
        if !is_flat {
            // No node has attributes, and an object without entries has no flat form.
            set("node.attr", json!({}));
        }
        set("node.name", self.member.name.as_str().into());
        set("node.roles", self.member.roles.into());
        set("transport.type", "grpc".into());
        match is_flat {
            true => Value::Object(flat),
            false => nested_settings(&flat),
        }
    }

    fn jvm(&self) -> Value {
        let budget = self.told.and_then(|told| told.query_memory);
        let heap_bytes = budget.unwrap_or_default().limit_bytes;
        json!({
            "pid": self.pid().unwrap_or_default(),
            "version": env!("CARGO_PKG_VERSION"),
            "vm_name": "gleaner",
            "vm_version": env!("CARGO_PKG_VERSION"),
            "vm_vendor": "gleaner",
            "bundled_jdk": false,
            "using_bundled_jdk": false,
            "start_time_in_millis": self.begun_ms(),
            "mem": {
                "heap_init_in_bytes": heap_bytes,
                "heap_max_in_bytes": heap_bytes,
                "non_heap_init_in_bytes": 0,
                "non_heap_max_in_bytes": 0,
                "direct_max_in_bytes": 0,
            },
            "gc_collectors": [],
            "memory_pools": [],
            "input_arguments": [],
        })
    }

    /// Returns when its process began, in milliseconds since 1970; 0 where it does not tell.
    fn begun_ms(&self) -> i64 {
        let Some(told) = self.told else {
            return 0;
        };
        let now_ms = self.request.root().cluster().now_ms();
        let uptime_ms = i64::try_from(told.uptime.as_millis()).unwrap_or(i64::MAX);
        now_ms.saturating_sub(uptime_ms)
    }

    fn transport(&self) -> Value {
        let address = &self.member.address;
        json!({
            "bound_address": [address],
            "publish_address": address,
            "profiles": {},
        })
    }

    /// Returns the bytes of documents that may be under way at once: they wait for nothing else to be written.
    fn indexing_buffer(&self) -> Value {
        let writes = self.told.and_then(|told| told.writes);
        writes.unwrap_or_default().limit_bytes.into()
    }

    /// Returns what it runs on: a node tells how many processors it has, and its kernel is known of this one alone.
    fn os(&self) -> Value {
        let machine = self.told.and_then(|told| told.machine);
        let num_processors = machine.map_or_else(
            || u64::from(gleaner_machine::num_processors()),
            |machine| machine.num_processors.into(),
        );
        let mut os = json!({
            "refresh_interval_in_millis": REFRESHED_MS,
            "name": std::env::consts::OS,
            "pretty_name": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
            "available_processors": num_processors,
            "allocated_processors": num_processors,
        });
        if self.is_own() {
            os["version"] = gleaner_machine::kernel_release().into();
        }
        os
    }

    fn is_own(&self) -> bool {
        self.member.name == self.request.app.options.node_name
    }

    /// Returns the number of its process, where it is known.
    fn pid(&self) -> Option<u32> {
        let process = self.told.and_then(|told| told.process);
        let own = self.is_own().then(std::process::id);
        process.map(|process| process.pid).or(own)
    }
}

/// Returns the aggregations that nodes compute. `other` is what the dialect says where the types of values are not told.
fn aggregations() -> Value {
    let kinds = aggregation::kinds().map(|kind| (kind, json!({"types": ["other"]})));
    json!(kinds.collect::<BTreeMap<_, _>>())
}

fn thread_pools(of: Option<&NodeStats>) -> Value {
    let pool = |name: &&str| {
        let pool = thread_pool(of, name).unwrap_or_default();
        let shown = json!({
            "type": "fixed",
            "size": pool.num_threads,
            // As the dialect says that there is no limit.
            "queue_size": pool.queue_capacity.map_or(json!(-1), Value::from),
        });
        ((*name).to_owned(), shown)
    };
    THREAD_POOLS.iter().map(pool).collect()
}
