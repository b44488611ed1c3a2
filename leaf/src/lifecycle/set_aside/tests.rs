//! Which operation has a copy set aside, and how it comes back.

use gleaner_proto::LeafClient as _;

use super::*;
use crate::copy::registry::CopyState;
use crate::testing::killed::{kill_at, operation};
use crate::testing::{Fixture, PATIENCE, call, key, put};

#[test]
fn only_what_was_worked_on_at_two_ends_is_set_aside() {
    let ends = |left: &[&[MarkedOperation]]| {
        let left = (1..).zip(left).map(|(process, left)| LeftMarks {
            process,
            operations: left.iter().copied().collect(),
        });
        left.fold(Ends::default(), |ends, left| {
            // It is read twice where the process after it ends at once.
            after(&after(&ends, &left), &left)
        })
    };
    let aside = |left: &[&[MarkedOperation]]| ends(left).set_aside.into_keys().collect::<Vec<_>>();
    assert!(aside(&[&[operation(1, 7)]]).is_empty());
    assert!(aside(&[&[operation(1, 7)], &[operation(1, 8)]]).is_empty());
    assert!(aside(&[&[operation(1, 7)], &[operation(2, 7)]]).is_empty());
    let healthy = operation(2, 40);
    let poisoned = operation(1, 7);
    let twice: [&[MarkedOperation]; 3] = [&[poisoned, operation(2, 3)], &[], &[poisoned, healthy]];
    assert_eq!(aside(&twice), [key(1)]);
    assert_eq!(ends(&twice).last, BTreeSet::from([poisoned, healthy]));
}

#[test]
fn what_is_noted_survives_and_format_one_is_frozen() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(SetAside::open(folder.path()));
    assert!(
        !folder.path().join(FOLDER).exists(),
        "nothing is to be noted yet"
    );
    for _ in 0..2 {
        let opened = SetAside::open(folder.path());
        assert!(opened.marks_of(key(1)).is_some());
        drop(opened);
        kill_at(folder.path(), &[operation(1, 7)]);
    }
    let opened = SetAside::open(folder.path());
    assert_eq!(opened.operation(key(1)), Some(SeqNo(7)));
    let path = folder.path().join(FOLDER).join(ENDS);
    let text = fs::read_to_string(&path).expect("reads");
    let (index, shard) = (key(1).index, key(1).shard);
    let noted = format!(r#"{{"index":"{index}","shard":{shard},"operation":7}}"#);
    let golden = format!(r#""last":[{noted}],"set_aside":[{noted}]}}"#);
    assert!(text.starts_with(r#"{"format":1,"process":"#), "{text}");
    assert!(text.ends_with(&golden), "{text}");
    drop(opened);
    let opened = SetAside::open(folder.path());
    assert!(
        opened.reason(key(1)).is_some(),
        "a start alone changes nothing"
    );
    assert!(opened.forget(key(1)).expect("written"));
    assert!(!opened.forget(key(1)).expect("nothing to do"));
    kill_at(folder.path(), &[operation(1, 7)]);
    assert_eq!(SetAside::open(folder.path()).reason(key(1)), None);
    fs::write(path, "{").expect("written");
    let unread = SetAside::open(folder.path());
    assert!(unread.marks_of(key(1)).is_some() && unread.reason(key(1)).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_ended_the_process_twice_fails_alone_until_it_is_tried_again() {
    let mut fixture = Fixture::start();
    fixture.create(2).await;
    fixture.write(vec![put("a", "{}")]).await.expect("written");
    let mut other = call(vec![put("b", "{}")]);
    other.shard = key(2);
    fixture.leaf.write(other.clone()).await.expect("written");
    let folder = fixture.leaf.node.options.folder.clone();
    for _ in 0..2 {
        fixture.leaf.abandon().await;
        kill_at(&folder, &[operation(1, 0)]);
        fixture = fixture.start_again();
    }
    let leaf = &fixture.leaf;
    let refused = leaf.write(call(vec![put("c", "{}")])).await;
    let refused = refused.expect_err("it is set aside").to_string();
    assert!(
        refused.contains("operation 0") && refused.contains("retry_failed"),
        "{refused}"
    );
    leaf.write(other).await.expect("the other one serves");
    assert!(leaf.failed_copies().is_empty(), "nobody tries it unasked");
    leaf.retry_failed(key(1)).await.expect("it is opened again");
    let mut changes = leaf.copies.changes();
    let opened = async {
        while !matches!(leaf.copies.get(key(1)), Some(CopyState::Open(_))) {
            changes.changed().await.expect("the leaf lives");
        }
    };
    let opened = tokio::time::timeout(PATIENCE, opened).await;
    opened.expect("it opens");
    assert!(fixture.get("a").await.is_some(), "nothing is lost");
}
