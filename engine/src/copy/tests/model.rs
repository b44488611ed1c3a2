//! Random histories against a map of documents.

use gleaner_log::files::Survival;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Put(u8),
    Delete(u8),
    Refresh,
    Commit,
    Merge,
    Grow,
    CloseWriter,
    Kill,
    CutPower(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..12).prop_map(Step::Put),
        3 => (0_u8..12).prop_map(Step::Delete),
        3 => Just(Step::Refresh),
        1 => Just(Step::Commit),
        1 => Just(Step::Merge),
        1 => Just(Step::Grow),
        1 => Just(Step::CloseWriter),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(Step::CutPower),
    ]
}

/// A copy under random steps, with the newest version of each document.
struct History {
    copy: Copy,
    versions: [u64; 12],
    num_fields: usize,
}

impl History {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Put(key) => {
                let version = self.next_version(*key);
                let field = format!("f{}", usize::from(*key) % self.num_fields);
                self.copy.put(
                    &key.to_string(),
                    version,
                    &json!({field: format!("w{version}")}),
                );
            }
            Step::Delete(key) => {
                let version = self.next_version(*key);
                self.copy.delete(&key.to_string(), version);
            }
            Step::Refresh => self.refresh(),
            Step::Commit => {
                let checkpoint = self.copy.index().commit().expect("it commits");
                assert_eq!(checkpoint.next_seq_no, SeqNo(self.copy.log.len() as u64));
            }
            Step::Merge => self.copy.index().force_merge(1).expect("it merges"),
            Step::Grow => self.grow(),
            Step::CloseWriter => self.copy.index().close_writer().expect("it closes"),
            Step::Kill => self.restart(Survival::All),
            Step::CutPower(seed) => self.restart(Survival::Random(*seed)),
        }
    }

    fn next_version(&mut self, key: u8) -> u64 {
        self.versions[usize::from(key)] += 1;
        self.versions[usize::from(key)]
    }

    fn grow(&mut self) {
        self.num_fields += 1;
        let field = |i: usize| (format!("f{i}"), json!({"type": "text"}));
        let fields: serde_json::Map<_, _> = (0..self.num_fields).map(field).collect();
        self.copy.grow(&json!({"properties": fields}));
    }

    fn refresh(&self) {
        self.copy.refresh();
        assert_eq!(
            self.copy.visible(),
            expected(&self.copy.log, self.copy.log.len() as u64)
        );
    }

    fn restart(&mut self, survival: Survival) {
        self.copy.index = None;
        self.copy.files.reboot(survival);
        let checkpoint = self.copy.open().expect("it opens");
        assert_eq!(
            self.copy.visible(),
            expected(&self.copy.log, checkpoint.next_seq_no.0)
        );
        self.copy.replay(checkpoint.next_seq_no);
    }
}

#[test]
fn commits_beside_writes_refreshes_and_merges_are_whole() {
    let merges = MergeOptions {
        min_segments: 2,
        ..MergeOptions::default()
    };
    let mut copy = Copy::with_merges(text_mapping(), merges);
    let operation = |i: u64| Operation {
        term: PrimaryTerm(1),
        mapping: MappingVersion(1),
        timestamp_ms: 0,
        kind: OperationKind::Index {
            id: id(&(i % 40).to_string()),
            routing: None,
            version: Version(1 + i / 40),
            source: Bytes::from(json!({"title": format!("word {i}")}).to_string()),
        },
    };
    copy.log = (0..400).map(operation).collect();
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        let committing = threads.spawn(|| {
            let mut last = SeqNo(0);
            for _ in 0..10_000 {
                if is_done.load(std::sync::atomic::Ordering::Acquire) {
                    break;
                }
                let checkpoint = copy.index().commit().expect("it commits");
                assert!(checkpoint.next_seq_no >= last);
                last = checkpoint.next_seq_no;
            }
            last
        });
        for at in 0..copy.log.len() {
            copy.apply(at).expect("it is in order");
            if at % 7 == 6 {
                copy.index()
                    .refresh(SeqNo(at as u64 + 1))
                    .expect("all was applied");
            }
        }
        is_done.store(true, std::sync::atomic::Ordering::Release);
        committing.join().expect("it does not panic")
    });
    copy.index = None;
    copy.files.reboot(Survival::Synced);
    let checkpoint = copy.open().expect("it opens");
    assert_eq!(
        copy.visible(),
        expected(&copy.log, checkpoint.next_seq_no.0)
    );
    copy.replay(checkpoint.next_seq_no);
    copy.refresh();
    assert_eq!(copy.visible(), expected(&copy.log, 400));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 40, ..ProptestConfig::default() })]
    #[test]
    fn searches_see_what_the_log_says(
        steps in proptest::collection::vec(step(), 1..40),
        is_merging in any::<bool>(),
    ) {
        let merges = MergeOptions { is_enabled: is_merging, min_segments: 2, ..MergeOptions::default() };
        let declared = json!({"properties": {"f0": {"type": "text"}}});
        let copy = Copy::with_merges(mapping(&declared), merges);
        let mut history = History { copy, versions: [0; 12], num_fields: 1 };
        steps.iter().for_each(|step| history.take(step));
        history.refresh();
        let view = history.copy.index().view();
        for key in 0..12_u8 {
            let found = view.find(&id(&key.to_string())).expect("it can be read");
            let shown = history.copy.visible().iter().any(|line| line.starts_with(&format!("{key}:")));
            prop_assert_eq!(found.is_some(), shown);
        }
    }
}
