//! `cargo xtask prove`: the long proofs, one tier at a time, in release builds.
//!
//! A tier is a test target, or the unit tests of a package (see [`TIERS`]), that runs reduced in `cargo xtask test` and in full here. It reads its size and seed from the environment:
//!
//! ```text
//! GLEANER_PROVE       set to 1: run in full
//! GLEANER_SEED        the seed, a whole number; the same seed repeats the same run
//! GLEANER_REPORT_DIR  where to write `<tier>-<seed>.json`; reports of several runs add up
//! ```

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};

use crate::{
    command::cargo,
    report::{Outcome, Report},
    skips::run_tests,
    workspace::Workspace,
};

/// A long proof: its name on the command line, the package and target that hold it, what it proves.
struct Tier {
    name: &'static str,
    package: &'static str,
    target: Target,
    proves: &'static str,
}

/// Which tests of a package a proof is.
enum Target {
    /// A test target.
    Test(&'static str),
    /// The unit tests, where a proof needs what the package keeps to itself.
    Unit,
}

/// The tiers there are. To add one, add a test target that reads its size from the environment, and
/// a line here.
const TIERS: &[Tier] = &[
    Tier {
        name: "exactness",
        package: "gleaner-tests",
        target: Target::Test("exactness"),
        proves: "20,000 queries of the dialect give the oracle's answer in seven layouts, 6,000 more alike, 10,000 and \
                 real ones over the network",
    },
    Tier {
        name: "ranking",
        package: "gleaner-engine",
        target: Target::Test("exact_ranking"),
        proves: "20,000 resolved queries: pruned is exhaustive; stock pruning fails on the same data",
    },
    Tier {
        name: "relevance",
        package: "gleaner-tests",
        target: Target::Test("relevance"),
        proves: "nDCG@10 over HTTP: the own collection, SciFact where it is",
    },
    Tier {
        name: "crashes",
        package: "gleaner-tests",
        target: Target::Test("crashes"),
        proves: "50 times kill -9 in a bulk load: nothing acknowledged is lost, nothing is doubled",
    },
    Tier {
        name: "damage",
        package: "gleaner-tests",
        target: Target::Test("damage"),
        proves: "1,200 damages of files: no wrong answer, no panic, each is named, and mended where that can be done",
    },
    Tier {
        name: "hostility",
        package: "gleaner-tests",
        target: Target::Test("hostility"),
        proves: "10,000 hostile requests: no panic, no fault of ours, memory within its limit, 300,000 mutated ones of all routes \
                 while fields are added: no panic, none unanswered",
    },
    Tier {
        name: "fuzz",
        package: "gleaner-tests",
        target: Target::Test("fuzzed"),
        proves: "200,000 mutations for each reader of strangers' bytes, 10,000 for connections: no panic, nothing read twice in \
                 two ways",
    },
    Tier {
        name: "memory",
        package: "gleaner-tests",
        target: Target::Test("memory"),
        proves: "bulk bodies of 1, 10 and 60 MiB within the indexing budget and 150 MiB",
    },
    Tier {
        name: "pages",
        package: "gleaner-tests",
        target: Target::Test("pages"),
        proves: "pages of `composite` through 1,000,000 documents while they are written: none twice, none missed",
    },
    Tier {
        name: "simulation",
        package: "gleaner-tests",
        target: Target::Test("simulation"),
        proves: "1,000 simulated schedules of faults: the root breaks no invariant",
    },
    Tier {
        name: "copies",
        package: "gleaner-leaf",
        target: Target::Unit,
        proves: "6,000 simulated schedules of faults over the leaf's driver, streams and log, and 10,000 in which disks are put \
                 back as they were: nothing acknowledged is lost, nothing shown comes to be another",
    },
    Tier {
        name: "forgotten",
        package: "gleaner-tests",
        target: Target::Test("forgotten"),
        proves: "nine faults of a leaf's folder (gone, older, damaged, another's, a clone) for the only copy, the last one in sync, a \
                 follower, a primary and one that was taken over from, of two copies and of three: nothing is lost in silence",
    },
    Tier {
        name: "front",
        package: "gleaner-tests",
        target: Target::Test("fronts"),
        proves: "300,000 hits, 3,000 writes shown, 100 processes that stand still: no answer from before what was \
                 acknowledged",
    },
    Tier {
        name: "faults",
        package: "gleaner-tests",
        target: Target::Test("takeover"),
        proves: "300 times a leaf of a cluster on etcd, each process in a network namespace, is killed, stands still, stops, is cut \
                 off, forgets its folder or has a sick disk, or the etcd's leader is killed; 60 times through proxies, 60 times \
                 a disk alone: nothing acknowledged is lost, nothing is written twice, no number is read that is older than one known before; restarts of all leaves \
                 and an etcd that stands still fail nothing, kills fail no search",
    },
    Tier {
        name: "log",
        package: "gleaner-log",
        target: Target::Test("durability"),
        proves: "tears, flipped bits, full disks and power cuts, 100,000 of them in lives of copies, lose nothing \
                 acknowledged and bring nothing back that was cut",
    },
    Tier {
        name: "replication",
        package: "gleaner-replication",
        target: Target::Unit,
        proves: "50,000,000 states of three copies under faults, 100,000 long walks, 10,000 runs in time: no invariant \
                 is broken; each planted error is found",
    },
];

/// What the command line asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    tier: Option<String>,
    seed: Option<u64>,
    list: bool,
}

/// `cargo xtask prove [--tier NAME] [--seed N] [--list]`; without a tier, all of them.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<Option<Report>> {
    let request = parse(arguments)?;
    if request.list {
        for tier in TIERS {
            println!("{:16} {}", tier.name, tier.proves);
        }
        return Ok(None);
    }
    let chosen: Vec<&Tier> = TIERS
        .iter()
        .filter(|tier| {
            request
                .tier
                .as_ref()
                .is_none_or(|wanted| wanted == tier.name)
        })
        .collect();
    if chosen.is_empty() {
        let known: Vec<&str> = TIERS.iter().map(|tier| tier.name).collect();
        bail!("no such tier; there are: {}", known.join(", "));
    }
    let seed = request.seed.unwrap_or_else(seed_of_now);
    println!("seed {seed}");
    let mut report = Report::default();
    for tier in chosen {
        report.time(tier.name, || prove(workspace, tier, seed));
    }
    Ok(Some(report))
}

fn prove(workspace: &Workspace, tier: &Tier, seed: u64) -> anyhow::Result<Outcome> {
    let reports = workspace.scratch().join("reports");
    std::fs::create_dir_all(&reports)?;
    let arguments = ["test", "--release", "--locked", "-p", tier.package];
    let mut command = cargo(workspace, arguments);
    match tier.target {
        Target::Test(name) => command.args(["--test", name]),
        Target::Unit => command.arg("--lib"),
    };
    command.args(["--", "--nocapture"]);
    command
        .env("GLEANER_PROVE", "1")
        .env("GLEANER_SEED", seed.to_string());
    command.env("GLEANER_REPORT_DIR", reports);
    run_tests(workspace, command)
}

fn parse(arguments: &[String]) -> anyhow::Result<Request> {
    let mut request = Request::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .with_context(|| format!("`{word}` wants a value"))
        };
        match word.as_str() {
            "--tier" => request.tier = Some(value()?.clone()),
            "--seed" => request.seed = Some(value()?.parse().context("`--seed` wants a number")?),
            "--list" => request.list = true,
            other => bail!("`prove` has no option `{other}`"),
        }
    }
    Ok(request)
}

/// A fresh seed; it is printed, so that a failing run can be repeated.
fn seed_of_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_unknown_ones_refused() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let request = parse(&words("--tier exactness --seed 7")).expect("valid options");
        assert_eq!(
            request,
            Request {
                tier: Some("exactness".into()),
                seed: Some(7),
                list: false
            }
        );
        assert!(parse(&words("--seed x")).is_err());
        assert!(parse(&words("--tier")).is_err());
        assert!(parse(&words("--fast")).is_err());
    }
}
