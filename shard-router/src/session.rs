//! Which backend a session belongs to: rendezvous hashing, so that a backend that comes or goes moves only its share.

use std::cmp::Reverse;

use twox_hash::{XxHash3_64, XxHash3_128};

/// Seed of the draw of a session and a backend ("gleanfr1" read as a number). Frozen: fronts of two versions must
/// send a session to the same backend.
const SESSION_SEED: u64 = 0x676c_6561_6e66_7231;

/// Returns the backends, as positions in `names`, from the one that `session` belongs to on: each next is where it
/// goes while those before are away.
///
/// Highest random weight (Thaler and Ravishankar, 1998), all weights equal.
pub fn order_for_session<N: AsRef<str>>(session: &[u8], names: &[N]) -> Vec<usize> {
    let key = XxHash3_128::oneshot_with_seed(SESSION_SEED, session).to_le_bytes();
    let draw = |name: &str| {
        let mut both = Vec::with_capacity(key.len() + name.len());
        both.extend_from_slice(&key);
        both.extend_from_slice(name.as_bytes());
        XxHash3_64::oneshot_with_seed(SESSION_SEED, &both)
    };
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_cached_key(|at| (Reverse(draw(names[*at].as_ref())), *at));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_frozen() {
        let names = ["10.0.0.1:9200", "10.0.0.2:9200", "10.0.0.3:9200"];
        let orders = ["", "a", "b", "0123456789abcdef"]
            .map(|session| order_for_session(session.as_bytes(), &names));
        let frozen = [[1, 0, 2], [0, 1, 2], [0, 2, 1], [1, 0, 2]].map(Vec::from);
        assert_eq!(orders, frozen);
    }

    #[test]
    fn a_further_backend_moves_no_more_than_its_share() {
        let names: Vec<String> = (0..5).map(|at| format!("10.0.0.{at}:9200")).collect();
        let sessions: Vec<String> = (0..20_000).map(|at| format!("session {at}")).collect();
        let owner = |session: &String, num_names: usize| {
            order_for_session(session.as_bytes(), &names[..num_names])[0]
        };
        let moved: Vec<_> = sessions
            .iter()
            .filter(|session| owner(session, 4) != owner(session, 5))
            .collect();
        assert!(moved.iter().all(|session| owner(session, 5) == 4));
        let share = moved.len() as f64 / sessions.len() as f64;
        assert!((0.18..=0.22).contains(&share), "{share}");
    }
}
