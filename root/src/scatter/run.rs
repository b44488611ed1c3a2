//! The loop that makes a round's calls and waits for them.

use std::future::Future;
use std::pin::pin;

use futures::StreamExt;
use futures::future::{AbortRegistration, Abortable, Either};
use futures::stream::FuturesUnordered;
use gleaner_model::ShardKey;
use gleaner_proto::LeafFault;
use gleaner_telemetry::{Span, SpanKind};
use tokio::time::{Instant, sleep_until};

use super::LeafCall;
use super::race::{Race, Start};
use super::slot::Dated;

/// Runs `race` to its end: every slot is settled then. Each answer that counts is handed to `taken` as
/// it comes, while others are waited for.
///
/// # Cancel safety
/// Dropping the future drops every call under way, which cancels it on its leaf.
pub(super) async fn run<A, F, Fut>(
    race: &mut Race<'_, A>,
    ask: F,
    mut taken: impl FnMut(usize, ShardKey, &mut A),
) where
    A: Dated,
    F: Fn(LeafCall) -> Fut,
    Fut: Future<Output = Vec<Result<A, LeafFault>>>,
{
    let call = |start: Start| {
        let span = span_of(&start);
        guarded(start.id, told(span, ask(start.call)), start.guard)
    };
    let mut calls: FuturesUnordered<_> = race.begin().into_iter().map(call).collect();
    let mut timer = pin!(sleep_until(race.wake_at()));
    while !race.is_settled() {
        let starts = tokio::select! {
            biased;
            Some((id, results)) = calls.next() => race.answered(id, results),
            () = &mut timer => {
                if Instant::now() >= race.rules.gather_by {
                    break;
                }
                race.give_up_silent();
                race.hedge()
            }
        };
        calls.extend(starts.into_iter().map(call));
        race.hand_on(&mut taken);
        let wake_at = race.wake_at();
        if timer.deadline() != wake_at {
            timer.as_mut().reset(wake_at);
        }
    }
    race.end();
}

/// Returns the span of a call, with the leaf and which attempt it is.
fn span_of(start: &Start) -> Span {
    let mut span = Span::begin("leaf call", SpanKind::Client);
    if span.is_recorded() {
        span.set("gleaner.node", &*start.call.located.node.0);
        span.set("gleaner.attempt", start.kind.name());
        span.set("gleaner.shards", start.call.shards.len());
    }
    span
}

/// Makes a call within its span, which says whether it failed for a shard.
fn told<A>(
    mut span: Span,
    call: impl Future<Output = Vec<Result<A, LeafFault>>>,
) -> impl Future<Output = Vec<Result<A, LeafFault>>> {
    if !span.is_recorded() {
        return Either::Left(call);
    }
    Either::Right(Box::pin(async move {
        let results = span.run(call).await;
        if results.iter().any(Result::is_err) {
            span.fail("a shard has no answer");
        }
        results
    }))
}

/// Makes a call that can be cancelled from outside; it gives `None` then.
async fn guarded<T>(
    id: usize,
    call: impl Future<Output = T>,
    guard: Option<AbortRegistration>,
) -> (usize, Option<T>) {
    match guard {
        Some(guard) => (id, Abortable::new(call, guard).await.ok()),
        None => (id, Some(call.await)),
    }
}
