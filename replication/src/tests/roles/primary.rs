//! A primary: whom it takes out, when it gives its role away.

use super::*;

#[test]
fn a_primary_that_lacks_agreed_records_resigns_to_the_follower_that_has_them() {
    let entry = entry(2, 0, &[]);
    let mut copy = primary(Settings::default(), log_state(&[1], 1), &entry);
    let effects = from_follower(&mut copy, 2, join(&log_state(&[1, 1, 1], 3)), at(1));
    let (follower, agreed) = (copy_id(2), SeqNo(3));
    assert!(effects.contains(&Effect::Report(Report::LacksAgreed { follower, agreed })));
    assert!(
        !copy.may_order(),
        "it would order at positions that are taken"
    );
    let proposals = proposals(effects);
    assert_eq!(proposals[0].change, Change::Resign { to: copy_id(2) });

    // The other one leads now. This copy follows, and is whole again when it has what it lacked.
    let (proposal, outcome) = (
        proposals[0].clone(),
        Outcome::Made {
            revision: Revision(3),
        },
    );
    let effects = copy.handle(at(2), Event::Answer(Answer { proposal, outcome }));
    assert!(effects.contains(&Effect::StepDown));
    assert!(copy.local.lacks_agreed());
    copy.handle(
        at(3),
        Event::Fenced {
            term: PrimaryTerm(3),
        },
    );
    copy.handle(
        at(3),
        Event::Connected {
            primary: copy_id(2),
        },
    );
    let from = copy_id(2);
    let term = PrimaryTerm(3);
    copy.handle(
        at(3),
        Event::FromPrimary {
            from,
            message: FromPrimary::Accept { term },
        },
    );
    let batch = |first| crate::Batch {
        term: PrimaryTerm(1),
        first: SeqNo(first),
        next: SeqNo(first + 1),
        payload: Default::default(),
    };
    let batches = vec![batch(1), batch(2)];
    let message = FromPrimary::Batches {
        history: HistoryId::FIRST,
        term,
        agreed,
        batches,
    };
    copy.handle(at(3), Event::FromPrimary { from, message });
    copy.handle(at(4), Event::Durable { end: SeqNo(3) });
    assert!(!copy.local.lacks_agreed());
    assert_eq!(copy.agreed(), SeqNo(3));
}

#[test]
fn a_follower_that_needs_what_the_log_gave_up_meanwhile_is_told_so() {
    let entry = entry(2, 0, &[]);
    let mut copy = primary(Settings::default(), log_state(&[1, 1, 1], 3), &entry);
    copy.handle(at(1), Event::Trimmed { first: SeqNo(2) });
    let effects = from_follower(&mut copy, 2, join(&log_state(&[1], 1)), at(1));
    let (to, first) = (copy_id(2), SeqNo(2));
    let term = PrimaryTerm(2);
    let message = FromPrimary::Trimmed { term, first };
    assert!(effects.contains(&Effect::ToFollower { to, message }));
}

#[test]
fn a_primary_refuses_a_copy_of_another_history() {
    let mut copy = primary(Settings::default(), log_state(&[1], 1), &entry(2, 0, &[]));
    let theirs = LogState {
        history: HistoryId([7; 16]),
        ..log_state(&[1], 1)
    };
    let (fence, version) = (PrimaryTerm(2), 2);
    let refused = Effect::ToFollower {
        to: copy_id(2),
        message: FromPrimary::Refused { fence, version },
    };
    assert_eq!(from_follower(&mut copy, 2, join(&theirs), at(1)), [refused]);
    // What it says it knows to be agreed is not of this history.
    assert!(copy.may_order());
}

#[test]
fn a_member_is_taken_out_when_its_patience_has_ended_and_not_before() {
    let settings = Settings::default();
    let joined = || {
        let mut copy = primary(settings, log_state(&[1], 1), &entry(2, 0, &[2]));
        from_follower(&mut copy, 1, join(&log_state(&[1], 1)), at(0));
        copy
    };
    let shrink = [Change::Shrink { copy: copy_id(1) }];
    let assert_late = |copy: &ShardCopy, last_ms: u64| {
        let early = copy.clone().handle(at(last_ms), Event::Tick);
        assert_eq!(changes(early), []);
        let late = copy.clone().handle(at(last_ms + 1), Event::Tick);
        assert_eq!(changes(late), shrink);
    };
    // It says nothing.
    assert_late(&joined(), 999);
    // Its stream has ended.
    let mut copy = joined();
    copy.handle(
        at(100),
        Event::FollowerGone {
            follower: copy_id(1),
        },
    );
    assert_late(&copy, 599);
    // It has not joined since the term began.
    assert_late(
        &primary(settings, log_state(&[1], 1), &entry(2, 0, &[2])),
        9_999,
    );
    // It speaks, and does not confirm.
    let mut copy = joined();
    copy.handle(at(0), Event::Appended { next: SeqNo(2) });
    copy.handle(at(0), Event::Durable { end: SeqNo(2) });
    for ms in (0..2_000).step_by(500) {
        from_follower(&mut copy, 1, have(1), at(ms));
    }
    assert_late(&copy, 2_000);
    // Its node is gone, or it leaves.
    let mut copy = joined();
    let gone = Event::Alive {
        node: node(1),
        is_alive: false,
    };
    assert_eq!(changes(copy.handle(at(1), gone)), shrink);
    let leave = FromFollower::Leave {
        term: PrimaryTerm(2),
    };
    assert_eq!(
        changes(from_follower(&mut joined(), 1, leave, at(1))),
        shrink
    );
}

#[test]
fn a_primary_that_no_root_calls_takes_out_only_whose_node_is_gone() {
    let mut copy = primary(Settings::default(), log_state(&[1], 1), &entry(2, 0, &[2]));
    from_follower(&mut copy, 1, join(&log_state(&[1], 1)), at(0));
    let called = |is_called| Event::Called { is_called };
    assert_eq!(changes(copy.handle(at(1), called(false))), []);
    assert_eq!(changes(copy.handle(at(60_000), Event::Tick)), []);
    let shrink = [Change::Shrink { copy: copy_id(1) }];
    let gone = copy.clone().handle(at(60_000), second_is_gone());
    assert_eq!(changes(gone), shrink);
    assert_eq!(changes(copy.handle(at(60_000), called(true))), shrink);
}

#[test]
fn a_copy_that_would_be_taken_out_at_once_does_not_come_back() {
    let mut copy = primary(Settings::default(), log_state(&[1], 1), &entry(2, 0, &[2]));
    from_follower(&mut copy, 1, join(&log_state(&[1], 1)), at(0));
    // It says nothing, and is taken out.
    let shrink = proposals(copy.handle(at(1_000), Event::Tick));
    let proposal = shrink[0].clone();
    assert_eq!(proposal.change, Change::Shrink { copy: copy_id(1) });
    let revision = Revision(3);
    let outcome = Outcome::Made { revision };
    let effects = copy.handle(at(1_000), Event::Answer(Answer { proposal, outcome }));
    assert_eq!(changes(effects), []);
    let entry = entry(2, 0, &[1, 2]);
    let effects = copy.handle(at(1_001), Event::Entry { entry, revision });
    assert_eq!(changes(effects), [], "it is still silent");
    assert_eq!(changes(copy.handle(at(1_400), Event::Tick)), []);
    // It speaks.
    let effects = from_follower(&mut copy, 1, have(1), at(1_500));
    assert_eq!(changes(effects), [Change::Grow { copy: copy_id(1) }]);
}

/// The node of the second copy is gone.
fn second_is_gone() -> Event {
    Event::Alive {
        node: node(1),
        is_alive: false,
    }
}

/// Does a primary whose own log takes more than a second to sync take out a copy whose node is gone? It could be left as the
/// only one in sync, with a disk that has failed.
fn shrinks_while_its_log_is_stuck(omitted: Option<Rule>) -> bool {
    let settings = Settings {
        omitted,
        ..Settings::default()
    };
    let mut copy = primary(settings, log_state(&[1], 1), &entry(2, 0, &[2]));
    copy.handle(at(0), Event::Appended { next: SeqNo(2) });
    let asked = changes(copy.handle(at(1_001), second_is_gone()));
    asked == [Change::Shrink { copy: copy_id(1) }]
}

#[test]
fn it_is_found_that_a_primary_whose_own_log_is_stuck_takes_others_out() {
    assert!(!shrinks_while_its_log_is_stuck(None));
    assert!(shrinks_while_its_log_is_stuck(Some(
        Rule::ShrinkWithSoundLog
    )));
}

#[test]
fn nobody_is_taken_out_at_the_bound_or_by_a_primary_whose_own_log_is_stuck() {
    let gone = second_is_gone();
    let settings = Settings {
        min_in_sync: 2,
        ..Settings::default()
    };
    let mut copy = primary(settings, log_state(&[1], 1), &entry(2, 0, &[2]));
    assert_eq!(changes(copy.handle(at(1), gone.clone())), []);

    let mut copy = primary(Settings::default(), log_state(&[1], 1), &entry(2, 0, &[2]));
    copy.handle(at(0), Event::Appended { next: SeqNo(2) });
    assert_eq!(changes(copy.handle(at(1_001), gone)), []);
    let synced = copy.handle(at(1_002), Event::Durable { end: SeqNo(2) });
    assert_eq!(changes(synced), [Change::Shrink { copy: copy_id(1) }]);
}

#[test]
fn a_primary_whose_log_has_failed_resigns_to_the_member_that_has_most() {
    let mut copy = primary(
        Settings::default(),
        log_state(&[1, 1], 1),
        &entry(2, 0, &[]),
    );
    from_follower(&mut copy, 1, join(&log_state(&[1], 1)), at(0));
    from_follower(&mut copy, 2, join(&log_state(&[1, 1], 1)), at(0));
    let effects = copy.handle(at(1), Event::LogFailed);
    assert_eq!(changes(effects), [Change::Resign { to: copy_id(2) }]);
    assert!(!copy.may_order() && !copy.may_read(at(1)));
}

#[test]
fn a_primary_whose_disk_is_stuck_resigns_to_a_member_that_follows() {
    let start = || {
        let mut copy = primary(Settings::default(), log_state(&[1], 1), &entry(2, 0, &[2]));
        copy.handle(at(0), Event::Appended { next: SeqNo(2) });
        copy
    };
    let mut copy = start();
    from_follower(&mut copy, 1, join(&log_state(&[1], 1)), at(0));
    assert_eq!(changes(copy.handle(at(4_000), Event::Tick)), []);
    let to = copy_id(1);
    let asked = changes(copy.handle(at(4_001), Event::Tick));
    assert_eq!(asked, [Change::Resign { to }]);
    assert!(!copy.may_order() && !copy.may_read(at(4_001)));

    // No copy follows that could lead.
    let mut copy = start();
    assert_eq!(changes(copy.handle(at(4_001), Event::Tick)), []);
    assert!(copy.may_order());
}

#[test]
fn a_hand_over_waits_until_all_is_agreed_and_gives_up_when_that_takes_too_long() {
    let start = || {
        let mut copy = primary(Settings::default(), log_state(&[1], 1), &entry(2, 0, &[2]));
        from_follower(&mut copy, 1, join(&log_state(&[1], 1)), at(0));
        copy.handle(at(0), Event::Appended { next: SeqNo(2) });
        copy.handle(at(0), Event::Durable { end: SeqNo(2) });
        let to = copy_id(1);
        assert_eq!(changes(copy.handle(at(0), Event::HandOver { to })), []);
        assert!(!copy.may_order(), "writes are held back");
        copy
    };
    let mut copy = start();
    let effects = from_follower(&mut copy, 1, have(2), at(10));
    let proposals = proposals(effects);
    assert_eq!(proposals[0].change, Change::HandOver { to: copy_id(1) });
    let (proposal, outcome) = (
        proposals[0].clone(),
        Outcome::Made {
            revision: Revision(3),
        },
    );
    let effects = copy.handle(at(20), Event::Answer(Answer { proposal, outcome }));
    let is_sent = |effect: &Effect| {
        matches!(
            effect,
            Effect::ToFollower {
                message: FromPrimary::TakeOver { .. },
                ..
            }
        )
    };
    assert!(effects.iter().any(is_sent) && effects.contains(&Effect::StepDown));

    let mut copy = start();
    copy.handle(at(249), Event::Tick);
    assert!(!copy.may_order());
    copy.handle(at(250), Event::Tick);
    assert!(copy.may_order(), "writes go on");
}

#[test]
fn a_hand_over_does_not_begin_while_another_change_is_under_way() {
    let mut copy = primary(Settings::default(), log_state(&[1], 1), &entry(2, 0, &[2]));
    let to = copy_id(1);
    from_follower(&mut copy, 1, join(&log_state(&[1], 1)), at(0));
    let effects = from_follower(&mut copy, 2, join(&log_state(&[1], 1)), at(0));
    assert_eq!(changes(effects), [Change::Grow { copy: copy_id(2) }]);
    assert_eq!(changes(copy.handle(at(1), Event::HandOver { to })), []);
    assert!(copy.may_order(), "writes are not held back");

    // The change is made. The hand-over that did not begin is forgotten, another one may begin.
    let (entry, revision) = (entry(2, 0, &[]), Revision(3));
    let effects = copy.handle(at(2), Event::Entry { entry, revision });
    assert_eq!(changes(effects), []);
    let effects = copy.handle(at(3), Event::HandOver { to });
    assert_eq!(changes(effects), [Change::HandOver { to }]);
}

#[test]
fn a_hand_over_of_unknown_outcome_is_touched_until_the_revision_moves() {
    let mut copy = primary(Settings::default(), log_state(&[1], 1), &entry(2, 0, &[2]));
    from_follower(&mut copy, 1, join(&log_state(&[1], 1)), at(0));
    let to = copy_id(1);
    let asked = proposals(copy.handle(at(0), Event::HandOver { to }));
    let (proposal, outcome) = (asked[0].clone(), Outcome::Unknown);
    assert_eq!(
        changes(copy.handle(at(1), Event::Answer(Answer { proposal, outcome }))),
        []
    );
    let touched = proposals(copy.handle(at(251), Event::Tick));
    assert_eq!(
        (&touched[0].change, touched[0].expected),
        (&Change::Touch, Revision(2))
    );
    assert!(
        !copy.may_order() && !copy.may_read(at(251)),
        "the other one may lead"
    );
    let (proposal, outcome) = (
        touched[0].clone(),
        Outcome::Made {
            revision: Revision(3),
        },
    );
    copy.handle(at(260), Event::Answer(Answer { proposal, outcome }));
    assert!(
        copy.may_order(),
        "the hand-over was not made and never will be"
    );
}
