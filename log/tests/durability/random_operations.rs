//! Random operations on a local log and on the log in memory: the answers must be the same.

use bytes::Bytes;
use gleaner_log::files::{SimulatedFiles, Survival};
use gleaner_log::{Agreement, Append, LocalLog, LogOptions, MemoryLog, RecordBatch, ShardLog};
use gleaner_model::{PrimaryTerm, SeqNo};
use proptest::prelude::*;

use crate::world::{append, numbered, open, options, shard};

#[derive(Debug, Clone)]
enum Step {
    Append {
        shard: u32,
        term: u64,
        expected_last: Option<u64>,
        producer: Option<(u128, u64)>,
        sizes: Vec<usize>,
    },
    Copy {
        shard: u32,
        first: u64,
        term: u64,
        under: u64,
        sizes: Vec<usize>,
    },
    Fence(u32, u64),
    Truncate(u32, u64),
    Agree(u32, u64),
    Read(u32, u64, usize),
    Remove(u32),
    Reopen(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let append = (
        0..3_u32,
        0..4_u64,
        prop::option::weighted(0.2, 0..12_u64),
        prop::option::weighted(0.5, (0..4_u128, 0..6_u64)),
        prop::collection::vec(0..200_usize, 0..4),
    )
        .prop_map(
            |(shard, term, expected_last, producer, sizes)| Step::Append {
                shard,
                term,
                expected_last,
                producer,
                sizes,
            },
        );
    let copy = (
        0..3_u32,
        0..6_u64,
        0..4_u64,
        0..5_u64,
        prop::collection::vec(0..9_usize, 0..3),
    )
        .prop_map(|(shard, first, term, under, sizes)| Step::Copy {
            shard,
            first,
            term,
            under,
            sizes,
        });
    prop_oneof![
        12 => append,
        12 => copy,
        2 => (0..3_u32, 0..5_u64).prop_map(|(shard, term)| Step::Fence(shard, term)),
        4 => (0..3_u32, 0..12_u64).prop_map(|(shard, from)| Step::Truncate(shard, from)),
        1 => (0..3_u32, 0..3_u64).prop_map(|(shard, point)| Step::Agree(shard, point)),
        4 => (0..3_u32, 0..20_u64, 0..600_usize).prop_map(|(s, from, max)| Step::Read(s, from, max)),
        1 => (0..3_u32).prop_map(Step::Remove),
        2 => any::<u64>().prop_map(Step::Reopen),
    ]
}

/// Does one step; returns the answer as text, so that answers of two logs can be compared.
async fn apply(log: &dyn ShardLog, step: &Step) -> String {
    match step {
        Step::Append {
            shard: number,
            term,
            expected_last,
            producer,
            sizes,
        } => {
            let batch = sizes.iter().map(|size| Bytes::from(vec![b'p'; *size]));
            let append = Append {
                term: PrimaryTerm(*term),
                expected_last: expected_last.map(SeqNo),
                producer: producer.and_then(|(id, sequence)| numbered(id, sequence)),
                ..append(shard(*number), batch.collect())
            };
            format!("{:?}", log.append(append).await)
        }
        Step::Copy {
            shard: number,
            first,
            term,
            under,
            sizes,
        } => {
            let payloads = sizes.iter().map(|size| Bytes::from(vec![b'c'; *size]));
            let batch = RecordBatch {
                first: SeqNo(*first),
                term: PrimaryTerm(*term),
                producer: numbered(u128::from(*first % 3), *first),
                payloads: payloads.collect(),
            };
            let copied = log.append_copy(shard(*number), batch, PrimaryTerm(*under));
            format!("{:?}", copied.await)
        }
        Step::Fence(number, term) => {
            format!("{:?}", log.fence(shard(*number), PrimaryTerm(*term)).await)
        }
        Step::Truncate(number, from) => {
            format!("{:?}", log.truncate(shard(*number), SeqNo(*from)).await)
        }
        Step::Agree(number, point) => {
            // What is agreed on beyond the log's end is forgotten by a kill.
            let tail = log.tail(shard(*number)).await.ok().flatten();
            let next = tail.map_or(SeqNo(0), SeqNo::next);
            let agreement = Agreement {
                point: SeqNo(*point).min(next),
                entry_version: 0,
            };
            log.note_agreement(shard(*number), agreement);
            // Where it is written at once: after a kill both logs are to know it.
            let fenced = log.fence(shard(*number), PrimaryTerm(4)).await;
            format!("{fenced:?} {:?}", log.agreement(shard(*number)))
        }
        Step::Read(number, from, max_bytes) => {
            let key = shard(*number);
            let page = log.read(key, SeqNo(*from), *max_bytes).await;
            let one = log.read_one(key, SeqNo(*from)).await;
            let chain = log.chain(key, SeqNo(*from)).await;
            let batches = log.read_batches(key, SeqNo(*from), *max_bytes).await;
            let base = log.base_at(key, SeqNo(*from)).await;
            let terms = log.terms(key).await;
            let tail = log.tail(key).await;
            format!("{page:?} {one:?} {chain:?} {batches:?} {base:?} {terms:?} {tail:?}")
        }
        Step::Remove(number) => format!("{:?}", log.remove(shard(*number)).await),
        Step::Reopen(_) => String::new(),
    }
}

fn reopen(log: LocalLog, files: &SimulatedFiles, small: &LogOptions, dice: u64) -> LocalLog {
    if dice.is_multiple_of(2) {
        // A kill: the log gets no chance to close.
        files.reboot(Survival::Random(dice));
    }
    drop(log);
    let (log, report) = open(small.clone());
    assert!(
        report.shards.iter().all(|shard| shard.failed.is_none()),
        "{report:?}"
    );
    log
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_local_log_answers_as_the_log_in_memory(
        steps in prop::collection::vec(step(), 1..40),
        journal_bytes in prop::sample::select(vec![0, 5000, 8 << 20]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let files = SimulatedFiles::new();
        let small = LogOptions { segment_bytes: 600, journal_bytes, ..options(&files) };
        runtime.block_on(async {
            let memory = MemoryLog::new(&small);
            let (mut local, _) = open(small.clone());
            for step in &steps {
                if let Step::Reopen(dice) = step {
                    local = reopen(local, &files, &small, *dice);
                }
                assert_eq!(apply(&local, step).await, apply(&memory, step).await, "{step:?}");
            }
        });
    }
}
