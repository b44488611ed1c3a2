//! `cargo xtask image`: the container image that `deploy/compose.yaml` runs.
//!
//! The base is Debian's slim image. Where no registry answers, it is made with `debootstrap` from
//! Debian's packages, which needs root and a minute.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, ensure};

use crate::{
    command::{cargo, is_available, run_program},
    report::{Outcome, Step},
    workspace::Workspace,
};

const BASE: &str = "debian:bookworm-slim";
const IMAGE: &str = "gleaner:local";

/// The steps of the command.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "image: base",
        run: base,
    },
    Step {
        name: "image: binary",
        run: binary,
    },
    Step {
        name: "image: build",
        run: build,
    },
];

/// Returns whether Docker is here and answers.
pub(crate) fn has_docker() -> bool {
    is_available(Path::new("docker"), "version")
}

fn base(workspace: &Workspace) -> anyhow::Result<Outcome> {
    if !has_docker() {
        return Ok(Outcome::Skipped("no Docker answers here".to_owned()));
    }
    if is_here(BASE) {
        println!("{BASE} is here");
        return Ok(Outcome::PASSED);
    }
    println!("pulling {BASE}");
    let pulled = Command::new("docker").args(["pull", BASE]).status();
    if pulled.is_ok_and(|status| status.success()) {
        return Ok(Outcome::PASSED);
    }
    println!("no registry gives {BASE}; it is made with debootstrap");
    if !is_available(Path::new("debootstrap"), "--version") {
        println!("installing debootstrap");
        let mut install = Command::new("apt-get");
        install.args(["install", "--yes", "--no-install-recommends", "debootstrap"]);
        run_program(install)?;
    }
    bootstrap(workspace)
}

/// Makes the base from Debian's packages and hands it to Docker.
fn bootstrap(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let folder = workspace.scratch().join("bookworm");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut debootstrap = Command::new("debootstrap");
    debootstrap
        .args(["--variant=minbase", "bookworm"])
        .arg(&folder);
    run_program(debootstrap)?;
    // One pipe: the archive is some 200 MB and nobody needs it afterwards.
    let mut import = Command::new("sh");
    import.args(["-c", "tar -C \"$0\" -c . | docker import - \"$1\""]);
    import.arg(&folder).arg(BASE);
    let outcome = run_program(import)?;
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(outcome)
}

fn binary(workspace: &Workspace) -> anyhow::Result<Outcome> {
    run_program(cargo(
        workspace,
        ["build", "--release", "--locked", "-p", "gleaner-cli"],
    ))
}

fn build(workspace: &Workspace) -> anyhow::Result<Outcome> {
    if !has_docker() {
        return Ok(Outcome::Skipped("no Docker answers here".to_owned()));
    }
    // A folder of its own, so that Docker is sent three files and not the checkout.
    let context = workspace.scratch().join("image");
    fs::create_dir_all(&context).with_context(|| context.display().to_string())?;
    let deploy = workspace.root().join("deploy");
    let release = workspace.target().join("release/gleaner");
    let files = [
        (deploy.join("Dockerfile"), "Dockerfile"),
        (deploy.join("cluster.toml"), "cluster.toml"),
        (release, "gleaner"),
    ];
    for (from, name) in files {
        fs::copy(&from, context.join(name)).with_context(|| from.display().to_string())?;
    }
    let mut build = Command::new("docker");
    build.args(["build", "--tag", IMAGE]).arg(&context);
    run_program(build)?;
    ensure!(
        is_here(IMAGE),
        "`docker build` ended well, but {IMAGE} is not here"
    );
    Ok(Outcome::PASSED)
}

fn is_here(image: &str) -> bool {
    let inspected = Command::new("docker")
        .args(["image", "inspect", "--format", "{{.Id}}", image])
        .output();
    inspected.is_ok_and(|output| output.status.success())
}
