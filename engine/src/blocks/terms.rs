//! Terms that were looked up lately.
//!
//! A query looks each of its terms up more than once in every segment (counting documents, settling
//! totals, ranking), and popular terms come again. A walk of the dictionary costs some 500 ns, this
//! some 30 ns.

use parking_lot::Mutex;
use tantivy::postings::TermInfo;
use twox_hash::XxHash3_64;

/// Terms remembered per segment and column; some 100 bytes each.
const SLOTS: usize = 256;

/// A term with where its list stands; `None` when the segment lacks it.
type Known = (Box<str>, Option<TermInfo>);

/// Remembers, per slot, the term that was looked up last.
pub(super) struct RecentTerms(Box<[Mutex<Option<Known>>]>);

impl RecentTerms {
    pub(super) fn new() -> Self {
        Self((0..SLOTS).map(|_| Mutex::new(None)).collect())
    }

    /// Returns what is known of `term`, or what `look_up` finds.
    pub(super) fn get<E>(
        &self,
        term: &str,
        look_up: impl FnOnce() -> Result<Option<TermInfo>, E>,
    ) -> Result<Option<TermInfo>, E> {
        let slot = &self.0[XxHash3_64::oneshot(term.as_bytes()) as usize % SLOTS];
        // Who finds the slot in use looks the term up himself rather than wait.
        if let Some(known) = slot.try_lock()
            && let Some((kept, info)) = &*known
            && **kept == *term
        {
            return Ok(info.clone());
        }
        let info = look_up()?;
        if let Some(mut known) = slot.try_lock() {
            *known = Some((term.into(), info.clone()));
        }
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(doc_freq: u32) -> TermInfo {
        TermInfo {
            doc_freq,
            ..TermInfo::default()
        }
    }

    #[test]
    fn a_term_is_looked_up_once_and_never_taken_for_another() {
        let recent = RecentTerms::new();
        let mut num_looked_up = 0;
        for n in 0..4 * SLOTS as u32 {
            let term = format!("term{n}");
            for _ in 0..2 {
                let found = recent.get(&term, || {
                    num_looked_up += 1;
                    Ok::<_, ()>((n % 3 > 0).then(|| info(n)))
                });
                let expected = (n % 3 > 0).then(|| info(n));
                assert_eq!(found, Ok(expected), "{term}");
            }
        }
        assert_eq!(num_looked_up, 4 * SLOTS);
    }
}
