//! The file that follows a value: what is put there, and what is not.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
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
        let Some(check) = &self.check else {
            return self.replace(value, mode).map(|()| true);
        };
        let path = std::path::absolute(&self.path)?;
        let refused = self.check_beside(check, value, mode).await.err();
        // A check that finds the file in its own place, as `nginx -t` does, judges what is there and not what came. One
        // that refuses what is there already says nothing of what came either. Both have the last word in place.
        if refused.is_none() && names_file(check) {
            return self.replace(value, mode).map(|()| true);
        }
        if let Some(refused) = refused
            && run_check(check, &path).await.is_ok()
        {
            return Err(refused);
        }
        let mut trial = Trial {
            place: self,
            before: self.read_before()?,
            mode,
            has_passed: false,
        };
        self.replace(value, mode)?;
        run_check(check, &path).await?;
        trial.has_passed = true;
        Ok(true)
    }

    /// Runs the check over a value that lies beside the file.
    async fn check_beside(&self, check: &str, value: &[u8], mode: u32) -> Result<()> {
        let candidate = std::path::absolute(durable::beside(&self.path))?;
        let made = make_new(&candidate, mode).and_then(|mut file| file.write_all(value));
        made.with_context(|| format!("cannot write `{}`", candidate.display()))?;
        let checked = run_check(check, &candidate).await;
        drop(fs::remove_file(&candidate));
        checked
    }

    /// Returns what the file holds; `None` where it is not there.
    fn read_before(&self) -> Result<Option<Vec<u8>>> {
        match fs::read(&self.path) {
            Ok(before) => Ok(Some(before)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(error).with_context(|| format!("cannot read `{}`", self.path.display()))
            }
        }
    }

    /// Puts back what the file held before.
    fn put_back(&self, before: Option<&[u8]>, mode: u32) -> Result<()> {
        match before {
            Some(before) => self.replace(before, mode),
            None => durable::remove(&self.path)
                .with_context(|| format!("cannot remove `{}`", self.path.display())),
        }
    }

    /// Replaces the file as a whole.
    fn replace(&self, value: &[u8], mode: u32) -> Result<()> {
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
        })
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

/// A value that is in place while it is checked there. The one of before is put back unless it passes, also where the
/// check is broken off.
struct Trial<'a> {
    place: &'a Place,
    before: Option<Vec<u8>>,
    mode: u32,
    has_passed: bool,
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if self.has_passed {
            return;
        }
        let put_back = self.place.put_back(self.before.as_deref(), self.mode);
        if let Err(error) = put_back {
            let why = format!("{error:#}");
            tracing::error!(file = %self.place.path.display(), why, "a refused value stays in place");
        }
    }
}

/// Does a check look at the file that it is given?
fn names_file(check: &str) -> bool {
    check.contains("$FILE") || check.contains("${FILE")
}

/// Writes a new file, and has it take the place of the old one. Nobody reads it who may not.
fn write(path: &Path, value: &[u8], mode: u32) -> io::Result<()> {
    let rights = fs::metadata(path).map(|there| there.permissions().mode() & 0o777);
    match rights {
        // Those that it has are kept.
        Ok(rights) if rights == mode => durable::replace(path, value),
        _ => {
            durable::replace_secret(path, value)?;
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
        }
    }
}

/// Makes a file with these rights, and such that its owner can write it. What is there already is removed and never
/// opened: it may be a link that somebody else planted.
fn make_new(path: &Path, mode: u32) -> io::Result<fs::File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    let file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(fs::Permissions::from_mode(mode | 0o200))?;
    Ok(file)
}

/// Runs a check of a file.
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
    async fn a_planted_link_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let victim = folder.path().join("victim");
        for check in [None, Some("test -s \"$FILE\"")] {
            fs::write(&victim, "untouched").expect("written");
            fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).expect("it is ours");
            let place = place(folder.path(), Format::Any, check);
            drop(fs::remove_file(&place.path));
            let beside = durable::beside(&place.path);
            std::os::unix::fs::symlink(&victim, beside).expect("linked");
            assert!(place.put(b"value").await.expect("written"));
            assert_eq!(fs::read(&place.path).expect("a file"), b"value");
            assert!(!place.path.is_symlink());
            assert_eq!(fs::read(&victim).expect("a file"), b"untouched");
            let mode = fs::metadata(&victim).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[tokio::test]
    async fn a_check_that_looks_at_what_is_in_place_lets_no_bad_value_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        // As `nginx -t`: it finds the file by itself, and is glad where there is none.
        let path = folder.path().join("app.conf");
        let check = format!("! test -e {0} || grep -q good {0}", path.display());
        let place = place(folder.path(), Format::Any, Some(&check));
        let read = || fs::read(&path).ok();
        assert!(place.put(b"bad at first").await.is_err());
        assert_eq!(read(), None, "it is as it was");
        assert!(place.put(b"good 1").await.expect("written"));
        assert!(place.put(b"bad").await.is_err());
        assert_eq!(read().as_deref(), Some(&b"good 1"[..]));
        assert!(place.put(b"good 2").await.expect("written"));
        assert_eq!(read().as_deref(), Some(&b"good 2"[..]));
    }

    #[tokio::test]
    async fn what_is_bad_already_does_not_keep_the_next_value_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("app.conf");
        let of_place = format!("grep -q good {}", path.display());
        let of_both = format!("{of_place} && grep -q good \"$FILE\"");
        for check in [of_place, of_both] {
            fs::write(&path, "bad already").expect("written");
            let place = place(folder.path(), Format::Any, Some(&check));
            assert!(place.put(b"bad").await.is_err());
            assert_eq!(fs::read(&path).expect("a file"), b"bad already");
            assert!(place.put(b"good").await.expect("written"));
            assert_eq!(fs::read(&path).expect("a file"), b"good");
        }
    }

    #[tokio::test]
    async fn a_check_is_told_the_whole_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let whole = place(
            folder.path(),
            Format::Any,
            Some("case \"$FILE\" in /*) ;; *) exit 1;; esac"),
        );
        assert!(whole.put(b"value").await.expect("written"));
        assert!(names_file("cat ${FILE}") && !names_file("nginx -t"));
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
