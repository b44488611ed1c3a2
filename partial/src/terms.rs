//! Partial result of `terms`: keys with counts, complete or with a bound on what is not listed.

mod cut;
mod join;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use gleaner_query::address::{ip_text, parse_ip};
use gleaner_query::aggregation::{BucketOrder, TermsAggregation, TermsFilter};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::cut::{Cut, LongList, num_largest};
use super::Bucket;
use super::key::{Fraction, Key, ValueFormat, ValueKind};
use crate::error::EvaluationError;
use crate::request::bounds;

/// A shard with at most so many keys sends all of them, and counts are exact at once.
pub const COMPLETE_KEYS: usize = 100_000;
/// As [`COMPLETE_KEYS`], where documents are read for each key (`top_hits` below): up to here that takes less
/// time than to ask again for the keys that can win.
pub const COMPLETE_KEYS_WITH_HITS: usize = 10_000;
/// How much deeper a shard is asked to look when bounds first leave the answer open.
const DEEPER: usize = 32;
/// How much deeper when as many keys as all are usually sent at once were not enough: counts are so much alike then that hardly any but the whole
/// list is.
const MUCH_DEEPER: usize = 1_024;

/// Keys with their buckets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// How keys are shown.
    pub format: ValueFormat,
    /// Keys listed.
    pub buckets: BTreeMap<Key, TermBucket>,
    /// Documents in buckets that are not listed (a document counts once per key).
    pub unlisted: u64,
    /// Most documents that a key can have in shards that do not list it; 0 where lists are complete.
    pub bound: u64,
    /// Lists of shards that have the field as other types, one of each type, while shards are merged. A shard
    /// sends none.
    #[serde(skip_deserializing, skip_serializing_if = "leave_out_settled")]
    pub apart: Vec<Terms>,
}

/// Leaves out of what is encoded the lists of other types, of which there are none once they are settled.
fn leave_out_settled(apart: &[Terms]) -> bool {
    debug_assert!(
        apart.is_empty(),
        "lists of other types are settled before they are encoded"
    );
    true
}

/// A bucket of a key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TermBucket {
    /// Documents counted so far.
    pub bucket: Bucket,
    /// Most documents that shards without this key in their lists can add.
    pub error: u64,
}

impl Terms {
    /// Adds another shard's keys. Keys of different types are kept apart until [`Self::settle`] knows all types there
    /// are: one that was converted for a type may not say any more what it is of the next.
    pub(super) fn merge(&mut self, mut other: Self) -> Result<(), EvaluationError> {
        let apart = std::mem::take(&mut other.apart);
        std::iter::once(other)
            .chain(apart)
            .try_for_each(|part| self.add(part))
    }

    /// Adds keys of one type.
    fn add(&mut self, part: Self) -> Result<(), EvaluationError> {
        if self.format.kind == part.format.kind {
            return self.join(part);
        }
        if part.is_blank() {
            return Ok(());
        }
        if self.is_blank() {
            let apart = std::mem::replace(self, part).apart;
            return apart.into_iter().try_for_each(|part| self.add(part));
        }
        let mut apart = self.apart.iter_mut();
        match apart.find(|mine| mine.format.kind == part.format.kind) {
            Some(mine) => mine.join(part),
            None => {
                self.apart.push(part);
                Ok(())
            }
        }
    }

    /// Returns whether it says nothing, not even a type.
    fn is_blank(&self) -> bool {
        let is_empty = self.buckets.is_empty() && self.unlisted == 0 && self.bound == 0;
        is_empty && self.format.kind == ValueKind::Unmapped
    }

    /// Gives the keys of all shards one type, once all are merged. Whole numbers of one index and fractions of another
    /// meet as fractions; numbers that meet dates are milliseconds. Text of an index that does not know the field (it
    /// stands for missing values) or has it as `keyword` meets other values as one of them, where it can be read so.
    /// Addresses stay what they are among numbers.
    ///
    /// The types are joined in one order, so the result is the same whichever shards were merged first.
    pub(super) fn settle(&mut self) -> Result<(), EvaluationError> {
        if self.apart.is_empty() {
            return Ok(());
        }
        let mut parts = std::mem::take(&mut self.apart);
        parts.push(std::mem::take(self));
        parts.sort_by_key(|part| rank(part.format.kind));
        let mut parts = parts.into_iter();
        if let Some(first) = parts.next() {
            *self = first;
        }
        parts.try_for_each(|part| self.join(part))
    }

    /// Adds keys of the same type, or of one that [`Self::settle`] joins with it.
    fn join(&mut self, mut other: Self) -> Result<(), EvaluationError> {
        self.fit(&mut other)?;
        self.join_format(other.format);
        self.unlisted = self.unlisted.saturating_add(other.unlisted);
        if other.bound > 0 {
            for (key, mine) in &mut self.buckets {
                if !other.buckets.contains_key(key) {
                    mine.error = mine.error.saturating_add(other.bound);
                }
            }
        }
        if self.buckets.is_empty() && self.bound == 0 {
            self.buckets = other.buckets;
            self.bound = other.bound;
            return Ok(());
        }
        let mine = std::mem::take(&mut self.buckets);
        self.buckets = join::joined(mine, other.buckets, self.bound)?;
        self.bound = self.bound.saturating_add(other.bound);
        Ok(())
    }

    /// Keeps one of the formats that indices have for a type, the same whichever comes first.
    fn join_format(&mut self, other: ValueFormat) {
        let mine = &self.format;
        let is_later = (&other.pattern, &other.time_zone) > (&mine.pattern, &mine.time_zone);
        if mine.kind == other.kind && is_later {
            self.format = other;
        }
    }

    /// Gives these keys and those of a type that ranks behind theirs one type.
    fn fit(&mut self, other: &mut Self) -> Result<(), EvaluationError> {
        match (self.format.kind, other.format.kind) {
            (mine, theirs) if mine == theirs || is_text(mine) => Ok(()),
            (mine, theirs) if is_text(theirs) => {
                other.retype(&self.format)?;
                let has_addresses = self.buckets.keys().any(|key| matches!(key, Key::Ip(_)));
                match has_addresses && mine != ValueKind::Ip {
                    true => other.rekey(address),
                    false => Ok(()),
                }
            }
            (_, ValueKind::Ip) | (ValueKind::Long, ValueKind::Boolean) => Ok(()),
            (ValueKind::Date, _) => other.date(&self.format),
            _ => {
                self.widen()?;
                other.widen()
            }
        }
    }

    /// Turns numbers into dates of `format`, but for those that are too large and fractions.
    fn date(&mut self, format: &ValueFormat) -> Result<(), EvaluationError> {
        self.format.clone_from(format);
        self.rekey(|key| match &key {
            Key::U64(value) => i64::try_from(*value).map_or(key, Key::I64),
            Key::F64(value) => whole(value.get()).map_or(key, Key::I64),
            _ => key,
        })
    }

    /// Turns whole numbers into fractions.
    fn widen(&mut self) -> Result<(), EvaluationError> {
        if self.format.kind == ValueKind::Double {
            return Ok(());
        }
        self.format.kind = ValueKind::Double;
        self.rekey(|key| match key {
            Key::I64(value) => Key::F64(Fraction::from(value as f64)),
            Key::U64(value) => Key::F64(Fraction::from(value as f64)),
            other => other,
        })
    }

    /// Turns text into values of `format`, where it says one.
    fn retype(&mut self, format: &ValueFormat) -> Result<(), EvaluationError> {
        let was_known = self.format.kind != ValueKind::Unmapped;
        self.format.clone_from(format);
        if self.bound == 0 {
            // What an order by key has cut may now belong in front.
            self.bound = self.unlisted;
        }
        self.rekey(|key| match &key {
            Key::Text(text) => format.read(text, was_known).unwrap_or(key),
            _ => key,
        })
    }

    /// Gives buckets other keys; two may become one (beyond 2^53 whole numbers share fractions).
    fn rekey(&mut self, convert: impl Fn(Key) -> Key) -> Result<(), EvaluationError> {
        for (key, term) in std::mem::take(&mut self.buckets) {
            let mine = self.buckets.entry(convert(key)).or_default();
            mine.error = mine.error.saturating_add(term.error);
            mine.bucket.merge(term.bucket)?;
        }
        Ok(())
    }

    /// Cuts a shard's complete list to what the request needs.
    ///
    /// Only orders that allow it are cut: by key (the first keys of all shards hold the first keys of the
    /// whole), and where the list is longer than `limit`, by count, descending (with a bound left).
    pub fn truncate(&mut self, request: &TermsAggregation, limit: usize) {
        if matches!(request.include, Some(TermsFilter::Values(_))) {
            return;
        }
        if let Some(list) = num_largest(request, limit) {
            if self.buckets.len() > list.longest {
                self.keep_largest(list.wanted);
            }
        } else if let Some((BucketOrder::Key, descending)) = request.order.first()
            && request.min_doc_count <= 1
        {
            self.keep_first(shard_size(request), *descending);
        }
    }

    fn keep_largest(&mut self, wanted: usize) {
        if let Some(mut cut) = Cut::of(self.counts(), wanted) {
            self.buckets
                .retain(|_, term| cut.keeps(term.bucket.doc_count));
            self.unlisted += cut.unlisted;
            self.bound = cut.bound;
        }
    }

    fn keep_first(&mut self, wanted: usize, descending: bool) {
        let surplus = self.buckets.len().saturating_sub(wanted);
        for _ in 0..surplus {
            let dropped = if descending {
                self.buckets.pop_first()
            } else {
                self.buckets.pop_last()
            };
            self.unlisted += dropped.map_or(0, |(_, term)| term.bucket.doc_count);
        }
    }

    /// Changes `request` into what must be asked again; returns whether anything must.
    pub(super) fn refine(&self, request: &mut TermsAggregation) -> bool {
        if self.bound == 0 || request.size == 0 {
            return false;
        }
        if matches!(request.order.first(), Some((BucketOrder::Key, _))) {
            // Lists in the order of two types: only whole ones tell.
            request.shard_size = Some(i32::MAX as usize);
            return true;
        }
        let mut counts: Vec<u64> = self.counts().collect();
        counts.sort_unstable_by_key(|count| Reverse(*count));
        let last_winner = counts.get(request.size - 1).copied().unwrap_or(0);
        if self.bound >= last_winner {
            let depth = shard_size(request);
            let is_first = depth <= request.size.saturating_mul(DEEPER);
            request.shard_size = Some(if is_first {
                depth.saturating_mul(DEEPER)
            } else if depth < COMPLETE_KEYS {
                COMPLETE_KEYS
            } else {
                depth.saturating_mul(MUCH_DEEPER)
            });
            return true;
        }
        let candidates: Vec<(&Key, &TermBucket)> = self
            .buckets
            .iter()
            .filter(|(_, term)| term.bucket.doc_count.saturating_add(term.error) >= last_winner)
            .collect();
        if candidates.iter().all(|(_, term)| term.error == 0) {
            return false;
        }
        let keys = candidates.iter().map(|(key, _)| self.format.key_value(key));
        let missing = request.source.missing.as_ref();
        let missing = missing.filter(|given| {
            let is_it = |key: Key| candidates.iter().any(|(candidate, _)| **candidate == key);
            self.missing_key(given).is_some_and(is_it)
        });
        let values = keys.chain(missing.cloned()).collect();
        request.include = Some(TermsFilter::Values(values));
        request.exclude = None;
        true
    }

    /// Returns the key that what stands for missing values has become, where an index that does not know
    /// the field has it only as it was given.
    fn missing_key(&self, given: &Value) -> Option<Key> {
        match given {
            Value::String(text) => self.format.read(text, true),
            // That index reads a date that is asked for as its number.
            _ if self.format.kind == ValueKind::Date => None,
            other => self.format.read(&other.to_string(), false),
        }
    }

    /// Returns by how much counts may be too low: 0 where they are exact.
    pub(super) fn open_bound(&self, request: &TermsAggregation) -> u64 {
        // As a rule there is nothing to look at.
        if self.bound > 0 && self.refine(&mut request.clone()) {
            self.bound
        } else {
            0
        }
    }

    /// Takes the counts of the second pass and keeps the total of the first.
    pub(super) fn refined_by(self, second: Self) -> Self {
        if self.bound == 0 {
            return self;
        }
        let listed = |terms: &Self| {
            let lists = std::iter::once(terms).chain(&terms.apart);
            let counts = lists.flat_map(|list| list.counts().chain([list.unlisted]));
            counts.fold(0, u64::saturating_add)
        };
        let unlisted = listed(&self)
            .saturating_sub(listed(&second))
            .saturating_add(second.unlisted);
        Self { unlisted, ..second }
    }

    /// Returns the type that all keys can be read as.
    pub(super) fn kind(&self) -> ValueKind {
        self.format.kind.of_all(self.last_key())
    }

    /// Returns the greatest key.
    pub(super) fn last_key(&self) -> Option<&Key> {
        self.buckets.last_key_value().map(|(key, _)| key)
    }

    fn counts(&self) -> impl Iterator<Item = u64> {
        self.buckets.values().map(|term| term.bucket.doc_count)
    }
}

/// Returns the place of a type among those that are joined: numbers take in what comes behind them.
fn rank(kind: ValueKind) -> u8 {
    match kind {
        ValueKind::Date => 0,
        ValueKind::Double => 1,
        ValueKind::UnsignedLong => 2,
        ValueKind::Long => 3,
        ValueKind::Boolean => 4,
        ValueKind::Ip => 5,
        ValueKind::Keyword => 6,
        ValueKind::Unmapped => 7,
    }
}

/// Returns a number that is whole, where milliseconds of dates can be so large.
fn whole(value: f64) -> Option<i64> {
    let end = -(i64::MIN as f64);
    let is_date = value.fract() == 0.0 && (-end..end).contains(&value);
    is_date.then_some(value as i64)
}

/// Turns text into an address, where it says one.
fn address(key: Key) -> Key {
    match &key {
        Key::Text(text) => parse_ip(text).map_or(key, Key::Ip),
        _ => key,
    }
}

fn is_text(kind: ValueKind) -> bool {
    matches!(kind, ValueKind::Keyword | ValueKind::Unmapped)
}

impl ValueFormat {
    /// Reads text as a key of values that are not text; `None` where it says none. Where its own type was
    /// not known, digits are of a number that a request gave.
    pub(super) fn read(&self, text: &str, was_known: bool) -> Option<Key> {
        let whole = || {
            let fraction = text
                .parse()
                .ok()
                .filter(|value: &f64| value.trunc() == *value);
            // The range in which every whole fraction is that number.
            fraction.filter(|value| value.abs() <= 9_007_199_254_740_992.0)
        };
        match self.kind {
            ValueKind::Long => {
                let exact = text.parse().ok();
                exact.or_else(|| Some(whole()? as i64)).map(Key::I64)
            }
            ValueKind::UnsignedLong => text.parse().ok().map(Key::U64),
            ValueKind::Double => {
                let finite = text.parse().ok().filter(|value: &f64| value.is_finite());
                finite.map(|value| Key::F64(Fraction::from(value)))
            }
            ValueKind::Boolean => match text {
                "true" | "1" => Some(Key::I64(1)),
                "false" | "0" => Some(Key::I64(0)),
                _ => None,
            },
            ValueKind::Ip => parse_ip(text).map(Key::Ip),
            ValueKind::Date if !was_known && whole().is_some() => {
                whole().map(|ms| Key::I64(ms as i64))
            }
            // When now is, is not known here.
            ValueKind::Date if text.starts_with("now") => None,
            ValueKind::Date => bounds::date(&Value::from(text), self, 0).ok().map(Key::I64),
            ValueKind::Keyword | ValueKind::Unmapped => None,
        }
    }

    /// Returns a key as the dialect writes it in `include`; a date as `{"ms": …}`, which requests cannot
    /// hold: what a number means is up to the field's format.
    pub(crate) fn key_value(&self, key: &Key) -> Value {
        match key {
            Key::I64(ms) if self.kind == ValueKind::Date => json!({ "ms": ms }),
            Key::I64(value) if self.kind == ValueKind::Boolean => Value::Bool(*value != 0),
            Key::I64(value) => Value::from(*value),
            Key::U64(value) => Value::from(*value),
            Key::F64(value) => Value::from(value.get()),
            Key::Text(text) => Value::from(text.as_str()),
            Key::Ip(address) => Value::from(ip_text(*address)),
        }
    }
}

/// Returns the candidates a shard sends: at least those that are returned.
fn shard_size(request: &TermsAggregation) -> usize {
    let default = request
        .size
        .saturating_add(request.size / 2)
        .saturating_add(10);
    request.shard_size.unwrap_or(default).max(request.size)
}

#[cfg(test)]
mod tests;
