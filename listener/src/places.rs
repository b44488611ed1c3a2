//! The places of a listener's connections: so many in all, so many from one address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::metric;
use metrics::Gauge;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use crate::activity::Activity;
use crate::count_closed;

/// How long a connection that has sent no request yet must have been quiet to make room for another.
const QUIET_NEW: Duration = Duration::from_millis(250);

/// How long one that has sent requests must have been.
const QUIET_USED: Duration = Duration::from_secs(1);

/// Share of the connections that make room at once, so that looking for them costs little a connection.
const SHARE_CLOSED: usize = 64;

/// Pause after a search that closed all quiet connections that it found: connections that come again and again
/// cost no search each.
const SEARCH_PAUSE: Duration = Duration::from_millis(100);

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// In all, 1 and more.
    pub total: usize,
    /// From one address, 1 and more.
    pub per_address: usize,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The address has its share, and none of its connections is quiet.
    Address,
    /// All places are taken, and none of the connections is quiet.
    All,
}

/// The places of a listener; cheap to clone.
#[derive(Debug, Clone)]
pub struct Places(Arc<PlaceState>);

#[derive(Debug)]
struct PlaceState {
    bounds: Bounds,
    port: &'static str,
    taken: Mutex<TakenPlaces>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct TakenPlaces {
    next: u64,
    /// Connections of all addresses.
    num_connections: usize,
    addresses: HashMap<IpAddr, Address>,
    search: Search,
}

/// The connections of an address.
#[derive(Debug, Default)]
struct Address {
    connections: HashMap<u64, Arc<Activity>>,
    search: Search,
}

/// When quiet connections may be searched for again.
#[derive(Debug, Default)]
struct Search {
    not_before: Option<Instant>,
}

impl Search {
    fn is_due(&self) -> bool {
        self.not_before
            .is_none_or(|moment| Instant::now() >= moment)
    }

    /// Leaves those of `quiet` that make room, `most` at most: the longest quiet that never sent a request, and
    /// such as have sent some only where there are no others. When that leaves out none, the next search waits.
    fn choose(&mut self, quiet: &mut Vec<Quiet>, most: usize) {
        let num_found = quiet.len();
        if quiet.iter().any(|one| !one.has_begun) {
            quiet.retain(|one| !one.has_begun);
        }
        if quiet.len() > most {
            quiet.select_nth_unstable_by(most, |one, other| other.time.cmp(&one.time));
            quiet.truncate(most);
        }
        if quiet.len() == num_found {
            self.not_before = Some(Instant::now() + SEARCH_PAUSE);
        }
    }
}

/// A connection that may make room.
struct Quiet {
    address: IpAddr,
    number: u64,
    has_begun: bool,
    time: Duration,
}

impl Places {
    pub(crate) fn new(bounds: Bounds, port: &'static str) -> Self {
        Self(Arc::new(PlaceState {
            bounds,
            port,
            taken: Mutex::default(),
            freed: Notify::new(),
        }))
    }

    pub(crate) fn port(&self) -> &'static str {
        self.0.port
    }

    /// Completes when a place is given back after this call.
    pub(crate) fn freed(&self) -> Notified<'_> {
        self.0.freed.notified()
    }

    /// Takes a place, that of a quiet connection where there is no other.
    pub(crate) fn take(&self, peer: SocketAddr) -> Result<Place, Full> {
        let address = counted_as(peer.ip());
        let bounds = self.0.bounds;
        let mut taken = self.0.taken.lock();
        if !self.has_share_left(&mut taken, address) {
            return Err(Full::Address);
        }
        if taken.num_connections >= bounds.total {
            self.make_room(&mut taken);
        }
        if taken.num_connections >= bounds.total {
            return Err(Full::All);
        }
        let activity = Arc::new(Activity::begin());
        let number = taken.add(address, &activity);
        self.gauge().set(taken.num_connections as f64);
        Ok(Place {
            places: self.clone(),
            peer,
            address,
            number,
            activity,
        })
    }

    /// May `address` have another connection, now that its own quiet ones have made room?
    fn has_share_left(&self, taken: &mut TakenPlaces, address: IpAddr) -> bool {
        let most = self.0.bounds.per_address;
        if taken.num_of(address) >= most {
            self.make_room_of(taken, address);
        }
        taken.num_of(address) < most
    }

    /// Closes the connections of `address` that have been quiet for the longest.
    fn make_room_of(&self, taken: &mut TakenPlaces, address: IpAddr) {
        let most = taken.most_closed();
        let Some(own) = taken.addresses.get_mut(&address) else {
            return;
        };
        if own.search.is_due() {
            let mut quiet: Vec<Quiet> = own.quiet(address).collect();
            own.search.choose(&mut quiet, most);
            self.close(taken, &quiet);
        }
    }

    /// Closes the connections that have been quiet for the longest, whatever their address.
    fn make_room(&self, taken: &mut TakenPlaces) {
        if taken.search.is_due() {
            let most = taken.most_closed();
            let all = taken.addresses.iter();
            let mut quiet = all.flat_map(|(address, own)| own.quiet(*address)).collect();
            taken.search.choose(&mut quiet, most);
            self.close(taken, &quiet);
        }
    }

    fn close(&self, taken: &mut TakenPlaces, quiet: &[Quiet]) {
        for Quiet {
            address, number, ..
        } in quiet
        {
            // A node's connection may have been kept since.
            if taken.close(*address, *number) {
                count_closed(self.0.port, "room");
            }
        }
    }

    fn gauge(&self) -> Gauge {
        metrics::gauge!(metric::CONNECTIONS.name, "port" => self.0.port)
    }
}

/// Returns the address that stands for all that one client may have: of IPv6 a network of 64 bits is given to each.
fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address => address,
    }
}

impl TakenPlaces {
    fn num_of(&self, address: IpAddr) -> usize {
        let own = self.addresses.get(&address);
        own.map_or(0, |own| own.connections.len())
    }

    /// Returns how many connections may be closed at once.
    fn most_closed(&self) -> usize {
        (self.num_connections / SHARE_CLOSED).max(1)
    }

    fn add(&mut self, address: IpAddr, activity: &Arc<Activity>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.num_connections += 1;
        let own = self.addresses.entry(address).or_default();
        own.connections.insert(number, Arc::clone(activity));
        number
    }

    /// Forgets a connection; returns whether it was there.
    fn remove(&mut self, address: IpAddr, number: u64) -> bool {
        let Entry::Occupied(mut own) = self.addresses.entry(address) else {
            return false;
        };
        let was_there = own.get_mut().connections.remove(&number).is_some();
        if was_there {
            self.num_connections -= 1;
        }
        if own.get().connections.is_empty() {
            own.remove();
        }
        was_there
    }

    /// Closes a connection that has not been kept; returns whether it did.
    fn close(&mut self, address: IpAddr, number: u64) -> bool {
        let own = self.addresses.get(&address);
        let activity = own.and_then(|own| own.connections.get(&number));
        let is_closing = activity.is_some_and(|activity| activity.close());
        if is_closing {
            self.remove(address, number);
        }
        is_closing
    }
}

impl Address {
    /// Returns the connections that may make room.
    fn quiet(&self, address: IpAddr) -> impl Iterator<Item = Quiet> {
        self.connections
            .iter()
            .filter_map(move |(number, activity)| {
                let has_begun = activity.has_begun();
                let least = if has_begun { QUIET_USED } else { QUIET_NEW };
                let time = activity.quiet_for()?;
                (activity.may_yield() && time >= least).then_some(Quiet {
                    address,
                    number: *number,
                    has_begun,
                    time,
                })
            })
    }
}

/// The place of a connection, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    peer: SocketAddr,
    /// What `peer` counts as.
    address: IpAddr,
    number: u64,
    activity: Arc<Activity>,
}

/// The address that a connection comes from has its share of connections already.
#[derive(Debug, thiserror::Error)]
#[error("too many connections come from {0}")]
pub struct TooMany(IpAddr);

impl Place {
    /// Returns where the connection comes from: its other end, or what [`Self::move_to`] said last.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Counts the connection as one that comes from `peer`: behind the other end there is a proxy, which says so.
    ///
    /// # Errors
    /// [`TooMany`]: the place is as it was, and the connection should be closed.
    pub fn move_to(&mut self, peer: SocketAddr) -> Result<(), TooMany> {
        let address = counted_as(peer.ip());
        if address != self.address {
            let mut taken = self.places.0.taken.lock();
            if !self.places.has_share_left(&mut taken, address) {
                return Err(TooMany(address));
            }
            // When it was closed meanwhile, nothing is left to move.
            if taken.remove(self.address, self.number) {
                self.number = taken.add(address, &self.activity);
            }
        }
        (self.peer, self.address) = (peer, address);
        Ok(())
    }

    /// Returns what the connection is doing.
    pub fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Counts that the connection is closed by us, and why.
    pub fn count(&self, reason: &'static str) {
        count_closed(self.places.0.port, reason);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.taken.lock();
        taken.remove(self.address, self.number);
        self.places.gauge().set(taken.num_connections as f64);
        drop(taken);
        self.places.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_one_client_may_have_share_a_bound() {
        let bounds = Bounds {
            total: 10,
            per_address: 1,
        };
        let places = Places::new(bounds, "test");
        let take = |address: &str| {
            let address: IpAddr = address.parse().expect("an address");
            places.take((address, 9).into())
        };
        let _held =
            ["2001:db8::1", "2001:db8:0:1::1", "192.0.2.1"].map(|one| take(one).expect("room"));
        for taken in [
            "2001:db8::2",
            "2001:db8:0:1:ffff::",
            "192.0.2.1",
            "::ffff:192.0.2.1",
        ] {
            assert_eq!(take(taken).err(), Some(Full::Address), "{taken}");
        }
        assert!(take("192.0.2.2").is_ok());
    }

    #[test]
    fn a_connection_counts_for_the_address_that_its_proxy_says() {
        let bounds = Bounds {
            total: 10,
            per_address: 1,
        };
        let places = Places::new(bounds, "test");
        let at = |address: &str| SocketAddr::new(address.parse().expect("an address"), 9);
        let take = |address: &str| places.take(at(address));
        let mut moved = take("192.0.2.1").expect("room");
        moved.move_to(at("198.51.100.1")).expect("it has none");
        assert_eq!(moved.peer(), at("198.51.100.1"));
        let mut second = take("192.0.2.1").expect("the proxy's place is free");
        second.move_to(at("198.51.100.1")).expect_err("it has one");
        assert_eq!(second.peer(), at("192.0.2.1"));
        drop(moved);
        second.move_to(at("198.51.100.1")).expect("it has none");
        drop(second);
        assert_eq!(places.0.taken.lock().num_connections, 0);
        assert!(places.0.taken.lock().addresses.is_empty());
    }
}
