//! Where things are: the checkout, the build folder, the cache of tools, the shared data.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

/// The folders that the commands work with, resolved once.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    cache: PathBuf,
    skipped_tools: Vec<String>,
}

impl Workspace {
    /// Finds the checkout this binary was built from, and where cargo builds it.
    ///
    /// Cargo itself is asked for the build folder, so `CARGO_TARGET_DIR` and `build.target-dir` count.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask stands inside the workspace")?
            .to_path_buf();
        let target = target_folder(&root)?;
        let cache = cache_folder(&target);
        let skipped_tools = env::var("GLEANER_XTASK_SKIP")
            .unwrap_or_default()
            .split(',')
            .map(|tool| tool.trim().to_owned())
            .collect();
        Ok(Self {
            root,
            target,
            cache,
            skipped_tools,
        })
    }

    /// Returns the root of the checkout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder cargo builds into.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Returns a folder for what the checks make: virtual environments, data of test servers.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.target.join("xtask")
    }

    /// Returns the folder of installed tools; it outlives `cargo clean`.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// Returns a folder of the shared data beside the checkout, when it is there.
    pub(crate) fn shared(&self, name: &str) -> Option<PathBuf> {
        let folder = self.root.join("..").join("shared").join(name);
        folder.canonicalize().ok().filter(|found| found.is_dir())
    }

    /// Is this tool named in `GLEANER_XTASK_SKIP`?
    pub(crate) fn skips(&self, tool: &str) -> bool {
        self.skipped_tools.iter().any(|skipped| skipped == tool)
    }
}

fn target_folder(root: &Path) -> anyhow::Result<PathBuf> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root)
        .output()
        .context("cannot run `cargo metadata`")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`cargo metadata` failed: {told}");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let folder = metadata["target_directory"]
        .as_str()
        .context("metadata names no target folder")?;
    Ok(PathBuf::from(folder))
}

fn cache_folder(target: &Path) -> PathBuf {
    let named = |variable: &str| env::var_os(variable).filter(|value| !value.is_empty());
    named("GLEANER_XTASK_CACHE")
        .map(PathBuf::from)
        .or_else(|| named("XDG_CACHE_HOME").map(|home| PathBuf::from(home).join("gleaner-xtask")))
        .or_else(|| named("HOME").map(|home| PathBuf::from(home).join(".cache/gleaner-xtask")))
        .unwrap_or_else(|| target.join("xtask/tools"))
}
