//! Security of a process as its settings have it: the first key of a cluster, and the file of denials.

use std::fs::OpenOptions;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use gleaner_api::security::{Audit, secure};
use gleaner_coordinator::Coordinator;

use crate::serve::node::now_ms;
use crate::tls::write_secret;

/// Name of the file that the first key is written to where nobody sits at a terminal.
const KEY_FILE: &str = "admin.key";

/// Name of the file of denials.
const AUDIT_FILE: &str = "audit.jsonl";

/// Sees to it that the cluster requires keys, and shows its first one where this process has made it: on the terminal,
/// else in a file of `folder` that nobody else may read. It never stands in a log.
///
/// # Errors
/// The cluster state could not be changed, or the key not be shown.
pub(crate) async fn require_keys(coordinator: &dyn Coordinator, folder: &Path) -> Result<()> {
    let made = secure(coordinator, now_ms()).await;
    let made = made.context("cannot make the first API key")?;
    let Some(key) = made else {
        return Ok(());
    };
    if stdout().is_terminal() {
        let encoded = key.encoded();
        writeln!(
            stdout(),
            "The first API key, which may do everything. It is shown this once:\n\n  {encoded}\n\nSend it as \
             `Authorization: ApiKey …`, or set GLEANER_API_KEY.\n"
        )?;
        return Ok(());
    }
    let path = folder.join(KEY_FILE);
    write_secret(&path, &format!("{}\n", key.encoded()))?;
    tracing::info!(
        path = %path.display(),
        id = key.id(),
        "the first API key was made; move its file to where only you can read it"
    );
    Ok(())
}

/// Opens the file of denials in `folder`, to be written at its end.
///
/// # Errors
/// What the disk says.
pub(crate) fn audit(folder: &Path) -> Result<Arc<Audit>> {
    let path = folder.join(AUDIT_FILE);
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path);
    let file = file.with_context(|| format!("cannot write `{}`", path.display()))?;
    let audit = Audit::to(Box::new(file), now_ms).context("cannot start a thread")?;
    Ok(Arc::new(audit))
}
