//! How often a client may ask, at what cost, and how many requests it may have open.
//!
//! Does: hold each request against buckets of its address and its key, learn what requests of a shape cost, say when to
//! come again. Does not: know the dialect or check keys, queue anything (`classes` does).
//! Read first: [`Limits::enter`], then [`Limits::charge`].
//!
//! Every bucket of requests is the generic cell rate algorithm (ATM Forum, TM 4.0, 4.4.2) of the crate `governor`. Costs
//! have accounts that may be overdrawn: a request is charged before it is sent, by what requests of its shape took
//! before, and settled when it is answered.

mod accounts;
mod buckets;
mod cost;
mod open;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::metric;
use gleaner_model::security::KeyLimits;

use crate::control::Visitor;
use crate::refusal::Refusal;
use accounts::{Accounts, Allowance};
pub(crate) use accounts::{Charge, Took};
use buckets::Buckets;
use cost::Costs;
use open::OpenOfSender;
use open::OpenRequests;

/// What an answer that was kept costs, in milliseconds of search CPU.
const KEPT_MS: f64 = 0.02;

/// How many addresses of a network may be busy at once before it is held back as a whole.
const BUSY_OF_NETWORK: u32 = 8;

const SECOND: Duration = Duration::from_secs(1);

/// How often, and at what cost; `None` is no limit.
#[derive(Debug, Clone, Copy)]
pub struct LimitOptions {
    /// Requests a second of one address without a key; default no limit.
    pub strangers_per_second: Option<NonZeroU32>,
    /// Requests a second of one key that says nothing itself; default no limit.
    pub keys_per_second: Option<NonZeroU32>,
    /// Milliseconds of search CPU a second, of one key that says nothing itself or one address; default no limit.
    pub cost_ms_per_second: Option<NonZeroU32>,
    /// Wrong keys a minute of one address; default 10.
    pub wrong_keys_per_minute: NonZeroU32,
    /// Requests of one key that says nothing itself, and where strangers have a limit of one address, that are open at
    /// once; default 32.
    pub open_requests: NonZeroU32,
    /// How many fronts share the limits; default 1. Each allows that part of them.
    pub num_fronts: NonZeroU32,
}

impl Default for LimitOptions {
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).expect("it is not 0");
        Self {
            strangers_per_second: None,
            keys_per_second: None,
            cost_ms_per_second: None,
            wrong_keys_per_minute: number(10),
            open_requests: number(32),
            num_fronts: number(1),
        }
    }
}

/// Why a request is refused for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitCode {
    /// Too many requests.
    Requests,
    /// Too dear ones.
    Cost,
    /// Too many wrong keys.
    AuthFailures,
    /// Too many at once.
    Concurrency,
}

impl LimitCode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Cost => "cost",
            Self::AuthFailures => "auth_failures",
            Self::Concurrency => "concurrency",
        }
    }
}

/// The limits of a front.
pub(crate) struct Limits {
    options: LimitOptions,
    addresses: Buckets<IpAddr>,
    networks: Buckets<IpAddr>,
    wrong_keys: Buckets<IpAddr>,
    keys: Buckets<(Arc<str>, u32)>,
    /// Of keys and of addresses of strangers, with what each may spend.
    spent: Accounts,
    costs: Costs,
    open: OpenRequests,
}

/// Whose account a request goes to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Spender {
    Key(Arc<str>),
    Address(IpAddr),
}

/// A request that was let in.
#[derive(Debug)]
pub(crate) struct Entrant {
    spender: Spender,
    /// Milliseconds of search CPU a second; `None`: no limit.
    cost: Option<NonZeroU32>,
    /// Its place among the open ones of the same sender.
    _open: OpenOfSender,
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options.fmt(f)
    }
}

impl Limits {
    /// Returns limits under `options`.
    pub(crate) fn new(options: LimitOptions) -> Self {
        Self {
            options,
            addresses: Buckets::default(),
            networks: Buckets::default(),
            wrong_keys: Buckets::default(),
            keys: Buckets::default(),
            spent: Accounts::default(),
            costs: Costs::default(),
            open: OpenRequests::default(),
        }
    }

    /// Lets a request in by who sends it, and from where.
    ///
    /// # Errors
    /// 429 with what is too much and when to come again.
    pub(crate) fn enter(&self, visitor: Visitor, address: IpAddr) -> Result<Entrant, Refusal> {
        let address = narrow(address);
        let options = &self.options;
        let (spender, limits) = match visitor {
            Visitor::Key { id, limits } => (Spender::Key(id), limits),
            Visitor::Refused => {
                let share = self.share(options.wrong_keys_per_minute, Duration::from_secs(60));
                let taken = self.wrong_keys.take(address, share, one());
                taken.map_err(|wait| limited(LimitCode::AuthFailures, wait))?;
                (Spender::Address(address), KeyLimits::default())
            }
            Visitor::Stranger => (Spender::Address(address), KeyLimits::default()),
        };
        let requests = |wait| limited(LimitCode::Requests, wait);
        match &spender {
            Spender::Key(id) => {
                let own = limits.requests_per_second.and_then(NonZeroU32::new);
                if let Some(limit) = own.or(options.keys_per_second) {
                    let bucket = (Arc::clone(id), limit.get());
                    let taken = self.keys.take(bucket, self.share(limit, SECOND), one());
                    taken.map_err(requests)?;
                }
            }
            Spender::Address(address) => {
                if let Some(limit) = options.strangers_per_second {
                    let share = self.share(limit, SECOND);
                    let taken = self.addresses.take(*address, share, one());
                    taken.map_err(requests)?;
                    let wide = limit.saturating_mul(busy_of_network());
                    let share = self.share(wide, SECOND);
                    let taken = self.networks.take(network(*address), share, one());
                    taken.map_err(requests)?;
                }
            }
        }
        let most = limits.concurrent.and_then(NonZeroU32::new);
        let most = most.unwrap_or(match (&spender, options.strangers_per_second) {
            (Spender::Address(_), None) => NonZeroU32::MAX,
            _ => options.open_requests,
        });
        let open = self.open.take(spender.clone(), most);
        let cost = limits.cost_ms_per_second.and_then(NonZeroU32::new);
        Ok(Entrant {
            spender,
            cost: cost.or(options.cost_ms_per_second),
            _open: open.ok_or_else(|| limited(LimitCode::Concurrency, Duration::from_secs(1)))?,
        })
    }

    /// Charges what a request of this shape will cost that is sent to a backend; `guess_ms` counts until one was seen.
    /// Returns the charge, to settle; `None` where the sender has no limit.
    ///
    /// # Errors
    /// As [`Self::enter`].
    pub(crate) fn charge(
        &self,
        entrant: &Entrant,
        shape: u64,
        guess_ms: f64,
    ) -> Result<Option<Charge>, Refusal> {
        let cost_ms = self.costs.expected_ms(shape).unwrap_or(guess_ms);
        self.spend(entrant, cost_ms)
    }

    /// Charges answers that are kept.
    ///
    /// # Errors
    /// As [`Self::enter`].
    pub(crate) fn charge_kept(&self, entrant: &Entrant, num_answers: usize) -> Result<(), Refusal> {
        self.spend(entrant, num_answers as f64 * KEPT_MS).map(drop)
    }

    /// Notes what a request of a shape took.
    pub(crate) fn learn(&self, shape: u64, took: Took) {
        let (Took::Busy(ms) | Took::Time(ms)) = took;
        self.costs.note(shape, ms);
    }

    fn spend(&self, entrant: &Entrant, ms: f64) -> Result<Option<Charge>, Refusal> {
        let Some(limit) = entrant.cost else {
            return Ok(None);
        };
        let share = self.share(limit, SECOND);
        let allowance = Allowance {
            ms_per_second: f64::from(limit.get()) / f64::from(self.options.num_fronts.get()),
            at_once_ms: f64::from(share.burst.get()),
        };
        let account = (entrant.spender.clone(), limit.get());
        let charged = self.spent.charge(account, allowance, ms);
        charged
            .map(Some)
            .map_err(|wait| limited(LimitCode::Cost, wait))
    }

    /// Returns the part of a limit, `number` in each `period`, that this front allows: one of `num_fronts`,
    /// and half as much again at once, as balancers do not deal out evenly.
    fn share(&self, number: NonZeroU32, period: Duration) -> buckets::Rate {
        let num_fronts = self.options.num_fronts;
        let at_once = number.get().saturating_mul(3) / 2 / num_fronts.get();
        let at_once = match num_fronts.get() {
            1 => number.get(),
            _ => at_once,
        };
        buckets::Rate {
            every: period * num_fronts.get() / number.get(),
            burst: NonZeroU32::new(at_once).unwrap_or_else(one),
        }
    }
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn busy_of_network() -> NonZeroU32 {
    NonZeroU32::new(BUSY_OF_NETWORK).unwrap_or(NonZeroU32::MIN)
}

fn limited(code: LimitCode, wait: Duration) -> Refusal {
    metrics::counter!(metric::FRONT_LIMITED.name, "code" => code.name()).increment(1);
    Refusal::limited(code, wait)
}

/// Returns what one client has for certain: an address of version 4, the first half of one of version 6.
fn narrow(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => masked(address, 64).into(),
    }
}

/// Returns the network around an address: /24, or /48 of version 6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Ipv4Addr::new(a, b, c, 0).into()
        }
        IpAddr::V6(address) => masked(address, 48).into(),
    }
}

fn masked(address: Ipv6Addr, num_bits: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - num_bits)))
}

#[cfg(test)]
mod tests;
