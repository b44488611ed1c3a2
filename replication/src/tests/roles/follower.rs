//! A follower: what it refuses, what it keeps, when it takes over.

use super::*;

#[test]
fn a_follower_never_cuts_below_its_own_agreed_point() {
    let diverged = FromPrimary::Diverged {
        term: PrimaryTerm(2),
        at: TermEnd {
            term: PrimaryTerm(1),
            end: SeqNo(1),
        },
    };
    let mut copy = follower(
        Settings::default(),
        log_state(&[1, 1, 1], 2),
        &entry(2, 0, &[]),
    );
    let agreed = SeqNo(2);
    let report = Effect::Report(Report::PrimaryLacksAgreed { agreed });
    assert_eq!(from_primary(&mut copy, diverged.clone()), [report]);

    let mut copy = follower(
        Settings::default(),
        log_state(&[1, 1, 1], 1),
        &entry(2, 0, &[]),
    );
    assert_eq!(
        from_primary(&mut copy, diverged),
        [Effect::Truncate { from: SeqNo(1) }]
    );
}

#[test]
fn a_follower_of_another_history_neither_joins_nor_takes_records_nor_leads() {
    let other = HistoryId([7; 16]);
    let named = |primary: usize| {
        let mut entry = (*entry(3, primary, &[])).clone();
        entry.history = other;
        Arc::new(entry)
    };
    for primary in [0, 1] {
        let mut copy = open(1, Settings::default(), log_state(&[1, 1], 2));
        let effects = learn(&mut copy, &named(primary), at(0));
        assert_eq!(effects, [Effect::OtherHistory]);
        let primary = copy_id(0);
        assert_eq!(copy.handle(at(0), Event::Connected { primary }), []);
    }
    let mut copy = follower(Settings::default(), log_state(&[1], 1), &entry(2, 0, &[]));
    let term = PrimaryTerm(2);
    from_primary(&mut copy, FromPrimary::Accept { term });
    let batches = |history| FromPrimary::Batches {
        history,
        term,
        agreed: SeqNo(0),
        batches: vec![crate::Batch {
            term,
            first: SeqNo(1),
            next: SeqNo(2),
            payload: bytes::Bytes::new(),
        }],
    };
    assert_eq!(from_primary(&mut copy, batches(other)), []);
    let taken = from_primary(&mut copy, batches(HistoryId::FIRST));
    assert!(matches!(taken[..], [Effect::Append { .. }]));
}

#[test]
fn a_copy_that_was_forced_opens_a_term_of_its_own_before_it_leads() {
    let mut forced = (*entry(2, 0, &[1, 2])).clone();
    forced.forced = vec![PrimaryTerm(2)];
    let mut copy = open(0, Settings::default(), log_state(&[1], 1));
    let effects = learn(&mut copy, &Arc::new(forced), at(0));
    let fence = PrimaryTerm(1);
    assert_eq!(changes(effects), [Change::Open { fence }]);
    assert_eq!(copy.leads(), None);
}

#[test]
fn a_follower_that_is_trimmed_away_copies_files_and_joins_again() {
    let mut copy = follower(Settings::default(), log_state(&[1], 1), &entry(2, 0, &[1]));
    let (term, first) = (PrimaryTerm(2), SeqNo(9));
    let from = copy_id(0);
    let effects = from_primary(&mut copy, FromPrimary::Trimmed { term, first });
    assert_eq!(effects, [Effect::CopyFiles { from }]);
    let terms = TermTable::begin_at(SeqNo(12), PrimaryTerm(1));
    let effects = copy.handle(
        at(1),
        Event::Installed {
            terms,
            agreed: SeqNo(12),
        },
    );
    let [
        Effect::ToPrimary {
            message: FromFollower::Join(join),
            ..
        },
    ] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!((join.end, join.last_term), (SeqNo(12), PrimaryTerm(1)));
    assert_eq!(join.agreed_term, Some(PrimaryTerm(1)));
}

#[test]
fn what_is_shown_while_a_follower_joins_is_said_once_it_is_accepted() {
    let mut copy = follower(Settings::default(), log_state(&[1], 1), &entry(2, 0, &[1]));
    let visible = SeqNo(1);
    // The join, which is under way, says that nothing is visible.
    assert_eq!(copy.handle(at(0), Event::Shown { visible }), []);
    let term = PrimaryTerm(2);
    let effects = from_primary(&mut copy, FromPrimary::Accept { term });
    let [
        Effect::ToPrimary {
            message: FromFollower::Have {
                end, visible: told, ..
            },
            ..
        },
    ] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!((*end, *told), (SeqNo(1), visible));
}

#[test]
fn batches_that_do_not_follow_are_refused_whole() {
    let mut copy = follower(Settings::default(), log_state(&[1], 1), &entry(2, 0, &[]));
    let term = PrimaryTerm(2);
    from_primary(&mut copy, FromPrimary::Accept { term });
    let batch = |first, next, term| crate::Batch {
        term: PrimaryTerm(term),
        first: SeqNo(first),
        next: SeqNo(next),
        payload: Default::default(),
    };
    let bad = [
        vec![batch(2, 3, 2)],
        vec![batch(0, 1, 2)],
        vec![batch(1, 2, 2), batch(3, 4, 2)],
        vec![batch(1, 2, 3)],
        vec![batch(1, 1, 2)],
    ];
    for batches in bad {
        let message = FromPrimary::Batches {
            history: HistoryId::FIRST,
            term,
            agreed: SeqNo(0),
            batches,
        };
        let end = SeqNo(1);
        let report = Effect::Report(Report::BadBatches { end });
        assert_eq!(from_primary(&mut copy, message), [report]);
    }
}

/// What a copy does with an entry of version 2 whose log has seen version 9: the store was restored from a backup.
fn at_an_older_entry(omitted: Option<Rule>) -> Vec<Effect> {
    let log = LogState {
        history: HistoryId::FIRST,
        seen_version: 9,
        ..log_state(&[1], 1)
    };
    let settings = Settings {
        omitted,
        ..Settings::default()
    };
    let mut copy = open(1, settings, log);
    learn(&mut copy, &entry(2, 0, &[]), at(0))
}

#[test]
fn an_entry_below_the_greatest_version_seen_is_not_followed() {
    let report = Report::OldEntry {
        seen: 9,
        version: 2,
    };
    assert_eq!(at_an_older_entry(None), [Effect::Report(report)]);
}

#[test]
fn it_is_found_that_a_version_that_fell_is_followed() {
    let effects = at_an_older_entry(Some(Rule::FollowNewerEntries));
    let term = PrimaryTerm(2);
    assert!(effects.contains(&Effect::Fence { term }), "{effects:?}");
}

#[test]
fn members_take_over_one_after_the_other() {
    let take_over_at = |copy: usize, has_recovered: bool| {
        let mut copy = open(copy, Settings::default(), log_state(&[2], 1));
        learn(&mut copy, &entry(2, 0, &[]), at(0));
        if has_recovered {
            copy.handle(at(0), Event::Shown { visible: SeqNo(1) });
        }
        let gone = Event::Alive {
            node: node(0),
            is_alive: false,
        };
        (2_000..4_000).find(|ms| !changes(copy.handle(at(*ms), gone.clone())).is_empty())
    };
    assert_eq!(take_over_at(1, true), Some(2_000));
    assert_eq!(take_over_at(2, true), Some(2_150));
    assert_eq!(
        take_over_at(1, false),
        Some(2_450),
        "a copy that shows goes first"
    );
    assert_eq!(take_over_at(2, false), Some(2_600));
}

#[test]
fn a_copy_takes_over_when_the_right_that_it_gave_has_run_out() {
    let mut copy = follower(Settings::default(), log_state(&[1], 1), &entry(2, 0, &[]));
    let term = PrimaryTerm(2);
    from_primary(&mut copy, FromPrimary::Accept { term });
    let beat = crate::Beat {
        term,
        number: 1,
        echo: None,
        gives_right: false,
    };
    let (from, message) = (copy_id(0), FromPrimary::Beat(beat));
    copy.handle(
        at(5_000),
        Event::FromPrimary {
            from,
            message: message.clone(),
        },
    );
    let gone = Event::Alive {
        node: node(0),
        is_alive: false,
    };
    assert_eq!(changes(copy.handle(at(5_100), gone)), []);
    // It gives none from then on.
    let effects = copy.handle(at(5_200), Event::FromPrimary { from, message });
    let [
        Effect::ToPrimary {
            message: FromFollower::Beat(answer),
            ..
        },
    ] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert!(!answer.gives_right);
    assert_eq!(changes(copy.handle(at(6_099), Event::Tick)), []);
    assert_eq!(changes(copy.handle(at(6_100), Event::Tick)).len(), 1);
}
