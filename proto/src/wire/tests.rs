//! Values through bytes and back; bytes of other versions and of nobody we know.

mod aggregations;
mod answers;
mod calls;
mod clauses;
mod frozen;
mod hostile;
mod intervals;
mod node_stats;
mod postings;
mod queries;
mod round_trips;

use std::fmt::Debug;

use prost::Message;

use super::{DecodeError, Wire};

/// Returns what `value` is after its way through bytes.
fn through_bytes<D>(value: &D) -> Result<D, DecodeError>
where
    D: Wire<Message: Message + Default>,
{
    let bytes = bytes::Bytes::from(value.to_message().encode_to_vec());
    D::from_message(D::Message::decode(bytes).expect("it was encoded as this message"))
}

/// Asserts that `value` comes back as it was; debug text tells also what `==` cannot compare.
fn comes_back<D>(value: &D)
where
    D: Wire<Message: Message + Default> + Debug,
{
    let back = through_bytes(value).expect("it can be read");
    assert_eq!(format!("{back:?}"), format!("{value:?}"));
}
