//! Posting lists and places through bytes, and bytes that are neither.

use std::time::Duration;

use bytes::Bytes;
use gleaner_model::SeqNo;
use gleaner_query::answer::{LeafTimes, ViewId};
use gleaner_query::postings::{PostingList, Weights};
use gleaner_query::resolved::FieldStatistics;
use proptest::collection::{btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use roaring::RoaringTreemap;

use super::super::{Wire, v1};
use super::answers::{generation, outcome};
use super::calls::shard_view;
use super::clauses::{field, text};
use super::comes_back;
use super::queries::tie_break;
use crate::postings::{
    ListOf, LocateAnswer, LocateCall, LocateIn, LocateSet, LocatedDocument, PostingsAnswer,
    PostingsCall,
};

fn documents() -> impl Strategy<Value = RoaringTreemap> {
    let near = btree_set(0_u64..3_000, 0..60);
    let far = btree_set(any::<u64>(), 0..4);
    (near, far).prop_map(|(near, far)| near.into_iter().chain(far).collect())
}

fn list() -> impl Strategy<Value = PostingList> {
    let frequency = prop_oneof![9 => 1_u32..255, 1 => 255_u32..70_000];
    let weights = vec((frequency, any::<u8>()), 64);
    (documents(), of(weights)).prop_map(|(documents, weights)| PostingList {
        weights: weights.map(|weights| {
            let mut made = Weights::default();
            for (frequency, norm_id) in weights.into_iter().take(documents.len() as usize) {
                made.push(frequency, norm_id);
            }
            made
        }),
        documents,
    })
}

fn times() -> impl Strategy<Value = Option<LeafTimes>> {
    let times = |(queue, evaluate, cpu): (u32, u32, u32)| LeafTimes {
        queue: Duration::from_micros(queue.into()),
        evaluate: Duration::from_micros(evaluate.into()),
        cpu: Duration::from_micros(cpu.into()),
    };
    of(any::<(u32, u32, u32)>().prop_map(times))
}

fn postings_call() -> impl Strategy<Value = PostingsCall> {
    let list = (shard_view(), of(any::<u64>())).prop_map(|(shard, after)| ListOf {
        shard,
        after: after.map(SeqNo),
    });
    let numbers = (any::<bool>(), any::<usize>(), any::<u32>());
    (vec(list, 0..4), field(), text(), numbers).prop_map(|(shards, field, term, numbers)| {
        let (is_weighted, limit, remaining) = numbers;
        PostingsCall {
            shards,
            field,
            term,
            is_weighted,
            limit,
            remaining: Duration::from_millis(remaining.into()),
        }
    })
}

fn postings_answer() -> impl Strategy<Value = PostingsAnswer> {
    let numbers = any::<(u64, u64, u64, u64, [bool; 2])>();
    (generation(), list(), times(), numbers).prop_map(|(generation, list, times, numbers)| {
        let (view, num_documents, documents, total_length, [is_last, may_be_stale]) = numbers;
        PostingsAnswer {
            view: ViewId(view),
            generation,
            num_documents,
            field: FieldStatistics {
                documents,
                total_length,
            },
            list,
            is_last,
            times,
            may_be_stale,
        }
    })
}

fn locate_call() -> impl Strategy<Value = LocateCall> {
    let set = (documents(), any::<usize>());
    let set = set.prop_map(|(documents, top)| LocateSet { documents, top });
    let shard = (shard_view(), vec(set, 0..3));
    let shard = shard.prop_map(|(shard, sets)| LocateIn { shard, sets });
    (vec(shard, 0..3), any::<u32>()).prop_map(|(shards, remaining)| LocateCall {
        shards,
        remaining: Duration::from_millis(remaining.into()),
    })
}

fn locate_answer() -> impl Strategy<Value = LocateAnswer> {
    let document = (any::<(u64, u64)>(), tie_break());
    let document = document.prop_map(|((seq_no, place), tie)| LocatedDocument {
        seq_no: SeqNo(seq_no),
        place,
        tie,
    });
    let sets = vec(vec(document, 0..4), 0..3);
    (generation(), sets, times(), any::<(u64, u64, bool)>()).prop_map(
        |(generation, sets, times, (view, num_documents, may_be_stale))| LocateAnswer {
            view: ViewId(view),
            generation,
            num_documents,
            sets,
            times,
            may_be_stale,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn calls_of_a_scatter_by_terms(postings in postings_call(), locate in locate_call()) {
        comes_back(&postings);
        comes_back(&locate);
    }

    #[test]
    fn answers_of_a_scatter_by_terms(
        postings in outcome(postings_answer()),
        locate in outcome(locate_answer()),
    ) {
        comes_back(&postings);
        comes_back(&locate);
    }

    #[test]
    fn bytes_that_are_no_bitmap_never_panic(bytes in vec(any::<u8>(), 0..200), cut in 0_usize..200) {
        let read = |documents: Bytes| {
            let message = v1::PostingList { documents, weights: None };
            drop(PostingList::from_message(message));
        };
        read(Bytes::from(bytes));
        let whole = PostingList {
            documents: (0..90).chain([1 << 40]).collect(),
            weights: None,
        };
        let whole = whole.to_message().documents;
        read(whole.slice(..cut.min(whole.len())));
    }
}

#[test]
fn weights_that_do_not_fit_their_documents_are_refused() {
    let mut weights = Weights::default();
    weights.push(300, 7);
    let list = PostingList {
        documents: RoaringTreemap::from_iter([1, 2]),
        weights: Some(weights),
    };
    assert!(PostingList::from_message(list.to_message()).is_err());
    let one = PostingList {
        documents: RoaringTreemap::from_iter([1]),
        ..list
    };
    let good = one.to_message();
    assert_eq!(PostingList::from_message(good.clone()), Ok(one));
    let mut more = good.clone();
    more.documents = [&good.documents[..], &[0]].concat().into();
    assert!(PostingList::from_message(more).is_err(), "a byte follows");
    let mut short = good;
    if let Some(weights) = &mut short.weights {
        weights.large_frequencies.clear();
    }
    assert!(PostingList::from_message(short).is_err());
}
