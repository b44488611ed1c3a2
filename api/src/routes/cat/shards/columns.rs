//! The columns of `_cat/shards`, as the dialect names them. Those that nothing is counted for stay empty.

use crate::response::Column;

/// In their order.
pub(super) const COLUMNS: &[Column] = &[
    Column::text("index", "i,idx", "index name"),
    Column::text("shard", "s,sh", "shard name"),
    Column::text("prirep", "p,pr,primaryOrReplica", "primary or replica"),
    Column::text("state", "st", "shard state"),
    Column::number("docs", "d,dc", "number of docs in shard"),
    Column::number(
        "store",
        "sto",
        "store size of shard (how much disk it uses)",
    ),
    Column::number("dataset", "", "total size of dataset").on_demand(),
    Column::text("ip", "", "ip of node where it lives"),
    Column::text("id", "", "unique id of node where it lives").on_demand(),
    Column::text("node", "n", "name of node where it lives"),
    Column::text("sync_id", "sync_id", "sync id").on_demand(),
    Column::text("unassigned.reason", "ur", "reason shard became unassigned").on_demand(),
    Column::text("unassigned.at", "ua", "time shard became unassigned (UTC)").on_demand(),
    Column::text("unassigned.for", "uf", "time has been unassigned").on_demand(),
    Column::text(
        "unassigned.details",
        "ud",
        "additional details as to why the shard became unassigned",
    )
    .on_demand(),
    Column::text("recoverysource.type", "rs", "recovery source type").on_demand(),
    Column::number("completion.size", "cs,completionSize", "size of completion").on_demand(),
    Column::number(
        "fielddata.memory_size",
        "fm,fielddataMemory",
        "used fielddata cache",
    )
    .on_demand(),
    Column::number(
        "fielddata.evictions",
        "fe,fielddataEvictions",
        "fielddata evictions",
    )
    .on_demand(),
    Column::number(
        "query_cache.memory_size",
        "qcm,queryCacheMemory",
        "used query cache",
    )
    .on_demand(),
    Column::number(
        "query_cache.evictions",
        "qce,queryCacheEvictions",
        "query cache evictions",
    )
    .on_demand(),
    Column::number("flush.total", "ft,flushTotal", "number of flushes").on_demand(),
    Column::number(
        "flush.total_time",
        "ftt,flushTotalTime",
        "time spent in flush",
    )
    .on_demand(),
    Column::number("get.current", "gc,getCurrent", "number of current get ops").on_demand(),
    Column::number("get.time", "gti,getTime", "time spent in get").on_demand(),
    Column::number("get.total", "gto,getTotal", "number of get ops").on_demand(),
    Column::number(
        "get.exists_time",
        "geti,getExistsTime",
        "time spent in successful gets",
    )
    .on_demand(),
    Column::number(
        "get.exists_total",
        "geto,getExistsTotal",
        "number of successful gets",
    )
    .on_demand(),
    Column::number(
        "get.missing_time",
        "gmti,getMissingTime",
        "time spent in failed gets",
    )
    .on_demand(),
    Column::number(
        "get.missing_total",
        "gmto,getMissingTotal",
        "number of failed gets",
    )
    .on_demand(),
    Column::number(
        "indexing.delete_current",
        "idc,indexingDeleteCurrent",
        "number of current deletions",
    )
    .on_demand(),
    Column::number(
        "indexing.delete_time",
        "idti,indexingDeleteTime",
        "time spent in deletions",
    )
    .on_demand(),
    Column::number(
        "indexing.delete_total",
        "idto,indexingDeleteTotal",
        "number of delete ops",
    )
    .on_demand(),
    Column::number(
        "indexing.index_current",
        "iic,indexingIndexCurrent",
        "number of current indexing ops",
    )
    .on_demand(),
    Column::number(
        "indexing.index_time",
        "iiti,indexingIndexTime",
        "time spent in indexing",
    )
    .on_demand(),
    Column::number(
        "indexing.index_total",
        "iito,indexingIndexTotal",
        "number of indexing ops",
    )
    .on_demand(),
    Column::number(
        "indexing.index_failed",
        "iif,indexingIndexFailed",
        "number of failed indexing ops",
    )
    .on_demand(),
    Column::number(
        "merges.current",
        "mc,mergesCurrent",
        "number of current merges",
    )
    .on_demand(),
    Column::number(
        "merges.current_docs",
        "mcd,mergesCurrentDocs",
        "number of current merging docs",
    )
    .on_demand(),
    Column::number(
        "merges.current_size",
        "mcs,mergesCurrentSize",
        "size of current merges",
    )
    .on_demand(),
    Column::number(
        "merges.total",
        "mt,mergesTotal",
        "number of completed merge ops",
    )
    .on_demand(),
    Column::number("merges.total_docs", "mtd,mergesTotalDocs", "docs merged").on_demand(),
    Column::number("merges.total_size", "mts,mergesTotalSize", "size merged").on_demand(),
    Column::number(
        "merges.total_time",
        "mtt,mergesTotalTime",
        "time spent in merges",
    )
    .on_demand(),
    Column::number("refresh.total", "rto,refreshTotal", "total refreshes").on_demand(),
    Column::number("refresh.time", "rti,refreshTime", "time spent in refreshes").on_demand(),
    Column::number(
        "refresh.external_total",
        "reto,rto,refreshTotal",
        "total external refreshes",
    )
    .on_demand(),
    Column::number(
        "refresh.external_time",
        "reti,rti,refreshTime",
        "time spent in external refreshes",
    )
    .on_demand(),
    Column::number(
        "refresh.listeners",
        "rli,refreshListeners",
        "number of pending refresh listeners",
    )
    .on_demand(),
    Column::number(
        "search.fetch_current",
        "sfc,searchFetchCurrent",
        "current fetch phase ops",
    )
    .on_demand(),
    Column::number(
        "search.fetch_time",
        "sfti,searchFetchTime",
        "time spent in fetch phase",
    )
    .on_demand(),
    Column::number(
        "search.fetch_total",
        "sfto,searchFetchTotal",
        "total fetch ops",
    )
    .on_demand(),
    Column::number(
        "search.open_contexts",
        "so,searchOpenContexts",
        "open search contexts",
    )
    .on_demand(),
    Column::number(
        "search.query_current",
        "sqc,searchQueryCurrent",
        "current query phase ops",
    )
    .on_demand(),
    Column::number(
        "search.query_time",
        "sqti,searchQueryTime",
        "time spent in query phase",
    )
    .on_demand(),
    Column::number(
        "search.query_total",
        "sqto,searchQueryTotal",
        "total query phase ops",
    )
    .on_demand(),
    Column::number(
        "search.scroll_current",
        "scc,searchScrollCurrent",
        "open scroll contexts",
    )
    .on_demand(),
    Column::number(
        "search.scroll_time",
        "scti,searchScrollTime",
        "time scroll contexts held open",
    )
    .on_demand(),
    Column::number(
        "search.scroll_total",
        "scto,searchScrollTotal",
        "completed scroll contexts",
    )
    .on_demand(),
    Column::number("segments.count", "sc,segmentsCount", "number of segments").on_demand(),
    Column::number(
        "segments.memory",
        "sm,segmentsMemory",
        "memory used by segments",
    )
    .on_demand(),
    Column::number(
        "segments.index_writer_memory",
        "siwm,segmentsIndexWriterMemory",
        "memory used by index writer",
    )
    .on_demand(),
    Column::number(
        "segments.version_map_memory",
        "svmm,segmentsVersionMapMemory",
        "memory used by version map",
    )
    .on_demand(),
    Column::number(
        "segments.fixed_bitset_memory",
        "sfbm,fixedBitsetMemory",
        "memory used by fixed bit sets",
    )
    .on_demand(),
    Column::number("seq_no.max", "sqm,maxSeqNo", "max sequence number").on_demand(),
    Column::number(
        "seq_no.local_checkpoint",
        "sql,localCheckpoint",
        "local checkpoint",
    )
    .on_demand(),
    Column::number(
        "seq_no.global_checkpoint",
        "sqg,globalCheckpoint",
        "global checkpoint",
    )
    .on_demand(),
    Column::number("warmer.current", "wc,warmerCurrent", "current warmer ops").on_demand(),
    Column::number("warmer.total", "wto,warmerTotal", "total warmer ops").on_demand(),
    Column::number(
        "warmer.total_time",
        "wtt,warmerTotalTime",
        "time spent in warmers",
    )
    .on_demand(),
    Column::text("path.data", "pd,dataPath", "shard data path").on_demand(),
    Column::text("path.state", "ps,statsPath", "shard state path").on_demand(),
    Column::number(
        "bulk.total_operations",
        "bto,bulkTotalOperations",
        "number of bulk shard ops",
    )
    .on_demand(),
    Column::number(
        "bulk.total_time",
        "btti,btt,bulkTotalTime",
        "time spent in shard bulk",
    )
    .on_demand(),
    Column::number(
        "bulk.total_size_in_bytes",
        "btsi,bulkTotalSizeInBytes",
        "total size in bytes of shard bulk",
    )
    .on_demand(),
    Column::number(
        "bulk.avg_time",
        "bati,bat,bulkAvgTime",
        "average time spent in shard bulk",
    )
    .on_demand(),
    Column::number(
        "bulk.avg_size_in_bytes",
        "basi,bulkAvgSizeInBytes",
        "average size in bytes of shard bulk",
    )
    .on_demand(),
    Column::number(
        "dense_vector.value_count",
        "dvc,denseVectorCount",
        "number of indexed dense vectors",
    )
    .on_demand(),
    Column::number(
        "sparse_vector.value_count",
        "svc,sparseVectorCount",
        "number of indexed sparse vectors",
    )
    .on_demand(),
];
