//! Spans: what was done, from when to when, below what.

use std::borrow::Cow;
use std::future::Future;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use futures::future::Either;

use crate::context::TraceContext;
use crate::facts::cut;
use crate::recorder;
use crate::scope::{Scope, current};

/// What a span is to others (OpenTelemetry, *SpanKind*).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Work within a process.
    Internal,
    /// A request or call that is answered.
    Server,
    /// A call that is made.
    Client,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// A text of at most 1 KiB.
    Text(String),
    /// A whole number.
    Number(i64),
    /// A yes or no.
    Flag(bool),
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(cut(text).to_owned())
    }
}

impl From<usize> for AttributeValue {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for AttributeValue {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// A span that has ended.
#[derive(Debug, Clone)]
pub struct FinishedSpan {
    /// Its trace and itself.
    pub context: TraceContext,
    /// The span that it is below; `None` for the first of a trace.
    pub parent: Option<u64>,
    /// What was done.
    pub name: Cow<'static, str>,
    /// What it is to others.
    pub kind: SpanKind,
    /// Nanoseconds since the epoch.
    pub started_ns: u64,
    /// Nanoseconds since the epoch.
    pub ended_ns: u64,
    /// What is known of it.
    pub attributes: Vec<(&'static str, AttributeValue)>,
    /// Why it failed, if it did.
    pub error: Option<&'static str>,
}

/// A span under way; it ends when it is dropped. Where its trace is not recorded there is nothing in it.
#[derive(Debug)]
pub struct Span(Option<Box<OpenSpan>>);

#[derive(Debug)]
struct OpenSpan {
    span: FinishedSpan,
    started: Instant,
    /// Is it to say that it was called off, if it ends now?
    is_called_off: bool,
}

impl Span {
    /// Begins a span below what the task at work does.
    pub fn begin(name: &'static str, kind: SpanKind) -> Self {
        if !recorder::is_recording() {
            return Self(None);
        }
        match current().recorded() {
            Some(above) => Self::open(above.part(), Some(above.span_id), name, kind),
            None => Self(None),
        }
    }

    /// Begins the span of a request that has come, at `context`, below the span of its caller.
    pub fn of_request(context: TraceContext, caller: Option<TraceContext>) -> Self {
        if !(context.is_sampled && recorder::is_recording()) {
            return Self(None);
        }
        let parent = caller.map(|caller| caller.span_id);
        Self::open(context, parent, "request", SpanKind::Server)
    }

    fn open(
        context: TraceContext,
        parent: Option<u64>,
        name: &'static str,
        kind: SpanKind,
    ) -> Self {
        Self(Some(Box::new(OpenSpan {
            span: FinishedSpan {
                context,
                parent,
                name: Cow::Borrowed(name),
                kind,
                started_ns: now_ns(),
                ended_ns: 0,
                attributes: Vec::new(),
                error: None,
            },
            started: Instant::now(),
            is_called_off: false,
        })))
    }

    /// Is it recorded?
    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// Returns it with an attribute.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<AttributeValue>) -> Self {
        self.set(name, value);
        self
    }

    /// Adds an attribute.
    pub fn set(&mut self, name: &'static str, value: impl Into<AttributeValue>) {
        if let Some(open) = &mut self.0 {
            open.span.attributes.push((name, value.into()));
        }
    }

    /// Gives it another name than it began with.
    pub fn rename(&mut self, name: String) {
        if let Some(open) = &mut self.0 {
            open.span.name = Cow::Owned(name);
        }
    }

    /// Says that what was done failed.
    pub fn fail(&mut self, why: &'static str) {
        if let Some(open) = &mut self.0 {
            open.span.error = Some(why);
        }
    }

    /// Returns the place in the trace that a call made now is below, recorded or not; `None` where this process tells nobody
    /// of it.
    pub fn outgoing(&self) -> Option<TraceContext> {
        match &self.0 {
            Some(open) => Some(open.span.context),
            None => current().outgoing(),
        }
    }

    /// Has `work` be what is done, as [`Self::run`], and ends with it.
    pub fn around<F: Future>(mut self, work: F) -> impl Future<Output = F::Output> {
        if self.0.is_none() {
            return Either::Left(work);
        }
        Either::Right(Box::pin(async move { self.run(work).await }))
    }

    /// Has `work` be what is done; the span says so if it is dropped before its end.
    pub fn run<F: Future>(&mut self, work: F) -> impl Future<Output = F::Output> {
        let Some(open) = &mut self.0 else {
            return Either::Left(work);
        };
        let scope: Scope = current().at(open.span.context);
        open.is_called_off = true;
        // In a box: it is seldom needed, and would make every future larger.
        let work = Box::pin(scope.run(work));
        Either::Right(async move {
            let done = work.await;
            open.is_called_off = false;
            done
        })
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(open) = self.0.take() else {
            return;
        };
        let OpenSpan {
            mut span,
            started,
            is_called_off,
        } = *open;
        let took = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // Not read from the clock, which may have been set meanwhile.
        span.ended_ns = span.started_ns.saturating_add(took);
        if is_called_off {
            span.attributes
                .push(("cancelled", AttributeValue::Flag(true)));
        }
        recorder::record(span);
    }
}

/// Does `work` within a span of this name.
pub fn traced<F: Future>(
    name: &'static str,
    kind: SpanKind,
    work: F,
) -> impl Future<Output = F::Output> {
    Span::begin(name, kind).around(work)
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::record_spans;

    /// One test: a process has one recorder.
    #[tokio::test]
    async fn spans_are_one_tree_and_say_when_they_were_called_off() {
        let untraced = Span::begin("before", SpanKind::Internal);
        assert!(!untraced.is_recorded(), "nobody records");
        let mut spans = record_spans(1.0).expect("the first");
        assert!(record_spans(1.0).is_none(), "there is one already");
        let caller: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
            .parse()
            .expect("valid");
        let context = TraceContext::below(Some(caller));
        let scope = Scope::of_request(context, Arc::default());
        {
            let _request = Span::of_request(context, Some(caller));
            let inner = async {
                let mut silent = Span::begin("inner", SpanKind::Client).with("node", "a");
                let never = silent.run(std::future::pending::<()>());
                assert_eq!(futures::poll!(Box::pin(never)), std::task::Poll::Pending);
            };
            let work = async { traced("outer", SpanKind::Internal, inner).await };
            scope.run(work).await;
        }
        let mut finished = Vec::new();
        while let Ok(span) = spans.try_recv() {
            finished.push(span);
        }
        let names: Vec<_> = finished.iter().map(|span| span.name.as_ref()).collect();
        assert_eq!(names, ["inner", "outer", "request"]);
        let [inner, outer, request] = &finished[..] else {
            panic!("three of them");
        };
        assert_eq!(request.parent, Some(caller.span_id));
        assert_eq!(outer.parent, Some(request.context.span_id));
        assert_eq!(inner.parent, Some(outer.context.span_id));
        assert!(
            finished
                .iter()
                .all(|span| span.context.trace_id == caller.trace_id)
        );
        assert!(finished.iter().all(|span| span.ended_ns >= span.started_ns));
        let cancelled = ("cancelled", AttributeValue::Flag(true));
        assert!(inner.attributes.contains(&cancelled), "{inner:?}");
        assert!(!outer.attributes.contains(&cancelled), "{outer:?}");
    }
}
