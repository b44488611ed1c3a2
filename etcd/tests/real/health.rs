//! Problems of an etcd: three members that lose their majority, a database that is full, a member that stands still.

use std::time::Duration;

use anyhow::{Result, ensure};
use gleaner_coordinator::{Coordinator, CoordinatorError, StoreProblem, update};
use gleaner_etcd::{Client, EtcdCoordinator, IfAbsent};
use gleaner_proto::Connect;
use gleaner_proto::etcd::{Fault, Operation, Outcome, Range, Transaction};
use gleaner_testkit::etcd::{Etcd, NO_ETCD, is_installed};
use gleaner_testkit::skipped;
use tokio::time::{Instant, sleep};

use crate::cluster::{PATIENCE, keys, open, renamed, seen, within};

/// How often the problems are looked at.
const POLL: Duration = Duration::from_millis(50);

/// The quota of an etcd that is filled.
const QUOTA: u64 = 2 << 20;

fn client_of(members: &[Etcd]) -> Client {
    let addresses: Vec<String> = members.iter().map(Etcd::address).collect();
    Client::new(&Connect::default(), &addresses).expect("addresses")
}

/// Waits until the coordinator names the problems that are wanted.
async fn until_told(
    coordinator: &EtcdCoordinator,
    is_wanted: impl Fn(&[StoreProblem]) -> bool,
) -> Result<Vec<StoreProblem>> {
    let began = Instant::now();
    loop {
        let told = coordinator.store_problems();
        if is_wanted(&told) {
            return Ok(told);
        }
        ensure!(began.elapsed() < PATIENCE, "told otherwise: {told:?}");
        sleep(POLL).await;
    }
}

/// Changes the state, again where a change before was lost with the leader that it was given to.
async fn rename(coordinator: &EtcdCoordinator, name: &str) -> Result<u64> {
    let renaming =
        update::<CoordinatorError, _>(coordinator, |state| Ok(Some(renamed(state, name))));
    Ok(within(renaming).await?.version)
}

async fn refused_change(coordinator: &EtcdCoordinator) -> CoordinatorError {
    let state = coordinator.state();
    let changed = coordinator.compare_and_swap(state.version, renamed(&state, "rye"));
    within(changed).await.expect_err("etcd takes no change")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_majority_is_told_and_a_change_says_so() -> Result<()> {
    if !is_installed() {
        return skipped(
            "real::a_lost_majority_is_told_and_a_change_says_so",
            NO_ETCD,
        );
    }
    let mut members = Etcd::start_three()?;
    let coordinator = open(client_of(&members)).await;
    rename(&coordinator, "oats").await?;
    assert_eq!(coordinator.store_problems(), []);

    members[0].kill()?;
    rename(&coordinator, "oats again").await?;
    members[1].kill()?;
    let lost = "etcd has no majority (1 of 3 members answers)";
    let wanted = StoreProblem::Unavailable(lost.to_owned());
    until_told(&coordinator, |told| told == [wanted.clone()]).await?;
    let refused = refused_change(&coordinator).await;
    assert!(
        matches!(&refused, CoordinatorError::Unavailable { reason } if reason == lost),
        "{refused}"
    );
    let latest = within(coordinator.latest()).await;
    assert!(latest.is_err_and(|error| error.to_string().contains(lost)));

    members[0].restart()?;
    until_told(&coordinator, <[_]>::is_empty).await?;
    rename(&coordinator, "barley").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_stand_still_are_no_majority_either() -> Result<()> {
    if !is_installed() {
        return skipped(
            "real::members_that_stand_still_are_no_majority_either",
            NO_ETCD,
        );
    }
    let members = Etcd::start_three()?;
    let coordinator = open(client_of(&members)).await;
    rename(&coordinator, "oats").await?;
    // Two of them: the watch may be on the one that runs on.
    for still in [[0, 1], [1, 2]] {
        for member in still {
            members[member].stand_still()?;
        }
        let told = until_told(&coordinator, |told| !told.is_empty()).await?;
        let lost = "etcd has no majority (1 of 3 members answers)";
        assert_eq!(told, [StoreProblem::Unavailable(lost.to_owned())]);
        for member in still {
            members[member].go_on()?;
        }
        until_told(&coordinator, <[_]>::is_empty).await?;
    }
    rename(&coordinator, "barley").await?;
    Ok(())
}

/// For how long a client waits for a member that does not answer: longer than a test waits.
const HANGING: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_changes_do_not_hang_on_a_member_that_stands_still() -> Result<()> {
    if !is_installed() {
        return skipped(
            "real::reads_and_changes_do_not_hang_on_a_member_that_stands_still",
            NO_ETCD,
        );
    }
    let members = Etcd::start_three()?;
    let client = client_of(&members).with_patience(HANGING);
    let near = open(client.clone()).await;
    let far = open(client_of(&members)).await;
    // Whichever is in use, and whichever leads, is among them.
    for (number, member) in members.iter().enumerate() {
        let version = rename(&near, "oats").await?;
        seen(&far, version).await;
        member.stand_still()?;
        let began = Instant::now();
        within(client.range(Range::key("k"))).await?;
        let read = began.elapsed();
        let began = Instant::now();
        let version = rename(&near, &format!("rye {number}")).await?;
        let changed = began.elapsed();
        seen(&far, version).await;
        let shown = began.elapsed();
        eprintln!("member {number}: read {read:?}, changed {changed:?}, shown {shown:?}");
        member.go_on()?;
    }
    Ok(())
}

fn putting() -> Transaction {
    Transaction {
        compares: Vec::new(),
        operations: vec![Operation::Put {
            key: "filler".to_owned(),
            value: vec![b'x'; 64 << 10].into(),
            lease: None,
        }],
    }
}

/// Returns the size of the database of the only member.
async fn size(client: &Client) -> Result<u64> {
    let statuses = client.statuses(PATIENCE).await;
    let status = statuses.into_iter().next().expect("one member").status?;
    Ok(status.database.num_bytes)
}

/// Writes to the database until `is_enough`, or etcd refuses; returns how it does.
async fn fill(client: &Client, is_enough: impl Fn(u64) -> bool) -> Result<Option<Fault>> {
    loop {
        match within(client.transaction(putting())).await {
            Ok(Outcome::Committed(_)) => {}
            Ok(outcome) => anyhow::bail!("{outcome:?}"),
            Err(fault) => return Ok(Some(fault)),
        }
        // What it has written to its file counts, which it does every tenth of a second and tells nobody.
        sleep(3 * POLL).await;
        if is_enough(size(client).await?) {
            return Ok(None);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_fills_up_is_told_of_before_and_a_person_makes_room() -> Result<()> {
    if !is_installed() {
        return skipped(
            "real::an_etcd_that_fills_up_is_told_of_before_and_a_person_makes_room",
            NO_ETCD,
        );
    }
    let flag = format!("--quota-backend-bytes={QUOTA}");
    let etcd = Etcd::start_with_flags(&[&flag])?;
    let client = client_of(std::slice::from_ref(&etcd));
    let begin = IfAbsent::Begin(Box::default());
    let opened = EtcdCoordinator::open_with_quota(client.clone(), keys(), begin, QUOTA);
    let coordinator = within(opened).await?;
    assert_eq!(coordinator.store_problems(), []);

    let refused = fill(&client, |num_bytes| num_bytes * 100 >= QUOTA * 75).await?;
    assert_eq!(refused, None, "three quarters fit in");
    let told = until_told(&coordinator, |told| !told.is_empty()).await?;
    let [StoreProblem::NearQuota(reason)] = &*told else {
        anyhow::bail!("{told:?}");
    };
    assert!(
        reason.contains("of its quota") && reason.contains("of 2 MiB"),
        "{reason}"
    );
    rename(&coordinator, "oats").await?;

    let refused = fill(&client, |_| false).await?;
    assert_eq!(refused, Some(Fault::OutOfQuota));
    let refused = refused_change(&coordinator).await;
    let is_told = matches!(&refused, CoordinatorError::OutOfQuota { reason }
        if reason.starts_with("etcd is out of its quota (") && reason.contains("of 2 MiB at")
            && reason.ends_with(": compact and defragment it, see docs/operating.md"));
    assert!(is_told, "{refused}");
    let told = coordinator.store_problems();
    assert!(matches!(&*told, [StoreProblem::OutOfQuota(_)]), "{told:?}");

    let newest = within(client.range(Range::key("filler"))).await?.revision;
    etcd.compact(newest.0)?;
    etcd.defragment()?;
    let is_disarm_advised = |told: &[StoreProblem]| matches!(told, [StoreProblem::OutOfQuota(reason)] if reason.contains("alarm disarm"));
    until_told(&coordinator, is_disarm_advised).await?;
    etcd.disarm()?;
    until_told(&coordinator, <[_]>::is_empty).await?;
    rename(&coordinator, "barley").await?;
    Ok(())
}
