//! The columns of `_cat/indices`, as the dialect names them.

use crate::response::Column;

/// What an index is, and how large.
const OF_INDEX: &[Column] = &[
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
    Column::number("dataset.size", "", "total size of dataset").on_demand(),
];

/// What copies did: each by the name that the primaries' part has, beside it stands that of all copies, which has
/// the short names.
pub(in crate::routes::cat) const OF_COPIES: &[Column] = &[
    Column::number(
        "pri.completion.size",
        "cs,completionSize",
        "size of completion",
    ),
    Column::number(
        "pri.fielddata.memory_size",
        "fm,fielddataMemory",
        "used fielddata cache",
    ),
    Column::number(
        "pri.fielddata.evictions",
        "fe,fielddataEvictions",
        "fielddata evictions",
    ),
    Column::number(
        "pri.query_cache.memory_size",
        "qcm,queryCacheMemory",
        "used query cache",
    ),
    Column::number(
        "pri.query_cache.evictions",
        "qce,queryCacheEvictions",
        "query cache evictions",
    ),
    Column::number(
        "pri.request_cache.memory_size",
        "rcm,requestCacheMemory",
        "used request cache",
    ),
    Column::number(
        "pri.request_cache.evictions",
        "rce,requestCacheEvictions",
        "request cache evictions",
    ),
    Column::number(
        "pri.request_cache.hit_count",
        "rchc,requestCacheHitCount",
        "request cache hit count",
    ),
    Column::number(
        "pri.request_cache.miss_count",
        "rcmc,requestCacheMissCount",
        "request cache miss count",
    ),
    Column::number("pri.flush.total", "ft,flushTotal", "number of flushes"),
    Column::number(
        "pri.flush.total_time",
        "ftt,flushTotalTime",
        "time spent in flush",
    ),
    Column::number(
        "pri.get.current",
        "gc,getCurrent",
        "number of current get ops",
    ),
    Column::number("pri.get.time", "gti,getTime", "time spent in get"),
    Column::number("pri.get.total", "gto,getTotal", "number of get ops"),
    Column::number(
        "pri.get.exists_time",
        "geti,getExistsTime",
        "time spent in successful gets",
    ),
    Column::number(
        "pri.get.exists_total",
        "geto,getExistsTotal",
        "number of successful gets",
    ),
    Column::number(
        "pri.get.missing_time",
        "gmti,getMissingTime",
        "time spent in failed gets",
    ),
    Column::number(
        "pri.get.missing_total",
        "gmto,getMissingTotal",
        "number of failed gets",
    ),
    Column::number(
        "pri.indexing.delete_current",
        "idc,indexingDeleteCurrent",
        "number of current deletions",
    ),
    Column::number(
        "pri.indexing.delete_time",
        "idti,indexingDeleteTime",
        "time spent in deletions",
    ),
    Column::number(
        "pri.indexing.delete_total",
        "idto,indexingDeleteTotal",
        "number of delete ops",
    ),
    Column::number(
        "pri.indexing.index_current",
        "iic,indexingIndexCurrent",
        "number of current indexing ops",
    ),
    Column::number(
        "pri.indexing.index_time",
        "iiti,indexingIndexTime",
        "time spent in indexing",
    ),
    Column::number(
        "pri.indexing.index_total",
        "iito,indexingIndexTotal",
        "number of indexing ops",
    ),
    Column::number(
        "pri.indexing.index_failed",
        "iif,indexingIndexFailed",
        "failed indexing ops",
    ),
    Column::number(
        "pri.merges.current",
        "mc,mergesCurrent",
        "number of current merges",
    ),
    Column::number(
        "pri.merges.current_docs",
        "mcd,mergesCurrentDocs",
        "number of current merging docs",
    ),
    Column::number(
        "pri.merges.current_size",
        "mcs,mergesCurrentSize",
        "size of current merges",
    ),
    Column::number("pri.merges.total", "mt,mergesTotal", "number of merge ops"),
    Column::number(
        "pri.merges.total_docs",
        "mtd,mergesTotalDocs",
        "docs merged",
    ),
    Column::number(
        "pri.merges.total_size",
        "mts,mergesTotalSize",
        "size merged",
    ),
    Column::number(
        "pri.merges.total_time",
        "mtt,mergesTotalTime",
        "time spent in merges",
    ),
    Column::number("pri.refresh.total", "rto,refreshTotal", "total refreshes"),
    Column::number(
        "pri.refresh.time",
        "rti,refreshTime",
        "time spent in refreshes",
    ),
    Column::number(
        "pri.refresh.external_total",
        "reto,rto,refreshTotal",
        "total external refreshes",
    ),
    Column::number(
        "pri.refresh.external_time",
        "reti,rti,refreshTime",
        "time spent in external refreshes",
    ),
    Column::number(
        "pri.refresh.listeners",
        "rli,refreshListeners",
        "number of pending refresh listeners",
    ),
    Column::number(
        "pri.search.fetch_current",
        "sfc,searchFetchCurrent",
        "current fetch phase ops",
    ),
    Column::number(
        "pri.search.fetch_time",
        "sfti,searchFetchTime",
        "time spent in fetch phase",
    ),
    Column::number(
        "pri.search.fetch_total",
        "sfto,searchFetchTotal",
        "total fetch ops",
    ),
    Column::number(
        "pri.search.open_contexts",
        "so,searchOpenContexts",
        "open search contexts",
    ),
    Column::number(
        "pri.search.query_current",
        "sqc,searchQueryCurrent",
        "current query phase ops",
    ),
    Column::number(
        "pri.search.query_time",
        "sqti,searchQueryTime",
        "time spent in query phase",
    ),
    Column::number(
        "pri.search.query_total",
        "sqto,searchQueryTotal",
        "total query phase ops",
    ),
    Column::number(
        "pri.search.scroll_current",
        "scc,searchScrollCurrent",
        "open scroll contexts",
    ),
    Column::number(
        "pri.search.scroll_time",
        "scti,searchScrollTime",
        "time scroll contexts held open",
    ),
    Column::number(
        "pri.search.scroll_total",
        "scto,searchScrollTotal",
        "completed scroll contexts",
    ),
    Column::number(
        "pri.segments.count",
        "sc,segmentsCount",
        "number of segments",
    ),
    Column::number(
        "pri.segments.memory",
        "sm,segmentsMemory",
        "memory used by segments",
    ),
    Column::number(
        "pri.segments.index_writer_memory",
        "siwm,segmentsIndexWriterMemory",
        "memory used by index writer",
    ),
    Column::number(
        "pri.segments.version_map_memory",
        "svmm,segmentsVersionMapMemory",
        "memory used by version map",
    ),
    Column::number(
        "pri.segments.fixed_bitset_memory",
        "sfbm,fixedBitsetMemory",
        "memory used by fixed bit sets",
    ),
    Column::number(
        "pri.warmer.current",
        "wc,warmerCurrent",
        "current warmer ops",
    ),
    Column::number("pri.warmer.total", "wto,warmerTotal", "total warmer ops"),
    Column::number(
        "pri.warmer.total_time",
        "wtt,warmerTotalTime",
        "time spent in warmers",
    ),
    Column::number(
        "pri.suggest.current",
        "suc,suggestCurrent",
        "number of current suggest ops",
    ),
    Column::number(
        "pri.suggest.time",
        "suti,suggestTime",
        "time spent in suggest",
    ),
    Column::number(
        "pri.suggest.total",
        "suto,suggestTotal",
        "number of suggest ops",
    ),
    Column::number("pri.memory.total", "tm,memoryTotal", "total used memory"),
    Column::number(
        "pri.bulk.total_operations",
        "bto,bulkTotalOperations",
        "number of bulk shard ops",
    ),
    Column::number(
        "pri.bulk.total_time",
        "btti,btt,bulkTotalTime",
        "time spent in shard bulk",
    ),
    Column::number(
        "pri.bulk.total_size_in_bytes",
        "btsi,bulkTotalSizeInBytes",
        "total size in bytes of shard bulk",
    ),
    Column::number(
        "pri.bulk.avg_time",
        "bati,bat,bulkAvgTime",
        "average time spent in shard bulk",
    ),
    Column::number(
        "pri.bulk.avg_size_in_bytes",
        "basi,bulkAvgSizeInBytes",
        "average size in bytes of shard bulk",
    ),
    Column::number(
        "pri.dense_vector.value_count",
        "dvc,denseVectorCount",
        "number of indexed dense vectors",
    ),
    Column::number(
        "pri.sparse_vector.value_count",
        "svc,sparseVectorCount",
        "number of indexed sparse vectors",
    ),
];

/// What a column of primaries is called before the name of that of all copies.
pub(in crate::routes::cat) const OF_PRIMARIES: &str = "pri.";

const NUM_COLUMNS: usize = OF_INDEX.len() + 2 * OF_COPIES.len();

/// In their order.
pub(super) static COLUMNS: [Column; NUM_COLUMNS] = columns();

/// Returns the column of all copies that stands beside one of primaries.
pub(in crate::routes::cat) const fn of_all(of_primaries: Column) -> Column {
    let (_, name) = of_primaries.name.split_at(OF_PRIMARIES.len());
    Column {
        name,
        ..of_primaries.on_demand()
    }
}

const fn columns() -> [Column; NUM_COLUMNS] {
    let mut columns = [OF_INDEX[0]; NUM_COLUMNS];
    let mut at = 0;
    while at < OF_INDEX.len() {
        columns[at] = OF_INDEX[at];
        at += 1;
    }
    let mut of = 0;
    while of < OF_COPIES.len() {
        columns[at] = of_all(OF_COPIES[of]);
        columns[at + 1] = Column {
            aliases: "",
            ..OF_COPIES[of].on_demand()
        };
        at += 2;
        of += 1;
    }
    columns
}
