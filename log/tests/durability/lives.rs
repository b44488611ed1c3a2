//! Lives of copies: appended to, copied to, cut, fenced, trimmed, begun anew, with the power cut at every operation.
//! Nothing acknowledged is lost, nothing cut comes back, no batch is half there.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gleaner_log::files::{Fault, SimulatedFiles, Survival};
use gleaner_log::{LocalLog, LogOptions};

use crate::world::{ROOT, is_proof, seed};
use disk::{LifeFiles, Moment, Moments};
use planted::PlantedError;
use work::work;

mod disk;
mod history;
mod planted;
mod work;

/// How the log of a life is set up.
#[derive(Debug, Clone, Copy)]
struct Setting {
    segment_bytes: u64,
    journal_bytes: u64,
    floor_interval: Duration,
}

/// Small segments without a journal, with one, with one that is soon full, and with a checkpoint after each round.
const SETTINGS: [Setting; 5] = [
    Setting {
        segment_bytes: 900,
        journal_bytes: 0,
        floor_interval: Duration::MAX,
    },
    Setting {
        segment_bytes: 900,
        journal_bytes: 8 << 20,
        floor_interval: Duration::MAX,
    },
    Setting {
        segment_bytes: 1,
        journal_bytes: 8 << 20,
        floor_interval: Duration::MAX,
    },
    Setting {
        segment_bytes: 64 << 20,
        journal_bytes: 4096 + 1000,
        floor_interval: Duration::MAX,
    },
    Setting {
        segment_bytes: 900,
        journal_bytes: 8 << 20,
        floor_interval: Duration::from_nanos(1),
    },
];

/// One life and the end of it.
#[derive(Debug, Clone, Copy)]
struct Life {
    seed: u64,
    setting: Setting,
    planted: Option<PlantedError>,
}

impl Life {
    fn options(self, files: &SimulatedFiles, moments: Option<Arc<Moments>>) -> LogOptions {
        LogOptions {
            segment_bytes: self.setting.segment_bytes,
            journal_bytes: self.setting.journal_bytes,
            floor_interval: self.setting.floor_interval,
            num_producers: history::NUM_PRODUCERS,
            files: Arc::new(LifeFiles {
                files: files.clone(),
                planted: self.planted,
                moments,
            }),
            ..LogOptions::default()
        }
    }

    /// Lives to the end; returns the moments before each operation on the disk.
    async fn live(self) -> Result<Vec<Moment>, String> {
        let files = SimulatedFiles::new();
        let moments = Arc::new(Moments::default());
        let options = self.options(&files, Some(Arc::clone(&moments)));
        let opened = LocalLog::open(Path::new(ROOT), options);
        let (log, _) = opened.map_err(|error| error.to_string())?;
        work(&log, self, &moments).await?;
        drop(log);
        Ok(moments.take())
    }

    /// Opens what the power cut has left; `None` when it is cut again meanwhile.
    fn open(self, files: &SimulatedFiles) -> Result<Option<LocalLog>, String> {
        let opened = LocalLog::open(Path::new(ROOT), self.options(files, None));
        if files.is_down() {
            return Ok(None);
        }
        let (log, report) = opened.map_err(|error| error.to_string())?;
        match report.shards.iter().find_map(|shard| shard.failed.as_ref()) {
            Some(failed) => Err(format!("a shard failed: {failed}")),
            None => Ok(Some(log)),
        }
    }

    /// Looks at the log after a power cut; where `again` says so, the power is cut once more while it is opened.
    async fn look(
        self,
        moment: &Moment,
        survival: Survival,
        again: Option<u64>,
    ) -> Result<(), String> {
        let files = moment.files.fork();
        files.reboot(survival);
        if let Some(again) = again {
            files.fail_operation(files.num_operations() + again, Fault::PowerCut);
            drop(self.open(&files)?);
            files.reboot(survival);
        }
        let mut known = moment.known.clone();
        for step in ["opened", "opened again"] {
            let log = self.open(&files)?.ok_or("the power is on")?;
            let looked = known.look(&log).await;
            looked.map_err(|reason| format!("{step}: {reason}"))?;
        }
        Ok(())
    }

    /// Cuts the power at every operation of the life, with three fates for what was not synced; returns how often.
    async fn cut_everywhere(self) -> Result<u64, String> {
        let mut num_cuts = 0;
        let moments = self.live().await;
        let moments = moments.map_err(|reason| format!("{reason}\n{self:?}"))?;
        for (number, moment) in (0..).zip(&moments) {
            for survival in [Survival::Synced, Survival::All, Survival::Random(number)] {
                let again = (num_cuts % 4 == 0).then_some(num_cuts / 4 % 24);
                let looked = self.look(moment, survival, again).await;
                looked.map_err(|reason| {
                    format!("{reason}\n{self:?}, operation {number}, {survival:?}, {again:?}")
                })?;
                num_cuts += 1;
            }
        }
        Ok(num_cuts)
    }
}

#[tokio::test]
async fn a_power_cut_at_any_operation_of_a_life_loses_nothing_and_brings_nothing_back() {
    let (num_lives, expected) = match is_proof() {
        true => (60, 100_000),
        false => (2, 3_000),
    };
    let mut num_cuts = 0;
    for (number, setting) in (0..).zip(SETTINGS) {
        for seed in seed(100 * number)..seed(100 * number) + num_lives {
            let life = Life {
                seed,
                setting,
                planted: None,
            };
            num_cuts += life
                .cut_everywhere()
                .await
                .unwrap_or_else(|e| panic!("{e}"));
        }
    }
    println!(
        "{num_cuts} power cuts in lives of copies, 0 acknowledged batches lost, 0 cut ones back"
    );
    assert!(num_cuts >= expected, "only {num_cuts} cuts were tried");
}

#[tokio::test]
async fn every_planted_error_is_found() {
    for planted in PlantedError::ALL {
        let mut lives = (seed(0)..seed(0) + 20).flat_map(|seed| {
            SETTINGS.map(|setting| Life {
                seed,
                setting,
                planted: Some(planted),
            })
        });
        let found = loop {
            let life = lives
                .next()
                .unwrap_or_else(|| panic!("{planted:?} is not found"));
            if let Err(reason) = life.cut_everywhere().await {
                break reason;
            }
        };
        println!("{planted:?} is found: {found}");
    }
}
