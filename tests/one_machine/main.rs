//! One node in one process: what is written is found, exactly, and is there after a restart.

mod blocks;
mod booleans;
mod buckets;
mod capabilities;
mod conflicts;
mod documents;
mod filters;
mod highlighting;
mod layouts;
mod limits;
mod methods;
mod paging;
mod patterns;
mod reading;
mod room;
mod routing;
mod slices;
mod sorting;
mod synonyms;
mod tables;
mod writing;
