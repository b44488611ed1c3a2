//! Terms between two, byte by byte.

use gleaner_query::resolved::TermEdge;

/// A range of terms, in the order of their bytes.
pub struct Between {
    lower: Edge,
    upper: Edge,
}

/// An end of the range.
struct Edge {
    term: Vec<u8>,
    is_included: bool,
}

/// How the bytes of a term so far stand to an end of the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// So many bytes, all of them, are those that the end begins with.
    Along(usize),
    /// The term comes before the end, whatever follows.
    Before,
    /// It comes after the end, whatever follows.
    After,
}

/// How the bytes of a term so far stand to the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    lower: Side,
    upper: Side,
}

impl Between {
    /// Returns the range between two terms.
    pub fn new(lower: &TermEdge, upper: &TermEdge) -> Self {
        let edge = |edge: &TermEdge| Edge {
            term: edge.term.clone().into_bytes(),
            is_included: edge.is_included,
        };
        Self {
            lower: edge(lower),
            upper: edge(upper),
        }
    }

    /// Returns the bytes that it takes.
    pub(super) fn size_bytes(&self) -> usize {
        self.lower.term.len() + self.upper.term.len()
    }

    /// Returns the place before the first byte.
    pub(super) fn start(&self) -> Place {
        Place {
            lower: Side::Along(0),
            upper: Side::Along(0),
        }
    }

    /// Returns the place after one more byte; `None` where no term that goes on so is in the range.
    pub(super) fn accept(&self, place: Place, byte: u8) -> Option<Place> {
        let next = Place {
            lower: self.lower.side(place.lower, byte),
            upper: self.upper.side(place.upper, byte),
        };
        let is_out = next.lower == Side::Before || next.upper == Side::After;
        (!is_out).then_some(next)
    }

    /// Returns whether a term that ends here is in the range.
    pub(super) fn is_match(&self, place: Place) -> bool {
        let is_above = match place.lower {
            Side::Before => false,
            // The beginning of a term comes before it.
            Side::Along(at) => at == self.lower.term.len() && self.lower.is_included,
            Side::After => true,
        };
        let is_below = match place.upper {
            Side::Before => true,
            Side::Along(at) => at < self.upper.term.len() || self.upper.is_included,
            Side::After => false,
        };
        is_above && is_below
    }
}

impl Edge {
    /// Returns the side after one more byte.
    fn side(&self, before: Side, byte: u8) -> Side {
        let Side::Along(at) = before else {
            return before;
        };
        match self.term.get(at) {
            Some(own) if *own == byte => Side::Along(at + 1),
            Some(own) if *own > byte => Side::Before,
            // It is greater, or goes on after the end's last byte.
            _ => Side::After,
        }
    }
}

#[cfg(test)]
mod tests {
    use gleaner_query::resolved::Pattern;

    use super::super::TermAutomaton;
    use super::*;

    #[test]
    fn terms_are_between_two_by_their_bytes() {
        let terms = ["", "a", "ab", "abc", "b", "ba", "bc", "bcd", "c", "\u{e9}"];
        for lower in terms {
            for upper in terms {
                for (from, to) in [(true, true), (true, false), (false, true), (false, false)] {
                    let edge = |term: &str, is_included| TermEdge {
                        term: term.to_owned(),
                        is_included,
                    };
                    let pattern = Pattern::Between {
                        lower: edge(lower, from),
                        upper: edge(upper, to),
                    };
                    let automaton = TermAutomaton::new(&pattern).expect("a range is never refused");
                    for term in terms {
                        let is_above = term > lower || (from && term == lower);
                        let is_below = term < upper || (to && term == upper);
                        let is_in = is_above && is_below;
                        assert_eq!(automaton.accepts(term), is_in, "{pattern} {term}");
                    }
                }
            }
        }
    }
}
