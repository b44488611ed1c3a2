//! Lists of intervals: each is held before it grows, and given back when it is dropped.
//!
//! Does: keep lists, whole or minimal. Does not: say what intervals a source has (`intervals` does, which calls it). Read
//! first: [`List`].

use gleaner_partial::control::Stop;

use super::{Interval, Steps};

/// Intervals of one source.
pub(super) enum List<'p> {
    /// Places of words, where they were read.
    Places(&'p [i64]),
    /// A list that was made, and is held.
    Made(Vec<Interval>),
}

impl List<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Places(positions) => positions.len(),
            Self::Made(list) => list.len(),
        }
    }

    pub(super) fn get(&self, at: usize) -> Option<Interval> {
        match self {
            Self::Places(positions) => positions.get(at).copied().map(Interval::at),
            Self::Made(list) => list.get(at).copied(),
        }
    }
}

/// Returns an empty list with room for as many intervals.
pub(super) fn reserved(number: usize, pace: &mut impl Steps) -> Result<Vec<Interval>, Stop> {
    pace.hold(number * size_of::<Interval>())?;
    Ok(Vec::with_capacity(number))
}

/// Moves the intervals of a list behind others.
pub(super) fn append(
    all: &mut Vec<Interval>,
    list: Vec<Interval>,
    pace: &mut impl Steps,
) -> Result<(), Stop> {
    let wanted = all.len() + list.len();
    if wanted > all.capacity() {
        let grown = wanted.max(2 * all.capacity());
        pace.hold((grown - all.capacity()) * size_of::<Interval>())?;
        all.reserve_exact(grown - all.len());
    }
    all.extend_from_slice(&list);
    dropped(list, pace);
    Ok(())
}

/// Drops a list that was held.
pub(super) fn dropped(list: Vec<Interval>, pace: &mut impl Steps) {
    let bytes = list.capacity() * size_of::<Interval>();
    drop(list);
    pace.give_back(bytes);
}

pub(super) fn all_dropped(lists: Vec<List<'_>>, pace: &mut impl Steps) {
    for list in lists {
        if let List::Made(list) = list {
            dropped(list, pace);
        }
    }
}

/// Adds an interval that begins no earlier and ends no earlier than those before it; those that hold it go.
pub(super) fn push_minimal(
    found: &mut Vec<Interval>,
    interval: Interval,
    pace: &mut impl Steps,
) -> Result<(), Stop> {
    match found.last_mut() {
        Some(last) if last.end == interval.end => *last = interval,
        // Equal beginnings: the one before ends earlier and lies in this one.
        Some(last) if last.start == interval.start => {}
        _ => {
            if found.len() == found.capacity() {
                let more = found.len().max(4);
                pace.hold(more * size_of::<Interval>())?;
                found.reserve_exact(more);
            }
            found.push(interval);
        }
    }
    Ok(())
}

/// Keeps those that hold no other; of equal ones the one with the fewest gaps.
pub(super) fn minimal(all: &mut Vec<Interval>) {
    all.sort_unstable_by_key(|interval| (interval.start, -interval.end, -interval.gaps));
    let mut num_kept = 0;
    for at in 0..all.len() {
        let interval = all[at];
        while num_kept > 0 && all[num_kept - 1].end >= interval.end {
            num_kept -= 1;
        }
        all[num_kept] = interval;
        num_kept += 1;
    }
    all.truncate(num_kept);
}
