//! Values of a table.

use std::cmp::Ordering;

/// A value: as shown, and as ordered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    pub(super) shown: Option<String>,
    pub(super) number: Option<f64>,
}

impl Cell {
    /// A quantity that is shown with a unit.
    pub(crate) fn quantity(shown: String, number: f64) -> Self {
        Self {
            shown: Some(shown),
            number: Some(number),
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
            number: None,
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
        }
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(Self::default, Into::into)
    }
}
