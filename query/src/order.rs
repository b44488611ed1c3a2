//! How sort values compare: the one order that leaves and roots share.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::key_value::SortValue;
use crate::search::{Missing, SortKey};

/// Compares two values of one key in ascending order; [`SortValue::Missing`] is the largest.
///
/// Integers and fractions compare by their exact numeric value.
pub fn compare_values(a: &SortValue, b: &SortValue) -> Ordering {
    use SortValue::{F64, I64, Ip, Missing, Text, U64};
    match (a, b) {
        (Missing, Missing) => Ordering::Equal,
        (Missing, _) => Ordering::Greater,
        (_, Missing) => Ordering::Less,
        (I64(a), I64(b)) => a.cmp(b),
        (U64(a), U64(b)) => a.cmp(b),
        (F64(a), F64(b)) => a.total_cmp(b),
        (Text(a), Text(b)) => a.cmp(b),
        (Ip(a), Ip(b)) => a.cmp(b),
        (I64(a), U64(b)) => i128::from(*a).cmp(&i128::from(*b)),
        (U64(a), I64(b)) => i128::from(*a).cmp(&i128::from(*b)),
        (I64(a), F64(b)) => compare_whole(i128::from(*a), *b),
        (U64(a), F64(b)) => compare_whole(i128::from(*a), *b),
        (F64(a), I64(b)) => compare_whole(i128::from(*b), *a).reverse(),
        (F64(a), U64(b)) => compare_whole(i128::from(*b), *a).reverse(),
        // Kinds that do not mix (several indices with other mappings): numbers before addresses before
        // text.
        (Text(_), _) => Ordering::Greater,
        (_, Text(_)) => Ordering::Less,
        (Ip(_), _) => Ordering::Greater,
        (_, Ip(_)) => Ordering::Less,
    }
}

/// Compares a whole number with a fraction without rounding the number.
fn compare_whole(whole: i128, fraction: f64) -> Ordering {
    if fraction >= 1e30 {
        return Ordering::Less;
    }
    if fraction <= -1e30 {
        return Ordering::Greater;
    }
    let floor = fraction.floor();
    let rest = if fraction > floor {
        Ordering::Less
    } else if fraction == 0.0 && fraction.is_sign_negative() {
        // As among fractions, where -0 stands before 0.
        Ordering::Greater
    } else {
        Ordering::Equal
    };
    whole.cmp(&(floor as i128)).then(rest)
}

/// Compares two hits by their keys in the order asked for: direction and place of missing values
/// are those of each key.
pub fn compare_keys(sort: &[SortKey], a: &[SortValue], b: &[SortValue]) -> Ordering {
    for (key, (a, b)) in sort.iter().zip(a.iter().zip(b)) {
        let ordering = compare_key(key, a, b);
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    Ordering::Equal
}

/// Compares two values of one key in the order asked for.
pub fn compare_key(key: &SortKey, a: &SortValue, b: &SortValue) -> Ordering {
    let missing = |value: &SortValue| matches!(value, SortValue::Missing);
    if missing(a) || missing(b) {
        let last = missing(a).cmp(&missing(b));
        return if key.missing == Missing::First {
            last.reverse()
        } else {
            last
        };
    }
    let ascending = compare_values(a, b);
    if key.descending {
        ascending.reverse()
    } else {
        ascending
    }
}

/// Keeps the first hit of each value by which hits are put together; all that have none stay.
pub fn keep_first_of_groups<T>(hits: &mut Vec<T>, group: impl Fn(&T) -> Option<&SortValue>) {
    let mut seen = BTreeSet::new();
    hits.retain(|hit| group(hit).is_none_or(|value| seen.insert(GroupValue(value.clone()))));
}

/// A value of hits that are put together, ordered as [`compare_values`] does.
struct GroupValue(SortValue);

impl Ord for GroupValue {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_values(&self.0, &other.0)
    }
}

impl PartialOrd for GroupValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for GroupValue {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for GroupValue {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::parse_ip;
    use crate::search::SortTarget;

    fn key(descending: bool, missing: Missing) -> SortKey {
        SortKey {
            target: SortTarget::Field("f".to_owned()),
            descending,
            missing,
            mode: None,
            unmapped_type: None,
            format: None,
            numeric_type: None,
        }
    }

    #[test]
    fn whole_numbers_and_fractions_compare_exactly() {
        let large = (1_i64 << 53) + 1;
        assert_eq!(
            compare_values(
                &SortValue::I64(large),
                &SortValue::F64((1_i64 << 53) as f64)
            ),
            Ordering::Greater
        );
        assert_eq!(
            compare_values(&SortValue::I64(-1), &SortValue::F64(-0.5)),
            Ordering::Less
        );
        assert_eq!(
            compare_values(&SortValue::U64(u64::MAX), &SortValue::I64(-1)),
            Ordering::Greater
        );
    }

    #[test]
    fn addresses_compare_as_numbers_between_numbers_and_text() {
        let ip = |text| SortValue::Ip(parse_ip(text).expect("an address"));
        let ascending = [
            SortValue::F64(1e300),
            ip("::1"),
            ip("9.0.0.1"),
            ip("10.0.0.2"),
            ip("192.168.0.1"),
            ip("2001:db8::1"),
            SortValue::Text(String::new()),
            SortValue::Missing,
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare_values(a, b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn missing_values_keep_their_place_in_both_directions() {
        let (value, missing) = (SortValue::I64(1), SortValue::Missing);
        for descending in [false, true] {
            assert_eq!(
                compare_key(&key(descending, Missing::Last), &missing, &value),
                Ordering::Greater
            );
            assert_eq!(
                compare_key(&key(descending, Missing::First), &missing, &value),
                Ordering::Less
            );
        }
    }
}
