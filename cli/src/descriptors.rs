//! File descriptors: as many as the system lets the process have.
//!
//! Each shard holds some dozens open and each connection one; the limit that a shell or a service manager
//! begins with, 1,024 often, is far below what the process may raise it to by itself.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of this process to the highest allowed, and says so.
pub(crate) fn raise() {
    let found = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: found.maximum,
        maximum: found.maximum,
    };
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => tracing::info!(
            limit = found.maximum,
            before = found.current,
            "open-file limit"
        ),
        Err(error) => tracing::warn!(
            limit = found.current,
            %error,
            "the limit of open files cannot be raised"
        ),
    }
}

/// Returns how many of `wanted` connections there may be: half of the descriptors at most, so that files
/// can still be opened.
pub(crate) fn connections(wanted: usize) -> usize {
    within(getrlimit(Resource::Nofile).current, wanted)
}

/// The same for those of other nodes: a quarter at most.
pub(crate) fn node_connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    within(limit.map(|limit| limit / 2), wanted)
}

fn within(limit: Option<u64>, wanted: usize) -> usize {
    let half = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit / 2).unwrap_or(usize::MAX)
    });
    wanted.min(half).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_the_highest_allowed() {
        raise();
        let found = getrlimit(Resource::Nofile);
        assert_eq!(found.current, found.maximum);
    }

    #[test]
    fn connections_leave_half_of_the_descriptors_to_files() {
        assert_eq!(within(Some(1_024), 8_192), 512);
        assert_eq!(within(Some(1 << 20), 8_192), 8_192);
        assert_eq!(within(None, 8_192), 8_192);
    }
}
