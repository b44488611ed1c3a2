//! Every reader of strangers' bytes, over its seeds and seeded mutations of them.
//!
//! As many inputs as fit in the tests of a day; `cargo xtask prove --tier fuzz --seed N` runs a hundred times as many.

mod mutation;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::run;
use gleaner_tests::fuzz::{TARGETS, Target, made_seeds};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use mutation::Mutations;

/// Mutations for each reader, reduced and in full.
const NUM_MUTATIONS: (usize, usize) = (2_000, 200_000);

/// Returns the seeds of a reader, by name.
fn seeds(target: &Target) -> Result<Vec<Vec<u8>>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let folder = folder.join(target.name);
    let files = std::fs::read_dir(&folder).with_context(|| format!("no `{}`", folder.display()))?;
    let mut paths = files
        .map(|file| Ok(file?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    let mut seeds = made_seeds(target.name);
    for path in &paths {
        seeds.push(std::fs::read(path)?);
    }
    Ok(seeds)
}

fn try_all(name: &str) -> Result<()> {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.context("there is no such reader")?;
    let seeds = seeds(target)?;
    ensure!(seeds.len() >= 3, "`{name}` has {} seeds", seeds.len());
    let seed = run::seed();
    let mut mutations = Mutations::of(&seeds, StdRng::seed_from_u64(seed));
    let num_mutations = run::sized(NUM_MUTATIONS.0, NUM_MUTATIONS.1) / target.cost;
    let made = (0..num_mutations).map(|_| mutations.make());
    for (number, bytes) in seeds.iter().cloned().chain(made).enumerate() {
        let read = catch_unwind(AssertUnwindSafe(|| (target.read)(&bytes)));
        ensure!(
            read.is_ok(),
            "`{name}` fails, input {number} of seed {seed}: {}",
            bytes.escape_ascii()
        );
    }
    Ok(())
}

/// A test for each reader, so that they run at once and fail apart.
macro_rules! tested {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() -> Result<()> {
            try_all(stringify!($name))
        })*

        #[test]
        fn every_reader_is_tried() {
            let tried = [$(stringify!($name)),*];
            assert_eq!(tried.to_vec(), TARGETS.map(|target| target.name).to_vec());
        }
    };
}

tested!(
    search,
    query_string,
    date_math,
    index,
    analysis,
    metadata,
    msearch,
    log_line,
    record,
    state,
    batch,
    http,
    resp,
    bulk,
    message,
    cookie,
    proxy,
    asked,
    rules,
    key_confusion,
    path_rights,
    forwarded,
    entry,
    credentials,
    context_id,
    traceparent,
    redis_answer,
    broker_target
);
