//! Applying, refreshing, committing, opening again.

use super::*;

#[test]
fn nothing_is_visible_before_a_refresh_and_everything_after() {
    let mut copy = Copy::new(text_mapping());
    copy.put("a", 1, &json!({"title": "one"}));
    copy.put("b", 1, &json!({"title": "two"}));
    assert!(copy.visible().is_empty());
    copy.refresh();
    assert_eq!(copy.visible(), expected(&copy.log, 2));
    let generation = copy.index().view().generation();
    assert_eq!(
        (generation.mapping, generation.visible),
        (copy.mapping.version, SeqNo(2))
    );
}

#[test]
fn an_update_replaces_and_a_delete_removes_within_and_across_refreshes() {
    let mut copy = Copy::new(text_mapping());
    copy.put("a", 1, &json!({"title": "one"}));
    copy.put("a", 2, &json!({"title": "two"}));
    copy.put("b", 1, &json!({"title": "x"}));
    copy.delete("b", 2);
    copy.refresh();
    assert_eq!(copy.visible(), [r#"a:2:{"title":"two"}"#]);
    copy.put("a", 3, &json!({"title": "three"}));
    copy.put("b", 3, &json!({"title": "y"}));
    copy.refresh();
    assert_eq!(
        copy.visible(),
        [r#"a:3:{"title":"three"}"#, r#"b:3:{"title":"y"}"#]
    );
    copy.delete("a", 4);
    copy.refresh();
    assert_eq!(copy.visible(), [r#"b:3:{"title":"y"}"#]);
}

#[test]
fn a_view_stays_as_it_was_whatever_is_written_and_merged() {
    let mut copy = Copy::new(text_mapping());
    copy.put("a", 1, &json!({"title": "one"}));
    copy.refresh();
    let before = copy.index().view();
    copy.delete("a", 2);
    copy.put("b", 1, &json!({}));
    copy.refresh();
    copy.index().force_merge(1).expect("it merges");
    copy.index().commit().expect("it commits");
    copy.refresh();
    assert_eq!(before.num_documents(), 1);
    let found = before
        .find(&id("a"))
        .expect("it can be read")
        .expect("it is there");
    assert_eq!(&found.source[..], br#"{"title":"one"}"#);
    assert_eq!(copy.visible(), ["b:1:{}"]);
}

#[test]
fn refreshing_without_change_keeps_the_view_and_merging_keeps_the_generation() {
    let mut copy = Copy::new(text_mapping());
    for i in 0..4 {
        copy.put(&i.to_string(), 1, &json!({}));
        copy.refresh();
    }
    let before = copy.index().view();
    copy.refresh();
    assert!(Arc::ptr_eq(&before, &copy.index().view()));
    copy.index().force_merge(1).expect("it merges");
    copy.refresh();
    let after = copy.index().view();
    assert_eq!(after.generation(), before.generation());
    assert!(after.id() > before.id());
    assert_eq!((before.segments().len(), after.segments().len()), (4, 1));
}

#[test]
fn a_refresh_syncs_nothing_and_a_commit_only_what_is_new() {
    let mut copy = Copy::new(text_mapping());
    copy.put("a", 1, &json!({}));
    let before = copy.files.num_syncs();
    copy.refresh();
    assert_eq!(copy.files.num_syncs(), before);
    copy.index().commit().expect("it commits");
    let first = copy.files.num_syncs() - before;
    assert!(first > 0);
    copy.order(OperationKind::NoOp);
    copy.index().commit().expect("it commits");
    let second = copy.files.num_syncs() - before - first;
    assert!(
        second < first,
        "{second} < {first}: the segment was on disk already"
    );
}

#[test]
fn operations_out_of_order_or_under_an_unknown_mapping_change_nothing() {
    let mut copy = Copy::new(text_mapping());
    copy.put("a", 1, &json!({}));
    let operation = copy.log[0].clone();
    copy.index()
        .apply(SeqNo(0), &operation)
        .expect("what was applied is skipped");
    let error = copy
        .index()
        .apply(SeqNo(2), &operation)
        .expect_err("1 is missing");
    assert!(
        matches!(
            error,
            EngineError::Gap {
                expected: SeqNo(1),
                found: SeqNo(2)
            }
        ),
        "{error}"
    );
    let newer = Operation {
        mapping: MappingVersion(99),
        ..operation
    };
    let error = copy
        .index()
        .apply(SeqNo(1), &newer)
        .expect_err("the mapping is unknown");
    assert!(
        matches!(error, EngineError::MappingBehind { .. }),
        "{error}"
    );
    let error = copy.index().refresh(SeqNo(2)).expect_err("1 is missing");
    assert!(matches!(error, EngineError::Gap { .. }), "{error}");
    copy.refresh();
    assert_eq!(copy.visible(), ["a:1:{}"]);
}

#[test]
fn a_copy_opens_at_its_checkpoint_and_replaying_doubles_nothing() {
    let mut copy = Copy::new(text_mapping());
    copy.put("a", 1, &json!({}));
    copy.put("b", 1, &json!({}));
    let committed = copy.index().commit().expect("it commits");
    assert_eq!(committed.next_seq_no, SeqNo(2));
    assert!(copy.visible().is_empty(), "a commit shows nothing new");
    copy.put("c", 1, &json!({}));
    copy.delete("a", 2);
    copy.refresh();
    let checkpoint = copy.open().expect("it opens");
    assert_eq!(checkpoint, committed);
    assert_eq!(copy.visible(), expected(&copy.log, 2));
    copy.replay(SeqNo(0));
    copy.refresh();
    assert_eq!(copy.visible(), expected(&copy.log, 4));
}

#[test]
fn records_that_change_no_document_move_the_checkpoint() {
    let mut copy = Copy::new(text_mapping());
    copy.order(OperationKind::NoOp);
    assert_eq!(
        copy.index().commit().expect("it commits").next_seq_no,
        SeqNo(1)
    );
    copy.put("a", 1, &json!({}));
    copy.index().commit().expect("it commits");
    copy.order(OperationKind::Refresh);
    assert_eq!(
        copy.index().commit().expect("it commits").next_seq_no,
        SeqNo(3)
    );
    copy.index().close_writer().expect("it closes");
    copy.order(OperationKind::NoOp);
    assert_eq!(
        copy.index().commit().expect("it commits").next_seq_no,
        SeqNo(4)
    );
    assert_eq!(copy.open().expect("it opens").next_seq_no, SeqNo(4));
    assert_eq!(copy.visible(), ["a:1:{}"]);
}

#[test]
fn a_closed_writer_gives_memory_back_and_opens_again() {
    let mut copy = Copy::new(text_mapping());
    assert_eq!(
        copy.index().stats().expect("it can be read").writer_bytes,
        0
    );
    copy.put("a", 1, &json!({}));
    assert!(copy.index().stats().expect("it can be read").writer_bytes > 0);
    copy.index().close_writer().expect("it closes");
    assert_eq!(
        copy.index().stats().expect("it can be read").writer_bytes,
        0
    );
    copy.put("a", 2, &json!({}));
    copy.refresh();
    assert_eq!(copy.visible(), ["a:2:{}"]);
    let stats = copy.index().stats().expect("it can be read");
    assert_eq!((stats.documents, stats.segments.len()), (1, 1));
}

#[test]
fn newer_folders_are_refused_by_name_and_damaged_ones_with_a_reason() {
    let mut copy = Copy::new(text_mapping());
    copy.put("a", 1, &json!({}));
    copy.index().close().expect("it closes");
    let path = Path::new(FOLDER).join("meta.json");
    let whole = copy.files.bytes(&path).expect("it was written");
    let text = String::from_utf8(whole.clone()).expect("it is text");
    // Without the list of files: a newer version's has a right checksum.
    let lines: Vec<&str> = text.splitn(3, '\n').collect();
    let text = format!("{{{}", lines[2]);
    let newer = text.replace(r#"\"format\":1"#, r#"\"format\":2"#);
    assert_ne!(newer, text);
    for (bytes, is_newer) in [
        (newer.into_bytes(), true),
        (whole[..whole.len() / 2].to_vec(), false),
        (b"{}".to_vec(), false),
    ] {
        copy.files.replace(&path, bytes).expect("it is there");
        match copy.open().expect_err("it cannot be read") {
            EngineError::Newer { found, known, .. } => {
                assert!(is_newer && found == 2 && known == 1);
            }
            error if error.is_damage() => assert!(!is_newer, "{error}"),
            other => panic!("{other}"),
        }
    }
    copy.files.replace(&path, whole).expect("it is there");
    copy.open().expect("the folder was left alone");
    assert_eq!(copy.visible(), ["a:1:{}"]);
}

#[test]
fn files_that_no_commit_names_are_removed_at_the_start() {
    let mut copy = Copy::new(text_mapping());
    copy.put("a", 1, &json!({}));
    copy.index().commit().expect("it commits");
    let named = copy.files.paths().len();
    copy.put("b", 1, &json!({}));
    copy.refresh();
    assert!(copy.files.paths().len() > named);
    copy.open().expect("it opens");
    assert_eq!(copy.files.paths().len(), named);
}

/// Returns the bytes of the folder's files, but for the list of the commit.
fn bytes_on_disk(copy: &Copy) -> u64 {
    let paths = copy.files.paths().into_iter();
    let paths = paths.filter(|path| !path.ends_with("meta.json"));
    let bytes = paths.map(|path| copy.files.bytes(&path).expect("it is there").len() as u64);
    bytes.sum()
}

#[test]
fn the_bytes_that_are_told_are_those_on_the_disk() {
    let mut copy = Copy::new(text_mapping());
    let check = |copy: &Copy, when: &str| {
        let stats = copy.index().stats().expect("they are known");
        assert_eq!(stats.store_bytes, bytes_on_disk(copy), "{when}");
        assert!(
            stats.segments.iter().all(|segment| segment.bytes > 0),
            "{when}"
        );
    };
    for i in 0..4 {
        copy.put(&i.to_string(), 1, &json!({"title": "x", "n": i}));
        copy.refresh();
    }
    check(&copy, "nothing is durable");
    copy.index().commit().expect("it commits");
    check(&copy, "all is durable");
    copy.put("0", 2, &json!({"title": "y"}));
    copy.index().force_merge(1).expect("it merges");
    copy.refresh();
    check(&copy, "the durable commit keeps what was merged");
    copy.index().commit().expect("it commits");
    check(&copy, "what was merged is gone");
    copy.open().expect("it opens");
    check(&copy, "it was opened again");
}

#[test]
fn merged_segments_leave_the_disk_with_the_commit_after() {
    for is_opened_again in [false, true] {
        let mut copy = Copy::new(text_mapping());
        copy.put("0", 1, &json!({"title": "x"}));
        copy.index().commit().expect("it commits");
        let of_one_segment = copy.files.paths().len();
        for i in 1..3 {
            copy.put(&i.to_string(), 1, &json!({"title": "x"}));
            copy.refresh();
        }
        copy.index().commit().expect("it commits");
        if is_opened_again {
            copy.open().expect("it opens");
        }
        copy.index().force_merge(1).expect("it merges");
        let held = copy.files.paths().len();
        assert!(held > of_one_segment, "the durable commit names them");
        copy.index().commit().expect("it commits");
        assert_eq!(copy.files.paths().len(), of_one_segment);
        copy.open().expect("it opens");
        assert_eq!(copy.visible().len(), 3);
    }
}

#[test]
fn a_copy_lives_on_real_files_read_by_memory_map() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || {
        let key = ShardKey {
            index: IndexUuid([1; 16]),
            shard: ShardNumber(0),
        };
        let meta = ShardMeta {
            key,
            name: IndexName::parse("library").expect("a good name"),
            mapping: text_mapping(),
            analyzers: Arc::new(AnalyzerRegistry::builtin()),
        };
        ShardIndex::open(folder.path(), meta, ShardOptions::default()).expect("it opens")
    };
    let (index, checkpoint) = open();
    assert_eq!(checkpoint.next_seq_no, SeqNo(0));
    for i in 0..20 {
        let kind = OperationKind::Index {
            id: id(&i.to_string()),
            routing: None,
            version: Version(1),
            source: Bytes::from_static(b"{\"title\": \"x\"}"),
        };
        let operation = Operation {
            term: PrimaryTerm(1),
            mapping: MappingVersion(1),
            timestamp_ms: 0,
            kind,
        };
        index.apply(SeqNo(i), &operation).expect("it is in order");
        index.refresh(SeqNo(i + 1)).expect("all was applied");
    }
    assert_eq!(index.view().num_documents(), 20);
    let closed = index.close().expect("it closes");
    drop(index);
    let (index, checkpoint) = open();
    assert_eq!(checkpoint, closed);
    let found = index
        .view()
        .find(&id("7"))
        .expect("it can be read")
        .expect("it is there");
    assert_eq!(&found.source[..], b"{\"title\": \"x\"}");
}

#[test]
fn operations_are_applied_while_segments_are_merged() {
    let mut copy = Copy::new(text_mapping());
    for i in 0..8 {
        copy.put(&i.to_string(), 1, &json!({"title": "x"}));
        copy.refresh();
    }
    let (log, mapping) = (copy.log.len() as u64, copy.mapping.version);
    std::thread::scope(|threads| {
        let merging = threads.spawn(|| copy.index().force_merge(1));
        for i in 0..500 {
            let kind = OperationKind::Index {
                id: id(&(i % 20).to_string()),
                routing: None,
                version: Version(2 + i),
                source: Bytes::from_static(b"{\"title\": \"y\"}"),
            };
            let operation = Operation {
                term: PrimaryTerm(1),
                mapping,
                timestamp_ms: 0,
                kind,
            };
            let seq_no = SeqNo(log + i);
            copy.index().apply(seq_no, &operation).expect("in order");
            if i % 50 == 0 {
                copy.index()
                    .refresh(seq_no.next())
                    .expect("all was applied");
            }
        }
        merging
            .join()
            .expect("it does not panic")
            .expect("it merges");
    });
    copy.index()
        .refresh(SeqNo(log + 500))
        .expect("all was applied");
    assert_eq!(copy.visible().len(), 20);
    assert!(
        copy.visible()
            .iter()
            .all(|document| document.ends_with("{\"title\": \"y\"}"))
    );
    copy.index().force_merge(1).expect("it merges");
    copy.index()
        .refresh(SeqNo(log + 500))
        .expect("all was applied");
    let stats = copy.index().stats().expect("it can be read");
    let [segment] = stats.segments[..] else {
        panic!("one segment: {stats:?}");
    };
    assert_eq!((stats.documents, stats.deleted), (20, 0));
    assert_eq!((segment.documents, segment.deleted), (20, 0));
    assert!(
        segment.bytes > 0 && segment.bytes <= stats.store_bytes,
        "{stats:?}"
    );
}

#[test]
fn copies_share_the_indexing_memory() {
    let memory = IndexingMemory::new(20_000_000);
    let mut copies = [(); 2].map(|()| {
        let mut copy = Copy::new(text_mapping());
        copy.memory = Arc::clone(&memory);
        copy.open().expect("it opens");
        copy
    });
    // Not indexed, but it counts: what a document adds is estimated by its length.
    let large = json!({"n": 1, "title": "x".repeat(1 << 20)});
    for i in 0..6 {
        for copy in &mut copies {
            copy.put(&i.to_string(), 1, &large);
        }
    }
    for copy in &mut copies {
        copy.refresh();
    }
    let num_segments = copies.map(|copy| copy.index().view().segments().len());
    assert!(num_segments.iter().sum::<usize>() > 2, "{num_segments:?}");
    assert_eq!(memory.buffered_bytes(), 0);
}

#[test]
fn the_first_deletion_after_opening_is_not_lost_to_a_merge() {
    // Which of the two comes first is the threads' matter.
    (0..8).for_each(|_| delete_first_and_merge());
}

fn delete_first_and_merge() {
    let merges = MergeOptions {
        is_enabled: false,
        ..MergeOptions::default()
    };
    let mut copy = Copy::with_merges(text_mapping(), merges);
    for name in ["a", "b", "c"] {
        copy.put(name, 1, &json!({"title": name}));
    }
    copy.refresh();
    // A smaller segment, which the commit deletes from.
    for name in ["d", "e"] {
        copy.put(name, 1, &json!({"title": name}));
    }
    copy.refresh();
    copy.delete("e", 2);
    copy.index().commit().expect("it commits");
    copy.merges = MergeOptions {
        min_segments: 2,
        ..MergeOptions::default()
    };
    copy.open().expect("it opens");
    copy.delete("d", 2);
    copy.put("f", 1, &json!({"title": "f"}));
    copy.refresh();
    copy.index().close_writer().expect("merges end");
    copy.refresh();
    assert_eq!(copy.visible(), expected(&copy.log, copy.log.len() as u64));
}
