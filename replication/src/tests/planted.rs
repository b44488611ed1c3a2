//! Planted errors of the rules of logs, terms and sets: each gives a counterexample, and the same
//! beginning gives none while the rule is kept.

use super::explorer::explore;
use super::size::sized;
use super::world::Action::{
    Answer, Connect, Cut, DeliverDown, DeliverUp, Execute, Force, HandOver, Hear, Suspect, Sync,
    Write,
};
use super::world::Past::{self, Did, Settled};
use super::world::{Action, Beginning, Budget, timeless};
use crate::settings::{Rule, Settings};

const NONE: Budget = Budget {
    writes: 0,
    crashes: 0,
    losses: 0,
    unknowns: 0,
    doubles: 0,
    suspicions: 0,
    cuts: 0,
    hand_overs: 0,
    log_failures: 0,
    retries: 0,
    stale_reads: 0,
    forces: 0,
};

/// The third copy is out of the in-sync set, and has no stream.
const THIRD_IS_OUT: [Action; 3] = [Cut(2), Execute(0), Answer(0)];
/// The second copy has confirmed a write.
const SECOND_HAS_IT: [Action; 5] = [Write(0), Sync(0), DeliverDown(1), Sync(1), DeliverUp(1)];
/// The second copy leads; the first does not know.
const SECOND_LEADS: [Action; 5] = [Suspect(0), Hear(1), Execute(0), Hear(1), Sync(1)];

/// Returns what has happened before an error shows soon, for the rule.
fn prelude(rule: Rule) -> Vec<Past> {
    let did = |parts: &[&[Action]]| parts.concat().into_iter().map(Did).collect::<Vec<_>>();
    match rule {
        Rule::GrowFromTermStart => did(&[&THIRD_IS_OUT, &SECOND_HAS_IT]),
        Rule::TakeOverFromInSync => did(&[&THIRD_IS_OUT]),
        // The third copy confirms a record to the first, loses it to the second, and the first leads again.
        Rule::JoinedInThisStream => {
            let confirmed = [Write(0), Sync(0), DeliverDown(2), Sync(2), DeliverUp(2)];
            let again = [HandOver { from: 1, to: 0 }, Execute(0), Hear(0), Sync(0)];
            [
                did(&[&confirmed, &SECOND_LEADS]),
                vec![Settled],
                did(&[&again]),
            ]
            .concat()
        }
        // The second copy leads with the third; the first still leads the term before.
        Rule::FenceBeforeJoin => {
            let joins = [Hear(2), Sync(2), Connect(2), DeliverUp(2), DeliverDown(2)];
            let acknowledged = [Write(1), Sync(1), DeliverDown(2), Sync(2), DeliverUp(2)];
            did(&[&SECOND_LEADS, &joins, &acknowledged])
        }
        // The third copy leads term 3, of which the store knows nothing any more when the first one is forced.
        Rule::HistoryIsCompared => {
            let forgotten = Force {
                copy: 0,
                restored: true,
            };
            let third_leads = [HandOver { from: 1, to: 2 }, Execute(0), Hear(2), Sync(2)];
            let written = [Write(2), Sync(2), forgotten];
            [
                did(&[&SECOND_LEADS]),
                vec![Settled],
                did(&[&third_leads, &written]),
            ]
            .concat()
        }
        Rule::CutByComparison => did(&[&SECOND_HAS_IT, &[DeliverDown(2), Sync(2), DeliverUp(2)]]),
        _ => vec![Settled],
    }
}

/// Returns the faults under which an error shows.
fn budget(rule: Rule) -> Budget {
    match rule {
        Rule::AgreeByAll | Rule::HistoryIsCompared => Budget { writes: 1, ..NONE },
        Rule::GrowFromTermStart => Budget {
            suspicions: 1,
            ..NONE
        },
        Rule::FenceBeforeJoin => Budget {
            crashes: 1,
            stale_reads: 1,
            ..NONE
        },
        Rule::CutByComparison => Budget { crashes: 1, ..NONE },
        Rule::ApplyAgreed | Rule::TakeOverFromInSync => Budget {
            writes: 1,
            crashes: 1,
            ..NONE
        },
        Rule::TouchUnknown => Budget {
            writes: 1,
            cuts: 1,
            unknowns: 1,
            retries: 1,
            ..NONE
        },
        _ => Budget {
            writes: 1,
            cuts: 1,
            ..NONE
        },
    }
}

#[track_caller]
fn assert_missed(rule: Rule) {
    let beginning = |omitted| {
        let min_in_sync = if rule == Rule::GrowFromTermStart {
            2
        } else {
            1
        };
        let settings = Settings {
            min_in_sync,
            omitted,
            ..timeless()
        };
        Beginning {
            settings,
            prelude: prelude(rule),
            budget: budget(rule),
        }
    };
    let broken = explore(&beginning(Some(rule)), 500_000);
    let example = broken.counterexample.expect("the rule is missed");
    println!("without {rule:?}: {example}");
    let kept = explore(&beginning(None), sized(10_000, 1_000_000));
    if let Some(example) = kept.counterexample {
        panic!("with {rule:?}: {example}");
    }
}

#[test]
fn a_primary_that_acknowledges_at_its_own_end_loses_writes() {
    assert_missed(Rule::AgreeByAll);
}

#[test]
fn a_primary_that_leaves_a_member_out_before_the_answer_requires_too_few() {
    assert_missed(Rule::ShrinkAfterAnswer);
}

#[test]
fn a_primary_that_grows_the_set_without_requiring_first_requires_too_few() {
    assert_missed(Rule::RequireBeforeGrow);
}

#[test]
fn a_copy_that_joins_below_the_term_start_lacks_writes() {
    assert_missed(Rule::GrowFromTermStart);
}

#[test]
fn a_primary_that_counts_what_was_said_on_an_earlier_stream_loses_writes() {
    assert_missed(Rule::JoinedInThisStream);
}

#[test]
fn a_fence_that_is_not_durable_lets_two_copies_lead_a_term() {
    assert_missed(Rule::FenceBeforeJoin);
}

#[test]
fn a_copy_that_cuts_to_its_own_agreed_point_loses_writes() {
    assert_missed(Rule::CutByComparison);
}

#[test]
fn a_copy_that_applies_what_is_durable_applies_what_goes_again() {
    assert_missed(Rule::ApplyAgreed);
}

#[test]
fn a_copy_that_takes_over_from_outside_the_set_lacks_writes() {
    assert_missed(Rule::TakeOverFromInSync);
}

#[test]
fn a_copy_that_does_not_look_at_who_is_alive_takes_over_from_the_living() {
    assert_missed(Rule::TakeOverFromAbsent);
}

#[test]
fn a_change_of_unknown_outcome_that_is_taken_for_not_made_is_made_later() {
    assert_missed(Rule::TouchUnknown);
}

#[test]
fn a_copy_of_another_history_brings_records_that_nobody_acknowledged() {
    assert_missed(Rule::HistoryIsCompared);
}
