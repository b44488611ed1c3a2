//! `_cat/indices`.

pub(super) mod columns;

use std::sync::LazyLock;

use gleaner_model::IndexMeta;
use gleaner_proto::read::ShardState;
use gleaner_query::names::{self, ExpandWildcards, ResolveOptions};
use gleaner_root::read::LocatedShard;

use self::columns::{COLUMNS, OF_PRIMARIES};
use super::figures::{figures, of_answers};
use super::row::{Places, Row};
use super::size;
use crate::cached::Counts;
use crate::parameters::Parameters;
use crate::render::units::date_text;
use crate::render::uuid_text;
use crate::request::{Answer, Request};
use crate::response::{Cell, Reply, Table};
use crate::routes::cluster::{CopiesByShard, Health, HealthLevel};
use crate::routes::stats::kept_answers;

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
    let by_shard = CopiesByShard::of(&states.copies);
    let mut rows = Vec::with_capacity(found.len());
    for found in &found {
        let health = Health::of_index(&found.meta, &by_shard).level;
        if wanted.is_none_or(|wanted| wanted == health) {
            rows.push(row(&found.meta, health, copies, &request.parameters));
        }
    }
    Ok(Reply::table(Table {
        columns: &COLUMNS,
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

/// Where the columns stand.
static PLACES: LazyLock<Places> = LazyLock::new(|| Places::of(&COLUMNS));

/// Puts what was counted under the names of all copies, or under those of primaries.
fn count(row: &mut Row, prefix: &str, copies: &[&LocatedShard], parameters: &Parameters) {
    let sum =
        |of: fn(&ShardState) -> u64| -> u64 { copies.iter().map(|copy| of(&copy.state)).sum() };
    for (name, cell) in figures(&sum, parameters) {
        row.put(&format!("{prefix}{name}"), cell);
    }
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
    let mut row = Row::beginning(&PLACES, Vec::new());
    let status = if index.is_closed { "close" } else { "open" };
    row.put("health", health.as_str());
    row.put("status", status);
    row.put("index", index.name.as_str());
    row.put("uuid", uuid_text(&index.uuid));
    row.put("pri", u64::from(index.settings.number_of_shards));
    row.put("rep", u64::from(index.settings.number_of_replicas));
    let created = Cell::quantity(index.created_ms.to_string(), index.created_ms as f64);
    row.put("creation.date", created);
    row.put("creation.date.string", date_text(index.created_ms));
    // A closed index is not asked what it holds.
    if index.is_closed {
        return row.into_cells();
    }
    let is_own = |copy: &&LocatedShard| copy.index.uuid == index.uuid;
    // Documents are counted once, work wherever it was done, unless one copy alone is asked for.
    let once: Vec<&LocatedShard> = once.iter().copied().filter(is_own).collect();
    let all: Vec<&LocatedShard> = match is_once {
        true => once.clone(),
        false => all.iter().filter(is_own).collect(),
    };
    let sum = |copies: &[&LocatedShard], of: fn(&ShardState) -> u64| -> u64 {
        copies.iter().map(|copy| of(&copy.state)).sum()
    };
    row.put("docs.count", sum(&once, |s| s.num_documents));
    row.put("docs.deleted", sum(&once, |s| s.num_deleted));
    let own_size = size(sum(&once, |s| s.store_bytes), parameters);
    let whole_size = size(sum(&all, |s| s.store_bytes), parameters);
    row.put("store.size", whole_size.clone());
    row.put("pri.store.size", own_size);
    row.put("dataset.size", whole_size);
    count(&mut row, "", &all, parameters);
    count(&mut row, OF_PRIMARIES, &once, parameters);
    // An answer is of no copy: all of them have it, and the primaries too.
    let answers = kept_answers(&once.iter().map(|copy| &copy.state), counts);
    for prefix in ["", OF_PRIMARIES] {
        for (name, cell) in of_answers(answers, parameters) {
            row.put(&format!("{prefix}{name}"), cell);
        }
    }
    row.into_cells()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gleaner_model::{IndexName, IndexUuid, NodeId, ShardKey, ShardNumber};
    use gleaner_proto::read::ShardPhase;
    use gleaner_root::read::ShardStates;

    use super::*;

    fn index() -> Arc<IndexMeta> {
        Arc::new(IndexMeta {
            settings: gleaner_model::IndexSettings::default(),
            ..IndexMeta::new(
                IndexUuid([1; 16]),
                IndexName::parse("books").expect("a good name"),
            )
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
                columns: &COLUMNS,
                rows: vec![row(&index, HealthLevel::Green, copies, &parameters)],
            };
            table.to_text(&parameters).expect("known columns")
        };
        assert_eq!(shown(false), "7 2000 2\n");
        assert_eq!(shown(true), "7 1000 1\n");
    }

    #[test]
    fn primaries_have_columns_of_their_own() {
        let index = index();
        let states = ShardStates {
            copies: vec![copy(&index, true), copy(&index, false)],
            ..ShardStates::default()
        };
        let once = states.one_each();
        let copies = Copies {
            all: &states.copies,
            once: &once,
            is_once: false,
            counts: &Counts::default(),
        };
        let query =
            "h=sc,pri.segments.count,mts,pri.bulk.avg_time,rchc,pri.request_cache.hit_count";
        let parameters = Parameters::parse(Some(query)).expect("well formed");
        let table = Table {
            columns: &COLUMNS,
            rows: vec![row(&index, HealthLevel::Green, copies, &parameters)],
        };
        let text = table.to_text(&parameters).expect("known columns");
        assert_eq!(text, "2 1 0b 0ms 0 0\n");
        let names: std::collections::HashSet<&str> =
            COLUMNS.iter().map(|column| column.name).collect();
        assert_eq!(names.len(), COLUMNS.len());
    }
}
