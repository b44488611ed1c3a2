//! The flags of a front's limits, each with its variable.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread::available_parallelism;

use gleaner_front::{ControlOptions, LimitOptions, Visitors};

use super::visitors::Strangers;
use crate::config::Allowance;

/// Requests that backends answer at once, for each processor.
const PLACES_PER_CPU: usize = 256;

/// How often clients may ask, and at what cost. Several fronts of a file share each limit.
#[derive(Debug, clap::Args)]
pub(crate) struct LimitArguments {
    /// Requests a second of one address without a key, such as 20/s [default: no limit]
    #[arg(long, value_name = "N/s", env = "GLEANER_FRONT_LIMIT_STRANGERS")]
    limit_strangers: Option<Allowance>,
    /// Requests a second of one key that says nothing itself, such as 200/s [default: no limit]
    #[arg(long, value_name = "N/s", env = "GLEANER_FRONT_LIMIT_KEYS")]
    limit_keys: Option<Allowance>,
    /// Search CPU a second of one key that says nothing itself or one address, such as 2000ms/s [default: no limit]
    #[arg(long, value_name = "N ms/s", env = "GLEANER_FRONT_LIMIT_COST")]
    limit_cost: Option<Allowance>,
    /// Requests at once of one key that says nothing itself, and of one address where `--limit-strangers` is set
    #[arg(
        long,
        value_name = "N",
        default_value = "32",
        env = "GLEANER_FRONT_LIMIT_OPEN"
    )]
    limit_open: NonZeroU32,
    /// Wrong keys a minute of one address
    #[arg(
        long,
        value_name = "N",
        default_value = "10",
        env = "GLEANER_FRONT_LIMIT_WRONG_KEYS"
    )]
    limit_wrong_keys: NonZeroU32,
    /// Requests that backends answer at once; others wait, the urgent before the rest [default: 256 a processor]
    #[arg(long, value_name = "N", env = "GLEANER_FRONT_PLACES")]
    places: Option<NonZeroU32>,
}

impl LimitArguments {
    /// Returns what lets requests go on; without `visitors` nobody is known by a key.
    pub(super) fn control(
        &self,
        num_fronts: usize,
        visitors: Option<Arc<dyn Visitors>>,
    ) -> ControlOptions {
        let allowed = |given: &Option<Allowance>| given.and_then(|given| NonZeroU32::new(given.0));
        let num_fronts = u32::try_from(num_fronts).ok().and_then(NonZeroU32::new);
        let num_cpus = available_parallelism().map_or(1, usize::from);
        ControlOptions {
            limits: LimitOptions {
                strangers_per_second: allowed(&self.limit_strangers),
                keys_per_second: allowed(&self.limit_keys),
                cost_ms_per_second: allowed(&self.limit_cost),
                wrong_keys_per_minute: self.limit_wrong_keys,
                open_requests: self.limit_open,
                num_fronts: num_fronts.unwrap_or(NonZeroU32::MIN),
            },
            num_places: self
                .places
                .map_or(PLACES_PER_CPU * num_cpus, |places| places.get() as usize),
            visitors: visitors.unwrap_or_else(|| Arc::new(Strangers::default())),
        }
    }
}
