//! The file of rules: read when the front starts, and again when it changes.
//!
//! Does: look at the file every few seconds and at SIGHUP, put its rules in force, and log where it is wrong. Does not:
//! check what rules say ([`Front::reload_rules`] does), or keep which ways were left. Called by [`super::run`].
//! Read first: [`RulesFile::follow`].

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use gleaner_front::{Front, Rules};

use crate::companion::AbortOnDrop;
use crate::signals::Hangups;
use crate::tls::LOOK_EVERY;

/// The file of rules, and what it held when it was read last.
#[derive(Debug)]
pub(super) struct RulesFile {
    path: PathBuf,
    /// The bytes, or why they could not be read.
    content: Result<Vec<u8>, String>,
}

impl RulesFile {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let content = std::fs::read(path);
        let content = content.with_context(|| format!("cannot read `{}`", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            content: Ok(content),
        })
    }

    /// Returns the rules that it held when it was read last.
    ///
    /// # Errors
    /// It could not be read, or holds no rules; with the line.
    pub(super) fn rules(&self) -> Result<Rules> {
        let shown = self.path.display();
        let content = self.content.as_ref();
        let content = content.map_err(|error| anyhow!("cannot read `{shown}`: {error}"))?;
        serde_json::from_slice(content).with_context(|| format!("`{shown}` holds no rules"))
    }

    /// Puts the rules of the file in force whenever it changes, and at each SIGHUP, until the result is dropped. A file
    /// that is wrong changes nothing.
    ///
    /// # Errors
    /// When the process cannot listen for signals.
    pub(super) fn follow(mut self, front: Front) -> Result<AbortOnDrop> {
        let mut hangups = Hangups::listen()?;
        Ok(AbortOnDrop(tokio::spawn(async move {
            let mut looks = tokio::time::interval(LOOK_EVERY);
            loop {
                let is_due = tokio::select! {
                    _ = looks.tick() => self.read_again().await,
                    () = hangups.next() => {
                        self.read_again().await;
                        true
                    }
                };
                if is_due {
                    self.put_in_force(&front);
                }
            }
        })))
    }

    /// Reads the file again; returns whether it has changed.
    async fn read_again(&mut self) -> bool {
        let content = tokio::fs::read(&self.path).await;
        let content = content.map_err(|error| error.to_string());
        let has_changed = content != self.content;
        self.content = content;
        has_changed
    }

    fn put_in_force(&self, front: &Front) {
        let file = self.path.display();
        let exchanged = self.rules().and_then(|rules| {
            front.reload_rules(&rules)?;
            Ok(rules.rules.len())
        });
        match exchanged {
            Ok(num_rules) => tracing::info!(%file, num_rules, "the rules of the file are in force"),
            Err(error) => {
                tracing::error!(%file, "rules are not exchanged, those in force stay: {error:#}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_file_is_refused_with_the_line_and_the_field() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rules.json");
        let refused = |text: &str| {
            std::fs::write(&path, text).expect("written");
            let file = RulesFile::open(&path).expect("it is there");
            format!("{:#}", file.rules().expect_err("it is wrong"))
        };
        let error = refused("{\"rules\": [\n  {\"name\": \"a\", \"shar\": \"5%\"}]}");
        assert!(
            error.contains("`shar`") && error.contains("line 2"),
            "{error}"
        );
        let error = refused("{\"rules\": [\n\n  {\"name\": \"a\"");
        assert!(
            error.contains("rules.json") && error.contains("line 3"),
            "{error}"
        );
        let error = RulesFile::open(&folder.path().join("none")).expect_err("it is not there");
        assert!(format!("{error:#}").contains("cannot read"), "{error:#}");
    }
}
