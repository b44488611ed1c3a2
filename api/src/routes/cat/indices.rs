//! `_cat/indices`.

use gleaner_model::IndexMeta;
use gleaner_proto::read::ShardState;
use gleaner_query::names::{self, ExpandWildcards, ResolveOptions};
use gleaner_root::read::LocatedShard;

use super::{size, time};
use crate::cached::Counts;
use crate::parameters::Parameters;
use crate::render::units::date_text;
use crate::render::uuid_text;
use crate::request::Request;
use crate::response::{Cell, Column, Reply, Table};
use crate::route::Answer;
use crate::routes::cluster::{Health, HealthLevel};
use crate::routes::stats::kept_answers;

const COLUMNS: &[Column] = &[
    Column::text("health", "h", "current health status"),
    Column::text("status", "s", "open/close status"),
    Column::text("index", "i,idx", "index name"),
    Column::text("uuid", "id,uuid", "index uuid"),
    Column::number(
        "pri",
        "p,shards.primary,shardsPrimary",
        "number of primary shards",
    ),
    Column::number(
        "rep",
        "r,shards.replica,shardsReplica",
        "number of replica shards",
    ),
    Column::number("docs.count", "dc,docsCount", "available docs"),
    Column::number("docs.deleted", "dd,docsDeleted", "deleted docs"),
    Column::text(
        "creation.date",
        "cd",
        "index creation date (millisecond value)",
    )
    .on_demand(),
    Column::text(
        "creation.date.string",
        "cds",
        "index creation date (as string)",
    )
    .on_demand(),
    Column::number(
        "store.size",
        "ss,storeSize",
        "store size of primaries & replicas",
    ),
    Column::number("pri.store.size", "", "store size of primaries"),
    Column::number("flush.total", "ft,flushTotal", "number of flushes").on_demand(),
    Column::number("get.total", "gto,getTotal", "number of get ops").on_demand(),
    Column::number(
        "indexing.index_total",
        "iito,indexingIndexTotal",
        "number of indexing ops",
    )
    .on_demand(),
    Column::number(
        "indexing.index_time",
        "iiti,indexingIndexTime",
        "time spent in indexing",
    )
    .on_demand(),
    Column::number(
        "indexing.index_failed",
        "iif,indexingIndexFailed",
        "failed indexing ops",
    )
    .on_demand(),
    Column::number(
        "indexing.delete_total",
        "idto,indexingDeleteTotal",
        "number of delete ops",
    )
    .on_demand(),
    Column::number("refresh.total", "rto,refreshTotal", "total refreshes").on_demand(),
    Column::number(
        "search.query_total",
        "sqto,searchQueryTotal",
        "total query phase ops",
    )
    .on_demand(),
    Column::number(
        "search.query_time",
        "sqti,searchQueryTime",
        "time spent in query phase",
    )
    .on_demand(),
    Column::number(
        "search.fetch_total",
        "sfto,searchFetchTotal",
        "total fetch ops",
    )
    .on_demand(),
    Column::number(
        "search.fetch_time",
        "sfti,searchFetchTime",
        "time spent in fetch phase",
    )
    .on_demand(),
    Column::number("segments.count", "sc,segmentsCount", "number of segments").on_demand(),
    Column::number(
        "request_cache.hit_count",
        "rchc,requestCacheHitCount",
        "request cache hit count",
    )
    .on_demand(),
    Column::number(
        "request_cache.miss_count",
        "rcmc,requestCacheMissCount",
        "request cache miss count",
    )
    .on_demand(),
];

pub(super) async fn table(request: Request) -> Answer {
    let wanted = request
        .parameters
        .get("health")
        .map(HealthLevel::parse)
        .transpose()?;
    // The table without names shows all that is not hidden, closed ones too.
    let defaults = ResolveOptions {
        expand_wildcards: ExpandWildcards {
            open: true,
            closed: true,
            hidden: false,
        },
        allow_closed: true,
        ..ResolveOptions::default()
    };
    let options = request.parameters.resolve_options(defaults)?;
    let expression = request.expression()?.unwrap_or_default();
    let found = names::resolve(&expression, &request.root().cluster().state(), &options)?;
    let states = request.root().reader().shard_states().await;
    let once = states.one_each();
    let copies = Copies {
        all: &states.copies,
        once: &once,
        is_once: request.parameters.is_set("pri")?,
        counts: &request.app.counts,
    };
    let mut rows = Vec::with_capacity(found.len());
    for found in &found {
        let health = Health::of_index(&found.meta, &states.copies).level;
        if wanted.is_none_or(|wanted| wanted == health) {
            rows.push(row(&found.meta, health, copies, &request.parameters));
        }
    }
    Ok(Reply::table(Table {
        columns: COLUMNS,
        rows,
    }))
}

/// The copies that a row counts.
#[derive(Clone, Copy)]
struct Copies<'a> {
    all: &'a [LocatedShard],
    /// One of each shard.
    once: &'a [&'a LocatedShard],
    /// Whether one of each shard is all that counts.
    is_once: bool,
    /// Of the answers that this node keeps.
    counts: &'a Counts,
}

fn row(
    index: &IndexMeta,
    health: HealthLevel,
    Copies {
        all,
        once,
        is_once,
        counts,
    }: Copies<'_>,
    parameters: &Parameters,
) -> Vec<Cell> {
    let is_own = |copy: &&LocatedShard| copy.index.uuid == index.uuid;
    // Documents are counted once, work wherever it was done, unless one copy alone is asked for.
    let once: Vec<&LocatedShard> = once.iter().copied().filter(is_own).collect();
    let all: Vec<&LocatedShard> = match is_once {
        true => once.clone(),
        false => all.iter().filter(is_own).collect(),
    };
    // A closed index is not asked what it holds.
    let sum = |of: fn(&ShardState) -> u64| -> Option<u64> {
        (!index.is_closed).then(|| all.iter().map(|copy| of(&copy.state)).sum())
    };
    let sum_once = |of: fn(&ShardState) -> u64| -> Option<u64> {
        (!index.is_closed).then(|| once.iter().map(|copy| of(&copy.state)).sum())
    };
    let answers = kept_answers(&once.iter().map(|copy| &copy.state), counts);
    let answers = (!index.is_closed).then_some(answers);
    let sized = |bytes: Option<u64>| -> Cell { bytes.map(|bytes| size(bytes, parameters)).into() };
    let timed = |millis: Option<u64>| -> Cell { millis.map(|ms| time(ms, parameters)).into() };
    let status = if index.is_closed { "close" } else { "open" };
    vec![
        health.as_str().into(),
        status.into(),
        index.name.as_str().into(),
        uuid_text(&index.uuid).into(),
        u64::from(index.settings.number_of_shards).into(),
        u64::from(index.settings.number_of_replicas).into(),
        sum_once(|s| s.num_documents).into(),
        sum_once(|s| s.num_deleted).into(),
        Cell::quantity(index.created_ms.to_string(), index.created_ms as f64),
        date_text(index.created_ms).into(),
        sized(sum(|s| s.store_bytes)),
        sized(sum_once(|s| s.store_bytes)),
        sum(|s| s.counters.flush_total).into(),
        sum(|s| s.counters.get_total).into(),
        sum(|s| s.counters.index_total).into(),
        timed(sum(|s| s.counters.index_time_ms)),
        sum(|s| s.counters.index_failed).into(),
        sum(|s| s.counters.delete_total).into(),
        sum(|s| s.counters.refresh_total).into(),
        sum(|s| s.counters.query_total).into(),
        timed(sum(|s| s.counters.query_time_ms)),
        sum(|s| s.counters.fetch_total).into(),
        timed(sum(|s| s.counters.fetch_time_ms)),
        sum(|s| s.num_segments).into(),
        answers.map(|answers| answers.hits).into(),
        answers.map(|answers| answers.misses).into(),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use gleaner_model::{IndexName, IndexUuid, NodeId, ShardKey, ShardNumber};
    use gleaner_proto::read::ShardPhase;
    use gleaner_root::read::ShardStates;

    use super::*;

    fn index() -> Arc<IndexMeta> {
        Arc::new(IndexMeta {
            uuid: IndexUuid([1; 16]),
            name: IndexName::parse("books").expect("a good name"),
            created_ms: 0,
            settings: gleaner_model::IndexSettings::default(),
            mapping: Arc::default(),
            aliases: BTreeMap::new(),
            primary_terms: Vec::new(),
            copies: Vec::new(),
            is_closed: false,
            rolled_over_ms: None,
        })
    }

    fn copy(index: &Arc<IndexMeta>, is_primary: bool) -> LocatedShard {
        let shard = ShardKey {
            index: index.uuid,
            shard: ShardNumber(0),
        };
        let state = ShardState {
            num_documents: 7,
            num_segments: 1,
            store_bytes: 1_000,
            ..ShardState::empty(shard, is_primary, ShardPhase::Started)
        };
        LocatedShard {
            index: Arc::clone(index),
            node: NodeId("leaf".into()),
            state,
        }
    }

    #[test]
    fn primaries_alone_are_counted_when_that_is_asked() {
        let index = index();
        let states = ShardStates {
            copies: vec![copy(&index, true), copy(&index, false)],
            ..ShardStates::default()
        };
        let once = states.one_each();
        let shown = |is_once: bool| {
            let copies = Copies {
                all: &states.copies,
                once: &once,
                is_once,
                counts: &Counts::default(),
            };
            let query = "h=docs.count,store.size,segments.count&bytes=b";
            let parameters = Parameters::parse(Some(query)).expect("well formed");
            let table = Table {
                columns: COLUMNS,
                rows: vec![row(&index, HealthLevel::Green, copies, &parameters)],
            };
            table.to_text(&parameters).expect("known columns")
        };
        assert_eq!(shown(false), "7 2000 2\n");
        assert_eq!(shown(true), "7 1000 1\n");
    }
}
