//! Asking the operator before something that cannot be undone.

use std::io::{BufRead as _, IsTerminal as _, Write as _, stderr, stdin};

use anyhow::{Result, bail};

/// Returns whether the operator agrees: by `--yes` before, or by `yes` on his terminal.
///
/// # Errors
/// There is no terminal to ask on, and no `--yes`.
pub(super) fn is_given(question: &str, has_agreed: bool) -> Result<bool> {
    if has_agreed {
        return Ok(true);
    }
    if !stdin().is_terminal() {
        bail!("there is no terminal to ask on: add `--yes` to agree to what is shown above");
    }
    write!(stderr(), "{question} Type `yes` to go on: ")?;
    stderr().flush()?;
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
