//! Limits of strangers and of keys, by the time that they run.

use super::*;

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not 0")
}

fn key(id: &str) -> Visitor {
    Visitor::Key {
        id: id.into(),
        limits: KeyLimits::default(),
    }
}

fn address(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

/// Lets as many in as there are until one is refused, at most `most`.
fn let_in(limits: &Limits, visitor: &Visitor, from: IpAddr, most: usize) -> usize {
    let entered = (0..most).take_while(|_| limits.enter(visitor.clone(), from).is_ok());
    entered.count()
}

/// So slow that nothing comes back while a test runs.
fn slow() -> LimitOptions {
    LimitOptions {
        strangers_per_second: Some(number(3)),
        keys_per_second: Some(number(20)),
        num_fronts: number(1),
        ..LimitOptions::default()
    }
}

#[test]
fn those_with_a_key_may_do_more_than_strangers() {
    let limits = Limits::new(slow());
    let stranger = let_in(&limits, &Visitor::Stranger, address(1), 1_000);
    let holder = let_in(&limits, &key("a"), address(1), 1_000);
    // A few more come back while the test runs.
    assert!((3..10).contains(&stranger), "{stranger}");
    assert!((20..60).contains(&holder), "{holder}");
    assert!(
        let_in(&limits, &Visitor::Stranger, address(2), 3) == 3,
        "another address has its own"
    );
    assert!(
        let_in(&limits, &key("b"), address(1), 20) == 20,
        "another key too"
    );
}

#[test]
fn a_network_is_held_back_as_a_whole() {
    let limits = Limits::new(slow());
    let all: usize = (0..=255)
        .map(|last| let_in(&limits, &Visitor::Stranger, address(last), 3))
        .sum();
    assert!(
        all < 3 * 60,
        "{all} of 768: eight busy addresses' worth, and what comes back"
    );
    let six = |text: &str| -> IpAddr { text.parse().expect("an address") };
    assert_eq!(narrow(six("2001:db8::1")), narrow(six("2001:db8::ffff")));
    assert_ne!(network(six("2001:db8:1::")), network(six("2001:db8:2::")));
    assert_eq!(narrow(six("::ffff:192.0.2.1")), address(1));
}

#[test]
fn a_refusal_says_what_and_when() {
    let limits = Limits::new(slow());
    let_in(&limits, &Visitor::Stranger, address(1), 1_000);
    let refusal = limits.enter(Visitor::Stranger, address(1));
    let answer = refusal.expect_err("refused").into_response();
    assert_eq!(answer.status(), http::StatusCode::TOO_MANY_REQUESTS);
    let wait = answer.headers()["retry-after"].to_str().expect("a number");
    assert!(wait.parse::<u64>().expect("seconds") >= 1);
}

#[test]
fn wrong_keys_have_an_allowance_of_their_own() {
    let limits = Limits::new(LimitOptions::default());
    assert_eq!(let_in(&limits, &Visitor::Refused, address(1), 1_000), 10);
    assert!(
        limits.enter(key("a"), address(1)).is_ok(),
        "a right key is let in from there"
    );
    assert!(limits.enter(Visitor::Refused, address(2)).is_ok());
}

#[test]
fn what_a_key_says_itself_counts() {
    let limits = Limits::new(slow());
    let visitor = Visitor::Key {
        id: "own".into(),
        limits: KeyLimits {
            requests_per_second: Some(2),
            concurrent: Some(1),
            ..KeyLimits::default()
        },
    };
    let first = limits.enter(visitor.clone(), address(1));
    let first = first.expect("let in");
    let second = limits.enter(visitor.clone(), address(1));
    let body = second.expect_err("one is open").into_response();
    assert_eq!(body.status(), 429);
    drop(first);
    assert!(let_in(&limits, &visitor, address(1), 1_000) <= 3);
    assert_eq!(
        limits.open.num_senders(),
        0,
        "those without requests are forgotten"
    );
}

#[test]
fn costs_are_learned_and_charged_before() {
    let limits = Limits::new(LimitOptions {
        cost_ms_per_second: Some(number(100)),
        ..LimitOptions::default()
    });
    let entrant = limits.enter(key("a"), address(1)).expect("let in");
    let charge = |shape, most: usize| {
        let charged = (0..most).take_while(|_| limits.charge(&entrant, shape, 1.0).is_ok());
        charged.count()
    };
    assert_eq!(charge(1, 10), 10, "cheap at a guess");
    limits.learn(1, Took::Busy(50.0));
    assert!(charge(1, 10) <= 2, "90 ms are left, and it costs 50");
    let other = limits.enter(key("b"), address(1)).expect("let in");
    assert!(
        limits.charge(&other, 1, 1.0).is_ok(),
        "another key has its own"
    );
    limits.learn(2, Took::Busy(1e9));
    let whole = limits.enter(key("c"), address(1)).expect("let in");
    assert!(
        limits.charge(&whole, 2, 1.0).is_ok(),
        "at most a whole bucket is asked for"
    );
    assert!(limits.charge(&whole, 2, 1.0).is_err());
    let dear = limits.enter(key("e"), address(1)).expect("let in");
    let charge = limits.charge(&dear, 3, 1.0).expect("cheap at a guess");
    charge.expect("it has a limit").settle(Took::Busy(5_000.0));
    let refusal = limits
        .charge(&dear, 4, 1.0)
        .expect_err("it took fifty seconds' worth");
    let wait = refusal.into_response().headers()["retry-after"].clone();
    let wait: u64 = wait.to_str().expect("a number").parse().expect("seconds");
    assert!((40..=50).contains(&wait), "{wait}");
    let slow = limits.enter(key("f"), address(1)).expect("let in");
    let charge = limits.charge(&slow, 5, 1.0).expect("cheap at a guess");
    charge.expect("it has a limit").settle(Took::Time(60_000.0));
    let charge = limits.charge(&slow, 6, 0.0);
    assert!(charge.is_ok(), "no debt for what may have waited");
    let hits = limits.enter(key("d"), address(1)).expect("let in");
    let kept = (0..10_000).take_while(|_| limits.charge_kept(&hits, 1).is_ok());
    assert!(
        kept.count() >= 5_000,
        "an answer that is kept costs a fiftieth"
    );
}

#[test]
fn several_fronts_share_a_limit() {
    let limits = Limits::new(LimitOptions {
        keys_per_second: Some(number(30)),
        num_fronts: number(3),
        ..LimitOptions::default()
    });
    let share = limits.share(number(30), Duration::from_secs(1));
    assert_eq!(share.every, Duration::from_millis(100));
    assert_eq!(share.burst, number(15));
}
