//! `cargo xtask tools`: programs of others that speak the dialect, unmodified, against the server built here.
//!
//! Each drill is a script of `tests/tools`, whose head says which Python packages it needs, as PEP 723 has it. They are
//! not part of `cargo xtask test`: they install a gigabyte, and change when their makers do.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use crate::{
    command::run_tests,
    drive::server::Server,
    report::{Outcome, Report},
    setup, test,
    workspace::Workspace,
};

/// Where the drills are.
const FOLDER: &str = "tests/tools";

/// What all drills share.
const SHARED: &str = "drill.py";

/// Runs the drills whose name holds one of the words of `--only`, or all.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<Report> {
    let wanted: Vec<&str> = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Vec::new(),
        ["--only", words] => words.split(',').collect(),
        _ => bail!("usage: cargo xtask tools [--only WORDS]"),
    };
    let mut drills = drills(&workspace.root().join(FOLDER))?;
    drills.retain(|drill| wanted.is_empty() || wanted.iter().any(|word| drill.name.contains(word)));
    if drills.is_empty() {
        bail!("no drill of `{FOLDER}` bears that name");
    }
    let mut report = Report::default();
    for drill in &drills {
        report.time(&format!("tool: {}", drill.name), || drill.run(workspace));
    }
    Ok(report)
}

/// A script that uses a tool.
struct Drill {
    name: String,
    script: PathBuf,
    packages: Vec<String>,
}

fn drills(folder: &Path) -> anyhow::Result<Vec<Drill>> {
    let mut drills = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let script = entry?.path();
        let name = script.file_stem().unwrap_or_default().to_string_lossy();
        if script.extension().is_none_or(|kind| kind != "py") || script.ends_with(SHARED) {
            continue;
        }
        let text = fs::read_to_string(&script).with_context(|| script.display().to_string())?;
        let packages = packages(&text).with_context(|| format!("the head of `{name}`"))?;
        drills.push(Drill {
            name: name.into_owned(),
            packages,
            script,
        });
    }
    drills.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(drills)
}

/// Reads the dependencies of a script, `# dependencies = ["name>=1,<2", …]` on one line.
fn packages(text: &str) -> anyhow::Result<Vec<String>> {
    let mut heads = text.lines().take_while(|line| line.starts_with('#'));
    let list = heads.find_map(|line| line.strip_prefix("# dependencies = "));
    match list {
        None => Ok(Vec::new()),
        Some(list) => serde_json::from_str(list).context("`dependencies` is no list of texts"),
    }
}

impl Drill {
    fn run(&self, workspace: &Workspace) -> anyhow::Result<Outcome> {
        let python = match self.packages[..] {
            [] => PathBuf::from("python3"),
            _ => match setup::python_with(workspace, &self.name, &self.packages)? {
                Ok(python) => python,
                Err(absent) => return Ok(Outcome::Skipped(absent)),
            },
        };
        let server = Server::start(workspace, &format!("tool-{}", self.name))?;
        let mut drive = Command::new(python);
        // Without -B, Python would leave its bytecode in the checkout.
        drive.arg("-B").arg(&self.script).arg(server.url());
        // For drills that need a server of their own, started in another way.
        drive.env("GLEANER_BINARY", test::binary(workspace));
        Ok(run_tests(&mut drive)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_stand_in_the_head() {
        let text = "# /// script\n# dependencies = [\"a>=1,<2\", \"b\"]\n# ///\nx = 1\n";
        assert_eq!(packages(text).expect("good"), ["a>=1,<2", "b"]);
        let none = packages("\"\"\"A drill.\"\"\"\n# dependencies = [\"late\"]\n");
        assert!(none.expect("good").is_empty());
        assert!(packages("# dependencies = [1]\n").is_err());
    }
}
