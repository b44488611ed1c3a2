//! Folders of damaged logs that were put aside, named until a person removes them. Their copies are whole again: they make no
//! health worse.

use gleaner_root::read::LocatedShard;
use serde_json::{Value, json};

/// Returns them by index, shard and leaf.
pub(super) fn folders<'a>(copies: impl Iterator<Item = &'a LocatedShard>) -> Vec<Value> {
    let folders = copies.filter_map(|copy| {
        let folder = copy.state.put_aside.as_ref()?;
        Some(json!({
            "index": copy.index.name.to_string(),
            "shard": copy.state.shard.shard.0,
            "node": copy.node.to_string(),
            "folder": folder,
        }))
    });
    folders.collect()
}

/// Says of a copy why its folder is there, and what to do with it.
pub(super) fn diagnosis(copy: &LocatedShard, help: &str) -> Option<Value> {
    let folder = copy.state.put_aside.as_ref()?;
    let (index, shard, node) = (&copy.index.name, copy.state.shard.shard, &copy.node);
    Some(json!({
        "id": "gleaner:health:shards_availability:diagnosis:put_aside",
        "cause": format!("the log of shard [{index}][{shard}] on `{node}` was damaged, and lies in `{folder}`"),
        "action": "Look at the disk of that node. Remove the folder once nobody needs it any more.",
        "help_url": help,
    }))
}
