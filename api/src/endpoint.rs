//! An endpoint: a route with what answers it.
//!
//! Routes alone say what can be asked, and are read by processes that answer nothing themselves.

use crate::request::Handler;
use crate::route::Route;

/// One operation of the dialect, with its handler.
pub(crate) struct Endpoint {
    pub(crate) route: Route,
    pub(crate) handler: Handler,
}

impl Route {
    /// Returns the endpoint that answers the route by `handler`.
    pub(crate) const fn answered_by(self, handler: Handler) -> Endpoint {
        Endpoint {
            route: self,
            handler,
        }
    }
}

impl AsRef<Route> for Endpoint {
    fn as_ref(&self) -> &Route {
        &self.route
    }
}
