//! How many copies of a shard a request waits for.

use std::fmt;
use std::str::FromStr;

use crate::IndexSettings;

/// How many copies of a shard are to serve before a request goes on (`wait_for_active_shards`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActiveShards {
    /// The primary and all replicas that the index is to have.
    All,
    /// So many, the primary included.
    AtLeast(u32),
}

impl ActiveShards {
    /// What holds where nobody says it: the primary.
    pub const ONE: Self = Self::AtLeast(1);
    /// The setting that says what holds for writes that do not.
    pub const SETTING: &'static str = "index.write.wait_for_active_shards";

    /// Returns what writes to an index wait for that do not say it.
    pub fn of_writes(settings: &IndexSettings) -> Self {
        settings.declared_as(Self::SETTING).unwrap_or(Self::ONE)
    }

    /// Returns how many copies that is of an index with these settings.
    pub fn number(self, settings: &IndexSettings) -> u32 {
        match self {
            Self::All => settings.number_of_replicas.saturating_add(1),
            Self::AtLeast(number) => number,
        }
    }
}

impl FromStr for ActiveShards {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            number => number.parse().map(Self::AtLeast),
        }
    }
}

impl fmt::Display for ActiveShards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // As the dialect words it.
            Self::All => f.write_str("ALL"),
            Self::AtLeast(number) => number.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_are_as_many_as_the_index_is_to_have() {
        let mut settings = IndexSettings {
            number_of_replicas: 2,
            ..IndexSettings::default()
        };
        assert_eq!(ActiveShards::of_writes(&settings), ActiveShards::ONE);
        let declared = &mut settings.declared;
        declared.insert(ActiveShards::SETTING.to_owned(), json!("all"));
        let all = ActiveShards::of_writes(&settings);
        assert_eq!((all, all.number(&settings)), (ActiveShards::All, 3));
        assert_eq!("4".parse(), Ok(ActiveShards::AtLeast(4)));
        assert!("-1".parse::<ActiveShards>().is_err());
        assert!("".parse::<ActiveShards>().is_err());
    }
}
