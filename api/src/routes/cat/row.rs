//! Rows of wide tables, by the names of their columns.

use std::collections::HashMap;

use crate::response::{Cell, Column};

/// Where the columns of a table stand, by their names.
pub(super) struct Places {
    at: HashMap<&'static str, usize>,
    num_columns: usize,
}

impl Places {
    pub(super) fn of(columns: &'static [Column]) -> Self {
        let places = columns.iter().enumerate();
        Self {
            at: places.map(|(at, column)| (column.name, at)).collect(),
            num_columns: columns.len(),
        }
    }
}

/// A row. What is not put stays empty.
pub(super) struct Row {
    places: &'static Places,
    cells: Vec<Cell>,
}

impl Row {
    /// Returns a row whose first cells are there already.
    pub(super) fn beginning(places: &'static Places, mut cells: Vec<Cell>) -> Self {
        cells.resize(places.num_columns, Cell::default());
        Self { places, cells }
    }

    /// Puts a cell into the column `name`, which is there.
    pub(super) fn put(&mut self, name: &str, cell: impl Into<Cell>) {
        let at = self.places.at.get(name).copied();
        self.cells[at.expect("the names are those of columns")] = cell.into();
    }

    /// Puts the cells for which there are columns.
    pub(super) fn put_known(&mut self, cells: impl IntoIterator<Item = (&'static str, Cell)>) {
        for (name, cell) in cells {
            if let Some(at) = self.places.at.get(name) {
                self.cells[*at] = cell;
            }
        }
    }

    /// Returns the cells, in the order of the columns.
    pub(super) fn into_cells(self) -> Vec<Cell> {
        self.cells
    }
}
