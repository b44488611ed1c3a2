//! What the task at work is for: a request, a span. It goes with the task, and into others by [`carried`].

use std::any::Any;
use std::future::Future;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::context::TraceContext;
use crate::facts::Facts;

tokio::task_local! {
    static CURRENT: Scope;
}

/// What is done here belongs to this request, and is below this span. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    facts: Option<Arc<Mutex<Facts>>>,
    context: Option<TraceContext>,
    /// Do other nodes that are called see the place in the trace?
    travels: bool,
    /// What the parts of this process have in common for the request.
    common: Option<Arc<OnceLock<Common>>>,
}

/// Something of a type that its users know.
type Common = Arc<dyn Any + Send + Sync>;

impl Scope {
    /// Returns the scope of a request that has come, with what is to be noted of it, and its place in a trace.
    pub fn of_request(context: TraceContext, facts: Arc<Mutex<Facts>>) -> Self {
        Self {
            facts: Some(facts),
            context: Some(context),
            travels: true,
            common: Some(Arc::default()),
        }
    }

    /// Returns the same in a process that tells nobody of it: nothing would be found at that place of the trace.
    pub(crate) fn staying_here(self) -> Self {
        Self {
            travels: false,
            ..self
        }
    }

    /// Returns the scope of a call that another node makes.
    pub fn of_call(context: TraceContext) -> Self {
        Self {
            facts: None,
            context: Some(context),
            travels: true,
            common: Some(Arc::default()),
        }
    }

    /// Returns the same below another span.
    pub(crate) fn at(&self, context: TraceContext) -> Self {
        Self {
            context: Some(context),
            ..self.clone()
        }
    }

    /// Returns the place in the trace, if there is one.
    pub fn context(&self) -> Option<TraceContext> {
        self.context
    }

    /// Returns the place in the trace that calls of other nodes are below, if they are to know.
    pub fn outgoing(&self) -> Option<TraceContext> {
        self.context.filter(|_| self.travels)
    }

    /// Returns the place in a trace that is recorded.
    pub fn recorded(&self) -> Option<TraceContext> {
        self.outgoing().filter(|context| context.is_sampled)
    }

    /// Returns what was noted of the request so far, as `read` sees it; `None` outside of requests.
    pub fn read<T>(&self, read: impl FnOnce(&Facts) -> T) -> Option<T> {
        self.facts.as_ref().map(|facts| read(&facts.lock()))
    }

    /// Has `work` belong to this.
    pub fn run<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }
}

/// Returns what the task at work is for.
pub fn current() -> Scope {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// Has `work` belong to what the task at work is for, wherever it runs.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    current().run(work)
}

/// Returns what the parts of this process have in common for the request that the task at work is for: what the first
/// one has made. Outside of requests each makes its own.
pub fn in_common<T: Any + Send + Sync>(make: impl FnOnce() -> Arc<T>) -> Arc<T> {
    let Some(common) = current().common else {
        return make();
    };
    let known = match common.get() {
        Some(known) => Arc::clone(known),
        None => {
            let made = make();
            let first: Common = Arc::<T>::clone(&made);
            let known = Arc::clone(common.get_or_init(|| first));
            return known.downcast().unwrap_or(made);
        }
    };
    // Of another type, which is nobody's here.
    known.downcast().unwrap_or_else(|_| make())
}

/// Notes something of the request that the task at work is for, if there is one.
pub fn note(change: impl FnOnce(&mut Facts)) {
    let noted = CURRENT.try_with(|scope| {
        if let Some(facts) = &scope.facts {
            change(&mut facts.lock());
        }
    });
    // An error says that there is no scope.
    noted.unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_request_has_in_common_is_made_once() {
        let number = |number: u32| *in_common(|| Arc::new(number));
        let scope = || Scope::of_request(TraceContext::below(None), Arc::default());
        let seen = scope().run(async move {
            let first = number(1);
            let carried = carried(async move { number(2) });
            let carried = tokio::spawn(carried).await.expect("it does not panic");
            let other = *in_common(|| Arc::new("another type"));
            (first, carried, other)
        });
        assert_eq!(seen.await, (1, 1, "another type"));
        let another = scope().run(async move { number(3) });
        assert_eq!((another.await, number(4), number(5)), (3, 4, 5));
    }

    #[tokio::test]
    async fn what_is_noted_in_a_carried_task_is_of_the_request() {
        let facts = Arc::<Mutex<Facts>>::default();
        let scope = Scope::of_request(TraceContext::below(None), Arc::clone(&facts));
        scope
            .run(async {
                let noted = carried(async { note(|facts| facts.route = Some("search")) });
                tokio::spawn(noted).await.expect("it does not panic");
                let lost = async { note(|facts| facts.route = Some("lost")) };
                tokio::spawn(lost).await.expect("it does not panic");
            })
            .await;
        assert_eq!(facts.lock().route, Some("search"));
        assert!(current().context().is_none());
    }
}
