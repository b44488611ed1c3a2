//! Nobody answers what is old, as long as clocks run at rates within 10 %; planted errors do.

use serde_json::json;

use super::size::{report, seed, sized};
use super::timed::{Stale, Tally, run};
use crate::settings::Rule;

#[test]
fn nobody_answers_what_is_old() {
    let (num_runs, seed) = (sized(150, 10_000) as u64, seed());
    let mut total = Tally::default();
    for number in 0..num_runs {
        let one_seed = seed.wrapping_mul(1_000_003).wrapping_add(number);
        match run(one_seed, None) {
            Ok(tally) => total.add(tally),
            Err(stale) => panic!("seed {one_seed}: {stale:?}"),
        }
    }
    let figures = json!({
        "runs": num_runs,
        "reads": total.num_reads,
        "searches": total.num_searches,
        "flagged": total.num_flagged,
        "acknowledged": total.num_acknowledged,
        "refreshes": total.num_refreshes,
        "terms": total.num_terms,
        "promises": total.num_promises,
    });
    report("rights", &figures);
    assert!(
        total.num_reads > 500 * num_runs && total.num_terms > 2 * num_runs,
        "{total:?}"
    );
}

/// Runs without the rule until a promise is broken.
#[track_caller]
fn assert_missed(rule: Rule, is_expected: impl Fn(Stale) -> bool) {
    let mut seeds = 0..sized(10_000, 30_000) as u64;
    let broken = seeds.find_map(|seed| run(seed, Some(rule)).err());
    let stale = broken.expect("the rule is missed");
    println!("without {rule:?}: {stale:?}");
    assert!(is_expected(stale), "{stale:?}");
}

#[test]
fn a_refresh_that_does_not_outlast_what_was_promised_to_roots_is_acknowledged_too_soon() {
    assert_missed(Rule::OutlastSearchLeases, |stale| {
        matches!(stale, Stale::Promised { .. })
    });
}

fn is_read(stale: Stale) -> bool {
    matches!(stale, Stale::Read { .. } | Stale::TwoReaders { .. })
}

#[test]
fn a_primary_that_reads_without_the_right_is_deposed_and_reads() {
    assert_missed(Rule::ReadByRight, is_read);
}

#[test]
fn a_deposed_primary_that_gives_serving_rights_makes_old_answers_look_new() {
    assert_missed(Rule::ServeUnderReadRight, |stale| !is_read(stale));
}

#[test]
fn a_serving_right_for_a_copy_that_is_behind_makes_old_answers_look_new() {
    assert_missed(Rule::ServeWhatIsRefreshed, |stale| !is_read(stale));
}

#[test]
fn a_new_primary_that_does_not_wait_for_earlier_rights_refreshes_too_soon() {
    assert_missed(Rule::WaitForEarlierRights, |stale| !is_read(stale));
}

#[test]
fn a_copy_that_takes_over_while_its_right_is_out_makes_a_second_reader() {
    assert_missed(Rule::TakeOverFromAbsent, is_read);
}

#[test]
fn a_copy_that_forgets_its_promise_with_its_process_makes_a_second_reader() {
    assert_missed(Rule::PromiseFromOpening, is_read);
}
