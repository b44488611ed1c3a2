//! A copy made from the files of another one, and what both call what they show.

use gleaner_log::files::{Files, write_all_at};

use super::*;

/// Writes the files of a pinned commit onto a disk of their own.
fn copied(pinned: &crate::copy::PinnedCommit) -> SimulatedFiles {
    let disk = SimulatedFiles::new();
    disk.create_dir_all(Path::new(FOLDER))
        .expect("there is room");
    for file in pinned.files() {
        let bytes = pinned.read(&file.name, 0, usize::MAX).expect("it stays");
        assert_eq!(bytes.len() as u64, file.num_bytes);
        let path = Path::new(FOLDER).join(&file.name);
        let to = disk.create(&path).expect("there is room");
        write_all_at(&*to, 0, &bytes).expect("there is room");
    }
    disk
}

#[test]
fn files_of_a_pinned_commit_make_a_copy_whatever_becomes_of_the_original() {
    let mut copy = Copy::new(text_mapping());
    copy.put("a", 1, &json!({"title": "one"}));
    copy.put("b", 1, &json!({"title": "two"}));
    let durable = copy.index().commit().expect("it commits");
    let index = Arc::new(copy.index.take().expect("it is open"));
    let pinned = index.pin_commit().expect("there is a commit");
    copy.index = Arc::into_inner(index);
    assert!(copy.index.is_none(), "the pin holds it open");
    drop(pinned);

    copy.open().expect("it opens");
    let index = Arc::new(copy.index.take().expect("it is open"));
    let pinned = index.pin_commit().expect("there is a commit");
    let operations: Vec<Operation> = copy.log.clone();
    for seq_no in [2, 3] {
        let operation = Operation {
            kind: OperationKind::Delete {
                id: id(["a", "b"][seq_no as usize - 2]),
                routing: None,
                version: Version(2),
            },
            ..operations[0].clone()
        };
        index.apply(SeqNo(seq_no), &operation).expect("in order");
    }
    index.refresh(SeqNo(4)).expect("all was applied");
    index.force_merge(1).expect("it merges");
    index.commit().expect("it commits");

    let mut other = Copy::new(text_mapping());
    other.files = copied(&pinned);
    assert!(ShardIndex::is_committed(Path::new(FOLDER), &other.files));
    assert_eq!(other.open().expect("it opens"), durable);
    assert_eq!(other.visible(), expected(&operations, 2));
}

#[test]
fn a_generation_tells_the_operations_shown_not_what_the_node_has_heard_of() {
    let mut first = Copy::new(text_mapping());
    first.put("a", 1, &json!({"title": "one"}));
    first.refresh();
    let mut second = Copy::new(text_mapping());
    let grown = json!({"properties": {"title": {"type": "text"}, "n": {"type": "long"},
        "m": {"type": "keyword"}}});
    second.grow(&grown);
    second.log.clone_from(&first.log);
    second.replay(SeqNo(0));
    second.refresh();
    let shown = |copy: &Copy| copy.index().view().generation();
    assert_eq!(shown(&second), shown(&first));
    let checkpoint = second.index().commit().expect("it commits");
    assert_eq!(checkpoint.generation, shown(&first));
    assert_eq!(second.open().expect("it opens").generation, shown(&first));
    second.put("b", 1, &json!({"m": "x"}));
    second.refresh();
    assert_eq!(shown(&second).mapping, second.mapping.version);
}
