//! Each change makes what it says, and is refused where its condition does not hold.

use super::*;

fn id(n: u8) -> CopyId {
    CopyId([n; 16])
}

fn meta(n: u8) -> CopyMeta {
    CopyMeta::on(NodeUuid([n; 16]))
}

/// Copies 1 to 5: 1 leads term 4, 1 to 3 are in sync, 5 is a learner.
fn entry() -> Entry {
    let learner = CopyMeta {
        learner: true,
        ..meta(5)
    };
    let copies = (1..=4).map(|n| (id(n), meta(n))).chain([(id(5), learner)]);
    Entry {
        version: 7,
        term: PrimaryTerm(4),
        forced: Vec::new(),
        history: gleaner_model::HistoryId::FIRST,
        primary: id(1),
        in_sync: (1..=3).map(id).collect(),
        copies: copies.collect(),
        other: Default::default(),
    }
}

fn apply(change: &Change, min_in_sync: usize) -> Result<Entry, Refusal> {
    let next = change
        .apply(Some(&entry()), min_in_sync)?
        .expect("an entry");
    assert_eq!(next.version, 8, "each change is a new version");
    next.check().expect("what is made makes sense");
    Ok(next)
}

fn refused(change: &Change) -> Refusal {
    apply(change, 2).expect_err("refused")
}

#[test]
fn a_shard_is_made_once_with_its_primary_in_sync() {
    let copies: BTreeMap<_, _> = [(id(1), meta(1)), (id(2), meta(2))].into();
    let create = Change::Create {
        primary: id(1),
        copies: copies.clone(),
    };
    let made = create.apply(None, 1).expect("made").expect("an entry");
    assert_eq!((made.version, made.term), (1, PrimaryTerm(0)));
    assert_eq!(made.in_sync, [id(1)].into());
    assert_eq!(create.apply(Some(&entry()), 1), Err(Refusal::Exists));
    let absent = Change::Create {
        primary: id(9),
        copies,
    };
    assert_eq!(absent.apply(None, 1), Err(Refusal::UnknownCopy(id(9))));
    assert_eq!(Change::Touch.apply(None, 1), Err(Refusal::NoEntry));
    assert_eq!(Change::Delete.apply(Some(&entry()), 1), Ok(None));
}

#[test]
fn a_touch_changes_the_version_alone() {
    let touched = apply(&Change::Touch, 2).expect("touched");
    assert_eq!(
        Entry {
            version: 7,
            ..touched
        },
        entry()
    );
}

#[test]
fn an_opening_has_a_term_above_the_old_one_and_above_the_fence() {
    for (fence, term) in [(0, 5), (4, 5), (9, 10)] {
        let opened = apply(
            &Change::Open {
                fence: PrimaryTerm(fence),
            },
            2,
        )
        .expect("opened");
        assert_eq!(opened.term, PrimaryTerm(term));
        assert_eq!((opened.primary, opened.in_sync), (id(1), entry().in_sync));
    }
    let last = Change::Open {
        fence: PrimaryTerm(u64::MAX),
    };
    assert_eq!(refused(&last), Refusal::Exhausted);
    let entry = Entry {
        version: u64::MAX,
        ..entry()
    };
    assert_eq!(
        Change::Touch.apply(Some(&entry), 1),
        Err(Refusal::Exhausted)
    );
}

#[test]
fn the_set_shrinks_by_members_down_to_its_bound_and_keeps_the_primary() {
    let shrink = |n| Change::Shrink { copy: id(n) };
    assert_eq!(
        apply(&shrink(3), 2).expect("smaller").in_sync,
        [id(1), id(2)].into()
    );
    assert_eq!(refused(&shrink(4)), Refusal::NotInSync(id(4)));
    assert_eq!(refused(&shrink(1)), Refusal::Primary(id(1)));
    let too_few = Refusal::TooFew {
        left: 2,
        min_in_sync: 3,
    };
    assert_eq!(apply(&shrink(3), 3), Err(too_few));
}

#[test]
fn the_set_grows_by_copies_that_are_no_learners() {
    let grow = |n| Change::Grow { copy: id(n) };
    assert_eq!(apply(&grow(4), 2).expect("larger").in_sync.len(), 4);
    assert_eq!(refused(&grow(3)), Refusal::InSync(id(3)));
    assert_eq!(refused(&grow(5)), Refusal::Learner(id(5)));
    assert_eq!(refused(&grow(9)), Refusal::UnknownCopy(id(9)));
}

#[test]
fn a_member_takes_over_and_leaves_the_old_primary_out_where_the_bound_allows() {
    let take_over = |n| Change::TakeOver {
        copy: id(n),
        fence: PrimaryTerm(6),
    };
    let taken = apply(&take_over(2), 2).expect("taken over");
    assert_eq!((taken.term, taken.primary), (PrimaryTerm(7), id(2)));
    assert_eq!(taken.in_sync, [id(2), id(3)].into());
    let at_bound = apply(&take_over(2), 3).expect("taken over");
    assert_eq!(at_bound.in_sync, entry().in_sync);
    assert_eq!(refused(&take_over(4)), Refusal::NotInSync(id(4)));
    assert_eq!(refused(&take_over(1)), Refusal::Primary(id(1)));
    assert_eq!(take_over(2).absent_node(&entry()), Some(NodeUuid([1; 16])));
}

#[test]
fn the_role_is_given_to_a_member_and_who_resigns_leaves_the_set() {
    let (hand_over, resign) = (Change::HandOver { to: id(3) }, Change::Resign { to: id(3) });
    for change in [&hand_over, &resign] {
        let given = apply(change, 3).expect("given");
        assert_eq!((given.term, given.primary), (PrimaryTerm(5), id(3)));
        assert_eq!(given.in_sync, entry().in_sync, "at the bound");
        assert!(change.gives_role_away());
        assert_eq!(change.absent_node(&entry()), None);
    }
    let given = apply(&hand_over, 2).expect("given");
    assert_eq!(given.in_sync, entry().in_sync);
    let given = apply(&resign, 2).expect("given");
    assert_eq!(given.in_sync, [id(2), id(3)].into());
    assert_eq!(
        refused(&Change::HandOver { to: id(4) }),
        Refusal::NotInSync(id(4))
    );
    assert_eq!(
        refused(&Change::Resign { to: id(1) }),
        Refusal::Primary(id(1))
    );
}

#[test]
fn copies_are_placed_and_removed_but_not_the_primary_nor_below_the_bound() {
    let place = |add: &[u8], remove: &[u8]| Change::Place {
        add: add.iter().map(|n| (id(*n), meta(*n))).collect(),
        remove: remove.iter().map(|n| id(*n)).collect(),
    };
    let placed = apply(&place(&[6], &[3, 5]), 2).expect("placed");
    assert_eq!(placed.in_sync, [id(1), id(2)].into());
    assert_eq!(
        placed.copies.into_keys().collect::<Vec<_>>(),
        [1, 2, 4, 6].map(id)
    );
    assert_eq!(refused(&place(&[], &[1])), Refusal::Primary(id(1)));
    assert_eq!(refused(&place(&[4], &[])), Refusal::KnownCopy(id(4)));
    assert_eq!(refused(&place(&[], &[9])), Refusal::UnknownCopy(id(9)));
    let too_few = Refusal::TooFew {
        left: 1,
        min_in_sync: 2,
    };
    assert_eq!(refused(&place(&[], &[2, 3])), too_few);
}

fn force(copy: u8) -> Change {
    Change::Force {
        copy: id(copy),
        history: HistoryId([8; 16]),
    }
}

#[test]
fn a_forced_copy_leads_alone_in_another_history_and_its_term_is_remembered() {
    let forced = apply(&force(4), 2).expect("forced");
    assert_eq!((forced.term, forced.primary), (PrimaryTerm(5), id(4)));
    assert_eq!(forced.history, HistoryId([8; 16]));
    assert_eq!(
        (forced.in_sync, forced.forced),
        ([id(4)].into(), vec![PrimaryTerm(5)])
    );
    assert_eq!(refused(&force(5)), Refusal::Learner(id(5)));
    assert_eq!(refused(&force(9)), Refusal::UnknownCopy(id(9)));
}

#[test]
fn an_empty_copy_takes_the_place_of_the_one_on_its_node() {
    let empty = Change::ForceEmpty {
        copy: id(9),
        node: NodeUuid([2; 16]),
        history: HistoryId([8; 16]),
    };
    let made = apply(&empty, 1).expect("made");
    assert_eq!((made.primary, made.in_sync), (id(9), [id(9)].into()));
    assert_eq!(made.forced, [made.term]);
    assert!(!made.copies.contains_key(&id(2)) && made.copies.contains_key(&id(3)));
    assert!(made.copies[&id(9)].empty);
    let known = Change::ForceEmpty {
        copy: id(3),
        node: NodeUuid([2; 16]),
        history: HistoryId([8; 16]),
    };
    assert_eq!(refused(&known), Refusal::KnownCopy(id(3)));
}
