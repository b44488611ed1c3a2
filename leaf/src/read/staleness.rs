//! Answers of copies that may lack acknowledged writes are marked, after the work.

use gleaner_proto::LeafFault;

use crate::read::search::{CopyView, Target};

/// Returns the copies of targets, to be asked after the work whether they may be stale.
pub(crate) fn copies_of(targets: &[Target]) -> Vec<Option<CopyView>> {
    let copy = |target: &Target| target.as_ref().ok().cloned();
    targets.iter().map(copy).collect()
}

/// Marks the answers of copies that may lack acknowledged writes.
pub(crate) fn mark_stale<T>(
    answers: &mut [Result<T, LeafFault>],
    copies: &[Option<CopyView>],
    mark: impl Fn(&mut T),
) {
    for (answer, copy) in answers.iter_mut().zip(copies) {
        if let (Ok(answer), Some(copy)) = (answer, copy)
            && copy.may_be_stale()
        {
            mark(answer);
        }
    }
}
