//! `docs/rest-api.md`, made from the tables of routes.

use std::fmt::Write as _;

use crate::parameters::groups::{COMMON, IDEMPOTENCY_KEY};
use crate::route::{Parameter, ParameterEffect, Route};
use crate::routes::parameter_tables;

/// What the page says before its tables.
const HEAD: &str = "\
# The REST interface

<!-- Made from the tables in `api/src/routes`; `UPDATE=1 cargo test -p gleaner-api` writes it anew. -->

Each route lists its parameters: those that do what the dialect says, those that are accepted and
change nothing (the answer carries a `Warning` header saying why), and those that are refused by
name. Any other parameter is refused with status 400.

";

/// What answers of some routes hold beside what the dialect says.
struct Note {
    routes: &'static [&'static str],
    text: &'static str,
}

const NOTES: &[Note] = &[
    Note {
        routes: &["msearch"],
        text: "each search is kept as one of `search` is, unless its header says `request_cache: false`. `X-Cache` is \
               `hit` where none was evaluated, `bypass` where all went around the cache, else `miss`; `Age` is that of \
               the oldest",
    },
    Note {
        routes: &["search", "count"],
        text: "`X-Cache` says whether the answer was kept: `hit` (`Age` says since when), `miss`, \
               or `bypass` where the request went around the cache, as `request_cache=false` and `Cache-Control: \
               no-cache` or `no-store` ask. `GET` has an `ETag`, and `If-None-Match` is answered with 304",
    },
    Note {
        routes: &["search", "msearch", "count", "scroll"],
        text: "`_shards.stale` counts the shards whose copies serve without their primaries: acknowledged \
               writes may be missing. It is left out when it is 0, and `allow_stale=false` of a search refuses such \
               answers with 503. A `Warning` header says so too, of all \
               searches of an `_msearch` together",
    },
    Note {
        routes: &["get, exists", "get_source, exists_source", "mget"],
        text: "with `realtime=false`, a `Warning` header says that a copy was read which serves without its \
               primary: acknowledged writes may be missing",
    },
    Note {
        routes: &["explain", "rank_eval", "terms_enum", "cat.count"],
        text: "a `Warning` header says that a copy was read which serves without its primary: acknowledged writes may \
               be missing",
    },
    Note {
        routes: &["delete_by_query", "update_by_query", "reindex"],
        text: "503, and nothing is written, where every copy of a shard that is read serves without its primary: \
               acknowledged writes may be missing",
    },
    Note {
        routes: &["nodes.stats"],
        text: "each leaf reports its own `os`, `process`, `fs` and `jvm`, as does the root that answers. \
               `os` and `process` are left out of other roots, and of leaves that do not answer within 1 s. \
               `jvm.mem.heap_*` and `breakers` are the memory of queries and answers against `query_memory`; how often \
               that was full is not counted: `tripped` is 0",
    },
    Note {
        routes: &["indices.stats", "nodes.stats"],
        text: "a figure is 0 where there is no such thing here: suggesters, vectors, field data, warmers, throttling. \
               Filters that are kept are counted by node in `/metrics`: `query_cache` is 0 too. `merges` counts a merge \
               when it begins, with the bytes that go in, and its time when it has ended. A call that writes counts in \
               `bulk`, of one document or many, with the time of `indexing`. `scroll_*` counts points in time too. \
               `translog` is what the last durable commit lacks",
    },
    Note {
        routes: &["nodes.info"],
        text: "`jvm` is named after the program; its heap is `query_memory`. `total_indexing_buffer` is `write_queue` of \
               leaves. What a node does not tell within 1 s is 0. `aggregations` has the type `other` for all: which types \
               of values each takes is not told. A metric that is not known has no section",
    },
    Note {
        routes: &["cluster.stats"],
        text: "with `{node}` what the nodes hold and use that it names as `/_nodes/{node}` does; `status`, \
               `indices.mappings` and `indices.analysis` are those of the cluster. A shard counts in `docs` at the leaf \
               of its primary",
    },
    Note {
        routes: &["nodes.hot_threads"],
        text: "a node tells of its own threads only, by the processor time that they take during `interval` (30 s at \
               most), without stacks",
    },
    Note {
        routes: &["nodes.usage"],
        text: "requests are counted by the names that this page has for routes, by the root that is asked; roots that \
               are not asked are counted as failed. Aggregations are not counted",
    },
    Note {
        routes: &["indices.recovery"],
        text: "files are not counted. Only a recovery that has ended has times",
    },
    Note {
        routes: &["cat.nodes"],
        text: "each leaf reports its own figures, and the root that answers its own. Those of other roots, and \
               of a leaf that does not answer within 1 s, are `-`, in JSON `null`; a leaf that cannot be \
               reached is not listed. `heap.*` is the memory of queries and answers against `query_memory`; \
               `ram.*`, `load_*` and `cpu` are of the whole machine, `cpu` since figures were last read, over \
               a second or more; `disk.*` is the file system of the data folder",
    },
    Note {
        routes: &["cat.allocation"],
        text: "`disk.indices` is what the copies take, the other `disk.*` is the file system of the data folder as \
               the leaf tells it: `-`, in JSON `null`, where it does not within 1 s. The last row, `UNASSIGNED`, counts the copies that no leaf holds, where there are any",
    },
];

/// Returns the whole page.
pub fn rest_api_page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("## Every route\n\n");
    parameters(COMMON.iter(), &mut page);
    let (refused, served): (Vec<&Route>, Vec<&Route>) =
        parameter_tables().partition(|route| route.is_refused);
    for route in served {
        writeln!(page, "## {}\n", route.name).expect("a string takes all");
        paths(route, &mut page);
        headers(route, &mut page);
        notes(route, &mut page);
        parameters(route.parameters.iter().copied().flatten(), &mut page);
    }
    page.push_str("## Refused by name\n\n| feature | paths |\n| --- | --- |\n");
    for route in refused {
        let paths: Vec<String> = route.paths.iter().map(|path| format!("`{path}`")).collect();
        let name = route.name.replace('|', "\\|");
        writeln!(page, "| {name} | {} |", paths.join(", ")).expect("a string takes all");
    }
    page
}

fn paths(route: &Route, page: &mut String) {
    let methods: Vec<&str> = route.methods.iter().map(http::Method::as_str).collect();
    for path in route.paths {
        writeln!(page, "    {} {path}", methods.join("|")).expect("a string takes all");
    }
    page.push('\n');
}

fn headers(route: &Route, page: &mut String) {
    let header = IDEMPOTENCY_KEY;
    if header.routes.contains(&route.name) {
        let names: Vec<String> = header
            .names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        let effect = header.effect;
        writeln!(page, "- header {}: {effect}", names.join(" or ")).expect("a string takes all");
    }
}

fn notes(route: &Route, page: &mut String) {
    let notes = NOTES.iter();
    for note in notes.filter(|note| note.routes.contains(&route.name)) {
        writeln!(page, "- answer: {}", note.text).expect("a string takes all");
    }
}

fn parameters<'a>(parameters: impl Iterator<Item = &'a Parameter>, page: &mut String) {
    let (mut honoured, mut others) = (Vec::new(), Vec::new());
    for parameter in parameters {
        let name = parameter.name;
        match parameter.handling {
            ParameterEffect::Honoured => honoured.push(format!("`{name}`")),
            ParameterEffect::NoEffect(why) => {
                others.push(format!("- without effect: `{name}` ({why})"));
            }
            ParameterEffect::Refused(what) => others.push(format!("- refused: `{name}` ({what})")),
        }
    }
    if !honoured.is_empty() {
        writeln!(page, "- honoured: {}", honoured.join(", ")).expect("a string takes all");
    }
    for line in &others {
        writeln!(page, "{line}").expect("a string takes all");
    }
    if !honoured.is_empty() || !others.is_empty() {
        page.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn notes_are_of_routes_that_there_are() {
        for name in NOTES.iter().flat_map(|note| note.routes) {
            let is_there = parameter_tables().any(|route| route.name == *name);
            assert!(is_there, "{name}");
        }
    }

    #[test]
    fn the_committed_page_is_what_the_tables_say() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rest-api.md");
        let page = rest_api_page();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, &page).expect("the page can be written");
        }
        let committed = std::fs::read_to_string(&file).expect("docs/rest-api.md is committed");
        assert!(
            committed == page,
            "docs/rest-api.md is out of date: run with UPDATE=1"
        );
    }
}
