//! Each invariant broken on purpose: its checker must see it, and say which seed.

use crate::invariants;
use crate::run::Run;
use crate::schedule::{Broken, Schedule};
use crate::told;

/// Schedules tried until one shows what is broken.
const MAX_TRIED: u64 = 60;

/// Runs schedules with something broken until `invariant` is, and returns what the report says.
fn caught(broken: Broken, invariant: &str) -> String {
    for seed in 0..MAX_TRIED {
        let run = Run::of(Schedule::draw(seed).breaking(broken));
        let found = invariants::broken(&run);
        if found.iter().any(|(name, _)| *name == invariant) {
            let report = told(seed, &found);
            assert!(report.contains(&format!("seed {seed}")), "{report}");
            return report;
        }
    }
    panic!("{broken:?} was not seen as `{invariant}` in {MAX_TRIED} schedules");
}

#[test]
fn a_hidden_hit_is_a_silent_gap() {
    caught(Broken::HidesHits, "no silent gap");
}

#[test]
fn a_hit_that_is_there_twice_is_a_wrong_document() {
    caught(Broken::RepeatsHits, "no wrong document");
}

#[test]
fn contents_of_another_hit_are_a_wrong_order() {
    caught(Broken::SwapsContents, "no wrong document");
}

#[test]
fn scores_by_numbers_of_one_shard_are_a_wrong_order() {
    caught(Broken::ScoresAlone, "no wrong document");
}

#[test]
fn numbers_of_documents_that_are_not_shown_are_of_no_moment() {
    caught(Broken::Miscounts, "numbers of one moment");
}

#[test]
fn an_answer_after_its_time_is_late() {
    caught(Broken::IgnoresDeadlines, "deadlines");
}

#[test]
fn a_copy_that_is_never_asked_is_missed() {
    caught(Broken::HidesCopies, "whole copies are found");
}

#[test]
fn a_write_that_is_not_synced_is_lost() {
    caught(Broken::LosesWrites, "acknowledged and refreshed is found");
}

#[test]
fn a_lease_that_is_not_kept_mixes_moments() {
    caught(Broken::BreaksLeases, "numbers of one moment");
}

#[test]
fn a_request_sent_twice_whenever_it_could_be_is_over_the_budget() {
    caught(Broken::HedgesFreely, "hedges within the budget");
}

#[test]
fn a_call_that_goes_on_after_it_was_given_up_is_left_running() {
    caught(Broken::LeaksCalls, "nothing is left running");
}

#[test]
fn a_client_that_draws_from_the_machine_does_not_repeat_itself() {
    let schedule = Schedule::draw(0).breaking(Broken::IsRandom);
    let (first, second) = (Run::of(schedule.clone()), Run::of(schedule));
    assert!(!invariants::differences(&first, &second).is_empty());
}
