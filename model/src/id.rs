//! Identities and positions: newtypes, so that a shard number is never taken for a seq_no.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a name or an id was refused; the text is fit for the dialect's `reason`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The index (or alias) name breaks a rule of Elasticsearch's naming.
    #[error("Invalid index name [{name}], {rule}")]
    Index {
        /// The name as given.
        name: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// The document id is longer than 512 bytes.
    #[error("id is too long, must be no longer than 512 bytes but was: {bytes}")]
    IdTooLong {
        /// Length in bytes of the id as given.
        bytes: usize,
    },
    /// The document id is empty.
    #[error("if _id is specified it must not be empty")]
    IdEmpty,
    /// A UUID's text form is not 32 hexadecimal digits.
    #[error("`{0}` is not a UUID (32 hexadecimal digits)")]
    Uuid(String),
}

/// Parses 32 hexadecimal digits.
fn parse_uuid(text: &str) -> Result<[u8; 16], NameError> {
    let wrong = || NameError::Uuid(text.to_owned());
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut bytes = [0; 16];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| wrong())?;
    }
    Ok(bytes)
}

macro_rules! uuid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// Parses 32 hexadecimal digits.
            ///
            /// # Errors
            /// [`NameError::Uuid`] for any other text.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                parse_uuid(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

uuid! {
    /// The identity of an index: 128 random bits, written as 32 hexadecimal digits.
    ///
    /// Names are for people; log, folders, caches and wire carry this, so a name that is used again
    /// never meets the data of the index that bore it before.
    IndexUuid
}
uuid! {
    /// The identity of one copy of a shard in one data folder: 128 random bits, made when the copy is
    /// placed. A folder without that id does not hold that copy.
    CopyId
}
uuid! {
    /// The identity of a data folder, and of the node that runs on it: 128 random bits, made with it.
    NodeUuid
}
uuid! {
    /// The identity of one process on a node: 128 random bits, made at its start.
    Incarnation
}
uuid! {
    /// The identity of a shard's history: the records that follow one another from its first one. Another one begins where
    /// an operator accepts that acknowledged records are lost; copies of different histories share nothing.
    HistoryId
}

impl HistoryId {
    /// The history that a shard is made with.
    pub const FIRST: Self = Self([0; 16]);

    /// Returns whether it is the one that the shard was made with.
    pub fn is_first(&self) -> bool {
        *self == Self::FIRST
    }
}

impl Default for HistoryId {
    fn default() -> Self {
        Self::FIRST
    }
}

/// The name of an index or alias, checked against Elasticsearch's rules.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IndexName(Arc<str>);

impl IndexName {
    /// Longest name, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Checks the name of an index: lowercase, ≤ 255 bytes, none of `\ / * ? " < > | space , # :`, not
    /// starting with `-`, `_` or `+`, not `.` or `..` (Elasticsearch, *Create index API*, path
    /// parameters); and none that [`is_unseen`], which Elasticsearch takes.
    ///
    /// # Errors
    /// [`NameError::Index`] naming the broken rule.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let parsed = Self::parse_alias(name)?;
        if name.chars().any(char::is_uppercase) {
            return Err(NameError::Index {
                name: name.to_owned(),
                rule: "must be lowercase",
            });
        }
        Ok(parsed)
    }

    /// Checks the name of an alias: as that of an index, but it may have upper case.
    ///
    /// # Errors
    /// [`NameError::Index`] naming the broken rule.
    pub fn parse_alias(name: &str) -> Result<Self, NameError> {
        let broken = |rule| NameError::Index {
            name: name.to_owned(),
            rule,
        };
        if name.is_empty() {
            return Err(broken("must not be empty"));
        }
        if name == "." || name == ".." {
            return Err(broken("must not be '.' or '..'"));
        }
        if name.starts_with(['_', '-', '+']) {
            return Err(broken("must not start with '_', '-', or '+'"));
        }
        if name.len() > Self::MAX_BYTES {
            return Err(broken(
                "index name is too long, must be no longer than 255 bytes",
            ));
        }
        if name.contains(['#']) {
            return Err(broken("must not contain '#'"));
        }
        if name.contains([':']) {
            return Err(broken("must not contain ':'"));
        }
        if name.contains(['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',']) || name.contains('\0')
        {
            return Err(broken(
                "must not contain the following characters [ , \", *, \\, <, |, ,, >, /, ?]",
            ));
        }
        if name.contains(is_unseen) {
            return Err(broken(
                "must not contain control characters, spaces of any width or characters that are not seen",
            ));
        }
        Ok(Self(name.into()))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Is a character one that nobody sees in a name: a control character, a space, or one without width? Two names that
/// differ in such a character look the same, and some change how the text around them is shown.
pub fn is_unseen(character: char) -> bool {
    // Unicode's Default_Ignorable_Code_Point, the other format characters and the empty Braille pattern.
    const WITHOUT_WIDTH: [(char, char); 21] = [
        ('\u{ad}', '\u{ad}'),
        ('\u{34f}', '\u{34f}'),
        ('\u{600}', '\u{605}'),
        ('\u{61c}', '\u{61c}'),
        ('\u{6dd}', '\u{6dd}'),
        ('\u{70f}', '\u{70f}'),
        ('\u{115f}', '\u{1160}'),
        ('\u{17b4}', '\u{17b5}'),
        ('\u{180b}', '\u{180f}'),
        ('\u{200b}', '\u{200f}'),
        ('\u{202a}', '\u{202e}'),
        ('\u{2060}', '\u{206f}'),
        ('\u{2800}', '\u{2800}'),
        ('\u{3164}', '\u{3164}'),
        ('\u{fe00}', '\u{fe0f}'),
        ('\u{feff}', '\u{feff}'),
        ('\u{ffa0}', '\u{ffa0}'),
        ('\u{fff0}', '\u{fffb}'),
        ('\u{1bca0}', '\u{1bca3}'),
        ('\u{1d173}', '\u{1d17a}'),
        ('\u{e0000}', '\u{e0fff}'),
    ];
    let mut ranges = WITHOUT_WIDTH.iter();
    character.is_control()
        || character.is_whitespace()
        || ranges.any(|(first, last)| (*first..=*last).contains(&character))
}

impl fmt::Display for IndexName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for IndexName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A document's `_id`: 1 to 512 bytes of UTF-8, unique within its index and routing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DocumentId(Arc<str>);

impl DocumentId {
    /// Longest id, in bytes.
    pub const MAX_BYTES: usize = 512;

    /// Checks the length of `id`.
    ///
    /// # Errors
    /// [`NameError::IdEmpty`], [`NameError::IdTooLong`].
    pub fn parse(id: &str) -> Result<Self, NameError> {
        if id.is_empty() {
            return Err(NameError::IdEmpty);
        }
        if id.len() > Self::MAX_BYTES {
            return Err(NameError::IdTooLong { bytes: id.len() });
        }
        Ok(Self(id.into()))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for DocumentId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A node's name, unique in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub Arc<str>);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number! {
    /// A shard of an index, 0 ≤ n < `number_of_shards`.
    ShardNumber, u32
}
number! {
    /// Position of an operation in its shard's log; the first is 0.
    SeqNo, u64
}
number! {
    /// Which primary ordered an operation; the first is 1, a new primary has a larger one.
    PrimaryTerm, u64
}
number! {
    /// The revision at which the coordinator's store last changed a key; what a compare-and-swap compares.
    Revision, u64
}
number! {
    /// A document's `_version`; the first is 1, or what the client gave for external versions.
    Version, u64
}
number! {
    /// Counts the changes of an index's mapping; the first mapping is 1.
    MappingVersion, u64
}

impl SeqNo {
    /// Returns the position after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl MappingVersion {
    /// Returns the version after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// One shard of one index, anywhere in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardKey {
    /// The index.
    pub index: IndexUuid,
    /// Its shard.
    pub shard: ShardNumber,
}

impl fmt::Display for ShardKey {
    /// Writes `[articles][3]`, as people know the shard. Where no cluster state has told the name, its
    /// place is taken by the UUID, as folders on disk are named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match crate::names::of(&self.index) {
            Some(name) => write!(f, "[{name}][{}]", self.shard),
            None => write!(f, "[{}][{}]", self.index, self.shard),
        }
    }
}

/// What searches of a shard can see; equal generations mean equal live documents on every copy.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Generation {
    /// The mapping the visible documents were written under.
    pub mapping: MappingVersion,
    /// Number of log records that are visible: every operation with a smaller seq_no is.
    pub visible: SeqNo,
    /// The history that the records are of.
    #[serde(default)]
    pub history: HistoryId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_names_follow_the_rules_of_the_dialect() {
        for good in ["a", "logs-2026.11", "été", ".hidden"] {
            assert!(IndexName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "", ".", "..", "_a", "-a", "+a", "A", "a b", "a/b", "a,b", "a#", "a:b", "a*",
        ] {
            assert!(IndexName::parse(bad).is_err(), "{bad}");
            let is_alias = IndexName::parse_alias(bad).is_ok();
            assert_eq!(is_alias, bad.to_lowercase() != bad, "{bad}");
        }
        assert!(IndexName::parse(&"x".repeat(256)).is_err());
    }

    #[test]
    fn no_name_has_a_character_that_is_not_seen() {
        for unseen in [
            '\u{1}',
            '\t',
            '\n',
            '\r',
            '\u{7f}',
            '\u{85}',
            '\u{a0}',
            '\u{ad}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{2028}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{3000}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{e0061}',
        ] {
            for name in [
                format!("a{unseen}b"),
                format!("{unseen}a"),
                format!("a{unseen}"),
            ] {
                assert!(IndexName::parse(&name).is_err(), "{name:?}");
                assert!(IndexName::parse_alias(&name).is_err(), "{name:?}");
            }
        }
        for seen in [
            "é",
            "e\u{301}",
            "日本",
            "наука",
            "עברית",
            "ไทย",
            "🚀",
            "a_b~c",
        ] {
            assert!(IndexName::parse(seen).is_ok(), "{seen}");
        }
    }

    #[test]
    fn uuid_survives_its_text_form() {
        let uuid = IndexUuid([7; 16]);
        assert_eq!(IndexUuid::parse(&uuid.to_string()), Ok(uuid));
        assert!(IndexUuid::parse("zz").is_err());
        assert!(IndexUuid::parse(&"+f".repeat(16)).is_err());
        assert!(IndexUuid::parse(&"é".repeat(16)).is_err());
    }
}
