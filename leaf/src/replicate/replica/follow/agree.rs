//! Whether a page of the primary's log goes on from what a copy has.

use gleaner_log::Record;
use gleaner_model::SeqNo;
use gleaner_proto::replicate::{LogPage, LogRecord};

use crate::replicate::replica::Halt;

/// The primary's log must hold what is due here, and may not end before it: it gives only what is durable
/// there, so it has lost operations then. Those are kept here, whatever comes of it.
pub(super) fn check_range(next: SeqNo, page: &LogPage) -> Result<(), Halt> {
    let (first, end) = (page.first_available, page.end);
    if first > next {
        let reason = format!("the primary's log begins at {first}, {next} is due here");
        return Err(Halt::Files(reason));
    }
    if end < next {
        return Err(Halt::Kept(format!(
            "the primary's log ends before {end}, {next} is due here: the primary has lost operations \
             that this copy holds, which is kept as it is"
        )));
    }
    Ok(())
}

/// Compares the last record here with the primary's at the same position and takes that out of the
/// page; `false` when the primary does not have it any more: then the page is empty.
pub(super) fn compare(last: &Record, page: &mut LogPage) -> Result<bool, Halt> {
    let Some(first) = page.records.first() else {
        return Ok(false);
    };
    let is_same =
        first.seq_no == last.seq_no && first.term == last.term && first.payload == last.payload;
    if !is_same {
        let at = last.seq_no;
        return Err(Halt::Kept(format!(
            "the primary has another operation at {at} than this copy, which is kept as it is"
        )));
    }
    page.records.remove(0);
    Ok(true)
}

/// Records must go on where they are due, without a gap.
pub(super) fn check_order(next: SeqNo, records: &[LogRecord]) -> Result<(), Halt> {
    let mut due = next;
    for record in records {
        if record.seq_no != due {
            let found = record.seq_no;
            return Err(Halt::Later(format!("{found} came where {due} was due")));
        }
        due = due.next();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gleaner_model::PrimaryTerm;

    use super::*;

    fn record(seq_no: u64, term: u64) -> LogRecord {
        LogRecord {
            seq_no: SeqNo(seq_no),
            term: PrimaryTerm(term),
            payload: Bytes::from_static(b"x"),
        }
    }

    fn page(records: Vec<LogRecord>) -> LogPage {
        LogPage {
            records,
            first_available: SeqNo(3),
            end: SeqNo(7),
            visible: SeqNo(0),
        }
    }

    #[test]
    fn a_log_that_begins_after_what_is_due_leads_back_to_files() {
        for next in [3, 7] {
            check_range(SeqNo(next), &page(Vec::new())).expect("it is held");
        }
        let trimmed = check_range(SeqNo(2), &page(Vec::new()));
        assert!(matches!(trimmed, Err(Halt::Files(_))));
    }

    #[test]
    fn a_log_that_ends_before_what_is_due_has_lost_it() {
        let lost = check_range(SeqNo(8), &page(Vec::new()));
        assert!(matches!(lost, Err(Halt::Kept(_))));
    }

    #[test]
    fn the_last_record_must_be_the_primarys_in_position_term_and_payload() {
        let last = Record {
            seq_no: SeqNo(4),
            term: PrimaryTerm(2),
            payload: Bytes::from_static(b"x"),
        };
        let mut same = page(vec![record(4, 2), record(5, 2)]);
        assert!(compare(&last, &mut same).expect("the same"));
        assert_eq!(same.records, [record(5, 2)]);
        let trimmed = compare(&last, &mut page(Vec::new()));
        assert!(!trimmed.expect("nothing speaks against it"));
        for other in [record(4, 3), record(5, 2)] {
            compare(&last, &mut page(vec![other])).expect_err("another one");
        }
    }

    #[test]
    fn a_gap_is_noticed() {
        assert!(check_order(SeqNo(4), &[record(4, 1), record(5, 1)]).is_ok());
        assert!(check_order(SeqNo(4), &[record(4, 1), record(6, 1)]).is_err());
        assert!(check_order(SeqNo(4), &[record(5, 1)]).is_err());
    }
}
