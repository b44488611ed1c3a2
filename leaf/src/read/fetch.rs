//! The documents of hits, as answers show them.
//!
//! Does: read them where they are few, else on the threads of searches, and count what they take until the answer has all
//! of it. Does not: rank. Called by: the leaf. Read first: [`Searcher::fetch_hits`].

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_engine::fetch::{FetchSpec, HighlightSpec};
use gleaner_engine::postings::places_of;
use gleaner_engine::{EngineError, View, fetch};
use gleaner_partial::control::{Control, Ledger};
use gleaner_proto::LeafFault;
use gleaner_proto::search::{FetchCall, FetchFrom, FetchHits, FetchWhat, ShardView};
use gleaner_query::answer::{FetchedHits, ViewId};
use gleaner_query::search::FieldFormat;
use gleaner_threads::CpuTime;
use rayon::prelude::*;

use crate::copy::counters::{Counters, UnderWay};
use crate::fault::evaluation_fault;
use crate::read::pool::{LaneName, caught};
use crate::read::search::{Searcher, joined};

/// Least time a fetch is given: hits that were ranked in time are worth a short wait.
const FETCH_PATIENCE: Duration = Duration::from_millis(250);

/// Documents that are read on the caller's thread: some 30 µs each, about what a hand-over to the
/// pool costs once, and all of them below the half millisecond that a runtime thread may be held.
const SHORT_FETCH: usize = 10;

/// Columns of each document that are read there.
const FEW_COLUMNS: usize = 8;

impl Searcher {
    pub(crate) async fn fetch_hits(&self, call: FetchCall) -> Vec<Result<FetchedHits, LeafFault>> {
        let started = Instant::now();
        let deadline = started + call.remaining.max(FETCH_PATIENCE);
        let asked: Vec<ShardView> = call.shards.iter().map(|from| from.shard).collect();
        let targets = self.targets(&asked, deadline).await;
        let what = call.what;
        let is_short = is_short(&call.shards, &what);
        let jobs: Vec<(Arc<View>, FetchHits)> = targets
            .iter()
            .zip(call.shards)
            .filter_map(|(target, from)| Some((Arc::clone(&target.as_ref().ok()?.view), from.hits)))
            .collect();
        let ledger = match Ledger::open(&self.query_memory()) {
            Ok(ledger) => Arc::new(ledger),
            Err(error) => {
                let refused = |asked: ShardView| Err(evaluation_fault(asked.shard, &error));
                return asked.into_iter().map(refused).collect();
            }
        };
        let counters = targets.iter().flatten().map(|copy| &copy.shard.counters);
        let running = UnderWay::all(counters.map(|counters| &counters.fetches_now));
        // What is fetched counts here until the answer has all of it.
        let hits = jobs.iter().map(|(view, hits)| (&**view, hits.len()));
        let name = LaneName::from(fetch::length(hits, &spec(&what, &ledger)));
        let counted = Arc::clone(&ledger);
        let fetch_one = move |(view, hits): &(Arc<View>, FetchHits), control: &Control| {
            let spec = spec(&what, &counted);
            Ok(match places(view, hits, control)? {
                Some(places) => Ok(fetch::fetch(view, &places, &spec, control)?),
                None => Err(view.id()),
            })
        };
        let cpu = Arc::new(CpuTime::default());
        let taken = Arc::clone(&cpu);
        let fetch_one = move |job: &(Arc<View>, FetchHits), control: &Control| {
            taken.time(|| fetch_one(job, control))
        };
        let outcome = if is_short && name == LaneName::Short {
            let control = Control::until(deadline);
            caught(|| jobs.iter().map(|job| fetch_one(job, &control)).collect())
        } else {
            let lane = self.pool.lane(name);
            // What is short is done before other threads have heard of it.
            let rayon = (name == LaneName::Long && jobs.len() > 1).then(|| lane.rayon());
            let all = move |control: &Arc<Control>| {
                let one = |job| fetch_one(job, control);
                match rayon {
                    Some(rayon) => rayon.install(|| jobs.par_iter().map(one).collect()),
                    None => jobs.iter().map(one).collect(),
                }
            };
            lane.run(deadline, all).await
        };
        drop(running);
        for copy in targets.iter().flatten() {
            let counters = &copy.shard.counters;
            Counters::add(&counters.fetch, &counters.fetch_us, started.elapsed());
        }
        let keys = asked.iter().map(|asked| asked.shard);
        let answers = keys.zip(joined(targets, outcome));
        let gone = |shard| move |ViewId(view)| LeafFault::ViewMissing { shard, view };
        answers
            .map(|(shard, answer)| {
                let hits = answer?.map_err(gone(shard))?;
                let cpu = cpu.get();
                Ok(FetchedHits { hits, cpu })
            })
            .collect()
    }
}

/// Returns whether a fetch only reads a few documents back, and a few of their columns.
fn is_short(shards: &[FetchFrom], what: &FetchWhat) -> bool {
    let is_at_hand = |from: &FetchFrom| matches!(from.hits, FetchHits::Places(_));
    let num_hits: usize = shards.iter().map(|from| from.hits.len()).sum();
    let is_one = |asked: &FieldFormat| !asked.field.contains('*');
    num_hits <= SHORT_FETCH
        && what.docvalue_fields.len() <= FEW_COLUMNS
        && what.docvalue_fields.iter().all(is_one)
        && shards.iter().all(is_at_hand)
        && what.highlight.is_none()
        && what.explain.is_none()
        && what.named.is_empty()
        && what.fields.is_empty()
}

/// Returns where the hits stand in a view; `None` when one of them is not in it.
fn places<'a>(
    view: &View,
    hits: &'a FetchHits,
    control: &Control,
) -> Result<Option<Cow<'a, [u64]>>, EngineError> {
    Ok(match hits {
        FetchHits::Places(places) => Some(Cow::Borrowed(places)),
        FetchHits::Numbers(numbers) => places_of(view, numbers, control)?.map(Cow::Owned),
    })
}

fn spec<'a>(what: &'a FetchWhat, ledger: &'a Ledger) -> FetchSpec<'a> {
    FetchSpec {
        docvalue_fields: &what.docvalue_fields,
        fields: &what.fields,
        highlight: what.highlight.as_ref().map(|what| HighlightSpec {
            highlight: &what.highlight,
            query: &what.query,
            field_queries: &what.field_queries,
        }),
        explain: what.explain.as_deref(),
        named: &what.named,
        named_by: what.named_by.as_deref(),
        is_without_source: what.is_without_source,
        ledger: Some(ledger),
    }
}
