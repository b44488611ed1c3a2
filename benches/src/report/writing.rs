//! Writes inside one process: indexing and the log.

use anyhow::Result;

use super::{Section, Table, tell};
use crate::corpus::Corpus;
use crate::writes::{self, Settled, WriteRate};

/// Turns each side takes; the best counts.
const TURNS: usize = 2;
/// Records that all writers of the log append together.
const RECORDS: usize = 30_000;

/// Times indexing and durable appends.
///
/// # Errors
/// When a side refuses.
pub fn measure(corpus: &Corpus) -> Result<Section> {
    tell("timing writes");
    let indexing = indexing(corpus)?;
    let log = log()?;
    Ok(Section {
        title: "Writes in one process",
        method: format!(
            "*Indexing*: JSON in, all fields indexed, source stored, one writer thread of 32 MB, one \
             commit at the end, background merges waited for; ours applies operations as a leaf \
             does, the baseline parses JSON into its own documents. *Log*: each writer appends \
             records of 1 KiB one by one and waits until its own is durable; bare is one file, \
             append, `fdatasync` shared by all who wait. Best of {TURNS} turns, side by side."
        ),
        tables: vec![indexing, log],
        remarks: vec![
            "The baseline indexes with tantivy's own tokenizer, ours with the dialect's `standard` \
             (Unicode word boundaries); ours also keeps `_id`, its hash, seq_no, version, primary \
             term and which fields a document has."
                .to_owned(),
        ],
    })
}

fn indexing(corpus: &Corpus) -> Result<Table> {
    type Side<'a> = (&'static str, Box<dyn Fn() -> Result<WriteRate> + 'a>);
    let sides: [Side<'_>; 3] = [
        (
            "bare",
            Box::new(|| writes::index_bare(corpus, Settled::Committed)),
        ),
        (
            "1 shard",
            Box::new(|| writes::index_ours(corpus, 1, Settled::Committed)),
        ),
        (
            "8 shards",
            Box::new(|| writes::index_ours(corpus, 8, Settled::Committed)),
        ),
    ];
    let mut best: [Option<WriteRate>; 3] = [None; 3];
    for _ in 0..TURNS {
        for ((_, index), best) in sides.iter().zip(&mut best) {
            let rate = index()?;
            if best.is_none_or(|known| rate.cpu < known.cpu) {
                *best = Some(rate);
            }
        }
    }
    let merged = [
        writes::index_bare(corpus, Settled::Merged)?.index_bytes,
        writes::index_ours(corpus, 1, Settled::Merged)?.index_bytes,
        writes::index_ours(corpus, 8, Settled::Merged)?.index_bytes,
    ];
    let mut table = Table::new([
        "indexing",
        "docs/s",
        "docs/CPU-s",
        "CPU / bare",
        "index merged, MB",
        "size / bare",
    ]);
    let bare_cpu = best[0].map_or(1.0, |rate| rate.cpu.as_secs_f64());
    for (((name, _), rate), bytes) in sides.iter().zip(best).zip(merged) {
        let Some(rate) = rate else { continue };
        table.row([
            (*name).to_owned(),
            format!("{:.0}", rate.per_second()),
            format!("{:.0}", rate.per_cpu_second()),
            format!("{:.2}", rate.cpu.as_secs_f64() / bare_cpu),
            format!("{:.1}", bytes as f64 / 1e6),
            format!("{:.2}", bytes as f64 / merged[0] as f64),
        ]);
    }
    Ok(table)
}

fn log() -> Result<Table> {
    let mut table = Table::new([
        "log, writers",
        "bare records/s",
        "ours records/s",
        "ours / bare",
    ]);
    for num_writers in [1, 8, 64] {
        let each = if num_writers == 1 {
            RECORDS / 30
        } else {
            RECORDS / num_writers
        };
        let (mut bare, mut ours) = (0.0_f64, 0.0_f64);
        for _ in 0..TURNS {
            bare = bare.max(writes::append_bare(num_writers, each)?.per_second());
            ours = ours.max(writes::append_ours(num_writers, each)?.per_second());
        }
        table.row([
            num_writers.to_string(),
            format!("{bare:.0}"),
            format!("{ours:.0}"),
            format!("{:.2}", ours / bare),
        ]);
    }
    Ok(table)
}
