//! Columns of instants that are read in another unit than they are kept in.
//!
//! Aggregations count milliseconds of `date_nanos` too, as in Elasticsearch, and an order over `date` and `date_nanos`
//! takes one unit for both (`numeric_type`). Read first: [`in_millis`].

use std::sync::Arc;

use gleaner_model::mapping::NANOS_PER_MILLI;
use tantivy::columnar::{Column, ColumnValues};

/// Values of another column, each of which `map` turns into one of another unit without a change of their order.
struct Scaled {
    values: Arc<dyn ColumnValues<i64>>,
    map: fn(i64) -> i64,
}

impl ColumnValues<i64> for Scaled {
    fn get_val(&self, row: u32) -> i64 {
        (self.map)(self.values.get_val(row))
    }

    fn get_vals(&self, rows: &[u32], output: &mut [i64]) {
        self.values.get_vals(rows, output);
        for value in output {
            *value = (self.map)(*value);
        }
    }

    fn get_vals_opt(&self, rows: &[u32], output: &mut [Option<i64>]) {
        self.values.get_vals_opt(rows, output);
        for value in output.iter_mut().flatten() {
            *value = (self.map)(*value);
        }
    }

    fn min_value(&self) -> i64 {
        (self.map)(self.values.min_value())
    }

    fn max_value(&self) -> i64 {
        (self.map)(self.values.max_value())
    }

    fn num_vals(&self) -> u32 {
        self.values.num_vals()
    }
}

/// Returns nanoseconds as milliseconds, without what is finer.
pub(super) fn in_millis(column: Column<i64>) -> Column<i64> {
    scaled(column, |nanos| nanos.div_euclid(NANOS_PER_MILLI))
}

/// Returns milliseconds as nanoseconds; what 64 bits do not hold, before 1677 and after 2262, as the first or the last.
pub(super) fn in_nanos(column: Column<i64>) -> Column<i64> {
    scaled(column, |ms| ms.saturating_mul(NANOS_PER_MILLI))
}

fn scaled(column: Column<i64>, map: fn(i64) -> i64) -> Column<i64> {
    Column {
        index: column.index,
        values: Arc::new(Scaled {
            values: column.values,
            map,
        }),
    }
}
