//! Values of a table.

use std::cmp::Ordering;

/// A value: as shown, and as ordered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    pub(super) shown: Option<String>,
    pub(super) number: Option<f64>,
    /// Whether there is a value which is not known.
    is_unknown: bool,
}

impl Cell {
    /// A quantity that is shown with a unit.
    pub(crate) fn quantity(shown: String, number: f64) -> Self {
        Self {
            shown: Some(shown),
            number: Some(number),
            is_unknown: false,
        }
    }

    /// A value that nobody told: `-` in text, so that each line has as many words, and nothing in JSON.
    pub(crate) fn unknown() -> Self {
        Self {
            is_unknown: true,
            ..Self::default()
        }
    }

    /// Returns the text of the cell.
    pub(super) fn text(&self) -> &str {
        match &self.shown {
            Some(shown) => shown,
            None if self.is_unknown => "-",
            None => "",
        }
    }

    /// Orders any two cells: empty ones first, then numbers, then texts.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let kind = self.kind().cmp(&other.kind());
        kind.then_with(|| match (self.number, other.number) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => self.shown.cmp(&other.shown),
        })
    }

    fn kind(&self) -> u8 {
        match (&self.shown, self.number) {
            (_, Some(_)) => 1,
            (Some(_), None) => 2,
            (None, None) => 0,
        }
    }
}

impl From<String> for Cell {
    fn from(shown: String) -> Self {
        Self {
            shown: Some(shown),
            ..Self::default()
        }
    }
}

impl From<&str> for Cell {
    fn from(shown: &str) -> Self {
        Self::from(shown.to_owned())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self {
            shown: Some(number.to_string()),
            number: Some(number as f64),
            is_unknown: false,
        }
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(Self::default, Into::into)
    }
}
