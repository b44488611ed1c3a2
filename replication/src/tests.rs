//! The proofs of the rules: an explorer of all interleavings, random walks, planted errors.

mod explorer;
mod planted;
mod proof;
mod rights;
mod roles;
mod size;
mod timed;
mod walk;
mod world;
