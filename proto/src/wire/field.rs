//! Reading single fields: presence, numbers, lists, enums.

use std::time::Duration;

use super::{DecodeError, Wire};

/// Returns what must be there.
pub(super) fn required<T>(field: Option<T>, name: &'static str) -> Result<T, DecodeError> {
    field.ok_or(DecodeError::Missing(name))
}

/// Returns the member of a `oneof`; an unknown member reads as none.
pub(super) fn known<T>(kind: Option<T>, what: &'static str) -> Result<T, DecodeError> {
    kind.ok_or(DecodeError::Unknown { what })
}

/// Returns the member of an enum.
pub(super) fn member<E: TryFrom<i32>>(number: i32, what: &'static str) -> Result<E, DecodeError> {
    E::try_from(number).map_err(|_| DecodeError::Unknown { what })
}

/// Reads a message that must be there.
pub(super) fn one<D: Wire>(
    message: Option<D::Message>,
    name: &'static str,
) -> Result<D, DecodeError> {
    D::from_message(required(message, name)?)
}

/// Reads a message that may be there.
pub(super) fn maybe<D: Wire>(message: Option<D::Message>) -> Result<Option<D>, DecodeError> {
    message.map(D::from_message).transpose()
}

/// Reads all messages of a list.
pub(crate) fn all<D: Wire>(messages: Vec<D::Message>) -> Result<Vec<D>, DecodeError> {
    messages.into_iter().map(D::from_message).collect()
}

/// Returns the messages of a list of values.
pub(crate) fn messages<D: Wire>(values: &[D]) -> Vec<D::Message> {
    values.iter().map(D::to_message).collect()
}

/// Returns the message of a value that may be there.
pub(super) fn maybe_message<D: Wire>(value: Option<&D>) -> Option<D::Message> {
    value.map(D::to_message)
}

/// Returns a number that counts things in memory.
pub(super) fn size(number: u64, name: &'static str) -> Result<usize, DecodeError> {
    usize::try_from(number).map_err(|_| DecodeError::field(name, format!("{number} is too large")))
}

/// Returns a number of one byte.
pub(super) fn byte(number: u32, name: &'static str) -> Result<u8, DecodeError> {
    u8::try_from(number).map_err(|_| DecodeError::field(name, format!("{number} is too large")))
}

/// Returns whole milliseconds, rounded down: nobody believes to have more time than there is.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns whole microseconds, rounded down.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
