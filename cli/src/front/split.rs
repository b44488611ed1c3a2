//! The flags of a front that send requests another way, each with its variable.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use gleaner_front::{BackendUrl, Rule, Rules, ShadowOptions, Share, SplitKey, SplitOptions, When};

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
    #[arg(long, env = "GLEANER_FRONT_CANARY", requires = "split_share")]
    canary: bool,
    /// File of rules, in JSON, as `/_front/rules` shows them
    #[arg(long, value_name = "FILE", env = "GLEANER_FRONT_RULES")]
    rules: Option<PathBuf>,
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
    /// Returns the rules, and the services that they may name.
    ///
    /// # Errors
    /// A file that cannot be read, or holds no rules.
    pub(super) fn split(&self) -> Result<SplitOptions> {
        let rules = match (&self.rules, self.split_share) {
            (Some(path), _) => {
                let shown = path.display();
                let text = std::fs::read_to_string(path);
                let text = text.with_context(|| format!("cannot read `{shown}`"))?;
                serde_json::from_str(&text).with_context(|| format!("`{shown}` holds no rules"))?
            }
            (None, Some(share)) => Rules {
                rules: vec![self.rule(share)],
            },
            (None, None) => Rules::default(),
        };
        Ok(SplitOptions {
            rules,
            targets: self.split_to.clone(),
        })
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
