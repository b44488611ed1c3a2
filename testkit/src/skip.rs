//! Tests that cannot run here: why they end early, told where it is read.
//!
//! ```text
//! GLEANER_SKIPS  a file; each skip is added to it as a line `<test>\t<reason>`
//! ```
//!
//! To Rust's test runner a test that returns early has passed, and what it prints is hidden.
//! `cargo xtask` names the file, counts its lines as skipped, not as passed, and shows the reasons.

use std::env;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

/// Says that `test`, `<target>::<function>`, does not run here, and why; the test returns what this
/// returns.
///
/// At most once a test, and only by a test that passes then: the line is taken off those that passed.
///
/// # Errors
/// When the skip cannot be recorded: it would count as a test that has passed.
#[expect(clippy::print_stdout, reason = "reasons are read on the terminal")]
pub fn skipped(test: &str, reason: &str) -> Result<()> {
    println!("skipped: {test}: {reason}");
    match env::var_os("GLEANER_SKIPS") {
        Some(file) => record(Path::new(&file), test, reason),
        None => Ok(()),
    }
}

/// Adds the skip to `file` in one write: tests run side by side.
fn record(file: &Path, test: &str, reason: &str) -> Result<()> {
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut opened = File::options()
        .create(true)
        .append(true)
        .open(file)
        .with_context(|| file.display().to_string())?;
    let line = format!("{test}\t{reason}\n");
    opened
        .write_all(line.as_bytes())
        .with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_skip_is_a_line_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("skips");
        record(&file, "a::b", "no disk\nhere").expect("recorded");
        record(&file, "c::d", "no data").expect("recorded");
        let told = std::fs::read_to_string(&file).expect("it is there");
        assert_eq!(told, "a::b\tno disk here\nc::d\tno data\n");
        let nowhere = folder.path().join("absent/skips");
        assert!(record(&nowhere, "a::b", "no disk").is_err());
    }
}
