//! `cargo xtask image`: the container images that the files of Compose in `deploy` run.
//!
//! The base is Debian's slim image. Where no registry answers, it is made with `debootstrap` from
//! Debian's packages, which needs root and a minute.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail, ensure};

use crate::{
    command::{cargo, is_available, run_program},
    report::{Outcome, Report},
    setup::install_packages,
    workspace::Workspace,
};

const BASE: &str = "debian:bookworm-slim";
const IMAGE: &str = "gleaner:local";
const ETCD_IMAGE: &str = "gleaner-etcd:local";
const REDIS_IMAGE: &str = "gleaner-redis:local";

/// What `deploy/Dockerfile` adds to the slim image: put in here, so that the image can be built where containers reach no
/// packages.
const PACKAGES: &str = "--include=ca-certificates,git";
/// What `deploy/Dockerfile` asks before it adds them.
const ADDITIONS: &str = "command -v git && test -s /etc/ssl/certs/ca-certificates.crt";

/// Debian's etcd on the base, by its file in `deploy`.
pub(crate) const ETCD: &str = "etcd.Dockerfile";
/// Debian's Redis on the base.
pub(crate) const REDIS: &str = "patterns/redis.Dockerfile";

/// Seconds that a registry may take to answer nothing.
const PULLED_WITHIN: &str = "120";

/// `cargo xtask image [--binary PATH]`: with a build by the profile `dist`, or with the binary at a path.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<Report> {
    let given = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => None,
        ["--binary", path] => Some(PathBuf::from(path)),
        _ => bail!("usage: cargo xtask image [--binary PATH]"),
    };
    let mut report = Report::default();
    report.time("image: base", || base(workspace));
    let binary = given.unwrap_or_else(|| {
        report.time("image: binary", || dist(workspace));
        workspace.target().join("dist/gleaner")
    });
    report.time("image: build", || build(workspace, &binary, IMAGE));
    report.time("image: etcd", || build_other(workspace, ETCD, ETCD_IMAGE));
    report.time("image: redis", || {
        build_other(workspace, REDIS, REDIS_IMAGE)
    });
    Ok(report)
}

/// Returns whether Docker is here and answers.
pub(crate) fn has_docker() -> bool {
    is_available(Path::new("docker"), "version")
}

/// Sees to it that the base is here.
pub(crate) fn base(workspace: &Workspace) -> anyhow::Result<Outcome> {
    if !has_docker() {
        return Ok(Outcome::Skipped("no Docker answers here".to_owned()));
    }
    if !is_here(BASE) {
        println!("pulling {BASE}");
        let mut pull = Command::new("timeout");
        let pulled = pull.args([PULLED_WITHIN, "docker", "pull", BASE]).status();
        if !pulled.is_ok_and(|status| status.success()) {
            println!("no registry gives {BASE}");
        }
    }
    if is_here(BASE) && (has_additions() || has_packages()) {
        println!("{BASE} is here");
        return Ok(Outcome::PASSED);
    }
    println!("{BASE} is made with debootstrap");
    if !is_available(Path::new("debootstrap"), "--version") {
        println!("installing debootstrap");
        install_packages(&["debootstrap"])?;
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
        .args(["--variant=minbase", PACKAGES, "bookworm"])
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

fn dist(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let arguments = [
        "build",
        "--profile",
        "dist",
        "--locked",
        "-p",
        "gleaner-cli",
    ];
    run_program(cargo(workspace, arguments))
}

/// Puts `binary` on the base and calls the image `tag`.
pub(crate) fn build(workspace: &Workspace, binary: &Path, tag: &str) -> anyhow::Result<Outcome> {
    if !has_docker() {
        return Ok(Outcome::Skipped("no Docker answers here".to_owned()));
    }
    // A folder of its own, so that Docker is sent three files and not the checkout.
    let context = workspace.scratch().join(tag.replace(':', "-"));
    fs::create_dir_all(&context).with_context(|| context.display().to_string())?;
    let deploy = workspace.root().join("deploy");
    let files = [
        (deploy.join("Dockerfile"), "Dockerfile"),
        (deploy.join("cluster.toml"), "cluster.toml"),
        (binary.to_path_buf(), "gleaner"),
    ];
    for (from, name) in files {
        fs::copy(&from, context.join(name)).with_context(|| from.display().to_string())?;
    }
    let mut build = Command::new("docker");
    build.args(["build", "--tag", tag]).arg(&context);
    run_program(build)?;
    // A copy of the binary that nobody needs any more.
    fs::remove_dir_all(&context).with_context(|| context.display().to_string())?;
    ensure!(
        is_here(tag),
        "`docker build` ended well, but {tag} is not here"
    );
    Ok(Outcome::PASSED)
}

/// Puts another program on the base, as a file in `deploy` says, and calls the image `tag`.
pub(crate) fn build_other(workspace: &Workspace, file: &str, tag: &str) -> anyhow::Result<Outcome> {
    if !has_docker() {
        return Ok(Outcome::Skipped("no Docker answers here".to_owned()));
    }
    let deploy = workspace.root().join("deploy");
    let mut build = Command::new("docker");
    build.args(["build", "--tag", tag, "--file"]);
    build.arg(deploy.join(file)).arg(&deploy);
    run_program(build)?;
    ensure!(
        is_here(tag),
        "`docker build` ended well, but {tag} is not here"
    );
    Ok(Outcome::PASSED)
}

/// Returns whether the base has what `deploy/Dockerfile` adds, so that no package is needed to build the image.
fn has_additions() -> bool {
    let mut look = Command::new("docker");
    look.args(["run", "--rm", BASE, "sh", "-c", ADDITIONS]);
    run_program(look).is_ok()
}

/// Returns whether a container reaches Debian's packages.
pub(crate) fn has_packages() -> bool {
    let mut update = Command::new("docker");
    update.args(["run", "--rm", BASE, "apt-get", "update", "--quiet"]);
    // Without it `apt-get` passes over archives that do not answer.
    update.args(["--option", "APT::Update::Error-Mode=any"]);
    run_program(update).is_ok()
}

fn is_here(image: &str) -> bool {
    let inspected = Command::new("docker")
        .args(["image", "inspect", "--format", "{{.Id}}", image])
        .output();
    inspected.is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_asked_for_what_the_dockerfile_asks_for() {
        let file = include_str!("../../deploy/Dockerfile");
        assert!(file.contains(&format!("{{ {ADDITIONS}; }}")), "{file}");
    }
}
