//! Steps that drive the server built here from outside: the dialect's YAML tests and real clients.
//!
//! These suites stand in the shared folder beside the checkout; where it is absent, the steps say so.
//! Those of this repository are driven by [`checks`] and [`readme`].

pub(crate) mod checks;
pub(crate) mod fronts;
pub(crate) mod readme;
pub(crate) mod server;

use std::{fs, path::PathBuf, process::Command};

use anyhow::Context;
use serde_json::Value;

use crate::{
    command::run_tests,
    drive::server::Server,
    report::{Counts, Outcome, Step},
    setup,
    workspace::Workspace,
};

/// The steps, in order; the server must have been built before.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "dialect: core folders",
        run: core_folders,
    },
    Step {
        name: "client: elasticsearch-py 8",
        run: |w| client(w, "es8", "es8", ""),
    },
    Step {
        name: "client: elasticsearch-py 9",
        run: |w| client(w, "es9", "es8", "es9"),
    },
    Step {
        name: "client: opensearch-py 3",
        run: |w| client(w, "os3", "os", ""),
    },
];

/// Folders of the YAML suite that must pass, apart from the failures explained by name.
const CORE_FOLDERS: &str = "bulk,cat.count,cat.health,cat.indices,cluster.health,count,create,\
    delete,delete_by_query,exists,explain,field_caps,get,get_source,index,indices.analyze,\
    indices.create,indices.delete,indices.delete_alias,indices.exists,indices.exists_alias,\
    indices.get,indices.get_alias,indices.get_mapping,indices.get_settings,indices.put_alias,\
    indices.put_mapping,indices.put_settings,indices.refresh,indices.update_aliases,info,mget,\
    msearch,ping,pit,range,reindex,scroll,search,search.aggregation,search.highlight,\
    search.query,update,update_by_query";

/// The explained failures, `folder/file.yml :: title — reason` a line.
const EXPECTED_FAILURES: &str = "tests/compat/expected_failures.txt";

fn core_folders(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let Some(suite) = workspace.shared("compat") else {
        return Ok(Outcome::Skipped(
            "no ../shared/compat beside the checkout".into(),
        ));
    };
    let python = match setup::python(workspace, "yaml")? {
        Ok(python) => python,
        Err(absent) => return Ok(Outcome::Skipped(absent)),
    };
    let server = Server::start(workspace, "dialect")?;
    let json = workspace.scratch().join("dialect.json");
    // A file of an earlier run must not speak for a runner that dies.
    drop(fs::remove_file(&json));
    let mut runner = Command::new(python);
    runner
        .arg(suite.join("es_yaml.py"))
        .arg(server.url())
        .arg("--suite")
        .arg(suite.join("rest"));
    runner
        .args(["--folders", CORE_FOLDERS, "--json"])
        .arg(&json);
    // Its exit code says that something failed; which failures count is judged below.
    let status = runner.status().context("cannot start the YAML runner")?;
    let told = fs::read(&json).with_context(|| format!("the YAML runner ended with {status}"))?;
    let expected = fs::read_to_string(workspace.root().join(EXPECTED_FAILURES)).unwrap_or_default();
    Ok(judge(&serde_json::from_slice(&told)?, &expected).into())
}

/// Counts results, leaving out failures that `expected` explains; prints what is surprising.
fn judge(results: &Value, expected: &str) -> Counts {
    let explained: Vec<&str> = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        // A line without a reason explains nothing.
        .filter_map(|line| line.rsplit_once(" — ").map(|(name, _)| name))
        .collect();
    let mut counts = Counts::default();
    for test in results["tests"].as_array().into_iter().flatten() {
        let name = test["test"].as_str().unwrap_or_default();
        match (test["result"].as_str(), explained.contains(&name)) {
            (Some("passed"), false) => counts.passed += 1,
            (Some("passed"), true) => {
                counts.passed += 1;
                println!("passes now, strike it from {EXPECTED_FAILURES}: {name}");
            }
            (Some("failed"), false) => {
                counts.failed += 1;
                println!(
                    "FAIL {name}\n     {}",
                    test["why"].as_str().unwrap_or_default()
                );
            }
            _ => {}
        }
    }
    counts.or_failed()
}

/// Drives one client. `kind` is what the drive calls it, `folder` where its environment stands.
fn client(
    workspace: &Workspace,
    environment: &str,
    kind: &str,
    folder: &str,
) -> anyhow::Result<Outcome> {
    let Some(suite) = workspace.shared("compat") else {
        return Ok(Outcome::Skipped(
            "no ../shared/compat beside the checkout".into(),
        ));
    };
    if let Err(absent) = setup::python(workspace, environment)? {
        return Ok(Outcome::Skipped(absent));
    }
    let environments: PathBuf = setup::environments(workspace).join(folder);
    let server = Server::start(workspace, environment)?;
    let mut drive = Command::new("python3");
    drive.arg(suite.join("clients.py")).arg(server.url());
    drive.args(["--client", kind, "--venvs"]).arg(environments);
    Ok(run_tests(&mut drive)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_without_a_test_has_not_passed() {
        let counts = judge(&serde_json::json!({"tests": []}), "");
        assert_eq!((counts.passed, counts.failed), (0, 1));
    }

    #[test]
    fn only_failures_that_nobody_explained_count() {
        let results = serde_json::json!({"tests": [
            {"test": "get/10.yml :: a", "result": "passed", "why": ""},
            {"test": "get/10.yml :: b", "result": "failed", "why": "no"},
            {"test": "get/10.yml :: c", "result": "failed", "why": "no"},
            {"test": "get/10.yml :: d", "result": "skipped", "why": ""},
        ]});
        let counts = judge(
            &results,
            "# by name\nget/10.yml :: b — delivered later: nested\nget/10.yml :: c\n",
        );
        assert_eq!(
            counts,
            Counts {
                passed: 1,
                failed: 1
            }
        );
    }
}
