//! Installs what the checks need, when it is absent, and says what it does.
//!
//! Nothing here is needed to build or run the product. What cannot be had is reported as a reason
//! and the steps that need it are skipped under that reason; they are never counted as passed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use anyhow::{Context, anyhow};

use crate::{
    command::{is_available, run_program},
    report::{Outcome, Step},
    workspace::Workspace,
};

/// A tool's path, or in plain words why it is not here.
pub(crate) type Tool = Result<PathBuf, String>;

/// `cargo xtask setup`.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "setup: linker",
        run: linker,
    },
    Step {
        name: "setup: cargo-deny begins",
        run: begin_cargo_deny,
    },
    Step {
        name: "setup: python clients",
        run: python_clients,
    },
    Step {
        name: "setup: etcd",
        run: |workspace| outcome(program(workspace, &ETCD)),
    },
    Step {
        name: "setup: etcdctl",
        run: |workspace| outcome(program(workspace, &ETCDCTL)),
    },
    Step {
        name: "setup: redis",
        run: redis,
    },
    Step {
        name: "setup: strace",
        run: |workspace| outcome(program(workspace, &STRACE)),
    },
    Step {
        name: "setup: valgrind",
        run: |workspace| outcome(valgrind(workspace)),
    },
    Step {
        name: "setup: promtool",
        run: |workspace| outcome(program(workspace, &PROMTOOL)),
    },
];

/// What `cargo xtask setup` waits for; `cargo xtask test` goes on meanwhile.
pub(crate) const LAST: &[Step] = &[Step {
    name: "setup: cargo-deny",
    run: |workspace| outcome(cargo_deny(workspace)?),
}];

/// A virtual environment for tests that drive a real client.
struct Environment {
    /// How the steps call it.
    name: &'static str,
    /// Its folder under [`environments`]; the client drive looks for `venv-<client>` in a folder.
    folder: &'static str,
    packages: &'static [&'static str],
    /// Installed without what it depends on: `elasticsearch-dsl` 8.18 only forwards to
    /// `elasticsearch.dsl`, which client 9 has too, but it asks for client 8.
    bare_packages: &'static [&'static str],
}

/// One environment a client, as versions of one client cannot be installed side by side.
const ENVIRONMENTS: &[Environment] = &[
    Environment {
        name: "yaml",
        folder: "venv-yaml",
        packages: &["pyyaml>=6,<7"],
        bare_packages: &[],
    },
    Environment {
        name: "es8",
        folder: "venv-es8",
        packages: &["elasticsearch>=8,<9", "elasticsearch-dsl>=8,<9"],
        bare_packages: &[],
    },
    Environment {
        name: "es9",
        folder: "es9/venv-es8",
        packages: &["elasticsearch>=9,<10"],
        bare_packages: &["elasticsearch-dsl>=8.18,<9"],
    },
    Environment {
        name: "os3",
        folder: "venv-os",
        packages: &["opensearch-py>=3,<4"],
        bare_packages: &[],
    },
];

/// Says whether the fast linker is here; the build works without it, so nothing is installed.
fn linker(_: &Workspace) -> anyhow::Result<Outcome> {
    if is_available(Path::new("mold"), "--version") {
        println!("mold is here: `mold -run cargo build` links faster");
    } else {
        println!(
            "mold is not here; builds use the default linker (`apt-get install mold` to change)"
        );
    }
    Ok(Outcome::PASSED)
}

/// The build of `cargo-deny` that is under way.
static BUILDING: Mutex<Option<Child>> = Mutex::new(None);

/// Begins to build `cargo-deny` into the cache of tools, where it is absent: some minutes, for which nothing waits before it is
/// called. It takes the time that tests leave.
fn begin_cargo_deny(workspace: &Workspace) -> anyhow::Result<Outcome> {
    if find_cargo_deny(workspace).is_some() {
        return Ok(Outcome::PASSED);
    }
    if workspace.skips("cargo-deny") {
        return Ok(Outcome::Skipped(
            "cargo-deny is absent, GLEANER_XTASK_SKIP says not to install it".into(),
        ));
    }
    println!(
        "installing cargo-deny into {} meanwhile (its output: cargo-deny.log there)",
        workspace.cache().display()
    );
    fs::create_dir_all(workspace.cache())?;
    let log = fs::File::create(workspace.cache().join("cargo-deny.log"))?;
    let cargo = crate::command::cargo(workspace, ["install", "--locked", "cargo-deny"]);
    let mut install = Command::new("nice");
    install.args(["-n", "19"]);
    install.arg(cargo.get_program()).args(cargo.get_args());
    install.arg("--root").arg(workspace.cache());
    // It runs for a second: what is built in half the time serves as well.
    install.args(["--debug", "--config", "profile.dev.debug=false"]);
    // Its own build folder: the workspace's would be locked for as long as this takes.
    install.env("CARGO_TARGET_DIR", workspace.cache().join("build"));
    install
        .stderr(log.try_clone()?)
        .stdout(log)
        .stdin(Stdio::null());
    let building = install.spawn().context("cannot start `nice`")?;
    *BUILDING.lock().map_err(|_| anyhow!("a step panicked"))? = Some(building);
    Ok(Outcome::PASSED)
}

/// Returns `cargo-deny`, built once into the cache of tools.
pub(crate) fn cargo_deny(workspace: &Workspace) -> anyhow::Result<Tool> {
    let is_begun = || BUILDING.lock().is_ok_and(|building| building.is_some());
    if !is_begun()
        && let Outcome::Skipped(absent) = begin_cargo_deny(workspace)?
    {
        return Ok(Err(absent));
    }
    let building = BUILDING
        .lock()
        .map_err(|_| anyhow!("a step panicked"))?
        .take();
    if let Some(mut building) = building {
        let status = building.wait()?;
        drop(fs::remove_dir_all(workspace.cache().join("build")));
        if !status.success() {
            let log = workspace.cache().join("cargo-deny.log");
            return Ok(Err(format!(
                "cargo-deny cannot be installed, see {}",
                log.display()
            )));
        }
    }
    let tool = find_cargo_deny(workspace);
    Ok(tool.ok_or_else(|| "cargo-deny was installed and does not start".into()))
}

/// Returns `cargo-deny` where it is installed.
fn find_cargo_deny(workspace: &Workspace) -> Option<PathBuf> {
    let installed = workspace.cache().join("bin/cargo-deny");
    let mut candidates = [PathBuf::from("cargo-deny"), installed].into_iter();
    candidates.find(|candidate| is_available(candidate, "--version"))
}

/// Returns the Python of the environment `name`, made on first use under the build folder.
pub(crate) fn python(workspace: &Workspace, name: &str) -> anyhow::Result<Tool> {
    let environment = ENVIRONMENTS.iter().find(|known| known.name == name);
    let environment = environment.with_context(|| format!("no Python environment `{name}`"))?;
    let owned = |packages: &[&str]| packages.iter().map(|name| (*name).to_owned()).collect();
    let packages = Packages {
        whole: owned(environment.packages),
        bare: owned(environment.bare_packages),
    };
    made(workspace, environment.folder, &packages)
}

/// Returns the Python of an environment of its own with `packages`, made on first use under the build folder.
pub(crate) fn python_with(
    workspace: &Workspace,
    name: &str,
    packages: &[String],
) -> anyhow::Result<Tool> {
    let packages = Packages {
        whole: packages.to_vec(),
        bare: Vec::new(),
    };
    made(workspace, &format!("tool-{name}"), &packages)
}

/// Packages of an environment, with what they depend on and without.
struct Packages {
    whole: Vec<String>,
    bare: Vec<String>,
}

fn made(workspace: &Workspace, folder: &str, packages: &Packages) -> anyhow::Result<Tool> {
    let folder = environments(workspace).join(folder);
    let python = folder.join("bin/python");
    // The mark is written last, so a half-made environment is made again.
    let mark = folder.join("gleaner-packages");
    let wanted = [&packages.whole[..], &packages.bare[..]]
        .concat()
        .join("\n");
    if fs::read_to_string(&mark).is_ok_and(|found| found == wanted) {
        return Ok(Ok(python));
    }
    if workspace.skips("python") {
        return Ok(Err(
            "GLEANER_XTASK_SKIP says not to install Python packages".into(),
        ));
    }
    let names = packages.whole.join(", ");
    println!("making {} with {names}", folder.display());
    if let Err(error) = make_environment(&folder, packages) {
        return Ok(Err(format!(
            "Python packages cannot be installed: {error:#}"
        )));
    }
    fs::write(mark, wanted)?;
    Ok(Ok(python))
}

/// Returns the folder of all virtual environments.
pub(crate) fn environments(workspace: &Workspace) -> PathBuf {
    workspace.scratch().join("python")
}

fn make_environment(folder: &Path, packages: &Packages) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(folder);
    run_program(venv)?;
    let pip = |options: &[&str], packages: &[String]| {
        let mut install = Command::new(folder.join("bin/python"));
        install
            .args(["-m", "pip", "install", "--quiet"])
            .args(options)
            .args(packages);
        run_program(install)
    };
    pip(&[], &packages.whole)?;
    if !packages.bare.is_empty() {
        pip(&["--no-deps"], &packages.bare)?;
    }
    Ok(())
}

fn python_clients(workspace: &Workspace) -> anyhow::Result<Outcome> {
    for environment in ENVIRONMENTS {
        if let Err(absent) = python(workspace, environment.name)? {
            return Ok(Outcome::Skipped(absent));
        }
    }
    Ok(Outcome::PASSED)
}

/// A program of Debian's packages that tests start by its name.
struct Program {
    name: &'static str,
    package: &'static str,
    /// What it says its version with.
    version: &'static str,
}

const ETCD: Program = Program {
    name: "etcd",
    package: "etcd-server",
    version: "--version",
};

/// It saves and restores what an etcd holds.
const ETCDCTL: Program = Program {
    name: "etcdctl",
    package: "etcd-client",
    version: "version",
};

/// It makes the disks of processes fail.
const STRACE: Program = Program {
    name: "strace",
    package: "strace",
    version: "--version",
};

/// It counts instructions.
const VALGRIND: Program = Program {
    name: "valgrind",
    package: "valgrind",
    version: "--version",
};

/// It reads pages of metrics as Prometheus does.
const PROMTOOL: Program = Program {
    name: "promtool",
    package: "prometheus",
    version: "--version",
};

/// Redis, and what the companions of Redis are held against.
const REDIS: [Program; 3] = [
    Program {
        name: "redis-server",
        package: "redis-server",
        version: "--version",
    },
    Program {
        name: "prometheus-redis-exporter",
        package: "prometheus-redis-exporter",
        version: "--version",
    },
    Program {
        name: "nutcracker",
        package: "nutcracker",
        version: "--version",
    },
];

/// Returns a program, installed on first use.
fn program(workspace: &Workspace, program: &Program) -> Tool {
    let path = PathBuf::from(program.name);
    if is_available(&path, program.version) {
        return Ok(path);
    }
    let Program { name, package, .. } = program;
    if workspace.skips(name) {
        return Err(format!(
            "{name} is absent, GLEANER_XTASK_SKIP says not to install it"
        ));
    }
    println!("installing {package}");
    if let Err(error) = install_packages(&[package]) {
        return Err(format!("{name} cannot be installed: {error:#}"));
    }
    // Tests start their own; the package may have started one for the machine, where systemd runs.
    let stopped = Command::new("systemctl")
        .args(["disable", "--now", package.trim_end_matches("-server")])
        .output();
    if !stopped.is_ok_and(|output| output.status.success()) {
        println!("no service of {name} was stopped");
    }
    Ok(path)
}

/// Returns valgrind, installed on first use.
pub(crate) fn valgrind(workspace: &Workspace) -> Tool {
    program(workspace, &VALGRIND)
}

fn redis(workspace: &Workspace) -> anyhow::Result<Outcome> {
    for needed in &REDIS {
        if let Err(absent) = program(workspace, needed) {
            return Ok(Outcome::Skipped(absent));
        }
    }
    Ok(Outcome::PASSED)
}

/// Installs packages of the system, from the lists of packages that are here or else from new ones.
///
/// # Errors
/// When there is no such package, or this user may not.
pub(crate) fn install_packages(packages: &[&str]) -> anyhow::Result<Outcome> {
    let install = || {
        let mut install = Command::new("apt-get");
        install
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages);
        install
    };
    run_program(install()).or_else(|_| {
        let mut update = Command::new("apt-get");
        update.arg("update");
        run_program(update)?;
        run_program(install())
    })
}

fn outcome(tool: Tool) -> anyhow::Result<Outcome> {
    Ok(match tool {
        Ok(_) => Outcome::PASSED,
        Err(absent) => Outcome::Skipped(absent),
    })
}
