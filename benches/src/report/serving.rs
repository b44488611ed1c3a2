//! Searches over HTTP.
use super::{Options, Section};
use crate::corpus::Corpus;
/// x
pub fn measure(_: &Corpus, _: &Options, _: &std::path::Path) -> anyhow::Result<Section> {
    Ok(Section::default())
}
