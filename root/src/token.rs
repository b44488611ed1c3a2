//! Opaque ids of scrolls and points in time: all their state travels with the client, so any root
//! can continue them.
//!
//! ```text
//! base64url, no padding, of
//!   2 bytes  "GT"            magic
//!   u8                       format: of points in time 2, of scrolls 5. Older ones are read too: views of
//!                            1 do not say which copy holds them, 2 has neither the shard of a scroll's last
//!                            hit nor its total, 3 not its largest score, 4 no documents that queries name
//!   u8       kind            1 point in time, 2 scroll
//!   u32      crc32c of the body, little-endian
//!   body     postcard
//! ```

mod state;
mod v1;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::RootError;

pub(crate) use state::{IndexViews, KeptDocuments, PointInTimeState, Position, ScrollState};

const MAGIC: &[u8; 2] = b"GT";
const HEAD_BYTES: usize = 8;

/// State that an id carries.
pub(crate) trait State: Serialize + DeserializeOwned {
    /// What kind of id it is.
    const KIND: u8;

    /// The format that is written.
    const FORMAT: u8;

    /// What each format from 3 on added to the end of the body, as it stands where there is none.
    const ADDED: &[&[u8]];

    /// What ids of format 1 carry.
    type First: DeserializeOwned + Into<Self>;
}

/// Returns the id that carries `state`.
///
/// # Errors
/// [`RootError::Internal`] when it cannot be encoded.
pub(crate) fn encode<T: State>(state: &T) -> Result<String, RootError> {
    let body =
        postcard::to_stdvec(state).map_err(|error| RootError::Internal(error.to_string()))?;
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend([T::FORMAT, T::KIND]);
    bytes.extend(crc32c::crc32c(&body).to_le_bytes());
    bytes.extend(body);
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Returns what an id carries.
///
/// # Errors
/// [`RootError::BadToken`] for what is no id of this kind, is damaged, or of a newer version.
pub(crate) fn decode<T: State>(token: &str) -> Result<T, RootError> {
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
    let format = head[2];
    if format > T::FORMAT {
        return Err(bad("it was made by a newer version"));
    }
    if head[3] != T::KIND {
        return Err(bad("it is an id of another kind"));
    }
    if head[4..] != crc32c::crc32c(body).to_le_bytes() {
        return Err(bad("it is damaged"));
    }
    let read = match format {
        1 => postcard::from_bytes::<T::First>(body).map(Into::into),
        _ => postcard::from_bytes(&[body, &added_since::<T>(format)].concat()),
    };
    read.map_err(|_| bad("it is damaged"))
}

/// Returns what formats after `format` added, as it stands where there is none.
fn added_since<T: State>(format: u8) -> Vec<u8> {
    let lacking = T::ADDED.get(usize::from(format).saturating_sub(2)..);
    lacking.unwrap_or_default().concat()
}

/// Returns the views that an id of either kind names.
///
/// # Errors
/// As [`decode`].
pub(crate) fn views_of(token: &str) -> Result<PointInTimeState, RootError> {
    decode::<PointInTimeState>(token).or_else(|_| Ok(decode::<ScrollState>(token)?.pit))
}

/// Returns what of a token is fit for a message.
fn shown(token: &str) -> String {
    token.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use gleaner_query::answer::SortValue;
    use gleaner_query::dsl::LookUp;
    use gleaner_query::resolved::TieBreak;
    use gleaner_query::search::NamedDocuments;
    use serde_json::json;

    use super::*;

    fn state(nodes: &[&str]) -> PointInTimeState {
        let node = |at: u32| at.min(nodes.len() as u32);
        let indices = vec![IndexViews {
            index: [3; 16],
            views: vec![(0, 7, node(1)), (1, 9, node(2))],
            alias_filters: vec!["{}".to_owned()],
        }];
        PointInTimeState {
            indices,
            nodes: nodes.iter().map(ToString::to_string).collect(),
            keep_alive_ms: 60_000,
            holder: 11,
        }
    }

    fn named() -> KeptDocuments {
        let place = LookUp {
            index: "lists".to_owned(),
            id: "1".to_owned(),
            routing: None,
        };
        let named = NamedDocuments {
            index: Some("books".to_owned()),
            found: [(place, Some(json!({"a": [1]})))].into(),
        };
        KeptDocuments::of(&named).expect("short")
    }

    fn scroll(nodes: &[&str]) -> ScrollState {
        let hash = 5;
        ScrollState {
            pit: state(nodes),
            body: b"{}".to_vec(),
            parameters: vec![("size".to_owned(), "1".to_owned())],
            after: Some(Position {
                keys: vec![SortValue::F64(1.5), SortValue::Missing],
                tie: TieBreak { hash, id: None },
                plan: 1,
                shard: None,
            }),
            now_ms: 7,
            after_shard: Some(3),
            total: Some(9),
            max_score: Some(2.5),
            named: named(),
        }
    }

    const NODES: &[&str] = &["leaf-1", "leaf-2"];

    #[test]
    fn a_token_survives_its_text_form_and_is_frozen() {
        let token = encode(&state(NODES)).expect("encodes");
        let read: PointInTimeState = decode(&token).expect("decodes");
        assert_eq!(read, state(NODES));
        assert_eq!(token, include_str!("token/point_in_time.v2").trim_end());
    }

    #[test]
    fn a_scroll_survives_its_text_form_and_is_frozen() {
        let token = encode(&scroll(NODES)).expect("encodes");
        assert_eq!(
            decode::<ScrollState>(&token).expect("decodes"),
            scroll(NODES)
        );
        assert_eq!(token, include_str!("token/scroll.v5").trim_end());
    }

    #[test]
    fn a_scroll_of_the_second_format_does_not_say_its_shard() {
        let token = include_str!("token/scroll.v2").trim_end();
        let read: ScrollState = decode(token).expect("decodes");
        let expected = ScrollState {
            after_shard: None,
            total: None,
            max_score: None,
            named: KeptDocuments::default(),
            ..scroll(NODES)
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn a_scroll_of_the_third_format_does_not_say_its_largest_score() {
        let token = include_str!("token/scroll.v3").trim_end();
        let read: ScrollState = decode(token).expect("decodes");
        let expected = ScrollState {
            max_score: None,
            named: KeptDocuments::default(),
            ..scroll(NODES)
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn a_scroll_of_the_fourth_format_names_no_documents() {
        let token = include_str!("token/scroll.v4").trim_end();
        let read: ScrollState = decode(token).expect("decodes");
        let expected = ScrollState {
            named: KeptDocuments::default(),
            ..scroll(NODES)
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn ids_of_either_kind_name_their_views() {
        let ids = [encode(&state(NODES)), encode(&scroll(NODES))];
        for id in ids.map(|id| id.expect("encodes")) {
            assert_eq!(views_of(&id).expect("decodes"), state(NODES));
        }
        assert!(views_of("no id").is_err());
    }

    #[test]
    fn ids_of_the_first_format_name_no_copies() {
        let token = include_str!("token/point_in_time.v1").trim_end();
        let read: PointInTimeState = decode(token).expect("decodes");
        assert_eq!(read, state(&[]));
        assert!(
            read.pinned(&read.indices[0])
                .all(|(_, node, _)| node.is_none())
        );
        let token = include_str!("token/scroll.v1").trim_end();
        let expected = ScrollState {
            after_shard: None,
            total: None,
            max_score: None,
            named: KeptDocuments::default(),
            ..scroll(&[])
        };
        assert_eq!(decode::<ScrollState>(token).expect("decodes"), expected);
    }

    #[test]
    fn a_view_is_on_the_copy_that_the_id_names() {
        let state = state(NODES);
        let nodes: Vec<_> = state
            .pinned(&state.indices[0])
            .map(|(shard, node, view)| (shard.shard.0, node.map(|n| n.to_string()), view.0))
            .collect();
        let expected = [
            (0, Some("leaf-1".to_owned()), 7),
            (1, Some("leaf-2".to_owned()), 9),
        ];
        assert_eq!(nodes, expected);
    }

    #[test]
    fn other_kinds_and_damaged_tokens_are_refused() {
        let token = encode(&state(NODES)).expect("encodes");
        assert!(decode::<ScrollState>(&token).is_err());
        for cut in 0..token.len() {
            assert!(decode::<PointInTimeState>(&token[..cut]).is_err());
        }
        assert!(decode::<PointInTimeState>("é").is_err());
    }
}
