//! The file that follows a value: what is put there, and what is not.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

use gleaner_machine::durable;

/// Time that a check has.
const CHECKED_WITHIN: Duration = Duration::from_secs(30);

/// Bytes of what a check says that are passed on.
const SAID_BYTES: usize = 1_024;

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Anything that is not empty
    Any,
    /// JSON
    Json,
    /// TOML
    Toml,
}

/// The file, and which values it takes.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    pub(super) check: Option<String>,
    pub(super) mode: Option<u32>,
}

/// Reads rights in octal.
pub(super) fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "wanted three digits in octal, such as 640".to_owned())
}

impl Place {
    /// Refuses a folder that is not there, before anything is followed.
    pub(super) fn check_folder(&self) -> Result<()> {
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        ensure!(
            folder.is_dir(),
            "the folder `{}` is not there",
            folder.display()
        );
        ensure!(!self.path.is_dir(), "`{}` is a folder", self.path.display());
        Ok(())
    }

    /// Puts a value in place, and returns whether the file had another one.
    ///
    /// # Errors
    /// A value that is refused, and a file that cannot be written; the old one is there then.
    pub(super) async fn put(&self, value: &[u8]) -> Result<bool> {
        if fs::read(&self.path).is_ok_and(|known| known == value) {
            return Ok(false);
        }
        self.check_format(value)?;
        let known = fs::metadata(&self.path).map(|known| known.permissions().mode() & 0o777);
        let mode = self.mode.or(known.ok()).unwrap_or(0o644);
        let candidate = durable::beside(&self.path);
        if let Some(check) = &self.check {
            let made = make_empty(&candidate, mode).and_then(|()| fs::write(&candidate, value));
            made.with_context(|| format!("cannot write `{}`", candidate.display()))?;
            let checked = run_check(check, &candidate).await;
            if checked.is_err() {
                drop(fs::remove_file(&candidate));
            }
            checked?;
        }
        let written = write(&self.path, value, mode);
        written.map_err(|error| match error.kind() {
            // A file that is mounted by itself cannot be replaced by another.
            ErrorKind::ResourceBusy => anyhow::anyhow!(
                "`{}` is mounted by itself; mount its folder instead",
                self.path.display()
            ),
            _ => {
                anyhow::Error::new(error).context(format!("cannot write `{}`", self.path.display()))
            }
        })?;
        Ok(true)
    }

    fn check_format(&self, value: &[u8]) -> Result<()> {
        let is_blank = value.iter().all(u8::is_ascii_whitespace);
        ensure!(!is_blank, "the value is empty");
        match self.format {
            Format::Any => Ok(()),
            Format::Json => serde_json::from_slice::<serde::de::IgnoredAny>(value)
                .map(drop)
                .context("the value is no JSON"),
            Format::Toml => {
                let text = std::str::from_utf8(value).context("the value is no TOML")?;
                text.parse::<toml::Table>()
                    .map(drop)
                    .context("the value is no TOML")
            }
        }
    }
}

fn write(path: &Path, value: &[u8], mode: u32) -> std::io::Result<()> {
    // The rights are those of the new file before it is seen.
    make_empty(&durable::beside(path), mode)?;
    durable::replace(path, value)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Makes an empty file with these rights, and such that its owner can write it.
fn make_empty(path: &Path, mode: u32) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o200))
}

/// Runs a check of the candidate.
async fn run_check(check: &str, candidate: &Path) -> Result<()> {
    let mut command = Command::new("sh");
    command
        .args(["-c", check])
        .env("FILE", candidate)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(CHECKED_WITHIN, command.output()).await;
    let Ok(output) = ended else {
        bail!(
            "the check has not ended within {} s",
            CHECKED_WITHIN.as_secs()
        );
    };
    let output = output.context("the check cannot be run")?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said[..said.len().min(SAID_BYTES)])
        .trim()
        .to_owned();
    bail!("the check refuses it ({}): {said}", output.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: &Path, format: Format, check: Option<&str>) -> Place {
        Place {
            path: folder.join("app.conf"),
            format,
            check: check.map(str::to_owned),
            mode: Some(0o640),
        }
    }

    #[tokio::test]
    async fn a_secret_is_for_its_owner_alone_also_while_it_is_checked() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut secret = place(
            folder.path(),
            Format::Any,
            Some("test $(stat -c %a \"$FILE\") = 600"),
        );
        secret.mode = Some(0o600);
        assert!(
            secret
                .put(b"secret")
                .await
                .expect("the check sees its rights")
        );
    }

    #[tokio::test]
    async fn a_bad_value_leaves_the_old_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let json = place(folder.path(), Format::Json, None);
        assert!(json.put(b"{\"a\": 1}").await.expect("written"));
        assert!(!json.put(b"{\"a\": 1}").await.expect("the same"));
        for bad in [&b""[..], b" \n", b"{", b"{} {}"] {
            let refused = json.put(bad).await;
            assert!(refused.is_err(), "{}", bad.escape_ascii());
        }
        let read = || fs::read(&json.path).expect("a file");
        assert_eq!(read(), b"{\"a\": 1}");
        let mode = fs::metadata(&json.path)
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o640);
        let checked = place(
            folder.path(),
            Format::Any,
            Some("grep -q good \"$FILE\" || { echo no; exit 3; }"),
        );
        let error = checked.put(b"bad").await.expect_err("refused");
        assert!(
            error.to_string().contains("exit status: 3): no"),
            "{error:#}"
        );
        assert_eq!(read(), b"{\"a\": 1}");
        assert!(checked.put(b"good").await.expect("written"));
        assert_eq!(read(), b"good");
        let left = fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(left, 1, "nothing is left beside it");
    }
}
