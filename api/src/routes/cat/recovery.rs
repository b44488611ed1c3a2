//! `_cat/recovery`: how each copy came to serve, or how far it is.

use gleaner_root::read::LocatedShard;

use super::{host_of, time};
use crate::render::units::date_text;
use crate::request::{Answer, Request};
use crate::response::{Cell, Column, Reply, Table};
use crate::routes::copies::{NamedCopies, everything};
use crate::routes::recovery::{Ended, Figures, wanted};

const COLUMNS: &[Column] = &[
    Column::text("index", "i,idx", "index name"),
    Column::text("shard", "s,sh", "shard name"),
    Column::text("start_time", "start", "recovery start time").on_demand(),
    Column::number(
        "start_time_millis",
        "start_millis",
        "recovery start time in epoch milliseconds",
    )
    .on_demand(),
    Column::text("stop_time", "stop", "recovery stop time").on_demand(),
    Column::number(
        "stop_time_millis",
        "stop_millis",
        "recovery stop time in epoch milliseconds",
    )
    .on_demand(),
    Column::text("time", "t,ti", "recovery time"),
    Column::text("type", "ty", "recovery type"),
    Column::text("stage", "st", "recovery stage"),
    Column::text("source_host", "shost", "source host"),
    Column::text("source_node", "snode", "source node name"),
    Column::text("target_host", "thost", "target host"),
    Column::text("target_node", "tnode", "target node name"),
    Column::text("repository", "rep", "repository"),
    Column::text("snapshot", "snap", "snapshot"),
    Column::number("files", "f", "number of files to recover"),
    Column::number("files_recovered", "fr", "files recovered"),
    Column::text("files_percent", "fp", "percent of files recovered"),
    Column::number("files_total", "tf", "total number of files"),
    Column::number("bytes", "b", "number of bytes to recover"),
    Column::number("bytes_recovered", "br", "bytes recovered"),
    Column::text("bytes_percent", "bp", "percent of bytes recovered"),
    Column::number("bytes_total", "tb", "total number of bytes"),
    Column::number("translog_ops", "to", "number of translog ops to recover"),
    Column::number("translog_ops_recovered", "tor", "translog ops recovered"),
    Column::text(
        "translog_ops_percent",
        "top",
        "percent of translog ops recovered",
    ),
];

pub(super) async fn table(request: Request) -> Answer {
    let named = NamedCopies::look_up(&request, everything()).await?;
    let copies = named.indices.iter().flat_map(|index| named.of(index));
    let copies = wanted(&request, copies)?.into_iter();
    let rows = copies.map(|(copy, figures)| row(&request, &named, copy, &figures));
    Ok(Reply::table(Table {
        columns: COLUMNS,
        rows: rows.collect(),
    }))
}

fn row(
    request: &Request,
    named: &NamedCopies,
    copy: &LocatedShard,
    figures: &Figures,
) -> Vec<Cell> {
    let (percent, num_replayed) = match figures.ended {
        Some(ended) => ("100.0%".into(), ended.num_replayed.into()),
        None => (Cell::unknown(), Cell::unknown()),
    };
    let of_times = |cell: &dyn Fn(Ended) -> Cell| figures.ended.map_or_else(Cell::unknown, cell);
    let mut others = named.states.copies.iter();
    let source = others
        .find(|other| other.state.shard == copy.state.shard && other.state.is_primary)
        .filter(|_| figures.source == "peer");
    let absent = || Cell::from("n/a");
    let moment = |ms: i64| Cell::quantity(ms.to_string(), ms as f64);
    vec![
        copy.index.name.as_str().into(),
        u64::from(copy.state.shard.shard.0).into(),
        of_times(&|ended| date_text(ended.started_ms).into()),
        of_times(&|ended| moment(ended.started_ms)),
        of_times(&|ended| date_text(ended.stopped_ms()).into()),
        of_times(&|ended| moment(ended.stopped_ms())),
        of_times(&|ended| time(ended.took_ms, &request.parameters)),
        figures.source.into(),
        figures.stage().into(),
        source.map_or_else(absent, |source| host_of(request, &source.node).into()),
        source.map_or_else(absent, |source| source.node.to_string().into()),
        host_of(request, &copy.node).into(),
        copy.node.to_string().into(),
        absent(),
        absent(),
        // Clients take these for numbers; files are not counted.
        0_u64.into(),
        0_u64.into(),
        percent.clone(),
        0_u64.into(),
        0_u64.into(),
        0_u64.into(),
        percent.clone(),
        Cell::from(figures.store_bytes),
        num_replayed.clone(),
        num_replayed,
        percent,
    ]
}
