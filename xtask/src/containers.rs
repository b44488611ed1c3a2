//! The drills: leaves in containers that are killed, paused and cut off, and the files of Compose, on the images of `deploy`.
//!
//! The image has the dev build, which the tests before have made. What a drill leaves behind when it is
//! killed itself is removed here; only the base image stays, for the next run.

use std::{path::Path, process::Command};

use crate::{
    command::cargo,
    image,
    report::{Outcome, Step},
    skips::run_tests,
    test,
    workspace::Workspace,
};

/// The drills alone: among all tests they run beside the others, see [`crate::suite`].
pub(crate) const STEPS: &[Step] = &[Step {
    name: "containers",
    run,
}];

/// What all containers and networks of a run are marked with.
const LABEL: &str = "gleaner.drill";

fn run(workspace: &Workspace) -> anyhow::Result<Outcome> {
    test::build_server(workspace)?;
    let drill = match Drill::prepare(workspace, &test::binary(workspace))? {
        Ok(drill) => drill,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    let arguments = [
        "test",
        "--workspace",
        "--locked",
        "--test",
        "containers",
        "--",
    ];
    let mut tests = cargo(workspace, arguments);
    tests.env("GLEANER_BINARY", test::binary(workspace));
    drill.tell(&mut tests);
    run_tests(workspace, tests)
}

/// One run, and what it has at Docker; gone when dropped.
pub(crate) struct Drill {
    run: String,
    image: String,
    etcd_image: String,
    redis_image: String,
}

impl Drill {
    /// Makes the images, of `binary` and of what it stands on; returns why they cannot be had here.
    pub(crate) fn prepare(
        workspace: &Workspace,
        binary: &Path,
    ) -> anyhow::Result<Result<Self, String>> {
        if !image::has_docker() {
            return Ok(Err("no Docker answers here".to_owned()));
        }
        // A machine that reaches neither a registry nor Debian's packages proves nothing about leaves.
        match image::base(workspace) {
            Ok(Outcome::Ran { .. }) => {}
            Ok(Outcome::Skipped(why)) => return Ok(Err(why)),
            Err(error) => return Ok(Err(format!("no base image: {error:#}"))),
        }
        let run = std::process::id().to_string();
        let drill = Self {
            image: format!("gleaner-drill:{run}"),
            etcd_image: format!("gleaner-drill-etcd:{run}"),
            redis_image: format!("gleaner-drill-redis:{run}"),
            run,
        };
        image::build(workspace, binary, &drill.image)?;
        if !image::has_packages() {
            let why = "a container reaches no packages of Debian, and so there is no image of etcd and of Redis";
            return Ok(Err(why.to_owned()));
        }
        image::build_other(workspace, image::ETCD, &drill.etcd_image)?;
        image::build_other(workspace, image::REDIS, &drill.redis_image)?;
        Ok(match drill.cannot_start() {
            Some(why) => Err(why),
            None => Ok(drill),
        })
    }

    /// Tells the drills what they run on, and that they run: without images they are passed over.
    pub(crate) fn tell(&self, tests: &mut Command) {
        tests.args(["--include-ignored", "--test-threads=1"]);
        tests.env("GLEANER_IMAGE", &self.image);
        tests.env("GLEANER_ETCD_IMAGE", &self.etcd_image);
        tests.env("REDIS_IMAGE", &self.redis_image);
        tests.env("GLEANER_DRILL", &self.run);
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
