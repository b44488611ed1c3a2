//! Whether the time that a check of a key takes tells how much of a guess is right, or which ids there are.
//!
//! It is a measurement for people and no test, as other work on a machine moves the times: run it alone, with
//! `cargo bench -p gleaner-benches --bench key_timing`. It asks with two credentials that are wrong in two ways, in random
//! order, and compares the means by Welch's t. Below 4.5 no difference is shown, which is the usual bound for leakage tests
//! (Goodwill, Jun, Jaffe, Rohatgi: A testing methodology for side-channel resistance validation, 2011). The slowest tenth of
//! all times is left out, as Reparaz, Balasch and Verbauwhede do (Dude, is my code constant time?, 2017).
//!
//! The last line is a control: a comparison of texts byte by byte, whose t should be large.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Instant;

use gleaner_api::security::{Caller, caller};
use gleaner_model::security::{ApiKey, KeyHash, KeyLimits, Security};
use gleaner_model::{ClusterState, Rights};
use http::{HeaderMap, HeaderValue, header};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;

/// Times that are taken of each of two sides, about.
const NUM_TIMES: usize = 100_000;

/// Checks that one time is taken of: many ticks of any clock.
const NUM_CHECKS: usize = 8;

/// The bound below which no difference is shown.
const LEAKAGE: f64 = 4.5;

/// Id of the only key.
const ID: &str = "timing";
/// Its secret.
const SECRET: &str = "Zm9vLWJhci1iYXotcXV4LWtleS10aW1pbmctYmVuY2g";
/// Id and secret, as base64.
const RIGHT: &str = "ApiKey dGltaW5nOlptOXZMV0poY2kxaVlYb3RjWFY0TFd0bGVTMTBhVzFwYm1jdFltVnVZMmc=";
/// The secret with another last character.
const RIGHT_PREFIX: &str =
    "ApiKey dGltaW5nOlptOXZMV0poY2kxaVlYb3RjWFY0TFd0bGVTMTBhVzFwYm1jdFltVnVZMkE=";
/// The secret with another first character.
const WRONG_PREFIX: &str =
    "ApiKey dGltaW5nOkFtOXZMV0poY2kxaVlYb3RjWFY0TFd0bGVTMTBhVzFwYm1jdFltVnVZMmc=";
/// The same, of an id as long that nobody has.
const UNKNOWN_ID: &str =
    "ApiKey bm9ib2R5OkFtOXZMV0poY2kxaVlYb3RjWFY0TFd0bGVTMTBhVzFwYm1jdFltVnVZMmc=";

/// Returns a cluster with one key.
fn cluster() -> ClusterState {
    let key = ApiKey {
        name: "bench".to_owned(),
        hash: KeyHash(*blake3::hash(SECRET.as_bytes()).as_bytes()),
        creator: None,
        created_ms: 0,
        expires_ms: None,
        invalidated_ms: None,
        rights: Rights::all(),
        limits: KeyLimits::default(),
        role_descriptors: Value::Null,
        metadata: Value::Null,
    };
    let security = Security {
        api_keys: BTreeMap::from([(ID.to_owned(), Arc::new(key))]),
        ..Security::default()
    };
    ClusterState {
        security: Some(Arc::new(security)),
        ..ClusterState::default()
    }
}

fn headers(authorization: &'static str) -> HeaderMap {
    let value = HeaderValue::from_static(authorization);
    HeaderMap::from_iter([(header::AUTHORIZATION, value)])
}

/// Mean and variance of times, taken one by one (Welford's way).
#[derive(Debug, Default)]
struct Moments {
    num: f64,
    mean: f64,
    /// Sum of the squares of what lies between the times and their mean.
    squares: f64,
}

impl Moments {
    fn add(&mut self, time: f64) {
        self.num += 1.0;
        let away = time - self.mean;
        self.mean += away / self.num;
        self.squares += away * (time - self.mean);
    }

    /// Returns the variance of the mean.
    fn uncertainty(&self) -> f64 {
        self.squares / (self.num - 1.0) / self.num
    }

    /// Returns Welch's t of two means.
    fn welch(&self, other: &Self) -> f64 {
        (self.mean - other.mean) / (self.uncertainty() + other.uncertainty()).sqrt()
    }
}

/// Takes times of `check` on two sides in random order, without the slowest tenth.
fn measure<T>(sides: [&T; 2], check: impl Fn(&T)) -> [Moments; 2]
where
    T: ?Sized,
{
    let mut random = StdRng::seed_from_u64(4);
    let mut times = Vec::with_capacity(2 * NUM_TIMES);
    for _ in 0..2 * NUM_TIMES {
        let side = usize::from(random.random::<bool>());
        let began = Instant::now();
        for _ in 0..NUM_CHECKS {
            check(black_box(sides[side]));
        }
        let nanos = u32::try_from(began.elapsed().as_nanos()).unwrap_or(u32::MAX);
        times.push((nanos, side));
    }
    let mut sorted: Vec<u32> = times.iter().map(|(nanos, _)| *nanos).collect();
    sorted.sort_unstable();
    let most = sorted[sorted.len() / 10 * 9];
    let mut moments = [Moments::default(), Moments::default()];
    for (nanos, side) in times {
        if nanos <= most {
            moments[side].add(f64::from(nanos));
        }
    }
    moments
}

fn report(what: &str, [one, other]: &[Moments; 2]) -> io::Result<()> {
    let t = one.welch(other);
    let verdict = match t.abs() < LEAKAGE {
        true => "no difference is shown",
        false => "the times differ",
    };
    let checks = f64::from(u32::try_from(NUM_CHECKS).unwrap_or(u32::MAX));
    let (first, second) = (one.mean / checks, other.mean / checks);
    writeln!(
        io::stdout(),
        "{what}: {first:.1} ns and {second:.1} ns, t = {t:.2}: {verdict}"
    )
}

/// Compares as a careless program would: up to the first difference.
fn is_same_text(one: &str, other: &str) -> bool {
    let mut pairs = one.bytes().zip(other.bytes());
    one.len() == other.len() && pairs.all(|(one, other)| black_box(one) == black_box(other))
}

fn main() -> io::Result<()> {
    // Where tests of all targets are run, this one only has to be there.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let state = cluster();
    let is_refused = |headers: &HeaderMap| matches!(caller(headers, &state, 0), Caller::Refused);
    assert!(!is_refused(&headers(RIGHT)), "the key is taken");
    let [right_prefix, wrong_prefix, unknown_id] =
        [RIGHT_PREFIX, WRONG_PREFIX, UNKNOWN_ID].map(headers);
    for wrong in [&right_prefix, &wrong_prefix, &unknown_id] {
        assert!(is_refused(wrong), "a wrong key is refused");
    }
    let check = |headers: &HeaderMap| {
        black_box(is_refused(headers));
    };
    // The first times are those of a cold processor.
    measure([&right_prefix, &wrong_prefix], check);
    let secrets = measure([&right_prefix, &wrong_prefix], check);
    report("right and wrong beginning of a secret", &secrets)?;
    let ids = measure([&wrong_prefix, &unknown_id], check);
    report("known and unknown id", &ids)?;
    let careless = |text: &str| {
        black_box(is_same_text(RIGHT, text));
    };
    let control = measure([RIGHT_PREFIX, WRONG_PREFIX], careless);
    report("control, compared byte by byte", &control)
}
