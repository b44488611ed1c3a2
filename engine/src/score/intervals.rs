//! The minimal intervals of a text, worked out from the places of its words.
//!
//! Does: evaluate an [`IntervalSource`] on one document at a time, list by list, every list complete. Does not: read an
//! index (`interval_cursor` does), score. Called by: the cursor of intervals and the highlighter. Read first:
//! [`Algebra::intervals`].
//!
//! Every list ascends by its starts and, strictly, by its ends: none of its intervals holds another. So one look by
//! halves tells how an interval stands to a whole list, and work within a document grows with the number of places, not
//! with its square. Places are read where they are, however often a word is asked for; each list that is made is held
//! before it grows.

mod list;

use gleaner_model::FieldPath;
use gleaner_partial::control::{Control, HighWater, Pace, Stop};
use gleaner_query::dsl::IntervalRelation;
use gleaner_query::resolved::{IntervalOrder, IntervalSource};

use list::{List, all_dropped, append, dropped, minimal, push_minimal, reserved};

/// A run of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interval {
    /// The first position.
    pub(crate) start: i64,
    /// The last one.
    pub(crate) end: i64,
    /// Positions in it that belong to none of the intervals that it is made of.
    pub(crate) gaps: i64,
    /// Positions that it takes from what it becomes part of: all of its own, but of equal sources that were put
    /// together those of the sources alone, as what lies between them is a gap of the whole (Lucene,
    /// `RepeatingIntervalsSource`).
    taken: i64,
}

impl Interval {
    /// Returns how many positions it has.
    pub(crate) fn length(&self) -> i64 {
        self.end - self.start + 1
    }

    fn at(position: i64) -> Self {
        Self::around(position, position, 1)
    }

    /// Returns the interval around others, which take so many of its positions.
    fn around(start: i64, end: i64, taken: i64) -> Self {
        let length = end - start + 1;
        Self {
            start,
            end,
            gaps: length - taken,
            taken: length,
        }
    }

    /// Returns the interval with its gaps left open to what it becomes part of.
    fn open(self) -> Self {
        Self {
            taken: self.length() - self.gaps,
            ..self
        }
    }
}

/// The places of any of some terms, ascending, each once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Words {
    pub(crate) field: FieldPath,
    pub(crate) terms: Vec<String>,
}

/// A source whose words are numbered.
pub(crate) struct Algebra {
    root: Node,
    words: Vec<Words>,
    least_length: i64,
}

enum Node {
    Nothing,
    Words(usize),
    AnyOf(Vec<Node>),
    AllOf(Vec<Node>, IntervalOrder, Option<i64>),
    Repeat(Box<Node>, usize),
    Extend(Box<Node>, i64, i64),
    First(Box<Node>, i64),
    Filter(Box<Node>, IntervalRelation, Box<Node>),
}

/// What counts the steps within a document.
pub(crate) trait Steps {
    /// Counts steps about to be made.
    ///
    /// # Errors
    /// When the time is over.
    fn step(&mut self, number: usize) -> Result<(), Stop>;

    /// Counts bytes about to be taken.
    ///
    /// # Errors
    /// When there is no room for them.
    fn hold(&mut self, bytes: usize) -> Result<(), Stop>;

    /// Notes that bytes are held no more.
    fn give_back(&mut self, bytes: usize);
}

/// The work on documents: its steps, and what it holds.
pub(crate) struct Work<'w, C> {
    pub(crate) pace: &'w mut Pace<C>,
    pub(crate) held: &'w mut HighWater,
}

impl<C: std::ops::Deref<Target = Control>> Steps for Work<'_, C> {
    fn step(&mut self, number: usize) -> Result<(), Stop> {
        self.pace.step(number)
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Stop> {
        self.held.hold(bytes, self.pace.control())
    }

    fn give_back(&mut self, bytes: usize) {
        self.held.give_back(bytes);
    }
}

impl Algebra {
    /// Returns the source with each set of its words once.
    pub(crate) fn new(source: &IntervalSource) -> Self {
        let mut words = Vec::new();
        let root = Node::new(source, &mut words);
        Self {
            root,
            words,
            least_length: i64::try_from(source.least_length()).unwrap_or(i64::MAX),
        }
    }

    /// Returns the words whose places are asked for, by number.
    pub(crate) fn words(&self) -> &[Words] {
        &self.words
    }

    /// Returns the least length that an interval can have.
    pub(crate) fn least_length(&self) -> i64 {
        self.least_length
    }

    /// Returns the minimal intervals of a document whose words are at `places`, a list for each of
    /// [`Algebra::words`].
    ///
    /// # Errors
    /// When the time is over.
    pub(crate) fn intervals<P: AsRef<[i64]>>(
        &self,
        places: &[P],
        pace: &mut impl Steps,
    ) -> Result<Vec<Interval>, Stop> {
        self.root.made(places, pace)
    }
}

impl Node {
    fn new(source: &IntervalSource, words: &mut Vec<Words>) -> Self {
        let one =
            |source: &IntervalSource, words: &mut Vec<Words>| Box::new(Self::new(source, words));
        match source {
            IntervalSource::Nothing => Self::Nothing,
            IntervalSource::Terms { field, terms } => {
                let wanted = Words {
                    field: field.clone(),
                    terms: terms.clone(),
                };
                let known = words.iter().position(|known| *known == wanted);
                Self::Words(known.unwrap_or_else(|| {
                    words.push(wanted);
                    words.len() - 1
                }))
            }
            IntervalSource::AnyOf(sources) => Self::AnyOf(
                sources
                    .iter()
                    .map(|source| Self::new(source, words))
                    .collect(),
            ),
            IntervalSource::AllOf {
                sources,
                order,
                max_gaps,
            } => {
                let nodes = sources.iter().map(|source| Self::new(source, words));
                Self::AllOf(nodes.collect(), *order, max_gaps.map(i64::from))
            }
            IntervalSource::Repeat { source, times } => {
                Self::Repeat(one(source, words), (*times).max(1) as usize)
            }
            IntervalSource::Extend {
                source,
                before,
                after,
            } => Self::Extend(one(source, words), i64::from(*before), i64::from(*after)),
            IntervalSource::First { source, end } => {
                Self::First(one(source, words), i64::from(*end))
            }
            IntervalSource::Filter {
                source,
                relation,
                by,
            } => Self::Filter(one(source, words), *relation, one(by, words)),
        }
    }

    /// Returns the intervals as a list of its own.
    fn made<P: AsRef<[i64]>>(
        &self,
        places: &[P],
        pace: &mut impl Steps,
    ) -> Result<Vec<Interval>, Stop> {
        match self.intervals(places, pace)? {
            List::Made(list) => Ok(list),
            List::Places(positions) => {
                let mut list = reserved(positions.len(), pace)?;
                list.extend(positions.iter().copied().map(Interval::at));
                Ok(list)
            }
        }
    }

    fn intervals<'p, P: AsRef<[i64]>>(
        &self,
        places: &'p [P],
        pace: &mut impl Steps,
    ) -> Result<List<'p>, Stop> {
        let found = match self {
            Self::Nothing => List::Made(Vec::new()),
            Self::Words(number) => List::Places(places[*number].as_ref()),
            Self::AnyOf(nodes) => {
                let mut all = Vec::new();
                for node in nodes {
                    let list = node.made(places, pace)?;
                    append(&mut all, list, pace)?;
                }
                minimal(&mut all);
                List::Made(all)
            }
            Self::AllOf(nodes, order, max_gaps) => {
                let mut lists = Vec::with_capacity(nodes.len());
                for node in nodes {
                    lists.push(node.intervals(places, pace)?);
                    if lists.last().is_some_and(|list| list.len() == 0) {
                        all_dropped(lists, pace);
                        return Ok(List::Made(Vec::new()));
                    }
                }
                let mut found = combined(lists, *order, pace)?;
                if let (Some(most), List::Made(list)) = (max_gaps, &mut found) {
                    list.retain(|interval| interval.gaps <= *most);
                }
                found
            }
            Self::Repeat(node, times) => {
                let list = node.made(places, pace)?;
                let mut found = reserved((list.len() + 1).saturating_sub(*times), pace)?;
                found.extend(list.windows(*times).map(|run| around(run).open()));
                dropped(list, pace);
                List::Made(found)
            }
            Self::Extend(node, before, after) => {
                let mut list = node.made(places, pace)?;
                for interval in &mut list {
                    interval.start -= before;
                    interval.end += after;
                    interval.taken += before + after;
                }
                List::Made(list)
            }
            Self::First(node, end) => {
                let mut list = node.made(places, pace)?;
                list.retain(|interval| interval.end < *end);
                List::Made(list)
            }
            Self::Filter(node, relation, by) => {
                let mut list = node.made(places, pace)?;
                let by = by.made(places, pace)?;
                pace.step(list.len())?;
                list.retain(|interval| holds(*relation, interval, &by));
                dropped(by, pace);
                List::Made(list)
            }
        };
        pace.step(1 + found.len())?;
        Ok(found)
    }
}

/// Returns what one interval of each list makes, minimal.
fn combined<'p>(
    mut lists: Vec<List<'p>>,
    order: IntervalOrder,
    pace: &mut impl Steps,
) -> Result<List<'p>, Stop> {
    let found = match order {
        _ if lists.len() == 1 => return Ok(lists.remove(0)),
        IntervalOrder::Ordered => ordered(&lists, false, pace)?,
        IntervalOrder::Adjacent => ordered(&lists, true, pace)?,
        IntervalOrder::Unordered => unordered(&lists, pace)?,
        IntervalOrder::Separate => {
            let mut rest = lists.into_iter();
            let mut found = rest.next().unwrap_or(List::Made(Vec::new()));
            for (number, list) in rest.enumerate() {
                if let (1.., List::Made(made)) = (number, &mut found) {
                    made.iter_mut()
                        .for_each(|interval| *interval = interval.open());
                }
                let two = [found, list];
                let mut either = ordered(&two, false, pace)?;
                let [one, other] = two;
                let two = [other, one];
                let swapped = ordered(&two, false, pace)?;
                all_dropped(two.into(), pace);
                append(&mut either, swapped, pace)?;
                minimal(&mut either);
                found = List::Made(either);
            }
            return Ok(found);
        }
    };
    all_dropped(lists, pace);
    Ok(List::Made(found))
}

/// Returns the intervals that begin with one of the first list and go on with one of each other, in order. From each
/// beginning the nearest is taken.
fn ordered(
    lists: &[List<'_>],
    is_adjacent: bool,
    pace: &mut impl Steps,
) -> Result<Vec<Interval>, Stop> {
    let Some((first, rest)) = lists.split_first() else {
        return Ok(Vec::new());
    };
    let mut at = vec![0_usize; rest.len()];
    let mut found: Vec<Interval> = Vec::new();
    'beginnings: for beginning in (0..first.len()).filter_map(|at| first.get(at)) {
        let (mut end, mut taken) = (beginning.end, beginning.taken);
        for (list, at) in rest.iter().zip(&mut at) {
            let from = *at;
            while list.get(*at).is_some_and(|next| next.start <= end) {
                *at += 1;
            }
            pace.step(1 + *at - from)?;
            let Some(next) = list.get(*at) else {
                return Ok(found);
            };
            if is_adjacent && next.start != end + 1 {
                continue 'beginnings;
            }
            end = next.end;
            taken += next.taken;
        }
        let whole = Interval::around(beginning.start, end, taken);
        push_minimal(&mut found, whole, pace)?;
    }
    Ok(found)
}

/// Returns the intervals around one of each list, wherever they stand: the list whose interval begins first goes on.
fn unordered(lists: &[List<'_>], pace: &mut impl Steps) -> Result<Vec<Interval>, Stop> {
    let mut at = vec![0_usize; lists.len()];
    let mut found: Vec<Interval> = Vec::new();
    loop {
        pace.step(1 + lists.len())?;
        let current = || lists.iter().zip(&at).filter_map(|(list, at)| list.get(*at));
        let Some(end) = current().map(|interval| interval.end).max() else {
            return Ok(found);
        };
        let taken: i64 = current().map(|interval| interval.taken).sum();
        let starts = current().map(|interval| interval.start).enumerate();
        let Some((first, start)) = starts.min_by_key(|(_, start)| *start) else {
            return Ok(found);
        };
        push_minimal(&mut found, Interval::around(start, end, taken), pace)?;
        at[first] += 1;
        if at[first] == lists[first].len() {
            return Ok(found);
        }
    }
}

/// Returns the interval around some that follow each other.
fn around(run: &[Interval]) -> Interval {
    let taken = run.iter().map(|interval| interval.taken).sum();
    Interval::around(run[0].start, run[run.len() - 1].end, taken)
}

/// Returns whether an interval stands so to at least one of `others`, or to none.
fn holds(relation: IntervalRelation, interval: &Interval, others: &[Interval]) -> bool {
    let Interval { start, end, .. } = *interval;
    let is_containing = || {
        let first = others.partition_point(|other| other.start < start);
        others.get(first).is_some_and(|other| other.end <= end)
    };
    let is_contained = || {
        let behind = others.partition_point(|other| other.start <= start);
        behind > 0 && others[behind - 1].end >= end
    };
    let is_overlapping = || {
        let first = others.partition_point(|other| other.end < start);
        others.get(first).is_some_and(|other| other.start <= end)
    };
    match relation {
        IntervalRelation::After => others.first().is_some_and(|first| first.end < start),
        IntervalRelation::Before => others.last().is_some_and(|last| end < last.start),
        IntervalRelation::ContainedBy => is_contained(),
        IntervalRelation::Containing => is_containing(),
        IntervalRelation::Overlapping => is_overlapping(),
        IntervalRelation::NotContainedBy => !is_contained(),
        IntervalRelation::NotContaining => !is_containing(),
        IntervalRelation::NotOverlapping => !is_overlapping(),
    }
}

#[cfg(test)]
mod tests;
