//! The readers of bytes that strangers send, each as a function of bytes that panics when something is wrong.
//!
//! `cargo test --test fuzzed` runs them over the seeds in `fuzz/corpus` and seeded mutations of those; `cargo fuzz run
//! NAME` (in `fuzz/`, with a nightly compiler) looks for more. What it finds becomes a seed.

mod bodies;
mod connections;
mod heads;
mod stored;

/// A reader.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of the folder of its seeds.
    pub name: &'static str,
    /// Reads bytes.
    pub read: fn(&[u8]),
    /// How much longer than others it takes for an input: mutations are as many times fewer.
    pub cost: usize,
}

/// All of them.
pub const TARGETS: [Target; 28] = [
    target("search", bodies::search),
    target("query_string", bodies::query_string),
    target("date_math", bodies::date_math),
    target("index", bodies::index),
    target("analysis", bodies::analysis),
    target("metadata", bodies::metadata),
    target("msearch", bodies::msearch),
    target("log_line", bodies::log_line),
    target("record", stored::record),
    target("state", stored::state),
    target("batch", stored::batch),
    Target {
        cost: 20,
        ..target("http", connections::http)
    },
    Target {
        cost: 20,
        ..target("resp", connections::resp)
    },
    target("bulk", bodies::bulk),
    target("message", stored::message),
    Target {
        cost: 20,
        ..target("cookie", connections::cookie)
    },
    Target {
        cost: 20,
        ..target("proxy", connections::proxy)
    },
    target("asked", bodies::asked),
    target("rules", stored::rules),
    target("key_confusion", bodies::key_confusion),
    target("path_rights", heads::path_rights),
    target("forwarded", heads::forwarded),
    target("entry", stored::entry),
    target("credentials", heads::credentials),
    target("context_id", heads::context_id),
    target("traceparent", heads::traceparent),
    Target {
        cost: 20,
        ..target("redis_answer", connections::redis_answer)
    },
    target("broker_target", stored::broker_target),
];

const fn target(name: &'static str, read: fn(&[u8])) -> Target {
    Target {
        name,
        read,
        cost: 1,
    }
}

/// Returns seeds of a reader that are made: of formats that are not for people.
pub fn made_seeds(name: &str) -> Vec<Vec<u8>> {
    let made = match name {
        "record" => stored::records(),
        "state" => stored::states(),
        "message" => stored::messages(),
        _ => Vec::new(),
    };
    made.iter().map(|bytes| bytes.to_vec()).collect()
}

/// Has the reader of that name read `bytes`.
///
/// # Panics
/// When something is wrong with it, and for a name that none has.
pub fn read(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a reader of that name").read)(bytes);
}
