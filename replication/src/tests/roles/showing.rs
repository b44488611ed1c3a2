//! A primary's rights: when it may read, to whom it gives serving rights, what a refresh waits for.

use super::*;
use crate::Beat;

/// A beat of the primary on the stream with the second copy, and the answer to it, which come at once.
fn exchange_beats(copy: &mut ShardCopy, number: u64, now: Moment) -> Beat {
    let follower = copy_id(1);
    let effects = copy.handle(now, Event::BeatDue { follower, number });
    let beat = effects.into_iter().find_map(|effect| match effect {
        Effect::ToFollower {
            message: FromPrimary::Beat(beat),
            ..
        } => Some(beat),
        _ => None,
    });
    let answer = Beat {
        term: PrimaryTerm(2),
        number: 100 + number,
        echo: Some(number),
        gives_right: true,
    };
    from_follower(copy, 1, FromFollower::Beat(answer), now);
    beat.expect("a beat")
}

/// A primary and a follower, in sync, that have agreed on a record and show it.
fn two_that_agree() -> ShardCopy {
    let mut copy = primary(Settings::default(), log_state(&[1], 1), &entry(2, 0, &[2]));
    from_follower(&mut copy, 1, join(&log_state(&[1], 1)), at(2_000));
    copy.handle(at(2_000), Event::Shown { visible: SeqNo(1) });
    shows(&mut copy, 1, 1, at(2_000));
    copy
}

fn shows(copy: &mut ShardCopy, end: u64, visible: u64, now: Moment) -> Vec<Effect> {
    let (term, end, visible) = (PrimaryTerm(2), SeqNo(end), SeqNo(visible));
    from_follower(copy, 1, FromFollower::Have { term, end, visible }, now)
}

/// Orders a record, which the follower confirms; a refresh waits for it.
fn refresh_record(copy: &mut ShardCopy, now: Moment) {
    copy.handle(now, Event::Appended { next: SeqNo(2) });
    copy.handle(now, Event::Durable { end: SeqNo(2) });
    shows(copy, 2, 1, now);
    copy.handle(now, Event::Shown { visible: SeqNo(2) });
    copy.handle(now, Event::Refresh { position: SeqNo(2) });
}

fn refreshed(effects: &[Effect]) -> bool {
    let position = SeqNo(2);
    effects.contains(&Effect::Refreshed { position })
}

#[test]
fn a_primary_reads_while_all_that_it_requires_give_it_the_right() {
    let mut copy = two_that_agree();
    assert!(!copy.may_read(at(2_000)), "no right is given yet");
    exchange_beats(&mut copy, 1, at(2_000));
    assert!(copy.may_read(at(2_999)) && copy.may_serve(at(2_999)));
    assert!(!copy.may_read(at(3_000)) && !copy.may_serve(at(3_000)));
}

#[test]
fn a_primary_does_not_read_before_its_term_start_is_agreed() {
    let mut copy = primary(
        Settings::default(),
        log_state(&[1, 1], 1),
        &entry(2, 0, &[2]),
    );
    from_follower(&mut copy, 1, join(&log_state(&[1], 1)), at(0));
    exchange_beats(&mut copy, 1, at(0));
    assert!(!copy.may_read(at(1)));
    from_follower(&mut copy, 1, have(2), at(1));
    assert!(copy.may_read(at(1)));
    assert!(!copy.may_serve(at(1)), "it does not show its term start");
    copy.handle(at(1), Event::Shown { visible: SeqNo(2) });
    assert!(copy.may_serve(at(1)));
}

#[test]
fn a_primary_alone_needs_no_right() {
    let copy = primary(
        Settings::default(),
        log_state(&[1], 1),
        &entry(2, 0, &[1, 2]),
    );
    assert!(copy.may_read(at(0)) && copy.may_order());
}

#[test]
fn a_serving_right_is_for_those_that_show_the_refresh_while_the_primary_may_read() {
    let mut copy = two_that_agree();
    assert!(
        !exchange_beats(&mut copy, 1, at(2_000)).gives_right,
        "it may not read yet"
    );
    assert!(exchange_beats(&mut copy, 2, at(2_250)).gives_right);
    refresh_record(&mut copy, at(2_300));
    assert!(
        !exchange_beats(&mut copy, 3, at(2_500)).gives_right,
        "the follower is behind"
    );
    assert!(refreshed(&shows(&mut copy, 2, 2, at(2_600))));
    assert!(exchange_beats(&mut copy, 4, at(2_750)).gives_right);
}

#[test]
fn a_refresh_waits_for_a_copy_that_is_behind_until_its_right_and_what_it_promised_has_run_out() {
    let mut copy = two_that_agree();
    exchange_beats(&mut copy, 1, at(2_000));
    assert!(exchange_beats(&mut copy, 2, at(2_250)).gives_right);
    refresh_record(&mut copy, at(2_300));
    assert!(!refreshed(&copy.clone().handle(at(3_899), Event::Tick)));
    assert!(refreshed(&copy.handle(at(3_900), Event::Tick)));
}

#[test]
fn a_refresh_waits_for_a_copy_that_was_removed_until_its_right_has_run_out() {
    let mut copy = two_that_agree();
    exchange_beats(&mut copy, 1, at(2_000));
    exchange_beats(&mut copy, 2, at(2_250));
    let mut without = (*entry(2, 0, &[1, 2])).clone();
    without.copies.remove(&copy_id(1));
    without.version = 3;
    learn(&mut copy, &Arc::new(without), at(2_260));
    refresh_record(&mut copy, at(2_300));
    assert!(!refreshed(&copy.clone().handle(at(3_899), Event::Tick)));
    assert!(refreshed(&copy.handle(at(3_900), Event::Tick)));
    let effects = from_follower(&mut copy, 1, join(&log_state(&[1], 1)), at(3_910));
    let is_refused = |effect: &Effect| {
        matches!(
            effect,
            Effect::ToFollower {
                message: FromPrimary::Refused { .. },
                ..
            }
        )
    };
    assert!(effects.iter().any(is_refused), "{effects:?}");
}

#[test]
fn a_copy_that_is_to_be_removed_gets_no_right_any_more_and_has_none_once_its_last_has_run_out() {
    let mut copy = two_that_agree();
    exchange_beats(&mut copy, 1, at(2_000));
    assert!(exchange_beats(&mut copy, 2, at(2_250)).gives_right);
    let follower = copy_id(1);
    assert!(copy.may_have_right(follower, at(9_000)), "it may get one");
    let copies = [follower].into();
    copy.handle(at(2_300), Event::Withdraw { copies });
    assert!(!exchange_beats(&mut copy, 3, at(2_500)).gives_right);
    assert!(copy.may_have_right(follower, at(3_899)));
    assert!(!copy.may_have_right(follower, at(3_900)));
    let copies = Default::default();
    copy.handle(at(2_600), Event::Withdraw { copies });
    assert!(
        exchange_beats(&mut copy, 4, at(2_750)).gives_right,
        "it stays"
    );
}

#[test]
fn a_new_primary_waits_for_rights_that_the_one_before_may_have_given() {
    let mut copy = primary(
        Settings::default(),
        log_state(&[1], 1),
        &entry(2, 0, &[1, 2]),
    );
    copy.handle(at(0), Event::Appended { next: SeqNo(2) });
    copy.handle(at(0), Event::Durable { end: SeqNo(2) });
    copy.handle(at(0), Event::Shown { visible: SeqNo(2) });
    copy.handle(at(0), Event::Refresh { position: SeqNo(2) });
    assert!(!refreshed(&copy.clone().handle(at(1_649), Event::Tick)));
    assert!(refreshed(&copy.handle(at(1_650), Event::Tick)));
}
