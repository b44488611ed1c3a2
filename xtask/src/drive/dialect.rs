//! The dialect's YAML tests, which the shared folder beside the checkout has with their runner.
//!
//! The core folders must pass, apart from failures that a file explains by name. Of the useful folders a number must
//! pass: they need things that are refused, and what passes today must not be lost unseen.

use std::{collections::BTreeMap, fs, process::Command};

use anyhow::Context;
use serde_json::Value;

use crate::{
    drive::server::Server,
    report::{Counts, Outcome, Step},
    setup,
    workspace::Workspace,
};

/// The steps; the server must have been built before.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "dialect: core folders",
        run: core_folders,
    },
    Step {
        name: "dialect: useful folders",
        run: useful_folders,
    },
];

/// Folders that must pass, apart from the failures explained by name.
const CORE_FOLDERS: &str = "bulk,cat.count,cat.health,cat.indices,cluster.health,count,create,\
    delete,delete_by_query,exists,explain,field_caps,get,get_source,index,indices.analyze,\
    indices.create,indices.delete,indices.delete_alias,indices.exists,indices.exists_alias,\
    indices.get,indices.get_alias,indices.get_mapping,indices.get_settings,indices.put_alias,\
    indices.put_mapping,indices.put_settings,indices.refresh,indices.update_aliases,info,mget,\
    msearch,ping,pit,range,reindex,scroll,search,search.aggregation,search.highlight,\
    search.query,update,update_by_query";

/// Folders of what many programs use and not all of which is supported, as the suite's README lists them.
const USEFUL_FOLDERS: &str = "analysis-common,cat.aliases,cat.nodes,cat.shards,cat.templates,\
    cluster.component_template,cluster.put_settings,cluster.state,cluster.stats,indices.blocks,\
    indices.clear_cache,indices.exists_template,indices.flush,indices.forcemerge,\
    indices.get_field_mapping,indices.get_index_template,indices.get_template,indices.open,\
    indices.put_index_template,indices.put_template,indices.resolve_index,indices.rollover,\
    indices.simulate_index_template,indices.simulate_template,indices.sort,indices.stats,\
    indices.validate_query,mlt,mtermvectors,nodes.info,nodes.stats,rank_feature,rank_features,\
    scaled_float,search-as-you-type,search.inner_hits,search.suggest,snapshot.clone,\
    snapshot.create,snapshot.get,snapshot.get_repository,snapshot.restore,snapshot.status,\
    suggest,tasks.cancel,tasks.get,tasks.list,termvectors";

/// How many tests of the useful folders must pass; 209 of 262 did when this was written.
const USEFUL_FLOOR: usize = 200;

/// The explained failures of the core folders, `folder/file.yml :: title — reason` a line.
const EXPECTED_FAILURES: &str = "tests/compat/expected_failures.txt";

fn core_folders(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let results = match run_folders(workspace, "dialect", CORE_FOLDERS)? {
        Ok(results) => results,
        Err(absent) => return Ok(Outcome::Skipped(absent)),
    };
    let expected = fs::read_to_string(workspace.root().join(EXPECTED_FAILURES)).unwrap_or_default();
    Ok(judge(&results, &expected).into())
}

fn useful_folders(workspace: &Workspace) -> anyhow::Result<Outcome> {
    match run_folders(workspace, "dialect-useful", USEFUL_FOLDERS)? {
        Ok(results) => Ok(hold_to_floor(&results, USEFUL_FLOOR).into()),
        Err(absent) => Ok(Outcome::Skipped(absent)),
    }
}

/// Runs folders of the suite against a server of its own; returns the runner's results, or why it cannot run.
fn run_folders(
    workspace: &Workspace,
    name: &str,
    folders: &str,
) -> anyhow::Result<Result<Value, String>> {
    let Some(suite) = workspace.shared("compat") else {
        return Ok(Err("no ../shared/compat beside the checkout".into()));
    };
    let python = match setup::python(workspace, "yaml")? {
        Ok(python) => python,
        Err(absent) => return Ok(Err(absent)),
    };
    let server = Server::start(workspace, name)?;
    let json = workspace.scratch().join(format!("{name}.json"));
    // A file of an earlier run must not speak for a runner that dies.
    drop(fs::remove_file(&json));
    let mut runner = Command::new(python);
    runner
        .arg(suite.join("es_yaml.py"))
        .arg(server.url())
        .arg("--suite")
        .arg(suite.join("rest"))
        .args(["--folders", folders, "--json"])
        .arg(&json);
    // Its exit code says that something failed; which failures count is judged by the caller.
    let status = runner.status().context("cannot start the YAML runner")?;
    let told = fs::read(&json).with_context(|| format!("the YAML runner ended with {status}"))?;
    Ok(Ok(serde_json::from_slice(&told)?))
}

/// A test that ran.
struct Test<'a> {
    name: &'a str,
    has_passed: bool,
    why: &'a str,
}

impl Test<'_> {
    fn print_failure(&self) {
        println!("FAIL {}\n     {}", self.name, self.why);
    }
}

/// Returns the tests that ran; those that the runner left out are not among them.
fn tests_that_ran(results: &Value) -> impl Iterator<Item = Test<'_>> {
    let tests = results["tests"].as_array().into_iter().flatten();
    tests.filter_map(|test| {
        let has_passed = match test["result"].as_str()? {
            "passed" => true,
            "failed" => false,
            _ => return None,
        };
        Some(Test {
            name: test["test"].as_str().unwrap_or_default(),
            has_passed,
            why: test["why"].as_str().unwrap_or_default(),
        })
    })
}

/// Prints how many tests of each folder passed; returns the sum, in which an explained failure is a failure.
fn print_folders(results: &Value) -> Counts {
    let mut folders: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut total = Counts::default();
    for test in tests_that_ran(results) {
        let counts = Counts {
            passed: usize::from(test.has_passed),
            failed: usize::from(!test.has_passed),
        };
        let folder = test.name.split('/').next().unwrap_or_default();
        *folders.entry(folder).or_default() += counts;
        total += counts;
    }
    for (folder, Counts { passed, failed }) in folders {
        println!("{folder} {passed}/{}", passed + failed);
    }
    total
}

/// Returns how many of all tests passed, as a number and as a share: `419 of 439 (95.4 %)`.
fn share(counts: Counts) -> String {
    let ran = counts.passed + counts.failed;
    // To the nearest tenth of a percent.
    let tenths = (2_000 * counts.passed + ran) / (2 * ran).max(1);
    let (percent, tenth) = (tenths / 10, tenths % 10);
    format!("{} of {ran} ({percent}.{tenth} %)", counts.passed)
}

/// Counts results, leaving out failures that `expected` explains; prints what is surprising, and what all came to.
fn judge(results: &Value, expected: &str) -> Counts {
    let explained: Vec<&str> = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        // A line without a reason explains nothing.
        .filter_map(|line| line.rsplit_once(" — ").map(|(name, _)| name))
        .collect();
    let total = print_folders(results);
    let mut num_unexplained = 0;
    for test in tests_that_ran(results) {
        match (test.has_passed, explained.contains(&test.name)) {
            (true, true) => println!(
                "passes now, strike it from {EXPECTED_FAILURES}: {}",
                test.name
            ),
            (false, false) => {
                num_unexplained += 1;
                test.print_failure();
            }
            (true, false) | (false, true) => {}
        }
    }
    let num_explained = total.failed - num_unexplained;
    println!("{}, {num_explained} explained", share(total));
    Counts {
        passed: total.passed,
        failed: num_unexplained,
    }
    .or_failed()
}

/// Counts one failure where fewer tests than `floor` passed, and then names those that did not.
fn hold_to_floor(results: &Value, floor: usize) -> Counts {
    let total = print_folders(results);
    println!("{}, at least {floor} must pass", share(total));
    let is_below = total.passed < floor;
    if is_below {
        let failed = tests_that_ran(results).filter(|test| !test.has_passed);
        failed.for_each(|test| test.print_failure());
    }
    Counts {
        passed: total.passed,
        failed: usize::from(is_below),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn results() -> Value {
        json!({"tests": [
            {"test": "get/10.yml :: a", "result": "passed", "why": ""},
            {"test": "get/10.yml :: b", "result": "failed", "why": "no"},
            {"test": "mget/10.yml :: c", "result": "failed", "why": "no"},
            {"test": "mget/10.yml :: d", "result": "skipped", "why": ""},
        ]})
    }

    #[test]
    fn a_suite_without_a_test_has_not_passed() {
        let none = json!({"tests": []});
        for counts in [judge(&none, ""), hold_to_floor(&none, 1)] {
            assert_eq!((counts.passed, counts.failed), (0, 1));
        }
    }

    #[test]
    fn only_failures_that_nobody_explained_count() {
        let counts = judge(
            &results(),
            "# by name\nget/10.yml :: b — delivered later: nested\nmget/10.yml :: c\n",
        );
        assert_eq!((counts.passed, counts.failed), (1, 1));
    }

    #[test]
    fn explained_failures_are_in_the_share_that_is_printed() {
        let total = print_folders(&results());
        assert_eq!((total.passed, total.failed), (1, 2));
        assert_eq!(share(total), "1 of 3 (33.3 %)");
        let of = |passed, failed| share(Counts { passed, failed });
        assert_eq!(of(419, 20), "419 of 439 (95.4 %)");
        assert_eq!(of(209, 53), "209 of 262 (79.8 %)");
        assert_eq!(of(3, 0), "3 of 3 (100.0 %)");
        assert_eq!(of(0, 0), "0 of 0 (0.0 %)");
    }

    #[test]
    fn useful_folders_are_held_to_their_floor() {
        let counts = |floor| hold_to_floor(&results(), floor);
        assert_eq!((counts(1).passed, counts(1).failed), (1, 0));
        assert_eq!((counts(2).passed, counts(2).failed), (1, 1));
    }
}
