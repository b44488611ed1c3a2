//! `_cat/nodes` and `_cat/master`.

use std::sync::LazyLock;

use gleaner_model::NodeId;
use gleaner_model::node_stats::{NodeStats, percent};
use gleaner_proto::read::ShardState;
use gleaner_root::read::{LocatedShard, ShardStates};

use super::figures::{figures, of_answers};
use super::indices::columns::{OF_COPIES, of_all};
use super::row::{Places, Row};
use super::{size, time};
use crate::parameters::Parameters;
use crate::request::{Answer, Request};
use crate::response::{Cell, Column, Reply, Table};
use crate::routes::address::split;
use crate::routes::nodes::{Member, Reports, members, members_except};
use crate::routes::stats::kept_answers;

/// What a node is and uses: as the dialect names it, with its short names.
const OF_NODE: &[Column] = &[
    Column::text("id", "nodeId", "unique node id").on_demand(),
    Column::text("pid", "p", "process id").on_demand(),
    Column::text("ip", "i", "ip address"),
    Column::text("port", "po", "bound port").on_demand(),
    Column::text("http_address", "http", "bound http address").on_demand(),
    Column::text("version", "v", "dialect version").on_demand(),
    Column::text("flavor", "f", "distribution flavor").on_demand(),
    Column::text("type", "t", "distribution type").on_demand(),
    Column::text("build", "b", "gleaner version").on_demand(),
    Column::text("jdk", "j", "there is none").on_demand(),
    Column::number("disk.total", "dt,diskTotal", "total disk space").on_demand(),
    Column::number("disk.used", "du,diskUsed", "used disk space").on_demand(),
    Column::number(
        "disk.avail",
        "d,da,disk,diskAvail",
        "disk space available to gleaner",
    )
    .on_demand(),
    Column::number(
        "disk.used_percent",
        "dup,diskUsedPercent",
        "used disk space percentage",
    )
    .on_demand(),
    Column::number(
        "heap.current",
        "hc,heapCurrent",
        "memory held by queries and answers",
    )
    .on_demand(),
    Column::number(
        "heap.percent",
        "hp,heapPercent",
        "share of query_memory that is held",
    ),
    Column::number("heap.max", "hm,heapMax", "query_memory").on_demand(),
    Column::number("ram.current", "rc,ramCurrent", "used machine memory").on_demand(),
    Column::number("ram.percent", "rp,ramPercent", "used machine memory ratio"),
    Column::number("ram.max", "rn,rm,ramMax", "total machine memory").on_demand(),
    Column::number(
        "file_desc.current",
        "fdc,fileDescriptorCurrent",
        "used file descriptors",
    )
    .on_demand(),
    Column::number(
        "file_desc.percent",
        "fdp,fileDescriptorPercent",
        "used file descriptor ratio",
    )
    .on_demand(),
    Column::number(
        "file_desc.max",
        "fdm,fileDescriptorMax",
        "max file descriptors",
    )
    .on_demand(),
    Column::number("cpu", "", "recent cpu usage of the machine, percent"),
    Column::number("load_1m", "l", "1m load avg"),
    Column::number("load_5m", "l", "5m load avg"),
    Column::number("load_15m", "l", "15m load avg"),
    Column::number("available_processors", "ap", "number of processors").on_demand(),
    Column::number("uptime", "u", "node uptime").on_demand(),
    Column::text(
        "node.role",
        "r,role,nodeRole",
        "d:data node, i:ingest node, m:master eligible",
    ),
    Column::text("master", "m", "*:current master"),
    Column::text("name", "n", "node name"),
];

/// Figures of a cache that other tables leave out.
const OF_CACHE: &[Column] = &[
    Column::number(
        "query_cache.hit_count",
        "qchc,queryCacheHitCount",
        "query cache hit counts",
    )
    .on_demand(),
    Column::number(
        "query_cache.miss_count",
        "qcmc,queryCacheMissCount",
        "query cache miss counts",
    )
    .on_demand(),
];

const NUM_COLUMNS: usize = OF_NODE.len() + OF_COPIES.len() + OF_CACHE.len();

/// In their order: those of the node, then what its copies have counted.
static NODES: [Column; NUM_COLUMNS] = columns();

const fn columns() -> [Column; NUM_COLUMNS] {
    let mut columns = [OF_NODE[0]; NUM_COLUMNS];
    let mut at = 0;
    while at < NUM_COLUMNS {
        columns[at] = if at < OF_NODE.len() {
            OF_NODE[at]
        } else if at < OF_NODE.len() + OF_COPIES.len() {
            of_all(OF_COPIES[at - OF_NODE.len()])
        } else {
            OF_CACHE[at - OF_NODE.len() - OF_COPIES.len()]
        };
        at += 1;
    }
    columns
}

/// Where they stand.
static PLACES: LazyLock<Places> = LazyLock::new(|| Places::of(&NODES));

const MASTER: &[Column] = &[
    Column::text("id", "", "node id"),
    Column::text("host", "h", "host name"),
    Column::text("ip", "", "ip address"),
    Column::text("node", "n", "node name"),
];

/// Length of a node's id unless the whole one is asked for.
const SHORT_ID: usize = 4;

/// Returns the first letters of its roles.
pub(super) fn letters(member: &Member) -> String {
    let roles = member.roles.iter();
    roles.filter_map(|role| role.chars().next()).collect()
}

/// Returns the host of a node.
pub(super) fn host_of(request: &Request, node: &NodeId) -> String {
    let cluster = request.root().cluster();
    let state = cluster.state();
    let meta = state.nodes.get(node);
    let address = meta.map(|meta| cluster.address_of(node, meta));
    split(
        address
            .as_ref()
            .unwrap_or(&request.app.options.publish_address),
    )
    .0
    .to_owned()
}

/// Asks the leaves what their copies have counted, where columns are chosen: by default none of those is shown.
async fn copies_where_asked(request: &Request) -> ShardStates {
    match request.parameters.get("h") {
        Some(_) => request.root().reader().shard_states().await,
        None => ShardStates::default(),
    }
}

/// Each leaf tells its own figures; those of one that does not are unknown.
pub(super) async fn nodes(request: Request) -> Answer {
    let is_full = request.parameters.is_set("full_id").unwrap_or(false);
    let (states, reports) = tokio::join!(copies_where_asked(&request), Reports::gather(&request));
    let members = members_except(&request, &reports.gone());
    let master = members.iter().position(Member::is_eligible);
    let rows = members.iter().enumerate().map(|(at, member)| {
        let figures = Figures {
            of: reports.of(member),
            parameters: &request.parameters,
        };
        let id = match is_full {
            true => member.id.clone(),
            false => member.id.chars().take(SHORT_ID).collect(),
        };
        let (host, port) = split(&member.address);
        let mut row: Vec<Cell> = vec![
            id.into(),
            figures.number(|of| Some(of.process?.pid.into())),
            host.into(),
            port.into(),
            member.http_address.as_deref().unwrap_or("-").into(),
            request.app.options.distribution.version().into(),
            "default".into(),
            "gleaner".into(),
            figures.build(),
            Cell::unknown(),
        ];
        row.extend(figures.disk());
        row.extend(figures.memory());
        row.extend(figures.files());
        row.extend(figures.load());
        row.extend([
            letters(member).into(),
            if Some(at) == master { "*" } else { "-" }.into(),
            member.name.as_str().into(),
        ]);
        counted(&request, &states.copies, member, row)
    });
    Ok(Reply::table(Table {
        columns: &NODES,
        rows: rows.collect(),
    }))
}

/// Returns the row of a node, behind whose own cells stands what its copies have counted.
fn counted(
    request: &Request,
    copies: &[LocatedShard],
    member: &Member,
    own_cells: Vec<Cell>,
) -> Vec<Cell> {
    let own = copies
        .iter()
        .filter(|copy| *copy.node.0 == *member.id)
        .map(|copy| &copy.state);
    let own: Vec<&ShardState> = own.collect();
    let sum = |of: fn(&ShardState) -> u64| -> u64 { own.iter().map(|state| of(state)).sum() };
    let parameters = &request.parameters;
    let answers = kept_answers(&own.iter().copied(), &request.app.counts);
    let mut row = Row::beginning(&PLACES, own_cells);
    row.put_known(figures(&sum, parameters));
    row.put_known(of_answers(answers, parameters));
    for name in ["query_cache.hit_count", "query_cache.miss_count"] {
        row.put(name, 0_u64);
    }
    row.into_cells()
}

/// What a node tells, as cells in the order of the columns.
pub(super) struct Figures<'a> {
    /// `None` where it does not tell.
    pub(super) of: Option<&'a NodeStats>,
    pub(super) parameters: &'a Parameters,
}

impl Figures<'_> {
    fn number(&self, figure: impl Fn(&NodeStats) -> Option<u64>) -> Cell {
        let figure = self.of.and_then(figure);
        figure.map_or_else(Cell::unknown, Cell::from)
    }

    fn size(&self, figure: impl Fn(&NodeStats) -> Option<u64>) -> Cell {
        let figure = self.of.and_then(figure);
        figure.map_or_else(Cell::unknown, |bytes| size(bytes, self.parameters))
    }

    fn hundredths(&self, figure: impl Fn(&NodeStats) -> Option<f64>) -> Cell {
        let figure = self.of.and_then(figure);
        figure.map_or_else(Cell::unknown, |figure| {
            Cell::quantity(format!("{figure:.2}"), figure)
        })
    }

    fn build(&self) -> Cell {
        self.of
            .map_or_else(Cell::unknown, |of| of.build_version.as_str().into())
    }

    fn disk(&self) -> [Cell; 4] {
        let [used, available, total] = self.disk_sizes();
        let used_percent = self.hundredths(|of| {
            let disk = of.disk?;
            Some(percent(disk.used_bytes(), disk.total_bytes))
        });
        [total, used, available, used_percent]
    }

    /// Returns what is used, available, and there in all.
    pub(super) fn disk_sizes(&self) -> [Cell; 3] {
        [
            self.size(|of| Some(of.disk?.used_bytes())),
            self.size(|of| Some(of.disk?.available_bytes)),
            self.size(|of| Some(of.disk?.total_bytes)),
        ]
    }

    /// Returns the percentage of the disk that is used, whole.
    pub(super) fn disk_percent(&self) -> Cell {
        self.number(|of| {
            let disk = of.disk?;
            Some(percent(disk.used_bytes(), disk.total_bytes) as u64)
        })
    }

    fn memory(&self) -> [Cell; 6] {
        [
            self.size(|of| Some(of.query_memory?.held_bytes)),
            self.number(|of| {
                let budget = of.query_memory?;
                Some(percent(budget.held_bytes, budget.limit_bytes) as u64)
            }),
            self.size(|of| Some(of.query_memory?.limit_bytes)),
            self.size(|of| Some(of.machine?.used_memory_bytes())),
            self.number(|of| {
                let machine = of.machine?;
                Some(percent(machine.used_memory_bytes(), machine.memory_bytes) as u64)
            }),
            self.size(|of| Some(of.machine?.memory_bytes)),
        ]
    }

    fn files(&self) -> [Cell; 3] {
        [
            self.number(|of| Some(of.process?.num_open_files)),
            self.number(|of| {
                let process = of.process?;
                Some(percent(process.num_open_files, process.max_open_files?) as u64)
            }),
            self.number(|of| of.process?.max_open_files),
        ]
    }

    /// Returns the use of processors, the three averages of load, the number of processors, and the uptime.
    fn load(&self) -> [Cell; 6] {
        let load = |at: usize| self.hundredths(move |of| Some(of.machine?.load[at]));
        let uptime = |of: &NodeStats| time(of.uptime.as_millis() as u64, self.parameters);
        [
            self.number(|of| Some(of.machine?.cpu_percent.into())),
            load(0),
            load(1),
            load(2),
            self.number(|of| Some(of.machine?.num_processors.into())),
            self.of.map_or_else(Cell::unknown, uptime),
        ]
    }
}

/// The master that `_cat/nodes` marks.
pub(super) async fn master(request: Request) -> Answer {
    let members = members(&request).await;
    let master = members.iter().find(|member| member.is_eligible());
    let rows = master.into_iter().map(|member| {
        let (host, _) = split(&member.address);
        vec![
            member.id.as_str().into(),
            host.into(),
            host.into(),
            member.name.as_str().into(),
        ]
    });
    Ok(Reply::table(Table {
        columns: MASTER,
        rows: rows.collect(),
    }))
}
