//! Power cuts and full disks at every edge between refresh and durable commit.

use gleaner_log::files::{Fault, Survival};

use super::*;

/// A copy with one durable commit behind it and more to apply in its log. Nothing runs in the
/// background, so that the same run makes the same disk operations.
fn busy() -> (Copy, Checkpoint) {
    let mut copy = Copy::new(text_mapping());
    copy.put("a", 1, &json!({"title": "one"}));
    copy.put("b", 1, &json!({"title": "two"}));
    let durable = copy.index().commit().expect("it commits");
    let mapping = copy.mapping.version;
    let (term, timestamp_ms) = (PrimaryTerm(1), 0);
    let source = Bytes::from_static(b"{\"title\":\"three\"}");
    for kind in [
        OperationKind::Delete {
            id: id("a"),
            routing: None,
            version: Version(2),
        },
        OperationKind::Index {
            id: id("c"),
            routing: None,
            version: Version(1),
            source,
        },
    ] {
        copy.log.push(Operation {
            term,
            mapping,
            timestamp_ms,
            kind,
        });
    }
    (copy, durable)
}

/// Applies what is left of the log and commits, up to the first failure.
fn go_on(copy: &mut Copy) -> Result<Checkpoint, EngineError> {
    for at in copy.index().next_seq_no().0..copy.log.len() as u64 {
        copy.apply(at as usize)?;
        copy.index().refresh(SeqNo(at + 1))?;
    }
    copy.index().force_merge(1)?;
    copy.index().commit()
}

#[test]
fn a_power_cut_at_any_edge_leaves_the_last_commit_or_the_new_one_whole() {
    let (mut whole, _) = busy();
    let first = whole.files.num_operations();
    let newest = go_on(&mut whole).expect("nothing fails");
    let last = whole.files.num_operations();
    assert!(last - first > 20, "the edges are not all seen");
    let mut num_old = 0;
    for edge in first..last {
        for survival in [Survival::Synced, Survival::All, Survival::Random(edge)] {
            let (mut copy, durable) = busy();
            assert_eq!(
                copy.files.num_operations(),
                first,
                "the run is not the same twice"
            );
            copy.files.fail_operation(edge, Fault::PowerCut);
            let acknowledged = go_on(&mut copy).ok();
            copy.index = None;
            copy.files.reboot(survival);
            let checkpoint = copy.open().expect("a commit is there, whole");
            assert!(
                [durable, newest].contains(&checkpoint),
                "edge {edge}, {survival:?}"
            );
            assert!(
                acknowledged.is_none_or(|told| told == checkpoint),
                "edge {edge}, {survival:?}"
            );
            num_old += u64::from(checkpoint == durable);
            let shown = copy.visible();
            assert_eq!(
                shown,
                expected(&copy.log, checkpoint.next_seq_no.0),
                "edge {edge}"
            );
            assert_eq!(go_on(&mut copy).expect("all is well again"), newest);
            copy.refresh();
            assert_eq!(copy.visible(), expected(&copy.log, copy.log.len() as u64));
        }
    }
    assert!(num_old > 0 && num_old < 3 * (last - first));
}

#[test]
fn a_power_cut_before_the_first_commit_leaves_an_empty_copy() {
    let kind = OperationKind::Index {
        id: id("a"),
        routing: None,
        version: Version(1),
        source: Bytes::from_static(b"{}"),
    };
    // What is applied is written by a thread of its own, so the fault must be set before.
    let start = || {
        let mut copy = Copy::new(text_mapping());
        copy.log.push(Operation {
            term: PrimaryTerm(1),
            mapping: copy.mapping.version,
            timestamp_ms: 0,
            kind: kind.clone(),
        });
        copy
    };
    let run = |copy: &mut Copy| -> Result<Checkpoint, EngineError> {
        copy.apply(0)?;
        copy.index().refresh(SeqNo(1))?;
        copy.index().commit()
    };
    let mut whole = start();
    let first = whole.files.num_operations();
    run(&mut whole).expect("nothing fails");
    // Many throws of the dice: names and bytes must be on disk before the meta that names them.
    for (edge, seed) in
        (first..whole.files.num_operations()).flat_map(|e| (0..12).map(move |s| (e, s)))
    {
        let mut copy = start();
        copy.files.fail_operation(edge, Fault::PowerCut);
        run(&mut copy).expect_err("the power is cut");
        copy.index = None;
        copy.files.reboot(Survival::Random(edge * 12 + seed));
        let checkpoint = copy.open().expect("it opens");
        assert_eq!(
            copy.visible(),
            expected(&copy.log, checkpoint.next_seq_no.0)
        );
    }
}

#[test]
fn a_failing_disk_poisons_the_copy_and_opening_it_again_recovers() {
    let (mut whole, _) = busy();
    let first = whole.files.num_operations();
    go_on(&mut whole).expect("nothing fails");
    for edge in first..whole.files.num_operations() {
        for fault in [Fault::Io, Fault::NoSpace] {
            let (mut copy, _) = busy();
            copy.files.fail_operation(edge, fault);
            if go_on(&mut copy).is_err() {
                let error = copy.index().commit().expect_err("its state is unknown");
                assert!(matches!(error, EngineError::Poisoned), "{error}");
            }
            copy.open().expect("it opens");
            go_on(&mut copy).expect("all is well again");
            copy.refresh();
            assert_eq!(
                copy.visible(),
                expected(&copy.log, copy.log.len() as u64),
                "{edge} {fault:?}"
            );
        }
    }
}
