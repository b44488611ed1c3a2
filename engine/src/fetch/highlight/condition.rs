//! Which clauses of a query a document's text meets, and which of its terms count therefore.
//!
//! Does: evaluate the query over the terms that were found. Does not: look for them (the matcher does).
//! Called by: the matcher. Read first: [`Condition::weigh`].
//!
//! Lucene's `Weight.matches` gives the matches of clauses that match and no others; so does this. What
//! the field's text cannot tell, as of clauses on other fields, is taken to match.

/// How sure it is that a clause matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    No,
    Maybe,
    Yes,
}

/// What must be found in a field's text for a clause to match. Terms go by their numbers.
pub(super) enum Condition {
    /// Nothing that the text tells.
    Known(Fit),
    /// Any of some terms.
    Terms(Vec<usize>),
    /// Words that stand to each other in some way. They may do so across values, where nobody looks.
    Placed {
        numbers: Vec<usize>,
        /// Whether all the words are of the field.
        is_sure: bool,
    },
    /// Several clauses.
    Group(Group),
}

/// Clauses combined.
#[derive(Default)]
pub(super) struct Group {
    pub(super) required: Vec<Condition>,
    pub(super) optional: Vec<Condition>,
    pub(super) excluded: Vec<Condition>,
    /// How many of `optional` must match.
    pub(super) least: usize,
    /// Clauses of which the text tells nothing, beside those above.
    pub(super) open: Open,
}

/// Numbers of clauses that may match or not: a query over many fields has hardly any others for one of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    required: usize,
    optional: usize,
    excluded: usize,
}

/// Takes out the clauses of which the text tells nothing, and returns how many they were.
fn take_open(clauses: &mut Vec<Condition>) -> usize {
    let all = clauses.len();
    clauses.retain(|clause| !matches!(clause, Condition::Known(Fit::Maybe)));
    if clauses.len() < all {
        clauses.shrink_to_fit();
    }
    all - clauses.len()
}

/// What was found in a document's field.
pub(super) struct Seen {
    /// For each of the query's terms: whether it is there.
    pub(super) found: Vec<bool>,
    /// Whether all of the text was looked at.
    pub(super) is_complete: bool,
    /// Whether the field has at most one value.
    pub(super) is_single: bool,
}

impl Condition {
    /// Returns a group of clauses, as small as it may be: one without a term is what is known of it.
    pub(super) fn of_group(mut group: Group) -> Self {
        group.open = Open {
            required: take_open(&mut group.required),
            optional: take_open(&mut group.optional),
            excluded: take_open(&mut group.excluded),
        };
        let mut clauses = group.required.iter().chain(&group.optional);
        if group.excluded.is_empty() && clauses.next().is_none() {
            let nothing = Seen {
                found: Vec::new(),
                is_complete: true,
                is_single: true,
            };
            return Self::Known(group.weigh(&nothing, &mut Vec::new()));
        }
        Self::Group(group)
    }

    /// Returns the bytes that it takes, roughly.
    pub(super) fn num_bytes(&self) -> usize {
        let inside = match self {
            Self::Known(_) => 0,
            Self::Terms(numbers) | Self::Placed { numbers, .. } => size_of_val(numbers.as_slice()),
            Self::Group(group) => {
                let clauses = group.required.iter().chain(&group.optional);
                clauses.chain(&group.excluded).map(Self::num_bytes).sum()
            }
        };
        size_of::<Self>() + inside
    }

    /// Returns whether the clause matches, and adds to `counted` the terms of those inside that do.
    pub(super) fn weigh(&self, seen: &Seen, counted: &mut Vec<usize>) -> Fit {
        let (numbers, is_sure, is_decided) = match self {
            Self::Known(fit) => return *fit,
            Self::Group(group) => return group.weigh(seen, counted),
            Self::Terms(numbers) => (numbers, true, seen.is_complete),
            Self::Placed { numbers, is_sure } => {
                let is_decided = *is_sure && seen.is_complete && seen.is_single;
                (numbers, *is_sure, is_decided)
            }
        };
        counted.extend_from_slice(numbers);
        let is_found = numbers.iter().any(|number| seen.found[*number]);
        match (is_found, is_sure, is_decided) {
            (true, true, _) => Fit::Yes,
            (false, _, true) => Fit::No,
            _ => Fit::Maybe,
        }
    }

    /// Returns whether every term counts wherever it is found.
    pub(super) fn is_plain(&self) -> bool {
        match self {
            Self::Known(_) | Self::Terms(_) | Self::Placed { .. } => true,
            Self::Group(group) => group.is_plain(),
        }
    }
}

impl Group {
    fn weigh(&self, seen: &Seen, counted: &mut Vec<usize>) -> Fit {
        let before = counted.len();
        let mut fit = match self.open.required + self.open.excluded {
            0 => Fit::Yes,
            _ => Fit::Maybe,
        };
        for clause in &self.excluded {
            fit = fit.min(match clause.weigh(seen, counted) {
                Fit::No => Fit::Yes,
                Fit::Maybe => Fit::Maybe,
                Fit::Yes => Fit::No,
            });
            counted.truncate(before);
        }
        for clause in &self.required {
            fit = fit.min(clause.weigh(seen, counted));
        }
        fit = fit.min(self.weigh_optional(seen, counted));
        if fit == Fit::No {
            counted.truncate(before);
        }
        fit
    }

    fn weigh_optional(&self, seen: &Seen, counted: &mut Vec<usize>) -> Fit {
        let (mut num_sure, mut num_possible) = (0, self.open.optional);
        for clause in &self.optional {
            let fit = clause.weigh(seen, counted);
            num_sure += usize::from(fit == Fit::Yes);
            num_possible += usize::from(fit != Fit::No);
        }
        if num_sure >= self.least {
            Fit::Yes
        } else if num_possible >= self.least {
            Fit::Maybe
        } else {
            Fit::No
        }
    }

    fn is_plain(&self) -> bool {
        let num_required = self.required.len() + self.open.required;
        let num_optional = self.optional.len() + self.open.optional;
        let num_excluded = self.excluded.len() + self.open.excluded;
        let is_one = num_required == 1 && num_optional == 0;
        let is_any = num_required == 0 && self.least <= 1;
        let mut inside = self.required.iter().chain(&self.optional);
        num_excluded == 0 && (is_one || is_any) && inside.all(Condition::is_plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(required: Vec<Condition>, optional: Vec<Condition>, least: usize) -> Condition {
        Condition::of_group(Group {
            required,
            optional,
            least,
            ..Group::default()
        })
    }

    fn term(number: usize) -> Condition {
        Condition::Terms(vec![number])
    }

    /// Weighs a condition over a text with the terms 0 and 1 of 0 to 3.
    fn weighed(condition: &Condition) -> (Fit, Vec<usize>) {
        let seen = Seen {
            found: vec![true, true, false, false],
            is_complete: true,
            is_single: true,
        };
        let mut counted = Vec::new();
        let fit = condition.weigh(&seen, &mut counted);
        counted.retain(|number| seen.found[*number]);
        (fit, counted)
    }

    #[test]
    fn terms_count_where_their_clauses_match() {
        let elsewhere = || Condition::Known(Fit::Maybe);
        for (condition, expected) in [
            (
                group(vec![term(0), term(1)], vec![], 0),
                (Fit::Yes, vec![0, 1]),
            ),
            (group(vec![term(0), term(2)], vec![], 0), (Fit::No, vec![])),
            (
                group(vec![term(0), elsewhere()], vec![], 0),
                (Fit::Maybe, vec![0]),
            ),
            (group(vec![], vec![term(0), term(2)], 2), (Fit::No, vec![])),
            (
                group(vec![], vec![term(0), elsewhere()], 2),
                (Fit::Maybe, vec![0]),
            ),
            (
                group(
                    vec![],
                    vec![term(1), group(vec![term(0), term(3)], vec![], 0)],
                    1,
                ),
                (Fit::Yes, vec![1]),
            ),
        ] {
            assert_eq!(weighed(&condition), expected);
        }
    }

    #[test]
    fn clauses_of_other_fields_are_counted_and_not_kept() {
        let elsewhere = || (0..1_000).map(|_| Condition::Known(Fit::Maybe)).collect();
        let most = 8 * size_of::<Condition>();
        for (condition, expected) in [
            (group(elsewhere(), vec![], 0), (Fit::Maybe, vec![])),
            (group(vec![], elsewhere(), 1_001), (Fit::No, vec![])),
            (group(vec![], elsewhere(), 0), (Fit::Yes, vec![])),
            (group(elsewhere(), vec![term(0)], 0), (Fit::Maybe, vec![0])),
            (
                group(vec![term(0)], elsewhere(), 1_000),
                (Fit::Maybe, vec![0]),
            ),
        ] {
            assert_eq!(weighed(&condition), expected);
            assert!(condition.num_bytes() < most, "{}", condition.num_bytes());
        }
        let nested = (0..100).map(|_| group(elsewhere(), vec![], 0)).collect();
        assert!(group(nested, vec![term(1)], 1).num_bytes() < most);
    }

    #[test]
    fn nothing_counts_where_something_excluded_is_found() {
        for (excluded, expected) in [
            (term(1), (Fit::No, vec![])),
            (term(2), (Fit::Yes, vec![0])),
            (Condition::Known(Fit::Maybe), (Fit::Maybe, vec![0])),
        ] {
            let condition = Condition::of_group(Group {
                required: vec![term(0)],
                excluded: vec![excluded],
                ..Group::default()
            });
            assert_eq!(weighed(&condition), expected);
        }
    }

    #[test]
    fn what_may_stand_across_values_or_behind_the_limit_is_not_ruled_out() {
        let placed = Condition::Placed {
            numbers: vec![0],
            is_sure: true,
        };
        for (is_complete, is_single, of_term, of_placed) in [
            (true, true, Fit::No, Fit::No),
            (true, false, Fit::No, Fit::Maybe),
            (false, true, Fit::Maybe, Fit::Maybe),
        ] {
            let seen = Seen {
                found: vec![false],
                is_complete,
                is_single,
            };
            assert_eq!(term(0).weigh(&seen, &mut Vec::new()), of_term);
            assert_eq!(placed.weigh(&seen, &mut Vec::new()), of_placed);
        }
    }

    #[test]
    fn alternatives_are_plain_and_conjunctions_are_not() {
        assert!(group(vec![], vec![term(0), term(1)], 1).is_plain());
        assert!(group(vec![group(vec![], vec![term(0)], 1)], vec![], 0).is_plain());
        assert!(!group(vec![term(0), term(1)], vec![], 0).is_plain());
        assert!(!group(vec![], vec![term(0), term(1)], 2).is_plain());
    }
}
