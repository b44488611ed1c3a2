//! An etcd of several members, of which one is away or silent: one etcd, reached over a link for each name.

use std::time::Duration;

use anyhow::Result;
use gleaner_etcd::Client;
use gleaner_proto::Connect;
use gleaner_proto::etcd::{Fault, Operation, Outcome, Range, Transaction};
use gleaner_testkit::skipped;

use crate::cluster::{change, open, seen, with_index, within};
use crate::link::{Link, Mode};
use crate::server::{Etcd, NO_ETCD};

/// How long a silent member is waited for.
const PATIENCE: Duration = Duration::from_millis(300);

/// Returns a client of two members, and the link to the first.
fn of_two(etcd: &Etcd) -> (Client, Link) {
    let (first, second) = (Link::new(), Link::new());
    let (to_first, target) = (first.clone(), etcd.address());
    let connect = Connect::by(move |address| {
        let link = match &*address {
            "first:1" => to_first.clone(),
            _ => second.clone(),
        };
        let target = target.clone();
        async move { link.dial(&target).await }
    });
    let addresses = ["first:1", "second:1"].map(str::to_owned);
    let client = Client::new(&connect, &addresses).expect("addresses");
    (client, first)
}

fn putting(key: &str) -> Transaction {
    Transaction {
        compares: Vec::new(),
        operations: vec![Operation::Put {
            key: key.to_owned(),
            value: "v".into(),
            lease: None,
        }],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_away_is_passed_over_also_for_a_change() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped(
            "real::a_member_that_is_away_is_passed_over_also_for_a_change",
            NO_ETCD,
        );
    };
    let (client, first) = of_two(&etcd);
    // It is there when another client is answered.
    open(etcd.client()).await;
    first.set(Mode::Cut);
    let outcome = within(client.transaction(putting("k"))).await?;
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_silent_member_did_is_unknown_and_reads_go_to_the_next() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped(
            "real::what_a_silent_member_did_is_unknown_and_reads_go_to_the_next",
            NO_ETCD,
        );
    };
    open(etcd.client()).await;
    let (client, first) = of_two(&etcd);
    first.set(Mode::HoldAnswers);
    let client = client.with_patience(PATIENCE);
    let read = within(client.range(Range::key("k"))).await?;
    assert_eq!(read.pairs, []);
    let (client, first) = of_two(&etcd);
    first.set(Mode::HoldAnswers);
    let client = client.with_patience(PATIENCE);
    let unknown = within(client.transaction(putting("k"))).await;
    assert!(matches!(unknown, Err(Fault::Unknown { .. })), "{unknown:?}");
    let outcome = within(client.transaction(putting("l"))).await;
    assert!(matches!(outcome, Ok(Outcome::Committed(_))), "{outcome:?}");
    let made = within(etcd.client().range(Range::key("l"))).await?;
    assert_eq!(made.pairs[0].value, "v");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_with_the_next_member_when_one_is_silent() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped(
            "real::a_watch_goes_on_with_the_next_member_when_one_is_silent",
            NO_ETCD,
        );
    };
    let near = open(etcd.client()).await;
    let (client, first) = of_two(&etcd);
    let far = open(client).await;
    change(&near, |state| with_index(state, 1)).await;
    seen(&far, 1).await;
    first.set(Mode::HoldAnswers);
    let next = change(&near, |state| with_index(state, 2)).await;
    assert_eq!(seen(&far, 2).await, next);
    Ok(())
}
