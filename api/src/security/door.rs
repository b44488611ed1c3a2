//! Who may see `/metrics` and `/topz` of a process that does not speak the dialect.
//!
//! Does: let those in who come by the listener for probes, those whose key may monitor, and everybody where the cluster
//! has no keys. Does not: answer. Called by [`crate::probes`]. Read first: [`MetricsDoor::check`].

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gleaner_coordinator::Coordinator;
use gleaner_model::ClusterPrivilege;
use http::{Request, StatusCode};

use super::{MaxAge, Principal, authenticate, denial, unauthenticated, unheard};
use crate::error::ApiError;
use crate::service::ForProbes;

/// Lets those in who may see the metrics of a process. As long as it knows no cluster state, these are those who come by
/// the listener for probes. Clones share it.
#[derive(Clone)]
pub struct MetricsDoor(Arc<Inner>);

struct Inner {
    coordinator: OnceLock<Arc<dyn Coordinator>>,
    max_age: MaxAge,
    clock: fn() -> i64,
}

impl MetricsDoor {
    /// Returns one that takes keys for `max_age` after the cluster state was last heard of; `clock` returns milliseconds
    /// since the epoch.
    pub fn new(max_age: Duration, clock: fn() -> i64) -> Self {
        Self(Arc::new(Inner {
            coordinator: OnceLock::new(),
            max_age: MaxAge::new(max_age, "metrics are shown to nobody"),
            clock,
        }))
    }

    /// Returns one that knows no cluster state, ever.
    pub fn of_probes() -> Self {
        Self::new(Duration::ZERO, || 0)
    }

    /// Goes by the keys that `coordinator` knows from now on; the first one given stays.
    pub fn begin(&self, coordinator: Arc<dyn Coordinator>) {
        self.0.coordinator.get_or_init(|| coordinator);
    }

    /// Lets a request in.
    ///
    /// # Errors
    /// 401 and 403 as a root says them; 503 where the keys are not known.
    pub(crate) fn check<B>(&self, request: &Request<B>) -> Result<(), ApiError> {
        if request.extensions().get::<ForProbes>().is_some() {
            return Ok(());
        }
        let Inner {
            coordinator,
            max_age,
            clock,
        } = &*self.0;
        let Some(coordinator) = coordinator.get() else {
            let reason = "the cluster state is not known yet, so nobody knows who may see this; [probe_listen] shows it";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(ApiError::new(
                status,
                "master_not_discovered_exception",
                reason,
            ));
        };
        let state = max_age.state(&**coordinator).map_err(unheard)?;
        let security = state.security.as_deref();
        let principal = authenticate(request.headers(), security, clock());
        let path = request.uri().path();
        match principal.map_err(|bad| unauthenticated(bad, path))? {
            Principal::Key(holder)
                if !holder.key.rights.allow_cluster(ClusterPrivilege::Monitor) =>
            {
                let action = format!("cluster:monitor{path}");
                let privilege = ClusterPrivilege::Monitor;
                Err(denial::of_cluster(&holder, &action, privilege))
            }
            Principal::Key(_) | Principal::Anybody => Ok(()),
        }
    }
}
