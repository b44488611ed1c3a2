//! The context of a trace as it travels: W3C Trace Context, level 1 (`traceparent`).

use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, HeaderName};

use crate::recorder;

/// The header, and the key of gRPC metadata, that carries a context.
pub const TRACEPARENT: HeaderName = HeaderName::from_static(TRACEPARENT_KEY);

/// The same as a text.
pub const TRACEPARENT_KEY: &str = "traceparent";

/// Flag of a trace that its caller records.
const SAMPLED: u8 = 1;

/// A place in a trace: the span that what follows belongs below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// Number of the trace; not 0.
    pub trace_id: u128,
    /// Number of the span; not 0.
    pub span_id: u64,
    /// Is the trace recorded?
    pub is_sampled: bool,
}

/// The text is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadTraceparent;

impl TraceContext {
    /// Returns what the headers of a request carry; `None` without a valid `traceparent`, as the standard has it.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all(TRACEPARENT).iter();
        let first = given.next()?.to_str().ok()?;
        // Two of them say nothing that could be relied on.
        given.next().is_none().then(|| first.parse().ok())?
    }

    /// Returns the place of a request in the trace of its caller, or in one that begins with it.
    ///
    /// It is recorded where its number is within the share that this process records, so that processes with the same share
    /// decide alike, and where its caller records it, up to so many a second: anybody may say so.
    pub fn below(caller: Option<Self>) -> Self {
        let trace_id = caller.map_or_else(|| rand::random::<u128>().max(1), |of| of.trace_id);
        let is_asked_for = caller.is_some_and(|of| of.is_sampled);
        Self {
            trace_id,
            span_id: new_span_id(),
            is_sampled: recorder::is_recorded(trace_id, is_asked_for),
        }
    }

    /// Returns the place of a part of what is done here.
    pub(crate) fn part(self) -> Self {
        Self {
            span_id: new_span_id(),
            ..self
        }
    }

    /// Returns the number of the trace as logs have it: 32 hexadecimal digits.
    pub fn trace_hex(self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

fn new_span_id() -> u64 {
    rand::random::<u64>().max(1)
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled) * SAMPLED;
        write!(
            f,
            "00-{:032x}-{:016x}-{flags:02x}",
            self.trace_id, self.span_id
        )
    }
}

impl FromStr for TraceContext {
    type Err = BadTraceparent;

    /// Reads version 00, and of later versions what is the same there.
    fn from_str(text: &str) -> Result<Self, BadTraceparent> {
        let mut parts = text.split('-');
        let mut hex = |num_digits: usize| {
            let part = parts.next().ok_or(BadTraceparent)?;
            let is_lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            let is_hex = part.len() == num_digits && part.bytes().all(is_lower);
            let number = u128::from_str_radix(part, 16);
            number.ok().filter(|_| is_hex).ok_or(BadTraceparent)
        };
        let (version, trace_id, span_id, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let has_more = parts.next().is_some();
        let is_wrong = version == 0xff || (version == 0 && has_more);
        if is_wrong || trace_id == 0 || span_id == 0 {
            return Err(BadTraceparent);
        }
        Ok(Self {
            trace_id,
            span_id: span_id as u64,
            is_sampled: flags as u8 & SAMPLED != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_written_is_read_again() {
        let context: TraceContext = GOOD.parse().expect("the example of the standard");
        assert_eq!(context.to_string(), GOOD);
        assert_eq!(context.trace_hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.part().trace_id, context.trace_id);
        let later = format!("01{}-more", &GOOD[2..]);
        assert_eq!(later.parse(), Ok(context), "of a later version");
    }

    #[test]
    fn what_is_no_context_is_passed_over() {
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        ] {
            assert_eq!(bad.parse::<TraceContext>(), Err(BadTraceparent), "{bad}");
        }
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, GOOD.parse().expect("a value"));
        assert!(TraceContext::of(&headers).is_some());
        headers.append(TRACEPARENT, GOOD.parse().expect("a value"));
        assert_eq!(TraceContext::of(&headers), None, "two of them");
    }

    #[test]
    fn a_trace_goes_on_below_its_caller() {
        let caller: TraceContext = GOOD.parse().expect("valid");
        let here = TraceContext::below(Some(caller));
        assert_eq!(here.trace_id, caller.trace_id);
        assert_ne!(here.span_id, caller.span_id);
        let begun = TraceContext::below(None);
        assert_ne!(begun.trace_id, TraceContext::below(None).trace_id);
    }
}
