//! Units that the calendar cuts time into.

use serde::Serialize;

/// Units of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum CalendarUnit {
    /// `1m`.
    Minute,
    /// `1h`.
    Hour,
    /// `1d`.
    Day,
    /// `1w`, from Monday.
    Week,
    /// `1M`.
    Month,
    /// `1q`.
    Quarter,
    /// `1y`.
    Year,
}
