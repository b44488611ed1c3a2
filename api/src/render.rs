//! Domain answers → the dialect's JSON and tables.

pub(crate) mod aggregation;
pub(crate) mod document;
pub(crate) mod hit;
pub(crate) mod profile;
pub(crate) mod search;
pub(crate) mod shards;
pub(crate) mod units;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gleaner_model::IndexUuid;

/// Returns a UUID as the dialect writes it: 22 characters.
pub(crate) fn uuid_text(uuid: &IndexUuid) -> String {
    URL_SAFE_NO_PAD.encode(uuid.0)
}
