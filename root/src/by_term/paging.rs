//! One term's lists from one leaf, page by page, within the search's memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use gleaner_model::{Generation, SeqNo, ShardKey};
use gleaner_partial::control::{MemoryAccount, Reservation};
use gleaner_proto::postings::{ListOf, MAX_PAGE, PostingsAnswer, PostingsCall};
use gleaner_proto::search::ShardView;
use gleaner_proto::{LeafClient, LeafFault};
use gleaner_query::answer::{LeafTimes, ViewId};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::lists::TermList;
use super::wanted::WantedTerm;
use crate::memory::no_room;
use crate::scatter::{Dated, LeafCall};
use crate::waterfall::TermsCost;

/// A whole list, and which view it was taken from.
#[derive(Debug, Clone)]
pub(super) struct TermAnswer {
    pub(super) view: ViewId,
    pub(super) generation: Generation,
    pub(super) list: TermList,
    pub(super) may_be_stale: bool,
    times: Option<LeafTimes>,
}

impl Dated for TermAnswer {
    fn generation(&self) -> Option<Generation> {
        Some(self.generation)
    }

    fn times(&self) -> Option<LeafTimes> {
        self.times
    }
}

/// What lists have cost so far, those of copies that came second included.
#[derive(Debug, Default)]
pub(super) struct Counters {
    num_rounds: AtomicU32,
    num_requests: AtomicU64,
    num_postings: AtomicU64,
    num_bytes: AtomicU64,
    num_remembered: AtomicU64,
}

impl Counters {
    pub(super) fn began_round(&self) {
        self.num_rounds.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remembered(&self) {
        self.num_remembered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn cost(&self) -> TermsCost {
        TermsCost {
            rounds: self.num_rounds.load(Ordering::Relaxed),
            list_requests: self.num_requests.load(Ordering::Relaxed),
            postings: self.num_postings.load(Ordering::Relaxed),
            list_bytes: self.num_bytes.load(Ordering::Relaxed),
            cache_hits: self.num_remembered.load(Ordering::Relaxed),
        }
    }
}

/// How lists are asked for, and what holds them.
pub(super) struct Paging {
    page: usize,
    memory: Arc<MemoryAccount>,
    /// Memory of the lists that have come, until the search ends.
    held: Mutex<Vec<Reservation>>,
    pub(super) counters: Counters,
}

impl Paging {
    /// Draws on `memory` for what comes.
    pub(super) fn new(memory: Arc<MemoryAccount>) -> Self {
        Self {
            page: MAX_PAGE,
            memory,
            held: Mutex::default(),
            counters: Counters::default(),
        }
    }

    pub(super) fn memory(&self) -> &Arc<MemoryAccount> {
        &self.memory
    }

    /// Asks for a term's lists, all pages of them; one answer per shard of `call`, in order.
    pub(super) async fn lists(
        &self,
        term: &WantedTerm,
        call: LeafCall,
    ) -> Vec<Result<TermAnswer, LeafFault>> {
        let asking = PagedCall {
            paging: self,
            client: &*call.located.client,
            term,
            ends: Instant::now() + call.remaining,
        };
        let first = call.shards.iter().map(|shard| ListOf {
            shard: *shard,
            after: None,
        });
        let first = asking.pages(first.collect()).await;
        let whole = call.shards.iter().zip(first).map(|(shard, page)| {
            let shard = shard.shard;
            asking.rest(shard, page)
        });
        join_all(whole).await
    }

    /// Reserves room for a page that has come, until the search ends.
    fn hold(&self, page: &PostingsAnswer) -> Result<(), LeafFault> {
        let num_bytes = page.list.num_bytes();
        let counters = &self.counters;
        counters.num_bytes.fetch_add(num_bytes, Ordering::Relaxed);
        let num_postings = page.list.documents.len();
        counters
            .num_postings
            .fetch_add(num_postings, Ordering::Relaxed);
        let reserved = self
            .memory
            .reserve(num_bytes)
            .map_err(|error| no_room(&error))?;
        self.held.lock().push(reserved);
        Ok(())
    }
}

/// One call to one leaf, and those for the pages that follow.
struct PagedCall<'a> {
    paging: &'a Paging,
    client: &'a dyn LeafClient,
    term: &'a WantedTerm,
    ends: Instant,
}

impl PagedCall<'_> {
    async fn pages(&self, shards: Vec<ListOf>) -> Vec<Result<PostingsAnswer, LeafFault>> {
        let num_requests = &self.paging.counters.num_requests;
        num_requests.fetch_add(1, Ordering::Relaxed);
        let call = PostingsCall {
            shards,
            field: self.term.field.clone(),
            term: self.term.term.clone(),
            is_weighted: self.term.is_weighted,
            limit: self.paging.page,
            remaining: self.remaining(),
        };
        self.client.postings(call).await
    }

    fn remaining(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    /// Asks for what follows the first page of a list.
    async fn rest(
        &self,
        shard: ShardKey,
        first: Result<PostingsAnswer, LeafFault>,
    ) -> Result<TermAnswer, LeafFault> {
        let first = first?;
        self.paging.hold(&first)?;
        let (view, generation) = (first.view, first.generation);
        let mut is_last = first.is_last;
        let mut whole = first;
        while !is_last {
            let behind = ListOf {
                shard: ShardView {
                    shard,
                    view: Some(view),
                    at_least: None,
                },
                after: whole.list.documents.max().map(SeqNo),
            };
            let page = self.pages(vec![behind]).await.pop();
            let page = page.ok_or_else(|| broken(shard, "no page came"))??;
            self.paging.hold(&page)?;
            is_last = page.is_last;
            let is_next =
                page.generation == generation && (is_last || !page.list.documents.is_empty());
            if !is_next || !whole.list.append(page.list) {
                return Err(broken(shard, "pages of a posting list do not fit"));
            }
        }
        Ok(TermAnswer {
            view,
            generation,
            times: whole.times,
            may_be_stale: whole.may_be_stale,
            list: TermList {
                list: whole.list,
                field: whole.field,
                num_documents: whole.num_documents,
            },
        })
    }
}

fn broken(shard: ShardKey, reason: &str) -> LeafFault {
    LeafFault::Internal {
        shard,
        reason: reason.to_owned(),
    }
}
