//! `cargo xtask prove`: the long proofs, one tier at a time, in release builds.
//!
//! A tier is a test target of `gleaner-tests` (see [`TIERS`]) that runs reduced in
//! `cargo xtask test` and in full here. It reads its size and seed from the environment:
//!
//! ```text
//! GLEANER_PROVE       set to 1: run in full
//! GLEANER_SEED        the seed, a whole number; the same seed repeats the same run
//! GLEANER_REPORT_DIR  where to write `<tier>-<seed>.json`; reports of several runs add up
//! ```

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};

use crate::{
    command::{cargo, run_tests},
    report::{Outcome, Report},
    workspace::Workspace,
};

/// A long proof: its name on the command line, the test target that holds it, what it proves.
struct Tier {
    name: &'static str,
    target: &'static str,
    proves: &'static str,
}

/// The tiers there are. To add one, add a `[[test]]` target to `tests/Cargo.toml` and a line here.
const TIERS: &[Tier] = &[];

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
    let arguments = [
        "test",
        "--release",
        "--locked",
        "-p",
        "gleaner-tests",
        "--test",
        tier.target,
    ];
    let mut command = cargo(workspace, arguments);
    command.args(["--", "--nocapture"]);
    command
        .env("GLEANER_PROVE", "1")
        .env("GLEANER_SEED", seed.to_string());
    command.env("GLEANER_REPORT_DIR", reports);
    run_tests(command)
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
