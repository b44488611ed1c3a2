//! Flags that do not go together.
//!
//! Does: refuse the first flag of a list that is given. The parser cannot: to it a variable that says `false` is a flag
//! that was given. Does not: know commands; each checks its own flags before it runs. Read first: [`refuse`].

use anyhow::{Result, bail};

/// A flag, on the command line or as a variable.
pub(crate) struct Given {
    /// With its dashes, such as `--once`.
    flag: &'static str,
    /// Is it there, and not `false`?
    is_given: bool,
}

impl Given {
    pub(crate) fn new(flag: &'static str, is_given: bool) -> Self {
        Self { flag, is_given }
    }
}

/// Refuses flags that cannot be used where `setting` holds, such as "without `--watch`".
///
/// # Errors
/// One of the flags is given: the error names it.
pub(crate) fn refuse(flags: &[Given], setting: &str) -> Result<()> {
    match flags.iter().find(|flag| flag.is_given) {
        Some(Given { flag, .. }) => bail!("`{flag}` cannot be used {setting}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_flag_that_is_given_is_refused_by_name() {
        let flags = [
            Given::new("--once", false),
            Given::new("--ref", true),
            Given::new("--source", true),
        ];
        let refused = refuse(&flags, "without `--watch`").expect_err("two are given");
        assert_eq!(
            refused.to_string(),
            "`--ref` cannot be used without `--watch`"
        );
        refuse(&flags[..1], "without `--watch`").expect("none is given");
    }
}
