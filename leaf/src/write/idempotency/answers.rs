//! What requests with an idempotency key were answered lately, of all shards of a leaf.
//!
//! Does: keep answers as they were, for as long as there is room. Does not: say whether a batch is in
//! the log. An answer is noted when its batch is ordered, so it counts only where the log holds a
//! batch of that request, at that place.
//! Called by: `write` (note), [`crate::write::idempotency`] (find).

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use gleaner_log::ProducerSequence;
use gleaner_model::{SeqNo, ShardKey};
use gleaner_proto::write::{WriteAction, WriteFault, WriteItem, WriteOutcome};
use parking_lot::Mutex;

/// Bytes of all answers together, roughly: those of some 100,000 items.
const MAX_BYTES: usize = 16 << 20;

/// An answer that takes more than this part of them is not kept: it would push out all others.
const MAX_SHARE: usize = 4;

/// Bytes of an answer, and of each of its items, beside texts and documents; rough figures are enough for a
/// bound.
const ANSWER_BYTES: usize = 256;
const ITEM_BYTES: usize = 128;

/// One answer per item.
pub(crate) type Items = Vec<Result<WriteOutcome, WriteFault>>;

/// The shard that was asked, and the name of the request.
pub(crate) type Request = (ShardKey, ProducerSequence);

/// Answers by request.
#[derive(Default)]
pub(crate) struct RequestAnswers(Mutex<Answers>);

#[derive(Default)]
struct Answers {
    by_request: HashMap<Request, Answer>,
    /// The oldest first.
    order: VecDeque<Request>,
    bytes: usize,
}

struct Answer {
    /// Where its batch begins.
    first: SeqNo,
    /// Of what it tells; see [`subject`].
    subject: u64,
    items: Items,
    bytes: usize,
}

impl RequestAnswers {
    /// Notes what is answered to the items `asked` of `request` once its batch, which begins at `first`, is
    /// durable. It takes the place of an answer whose batch did not come into the log.
    pub(crate) fn note(
        &self,
        request: Request,
        first: SeqNo,
        asked: &[WriteItem],
        items: &[Result<WriteOutcome, WriteFault>],
    ) {
        let bytes = ANSWER_BYTES + items.iter().map(bytes_of).sum::<usize>();
        let answer = (bytes <= MAX_BYTES / MAX_SHARE).then(|| Answer {
            first,
            subject: subject(asked),
            items: items.iter().map(kept).collect(),
            bytes,
        });
        let mut answers = self.0.lock();
        answers.forget(&request);
        let Some(answer) = answer else {
            return;
        };
        answers.bytes += bytes;
        answers.by_request.insert(request, answer);
        answers.order.push_back(request);
        while answers.bytes > MAX_BYTES {
            let Some(oldest) = answers.order.front().copied() else {
                return;
            };
            answers.forget(&oldest);
        }
    }

    /// Returns what was answered to `request`, whose batch begins at `first`, if that is known still and
    /// `asked` wants to be told the same.
    pub(crate) fn find(
        &self,
        request: &Request,
        first: SeqNo,
        asked: &[WriteItem],
    ) -> Option<Items> {
        let subject = subject(asked);
        let answers = self.0.lock();
        let answer = answers.by_request.get(request)?;
        let is_it =
            answer.first == first && answer.subject == subject && answer.items.len() == asked.len();
        is_it.then(|| answer.items.clone())
    }
}

impl Answers {
    fn forget(&mut self, request: &Request) {
        let Some(answer) = self.by_request.remove(request) else {
            return;
        };
        self.bytes -= answer.bytes;
        if self.order.front() == Some(request) {
            self.order.pop_front();
        } else {
            self.order.retain(|other| other != request);
        }
    }
}

/// Returns a number for the documents that an answer tells of, and what is to be returned of them: a
/// request's name stands for neither.
fn subject(asked: &[WriteItem]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for item in asked {
        item.id.hash(&mut hasher);
        let returned = match &item.action {
            WriteAction::Update(update) => update.returned_source.as_ref(),
            WriteAction::Index { .. } | WriteAction::Delete => None,
        };
        let returned = returned.map(|filter| (&filter.includes, &filter.excludes));
        returned.hash(&mut hasher);
    }
    hasher.finish()
}

/// Returns the answer to an item with a document of its own: the one it has may be a part of a whole request,
/// which would be held with it.
fn kept(item: &Result<WriteOutcome, WriteFault>) -> Result<WriteOutcome, WriteFault> {
    let mut item = item.clone();
    if let Ok(outcome) = &mut item {
        outcome.source = outcome.source.as_deref().map(Bytes::copy_from_slice);
    }
    item
}

fn bytes_of(item: &Result<WriteOutcome, WriteFault>) -> usize {
    let content = match item {
        Ok(outcome) => outcome.source.as_ref().map_or(0, Bytes::len),
        Err(fault) => 2 * fault.to_string().len(),
    };
    ITEM_BYTES + content
}

#[cfg(test)]
mod tests {
    use gleaner_model::{PrimaryTerm, Version};
    use gleaner_proto::write::WriteResult;

    use super::*;
    use crate::testing::{key, put};

    fn request(id: u128) -> Request {
        (key(1), ProducerSequence { id, sequence: 0 })
    }

    fn asked() -> Vec<WriteItem> {
        vec![put("a", "{}")]
    }

    fn answer(num_bytes: usize) -> Items {
        vec![Ok(WriteOutcome {
            result: WriteResult::Noop,
            version: Version(1),
            seq_no: SeqNo(0),
            term: PrimaryTerm(1),
            source: Some(vec![b' '; num_bytes].into()),
        })]
    }

    #[test]
    fn an_answer_counts_for_its_own_place_only() {
        let told = RequestAnswers::default();
        told.note(request(1), SeqNo(3), &asked(), &answer(1));
        assert_eq!(told.find(&request(1), SeqNo(3), &asked()), Some(answer(1)));
        assert_eq!(told.find(&request(1), SeqNo(4), &asked()), None);
        assert_eq!(told.find(&request(2), SeqNo(3), &asked()), None);
        let of_another = [put("b", "{}")];
        assert_eq!(told.find(&request(1), SeqNo(3), &of_another), None);
        let of_two = [put("a", "{}"), put("a", "{}")];
        assert_eq!(told.find(&request(1), SeqNo(3), &of_two), None);
        told.note(request(1), SeqNo(4), &asked(), &answer(2));
        assert_eq!(told.find(&request(1), SeqNo(4), &asked()), Some(answer(2)));
    }

    #[test]
    fn what_is_kept_holds_nothing_else() {
        let request_body = Bytes::from(vec![b' '; 1 << 10]);
        let mut part = answer(0);
        if let Ok(outcome) = &mut part[0] {
            outcome.source = Some(request_body.slice(..3));
        }
        let told = RequestAnswers::default();
        told.note(request(1), SeqNo(0), &asked(), &part);
        assert_eq!(told.find(&request(1), SeqNo(0), &asked()), Some(part));
        assert!(request_body.is_unique(), "a part of it is kept");
    }

    #[test]
    fn answers_are_bounded_and_the_newest_stay() {
        let told = RequestAnswers::default();
        for id in 0..40 {
            told.note(request(id), SeqNo(0), &asked(), &answer(1 << 20));
        }
        let known = (0..40).filter(|id| told.find(&request(*id), SeqNo(0), &asked()).is_some());
        assert_eq!(
            known.collect::<Vec<u128>>(),
            (25..40).collect::<Vec<u128>>()
        );
        let answers = told.0.lock();
        assert_eq!(answers.order.len(), answers.by_request.len());
        assert!(answers.bytes <= MAX_BYTES);
        drop(answers);
        told.note(request(39), SeqNo(0), &asked(), &answer(MAX_BYTES));
        assert_eq!(told.find(&request(39), SeqNo(0), &asked()), None);
        assert!(told.find(&request(38), SeqNo(0), &asked()).is_some());
    }
}
