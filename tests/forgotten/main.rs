//! Leaves that come back with less than they had, as processes with a real etcd: what is missing is never served as if it
//! were all there is.
//!
//! ```text
//! a fault     log gone, index gone, both gone, an older folder (of the same start, of an earlier one), log truncated, a
//!             byte of the log flipped, another leaf's folder
//! of a copy   the only one, the last one in sync, of two and of three: a follower, a primary
//! ```
//!
//! The ordinary tests try some of these, `cargo xtask prove --tier forgotten` all of them.
//!
//! Where another whole copy is, the shard is green again by itself. Where none is, it is red, the reason says what is
//! missing, nothing is acknowledged on top, and the folder that is brought back has everything.

mod site;

use anyhow::{Result, ensure};
use gleaner_testkit::etcd::{NO_ETCD, is_installed};
use gleaner_testkit::folder::FolderFault;
use gleaner_testkit::skipped;

use site::{Found, Place, Site};

async fn tried(place: Place) -> Result<()> {
    if !is_installed() {
        return skipped(&format!("forgotten::{place:?}"), NO_ETCD);
    }
    let mut site = Site::start(place).await?;
    let mut rows = Vec::new();
    for fault in place.faults() {
        let found = site.try_fault(place, *fault).await?;
        rows.push(format!("{place:?} · {fault:?}: {found}"));
        ensure!(
            !matches!(found, Found::LostInSilence { .. }),
            "{}",
            rows.join("\n")
        );
        let is_as_wanted = match fault {
            FolderFault::OtherLeaf => matches!(found, Found::NotStarted { .. }),
            _ => !place.has_another() || matches!(found, Found::Whole { .. }),
        };
        ensure!(is_as_wanted, "{}", rows.join("\n"));
    }
    eprintln!("{}", rows.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_copy_never_serves_less_than_was_acknowledged() -> Result<()> {
    tried(Place::Only).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_copy_in_sync_never_serves_less_than_was_acknowledged() -> Result<()> {
    tried(Place::Last).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_forgot_is_made_anew() -> Result<()> {
    tried(Place::Follower).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_forgot_gives_its_role_away_and_is_made_anew() -> Result<()> {
    tried(Place::Primary).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_forgot_and_was_taken_over_from_is_made_anew() -> Result<()> {
    tried(Place::Deposed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_of_three_that_forgot_is_made_anew() -> Result<()> {
    tried(Place::FollowerOfThree).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_of_three_that_forgot_gives_its_role_away_and_is_made_anew() -> Result<()> {
    tried(Place::PrimaryOfThree).await
}
