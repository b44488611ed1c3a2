//! Posting lists by document numbers, and the way back from numbers to places.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use gleaner_engine::postings::{DocumentPlace, PageOf, length, locate, page};
use gleaner_engine::{EngineError, View, statistics};
use gleaner_model::SeqNo;
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_proto::LeafFault;
use gleaner_proto::postings::{
    LocateAnswer, LocateCall, LocateSet, LocatedDocument, MAX_PAGE, PostingsAnswer, PostingsCall,
};
use gleaner_proto::search::ShardView;
use gleaner_query::answer::LeafTimes;
use gleaner_query::resolved::{Statistics, StatisticsRequest};
use gleaner_threads::CpuTime;

use crate::read::pool::LaneName;
use crate::read::search::{Searcher, joined};
use crate::read::staleness::{copies_of, mark_stale};

impl Searcher {
    pub(crate) async fn posting_lists(
        &self,
        call: PostingsCall,
    ) -> Vec<Result<PostingsAnswer, LeafFault>> {
        let started = Instant::now();
        let deadline = started + call.remaining;
        let asked: Vec<ShardView> = call.shards.iter().map(|list| list.shard).collect();
        let targets = self.targets(&asked, deadline).await;
        let copies = copies_of(&targets);
        let lists = targets.iter().zip(&call.shards);
        let lists: Vec<(Arc<View>, Option<SeqNo>)> = lists
            .filter_map(|(target, list)| {
                Some((Arc::clone(&target.as_ref().ok()?.view), list.after))
            })
            .collect();
        let views = lists.iter().map(|(view, _)| &**view);
        let length = length(views, part(&call, None).limit);
        let memory = self.query_memory();
        let job = move |control: &Arc<Control>| {
            let evaluation = Evaluation::begin();
            let one = |(view, after): &(Arc<View>, Option<SeqNo>)| {
                one_page(view, &call, *after, control, &memory)
            };
            let evaluate = || lists.iter().map(one).collect();
            let mut answers: Vec<_> = evaluation.cpu.time(evaluate);
            let times = evaluation.times(started);
            for answer in answers.iter_mut().flatten() {
                answer.times = Some(times);
            }
            answers
        };
        let mut answers = joined(targets, self.pool.run(length, deadline, job).await);
        mark_stale(&mut answers, &copies, |answer| {
            answer.may_be_stale = true;
        });
        answers
    }

    pub(crate) async fn locate_documents(
        &self,
        call: LocateCall,
    ) -> Vec<Result<LocateAnswer, LeafFault>> {
        let started = Instant::now();
        let deadline = started + call.remaining;
        let asked: Vec<ShardView> = call.shards.iter().map(|of| of.shard).collect();
        let targets = self.targets(&asked, deadline).await;
        let copies = copies_of(&targets);
        let sets = targets.iter().zip(call.shards);
        let sets: Vec<(Arc<View>, Vec<LocateSet>)> = sets
            .filter_map(|(target, of)| Some((Arc::clone(&target.as_ref().ok()?.view), of.sets)))
            .collect();
        let outcome = if sets.iter().all(|(_, sets)| is_short(sets)) {
            let control = Control::until(deadline);
            let located = sets
                .iter()
                .map(|(view, sets)| in_view(view, sets, &control));
            Ok(located.collect())
        } else {
            let job = move |control: &Arc<Control>| {
                let evaluation = Evaluation::begin();
                let located = sets.iter().map(|(view, sets)| in_view(view, sets, control));
                let mut answers: Vec<_> = evaluation.cpu.time(|| located.collect());
                let times = evaluation.times(started);
                for answer in answers.iter_mut().flatten() {
                    answer.times = Some(times);
                }
                answers
            };
            let lane = self.pool.lane(LaneName::Short);
            lane.run(deadline, job).await
        };
        let mut answers = joined(targets, outcome);
        mark_stale(&mut answers, &copies, |answer| {
            answer.may_be_stale = true;
        });
        answers
    }
}

/// Returns whether nothing is to be looked up: the caller only asks what the shard shows.
fn is_short(sets: &[LocateSet]) -> bool {
    sets.iter().all(|set| set.documents.is_empty())
}

/// When an evaluation began, and what it has taken since.
struct Evaluation {
    begun: Instant,
    cpu: CpuTime,
}

impl Evaluation {
    fn begin() -> Self {
        Self {
            begun: Instant::now(),
            cpu: CpuTime::default(),
        }
    }

    /// Returns the times of a call that was received at `started`.
    fn times(&self, started: Instant) -> LeafTimes {
        LeafTimes {
            queue: self.begun - started,
            evaluate: self.begun.elapsed(),
            cpu: self.cpu.get(),
        }
    }
}

/// Returns which part of a list a call asks for.
fn part(call: &PostingsCall, after: Option<SeqNo>) -> PageOf<'_> {
    PageOf {
        field: &call.field,
        term: &call.term,
        after,
        limit: call.limit.clamp(1, MAX_PAGE),
        is_weighted: call.is_weighted,
    }
}

fn one_page(
    view: &Arc<View>,
    call: &PostingsCall,
    after: Option<SeqNo>,
    control: &Control,
    memory: &Arc<MemoryAccount>,
) -> Result<PostingsAnswer, EngineError> {
    let found = page(view, &part(call, after), control, memory)?;
    let of_field = StatisticsRequest {
        fields: BTreeMap::from([(call.field.clone(), BTreeSet::new())]),
        totals: false,
    };
    let Statistics { mut fields, .. } = statistics::statistics(view, &of_field, control)?;
    Ok(PostingsAnswer {
        view: view.id(),
        generation: view.generation(),
        num_documents: view.num_documents(),
        field: fields.remove(&call.field).unwrap_or_default(),
        list: found.list,
        is_last: found.is_last,
        times: None,
        may_be_stale: false,
    })
}

fn in_view(
    view: &Arc<View>,
    sets: &[LocateSet],
    control: &Control,
) -> Result<LocateAnswer, EngineError> {
    let as_answered = |located: DocumentPlace| {
        let DocumentPlace { seq_no, place, tie } = located;
        LocatedDocument { seq_no, place, tie }
    };
    let mut answered = Vec::with_capacity(sets.len());
    for set in sets {
        let located = locate(view, &set.documents, set.top, control)?;
        answered.push(located.into_iter().map(as_answered).collect());
    }
    Ok(LocateAnswer {
        view: view.id(),
        generation: view.generation(),
        num_documents: view.num_documents(),
        sets: answered,
        times: None,
        may_be_stale: false,
    })
}
