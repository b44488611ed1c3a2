//! More copies than may have an open writer at once.

use super::*;

/// As few as there can be: two.
fn few_seats() -> Arc<IndexingMemory> {
    IndexingMemory::new(0)
}

fn copies(num: usize, memory: &Arc<IndexingMemory>) -> Vec<Copy> {
    let one = |_| {
        let mut copy = Copy::new(text_mapping());
        copy.memory = Arc::clone(memory);
        copy.open().expect("it opens again");
        copy
    };
    (0..num).map(one).collect()
}

#[test]
fn writers_take_turns_and_nothing_is_lost() {
    let memory = few_seats();
    let mut copies = copies(5, &memory);
    for round in 1..=3_u64 {
        for copy in &mut copies {
            copy.put("kept", round, &json!({"n": round}));
            copy.put(&format!("of-{round}"), 1, &json!({"title": "x"}));
            if round == 3 {
                copy.delete("of-1", 2);
            }
            assert!(memory.seated().len() <= 2);
        }
    }
    for copy in &mut copies {
        copy.refresh();
        assert_eq!(copy.visible(), expected(&copy.log, copy.log.len() as u64));
    }
    assert!(memory.seated().len() <= 2);
}

#[test]
fn copies_that_are_written_at_the_same_time_all_get_their_turns() {
    let memory = few_seats();
    let copies = copies(6, &memory);
    let written = std::thread::scope(|scope| {
        let write = |mut copy: Copy| {
            for n in 0..60 {
                copy.put(&format!("{n}"), 1, &json!({"n": n}));
                if n % 20 == 19 {
                    copy.refresh();
                }
            }
            copy
        };
        let writing: Vec<_> = copies
            .into_iter()
            .map(|copy| scope.spawn(move || write(copy)))
            .collect();
        let written = writing.into_iter().map(std::thread::ScopedJoinHandle::join);
        written.collect::<Result<Vec<_>, _>>().expect("no panic")
    });
    for copy in written {
        assert_eq!(copy.index().view().num_documents(), 60);
    }
    assert!(memory.seated().len() <= 2);
}

#[test]
fn a_copy_that_is_dropped_leaves_its_seat() {
    let memory = few_seats();
    for mut copy in copies(4, &memory) {
        copy.put("a", 1, &json!({}));
        copy.index = None;
    }
    assert!(memory.seated().is_empty());
}
