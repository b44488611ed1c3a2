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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
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
