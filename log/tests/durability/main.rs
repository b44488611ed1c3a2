//! What the log promises, on disks that fail: conformance, crashes, damage, group commit, formats.

mod world;

mod agreement;
mod conformance;
mod crashes;
mod cutting;
mod damage;
mod disk_faults;
mod failed_syncs;
mod golden;
mod group_commit;
mod lives;
mod opening;
mod random_operations;
mod removal;
