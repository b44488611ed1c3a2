//! The flags of a front that send requests another way, each with its variable.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use gleaner_front::{BackendUrl, Rule, Rules, ShadowOptions, Share, SplitKey, SplitOptions, When};

use super::rules::RulesFile;

/// A share of users sent another way, and copies of requests whose answers nobody sees.
#[derive(Debug, clap::Args)]
pub(crate) struct SplitArguments {
    /// A service that a share of users may be sent to, beside the backends; may be repeated
    #[arg(
        long,
        value_name = "URL",
        env = "GLEANER_FRONT_SPLIT_TO",
        value_delimiter = ','
    )]
    split_to: Vec<BackendUrl>,
    /// The share of users whose reads go to the first `--split-to`, such as 10% [default: those of `--rules`]
    #[arg(
        long,
        value_name = "SHARE",
        env = "GLEANER_FRONT_SPLIT_SHARE",
        requires = "split_to",
        conflicts_with = "rules"
    )]
    split_share: Option<Share>,
    /// By what users are known: address, key, header:NAME or cookie:NAME
    #[arg(
        long,
        value_name = "KEY",
        env = "GLEANER_FRONT_SPLIT_BY",
        default_value = "address"
    )]
    split_by: SplitKey,
    /// Send nobody there any more once it fails more often or is slower than the backends
    #[arg(long, env = "GLEANER_FRONT_CANARY", requires_if("true", "split_share"))]
    canary: bool,
    /// File of rules, in JSON, as `PUT /_front/rules` takes them; it is read again when it changes, and at SIGHUP
    #[arg(long, value_name = "FILE", env = "GLEANER_FRONT_RULES")]
    rules: Option<PathBuf>,
    /// File that keeps which ways a canary has left, for the next start; one for each front [default: the file of
    /// `--rules` with the front's name and `.stopped` appended, none without `--rules`]
    #[arg(long, value_name = "FILE", env = "GLEANER_FRONT_RULES_STATE")]
    rules_state: Option<PathBuf>,
    /// A service that gets a copy of reads, and whose answers nobody sees
    #[arg(long, value_name = "URL", env = "GLEANER_FRONT_SHADOW")]
    shadow: Option<BackendUrl>,
    /// The share of requests that are copied
    #[arg(
        long,
        value_name = "SHARE",
        default_value = "5%",
        env = "GLEANER_FRONT_SHADOW_SHARE"
    )]
    shadow_share: Share,
    /// Show the texts of the queries whose answers differ most: they are what users typed
    #[arg(long, env = "GLEANER_FRONT_SHADOW_KEEP_QUERIES")]
    shadow_keep_queries: bool,
    /// Take hits of the two for the same whatever their index is called
    #[arg(long, env = "GLEANER_FRONT_SHADOW_IGNORE_INDEX")]
    shadow_ignore_index: bool,
    /// Address of `/_front/rules` and `/_front/shadow`, where nobody logs in [default: none]
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "GLEANER_FRONT_ADMIN_LISTEN",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) admin_listen: String,
}

impl SplitArguments {
    /// Reads the file of rules, where there is one.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn rules_file(&self) -> Result<Option<RulesFile>> {
        self.rules.as_deref().map(RulesFile::open).transpose()
    }

    /// Returns the rules, those of `file` where there is one, and the services that they may name; `name` is that of
    /// the front.
    ///
    /// # Errors
    /// A file that holds no rules, or one file for the rules and for what is kept of them.
    pub(super) fn split(
        &self,
        file: Option<&RulesFile>,
        name: Option<&str>,
    ) -> Result<SplitOptions> {
        self.check_state()?;
        let rules = match (file, self.split_share) {
            (Some(file), _) => file.rules()?,
            (None, Some(share)) => Rules {
                rules: vec![self.rule(share)],
            },
            (None, None) => Rules::default(),
        };
        Ok(SplitOptions {
            rules,
            targets: self.split_to.clone(),
            stops: self.stops(name),
        })
    }

    /// Refuses to keep which ways were left in the file of rules: it would be replaced.
    fn check_state(&self) -> Result<()> {
        let (Some(rules), Some(state)) = (&self.rules, &self.rules_state) else {
            return Ok(());
        };
        let is_same = match (rules.canonicalize(), state.canonicalize()) {
            (Ok(rules), Ok(state)) => rules == state,
            _ => rules == state,
        };
        ensure!(
            !is_same,
            "`--rules-state` is the file of `--rules`, `{}`, and would replace it: give it a file of its own",
            rules.display()
        );
        Ok(())
    }

    /// Returns the file that keeps which ways were left.
    fn stops(&self, name: Option<&str>) -> Option<PathBuf> {
        if self.rules_state.is_some() {
            return self.rules_state.clone();
        }
        let mut path = self.rules.clone()?.into_os_string();
        // Fronts of one cluster on one machine may share the file of rules.
        if let Some(name) = name {
            path.push(".");
            path.push(name);
        }
        path.push(".stopped");
        Some(path.into())
    }

    fn rule(&self, share: Share) -> Rule {
        Rule {
            name: "split".to_owned(),
            when: When::default(),
            to: self.split_to.first().map(ToString::to_string),
            index: None,
            share,
            by: self.split_by.clone(),
            writes: false,
            canary: self.canary,
        }
    }

    /// Returns where copies of requests go.
    pub(super) fn shadow(&self) -> Option<ShadowOptions> {
        self.shadow.as_ref().map(|to| ShadowOptions {
            to: to.clone(),
            share: self.shadow_share,
            keeps_bodies: self.shadow_keep_queries,
            compares_index: !self.shadow_ignore_index,
        })
    }

    /// Returns the services beside the backends.
    pub(super) fn services(&self) -> impl Iterator<Item = &BackendUrl> {
        self.split_to.iter().chain(&self.shadow)
    }
}

/// Refuses an address of those who look after the front that others reach.
pub(super) fn check_admin(address: std::net::SocketAddr, is_meant: bool) -> Result<()> {
    ensure!(
        address.ip().is_loopback() || is_meant,
        "other machines reach {address}, where everyone may change the rules: give `--admin-listen` an address of this \
         machine alone, or start with `--insecure`"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        split: SplitArguments,
    }

    #[test]
    fn ways_that_were_left_are_kept_beside_the_rules_for_each_front() {
        let kept = |words: &[&str], name: Option<&str>| {
            let words = [&["front"][..], words].concat();
            let line = Line::try_parse_from(words).expect("good flags");
            line.split.stops(name)
        };
        let rules = ["--rules", "a/rules.json"];
        let named = kept(&rules, Some("front-1"));
        assert_eq!(
            named.as_deref(),
            Some(Path::new("a/rules.json.front-1.stopped"))
        );
        let unnamed = kept(&rules, None);
        assert_eq!(unnamed.as_deref(), Some(Path::new("a/rules.json.stopped")));
        let given = kept(&["--rules-state", "b"], None);
        assert_eq!(given.as_deref(), Some(Path::new("b")));
        assert_eq!(kept(&[], None), None);
    }

    #[test]
    fn ways_that_were_left_are_not_kept_in_the_file_of_rules() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rules.json");
        std::fs::write(&path, r#"{"rules": []}"#).expect("written");
        let linked = folder.path().join("linked.json");
        std::os::unix::fs::symlink(&path, &linked).expect("linked");
        let by_another_name = folder.path().join("./rules.json");
        let split = |state: &Path| {
            let mut line = Line::try_parse_from(["front"]).expect("good flags");
            line.split.rules = Some(path.clone());
            line.split.rules_state = Some(state.to_owned());
            let file = line.split.rules_file().expect("it is there");
            line.split.split(file.as_ref(), None)
        };
        for state in [&path, &linked, &by_another_name] {
            let refused = split(state).expect_err("it is the same file").to_string();
            assert!(refused.contains("`--rules-state`"), "{refused}");
        }
        split(&folder.path().join("state.json")).expect("another file");
    }
}
