//! An etcd of one member, with clients of it.

use gleaner_proto::Connect;
use gleaner_proto::etcd::Client;
use gleaner_testkit::etcd;

pub(crate) use gleaner_testkit::etcd::NO_ETCD;

/// An etcd that runs; killed when it is dropped.
pub(crate) struct Etcd(etcd::Etcd);

impl Etcd {
    /// Starts an empty one; `None` where no binary is found.
    pub(crate) fn start() -> Option<Self> {
        let started = etcd::is_installed().then(etcd::Etcd::start);
        started.map(|started| Self(started.expect("it runs")))
    }

    /// Kills it and starts it again on what it has kept.
    pub(crate) fn restart(&mut self) {
        self.0.restart().expect("it runs");
    }

    /// Kills it and starts it again without what it has kept.
    pub(crate) fn restart_empty(&mut self) {
        self.0.restart_empty().expect("it runs");
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.0.kill().expect("it runs");
    }

    /// `host:port` at which it is called.
    pub(crate) fn address(&self) -> String {
        self.0.address()
    }

    /// Returns a client of it.
    pub(crate) fn client(&self) -> Client {
        self.client_over(&Connect::default())
    }

    /// Returns a client that reaches it as `connect` says.
    pub(crate) fn client_over(&self, connect: &Connect) -> Client {
        Client::new(connect, &[self.address()]).expect("an address")
    }

    /// Throws the history before `revision` away.
    pub(crate) fn compact(&self, revision: i64) {
        self.0.compact(revision).expect("it answers");
    }
}
