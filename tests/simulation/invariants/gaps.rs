//! An answer holds everything that matches in the shards it covers, and names the others.

use gleaner_root::{RootError, SearchResponse};

use super::each_search;
use crate::expected::{Fit, failed, fit};
use crate::history::Search;
use crate::run::Run;

pub(super) fn check(run: &Run) -> Vec<String> {
    each_search(run, |search| match &search.ended.as_ref()?.outcome {
        Ok(response) => of_answer(run, search, response),
        Err(error) => of_error(error),
    })
}

fn of_answer(run: &Run, search: &Search, response: &SearchResponse) -> Option<String> {
    let num_shards = run.schedule().copies.len() as u32;
    let shards = &response.shards;
    let num_failed = failed(response).len() as u32;
    if shards.total != num_shards
        || shards.successful + num_failed != num_shards
        || shards.failures.len() as u32 != num_failed
    {
        return Some(format!("{shards:?} do not add up to {num_shards} shards"));
    }
    let coverage = &response.coverage;
    let counted = coverage.shards_seen + coverage.shards_cut + coverage.shards_missing;
    if counted != num_shards || coverage.shards_missing != num_failed {
        return Some(format!("{coverage:?} is not of {num_shards} shards"));
    }
    let share = response.coverage.share();
    if search.min_coverage.is_some_and(|wanted| share < wanted) {
        return Some(format!("it covers {share}, less than was accepted"));
    }
    let (fit, what) = fit(run, search, response);
    (fit == Fit::None).then_some(what)
}

fn of_error(error: &RootError) -> Option<String> {
    match error {
        RootError::AllShardsFailed { failures, .. } | RootError::PartialRefused { failures }
            if !failures.is_empty() =>
        {
            None
        }
        // Shards that were cut short are not listed.
        RootError::CoverageTooLow { wanted, share, .. } if share < wanted => None,
        other => Some(format!("an error that names no shard: {other}")),
    }
}
