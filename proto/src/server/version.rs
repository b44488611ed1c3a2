//! Which callers are understood.

use tonic::{Request, Status};

use super::accepted::CallerConnection;
use crate::version::Versions;
use crate::wire::WIRE_HEADER;

/// Refuses a call whose caller shares no wire version with us, and keeps the connection of any other.
pub(super) fn check(request: Request<()>) -> Result<Request<()>, Status> {
    let header = request.metadata().get(WIRE_HEADER);
    let text = header.and_then(|value| value.to_str().ok());
    let theirs = text.and_then(Versions::parse);
    if theirs.is_some_and(|theirs| theirs.meets(Versions::OURS)) {
        if let Some(connection) = request.extensions().get::<CallerConnection>() {
            connection.keep();
        }
        return Ok(request);
    }
    let theirs = text.unwrap_or("none");
    Err(Status::failed_precondition(format!(
        "this node speaks wire version {}, the caller {theirs}",
        Versions::OURS
    )))
}
