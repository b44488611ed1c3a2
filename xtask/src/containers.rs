//! The drills: leaves in containers that are killed, paused and cut off, and the files of Compose, on the images of `deploy`.
//!
//! The image has the dev build, which the tests before have made. What a drill leaves behind when it is
//! killed itself is removed here; only the base image stays, for the next run.

use std::process::Command;

use crate::{
    command::cargo,
    image,
    report::{Outcome, Step},
    skips::run_tests,
    test,
    workspace::Workspace,
};

/// The step; the server must have been built before.
pub(crate) const STEPS: &[Step] = &[Step {
    name: "containers",
    run,
}];

/// What all containers and networks of a run are marked with.
const LABEL: &str = "gleaner.drill";

fn run(workspace: &Workspace) -> anyhow::Result<Outcome> {
    if !image::has_docker() {
        return Ok(Outcome::Skipped("no Docker answers here".to_owned()));
    }
    // A machine that reaches neither a registry nor Debian's packages proves nothing about leaves.
    match image::base(workspace) {
        Ok(Outcome::Ran(..)) => {}
        Ok(skipped) => return Ok(skipped),
        Err(error) => return Ok(Outcome::Skipped(format!("no base image: {error:#}"))),
    }
    test::build_server(workspace)?;
    let drill = Drill::new();
    image::build(workspace, &test::binary(workspace), &drill.image)?;
    if !image::has_packages() {
        let why = "a container reaches no packages of Debian, and so there is no image of etcd and of Redis";
        return Ok(Outcome::Skipped(why.to_owned()));
    }
    image::build_other(workspace, image::ETCD, &drill.etcd_image)?;
    image::build_other(workspace, image::REDIS, &drill.redis_image)?;
    if let Some(why) = drill.cannot_start() {
        return Ok(Outcome::Skipped(why));
    }
    let arguments = [
        "test",
        "--workspace",
        "--locked",
        "--test",
        "containers",
        "--",
        "--ignored",
        "--test-threads=1",
    ];
    let mut tests = cargo(workspace, arguments);
    tests.env("GLEANER_BINARY", test::binary(workspace));
    tests.env("GLEANER_IMAGE", &drill.image);
    tests.env("GLEANER_ETCD_IMAGE", &drill.etcd_image);
    tests.env("REDIS_IMAGE", &drill.redis_image);
    tests.env("GLEANER_DRILL", &drill.run);
    run_tests(workspace, tests)
}

/// One run, and what it has at Docker; gone when dropped.
struct Drill {
    run: String,
    image: String,
    etcd_image: String,
    redis_image: String,
}

impl Drill {
    fn new() -> Self {
        let run = std::process::id().to_string();
        Self {
            image: format!("gleaner-drill:{run}"),
            etcd_image: format!("gleaner-drill-etcd:{run}"),
            redis_image: format!("gleaner-drill-redis:{run}"),
            run,
        }
    }

    /// Returns why the binary does not start on the base, if that is the machine's fault: its C library
    /// is newer than the base's.
    fn cannot_start(&self) -> Option<String> {
        let mut version = Command::new("docker");
        version.args(["run", "--rm", &self.image, "--version"]);
        let told = version.output().ok()?.stderr;
        let told = String::from_utf8_lossy(&told);
        let line = told.lines().find(|line| line.contains("GLIBC_"))?;
        Some(format!("what is built here does not start there: {line}"))
    }
}

impl Drop for Drill {
    fn drop(&mut self) {
        let filter = format!("label={LABEL}={}", self.run);
        let remove = |list: &[&str], remove: &[&str]| {
            let found = Command::new("docker")
                .args(list)
                .args(["--quiet", "--filter", &filter])
                .output();
            let found = found.map(|output| output.stdout).unwrap_or_default();
            for id in String::from_utf8_lossy(&found).split_whitespace() {
                drop(Command::new("docker").args(remove).arg(id).output());
            }
        };
        // Nothing is there unless a drill was killed.
        remove(&["ps", "--all"], &["rm", "--force", "--volumes"]);
        remove(&["network", "ls"], &["network", "rm"]);
        drop(
            Command::new("docker")
                .args(["rmi", "--force"])
                .args([&self.image, &self.etcd_image, &self.redis_image])
                .output(),
        );
    }
}
