//! The real process, ended at any moment: what it acknowledged is there, once, in its last version.
//!
//! kill -9 in the middle of bulk loads, a torn tail of the log, a second process on the folder, a
//! stop in order, a full disk; documents that end each process which applies them, files that are cut while they are read.

mod cut;
mod disk;
mod folder;
mod kill;
mod ledger;
mod load;
mod poison;
