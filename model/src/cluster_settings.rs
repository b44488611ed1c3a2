//! The settings of a cluster that requests change, as they are in force.
//!
//! Does: look one up, transient ones before persistent ones, without a copy of either. Does not: know which settings
//! there are. Read first: [`ClusterSettings`].

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// The dynamic settings in force: a transient one overrides the persistent one of the same name.
#[derive(Debug, Clone, Copy)]
pub struct ClusterSettings<'a> {
    persistent: &'a Map<String, Value>,
    transient: &'a Map<String, Value>,
}

impl<'a> ClusterSettings<'a> {
    /// Returns the settings in force of these, both flat (`search.max_buckets` → value).
    pub fn new(persistent: &'a Map<String, Value>, transient: &'a Map<String, Value>) -> Self {
        Self {
            persistent,
            transient,
        }
    }

    /// Returns the value of a setting.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.transient.get(key).or_else(|| self.persistent.get(key))
    }

    /// Returns whether none is set.
    pub fn is_empty(&self) -> bool {
        self.persistent.is_empty() && self.transient.is_empty()
    }

    /// Returns each setting with its value: those that are persistent, then those that are transient alone.
    pub fn iter(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        let Self {
            persistent,
            transient,
        } = *self;
        let overridden = move |key: &String, value| transient.get(key).unwrap_or(value);
        let kept = persistent.iter();
        let kept = kept.map(move |(key, value)| (key, overridden(key, value)));
        let alone = transient.iter();
        let alone = alone.filter(move |(key, _)| !persistent.contains_key(*key));
        kept.chain(alone)
    }
}

impl Serialize for ClusterSettings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> Map<String, Value> {
        let entries = entries.iter();
        entries
            .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
            .collect()
    }

    #[test]
    fn transient_settings_override_persistent_ones() {
        let persistent = map(&[("a", "1"), ("b", "1")]);
        let transient = map(&[("b", "2"), ("c", "2")]);
        let settings = ClusterSettings::new(&persistent, &transient);
        for (key, expected) in [
            ("a", Some("1")),
            ("b", Some("2")),
            ("c", Some("2")),
            ("d", None),
        ] {
            assert_eq!(settings.get(key).and_then(Value::as_str), expected, "{key}");
        }
        let shown = serde_json::to_value(settings).expect("a map");
        assert_eq!(
            shown,
            Value::from(map(&[("a", "1"), ("b", "2"), ("c", "2")]))
        );
        assert!(!settings.is_empty());
        assert!(ClusterSettings::new(&Map::new(), &Map::new()).is_empty());
    }
}
