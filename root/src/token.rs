//! Opaque ids of scrolls and points in time: all their state travels with the client, so any root
//! can continue them.
//!
//! ```text
//! base64url, no padding, of
//!   2 bytes  "GT"            magic
//!   u8       1               format
//!   u8       kind            1 point in time, 2 scroll
//!   u32      crc32c of the body, little-endian
//!   body     postcard
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gleaner_model::{IndexUuid, ShardKey, ShardNumber};
use gleaner_query::answer::{SortValue, ViewId};
use gleaner_query::resolved::TieBreak;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::RootError;

const MAGIC: &[u8; 2] = b"GT";
const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 8;

/// What kind of id it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    PointInTime = 1,
    Scroll = 2,
}

/// Views of one index in a token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct IndexViews {
    pub(crate) index: [u8; 16],
    /// Shard and view.
    pub(crate) views: Vec<(u32, u64)>,
    /// Filters of the aliases it was reached through, as JSON text.
    pub(crate) alias_filters: Vec<String>,
}

impl IndexViews {
    pub(crate) fn uuid(&self) -> IndexUuid {
        IndexUuid(self.index)
    }

    pub(crate) fn pinned(&self) -> impl Iterator<Item = (ShardKey, ViewId)> {
        let index = self.uuid();
        self.views.iter().map(move |(shard, view)| {
            (
                ShardKey {
                    index,
                    shard: ShardNumber(*shard),
                },
                ViewId(*view),
            )
        })
    }
}

/// A hit's place in the order of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Its sort keys; the score where there are none.
    pub(crate) keys: Vec<SortValue>,
    /// Its tie-break.
    pub(crate) tie: TieBreak,
    /// Position of its index among those searched: documents of the same id in several indices tie
    /// in everything else.
    pub(crate) plan: u32,
}

/// State of a point in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PointInTimeState {
    pub(crate) indices: Vec<IndexViews>,
    /// Milliseconds an unused view lives.
    pub(crate) keep_alive_ms: u64,
    /// Who pinned the views: random.
    pub(crate) holder: u64,
}

/// State of a scroll.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScrollState {
    pub(crate) pit: PointInTimeState,
    /// The search's body as received.
    pub(crate) body: Vec<u8>,
    /// Its URI parameters.
    pub(crate) parameters: Vec<(String, String)>,
    /// The last hit returned.
    pub(crate) after: Option<Position>,
    /// The request's time, fixed when the scroll began.
    pub(crate) now_ms: i64,
}

pub(crate) fn encode<T: Serialize>(kind: Kind, state: &T) -> Result<String, RootError> {
    let body =
        postcard::to_stdvec(state).map_err(|error| RootError::Internal(error.to_string()))?;
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend([FORMAT, kind as u8]);
    bytes.extend(crc32c::crc32c(&body).to_le_bytes());
    bytes.extend(body);
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

pub(crate) fn decode<T: DeserializeOwned>(kind: Kind, token: &str) -> Result<T, RootError> {
    let bad = |why: &str| RootError::BadToken(format!("cannot read id [{}]: {why}", shown(token)));
    let bytes = URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| bad("it is not base64url"))?;
    let (head, body) = bytes
        .split_at_checked(HEAD_BYTES)
        .ok_or_else(|| bad("it is too short"))?;
    if &head[..2] != MAGIC {
        return Err(bad("it was not made by this engine"));
    }
    if head[2] > FORMAT {
        return Err(bad("it was made by a newer version"));
    }
    if head[3] != kind as u8 {
        return Err(bad("it is an id of another kind"));
    }
    if head[4..] != crc32c::crc32c(body).to_le_bytes() {
        return Err(bad("it is damaged"));
    }
    postcard::from_bytes(body).map_err(|_| bad("it is damaged"))
}

/// Returns what of a token is fit for a message.
fn shown(token: &str) -> String {
    token.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> PointInTimeState {
        let indices = vec![IndexViews {
            index: [3; 16],
            views: vec![(0, 7), (1, 9)],
            alias_filters: vec!["{}".to_owned()],
        }];
        PointInTimeState {
            indices,
            keep_alive_ms: 60_000,
            holder: 11,
        }
    }

    #[test]
    fn a_token_survives_its_text_form_and_is_frozen() {
        let token = encode(Kind::PointInTime, &state()).expect("encodes");
        assert_eq!(
            decode::<PointInTimeState>(Kind::PointInTime, &token).expect("decodes"),
            state()
        );
        assert_eq!(token, include_str!("token/point_in_time.v1").trim_end());
    }

    #[test]
    fn a_scroll_survives_its_text_form_and_is_frozen() {
        let hash = 5;
        let scroll = ScrollState {
            pit: state(),
            body: b"{}".to_vec(),
            parameters: vec![("size".to_owned(), "1".to_owned())],
            after: Some(Position {
                keys: vec![SortValue::F64(1.5), SortValue::Missing],
                tie: TieBreak { hash, id: None },
                plan: 1,
            }),
            now_ms: 7,
        };
        let token = encode(Kind::Scroll, &scroll).expect("encodes");
        assert_eq!(
            decode::<ScrollState>(Kind::Scroll, &token).expect("decodes"),
            scroll
        );
        assert_eq!(token, include_str!("token/scroll.v1").trim_end());
    }

    #[test]
    fn other_kinds_and_damaged_tokens_are_refused() {
        let token = encode(Kind::PointInTime, &state()).expect("encodes");
        assert!(decode::<ScrollState>(Kind::Scroll, &token).is_err());
        for cut in 0..token.len() {
            assert!(decode::<PointInTimeState>(Kind::PointInTime, &token[..cut]).is_err());
        }
        assert!(decode::<PointInTimeState>(Kind::PointInTime, "é").is_err());
    }
}
