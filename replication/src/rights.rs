//! Rights: leave to answer for a time, which one copy gives to another, without clocks that agree.
//!
//! Beats are exchanged on a stream. The holder of a right counts from when it *sent* what was answered.
//! The giver counts from when it *answered*, and a tenth longer. So a right has run out for its holder
//! before it has for its giver, as long as the two clocks run at rates within 10 % of each other (Gray and
//! Cheriton, *Leases*, 1989). A *read right* is given by each required copy to the primary, a *serving
//! right* by the primary to those that show what it acknowledged.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Moment;

/// Beats that a holder remembers; an answer to an older one gives nothing.
const MAX_BEATS: usize = 8;

/// What a giver adds to the length: what the rates of two clocks may differ by.
const SLACK: u32 = 10;

/// A right from the side of its holder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct HeldRight {
    sent: VecDeque<Beat>,
    until: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Beat {
    number: u64,
    at: Moment,
}

impl HeldRight {
    /// Notes that a beat is sent now.
    pub(crate) fn sent(&mut self, number: u64, now: Moment) {
        if self.sent.len() == MAX_BEATS {
            self.sent.pop_front();
        }
        self.sent.push_back(Beat { number, at: now });
    }

    /// Takes the right that the answer to a beat gives. It begins when that beat was sent.
    pub(crate) fn answered(&mut self, echo: u64, length: Duration) {
        let beat = self.sent.iter().find(|beat| beat.number == echo);
        let until = beat.map(|beat| beat.at.after(length));
        self.until = self.until.max(until);
    }

    /// Forgets the beats of a stream that has ended: its numbers begin anew. The right stays.
    pub(crate) fn forget_beats(&mut self) {
        self.sent.clear();
    }

    /// Returns whether the right holds now.
    pub(crate) fn holds(&self, now: Moment) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

/// A right from the side of its giver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct GivenRight {
    until: Option<Moment>,
}

impl GivenRight {
    /// Gives the right now.
    pub(crate) fn give(&mut self, now: Moment, length: Duration) {
        self.until = self.until.max(Some(now.after(length + length / SLACK)));
    }

    /// Returns whether nobody can hold the right any more.
    pub(crate) fn has_run_out(&self, now: Moment) -> bool {
        self.until.is_none_or(|until| now >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> Moment {
        Moment(Duration::from_millis(ms))
    }

    #[test]
    fn a_right_begins_for_its_holder_when_the_beat_was_sent() {
        let mut right = HeldRight::default();
        right.sent(1, at(100));
        right.sent(2, at(350));
        assert!(!right.holds(at(360)), "nothing is answered");
        right.answered(1, LENGTH);
        assert!(right.holds(at(1_099)) && !right.holds(at(1_100)));
        right.answered(2, LENGTH);
        right.answered(1, LENGTH);
        assert!(right.holds(at(1_349)), "a late answer takes nothing away");
        right.answered(9, LENGTH);
        assert!(!right.holds(at(1_350)), "no such beat was sent");
    }

    #[test]
    fn an_answer_to_a_beat_that_is_forgotten_gives_nothing() {
        let mut right = HeldRight::default();
        for number in 0..=MAX_BEATS as u64 {
            right.sent(number, at(0));
        }
        right.answered(0, LENGTH);
        assert!(!right.holds(at(1)));
        right.forget_beats();
        right.answered(3, LENGTH);
        assert!(!right.holds(at(1)));
    }

    #[test]
    fn a_right_runs_out_for_its_giver_a_tenth_later_than_it_was_given_for() {
        let mut given = GivenRight::default();
        assert!(given.has_run_out(at(0)), "none was given");
        given.give(at(100), LENGTH);
        assert!(!given.has_run_out(at(1_199)) && given.has_run_out(at(1_200)));
        given.give(at(50), LENGTH);
        assert!(
            !given.has_run_out(at(1_199)),
            "a right never becomes shorter"
        );
    }

    #[test]
    fn a_right_ends_for_its_holder_first_while_clocks_differ_by_up_to_a_tenth() {
        // The holder's clock is the slower one, and the answer took no time at all.
        for (percent, is_safe) in [(0, true), (8, true), (10, true), (12, false)] {
            let mut given = GivenRight::default();
            given.give(at(0), LENGTH);
            let holder_ends_ms = 1_000 * (100 + percent) / 100;
            assert_eq!(
                !given.has_run_out(at(holder_ends_ms - 1)),
                is_safe,
                "{percent} %"
            );
        }
    }
}
