//! Processes that were killed while they applied an operation.

use std::fs;
use std::path::Path;

use gleaner_engine::writer::MarkedOperation;
use gleaner_model::SeqNo;

use super::key;

/// Returns an operation of the shard `key(n)`.
pub(crate) fn operation(n: u8, seq_no: u64) -> MarkedOperation {
    MarkedOperation {
        shard: key(n),
        seq_no: SeqNo(seq_no),
    }
}

/// Notes in the folder of copies what a process was at when it was killed.
pub(crate) fn kill_at(copies: &Path, operations: &[MarkedOperation]) {
    let mut head = [0_u64; 16];
    head[0] = rand::random();
    let mut cells: Vec<u8> = head.into_iter().flat_map(u64::to_ne_bytes).collect();
    for of in operations {
        let index = u128::from_be_bytes(of.shard.index.0);
        let mut place = [0_u64; 16];
        place[..3].copy_from_slice(&[
            u64::from(of.shard.shard.0) + 1,
            (index >> 64) as u64,
            index as u64,
        ]);
        place[8] = of.seq_no.0 + 1;
        cells.extend(place.into_iter().flat_map(u64::to_ne_bytes));
    }
    fs::write(copies.join("applying/marks"), cells).expect("written");
}
