//! Tables of `_cat`: columns chosen, rows ordered, printed as text or JSON.

mod cell;

use std::cmp::Ordering;
use std::fmt::Write as _;

use gleaner_model::mapping::matches_pattern;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::parameters::Parameters;

pub(crate) use cell::Cell;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    /// Full name.
    pub(crate) name: &'static str,
    /// Short names, comma-separated.
    pub(crate) aliases: &'static str,
    /// What it holds, for `help`.
    pub(crate) description: &'static str,
    /// Whether it is shown when no columns are named.
    pub(crate) is_default: bool,
    /// Whether values stand at the right.
    pub(crate) is_number: bool,
}

impl Column {
    /// A text that is shown when no columns are named.
    pub(crate) const fn text(
        name: &'static str,
        aliases: &'static str,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            aliases,
            description: about,
            is_default: true,
            is_number: false,
        }
    }

    /// A number that is shown when no columns are named.
    pub(crate) const fn number(
        name: &'static str,
        aliases: &'static str,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            aliases,
            description: about,
            is_default: true,
            is_number: true,
        }
    }

    /// The same column, shown only by name.
    pub(crate) const fn on_demand(self) -> Self {
        Self {
            is_default: false,
            ..self
        }
    }

    fn bears(&self, name: &str) -> bool {
        self.name == name || self.aliases.split(',').any(|alias| alias == name)
    }
}

/// Rows of cells, one per column.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) columns: &'static [Column],
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// Columns that say when the table was made; `ts=false` leaves them out.
const TIMES: [&str; 2] = ["epoch", "timestamp"];

/// Columns that are shown at once, repeated ones too: each takes as much as the table has rows.
const MAX_COLUMNS: usize = 512;

/// A column as chosen: by position, under the name it was asked by.
struct ChosenColumn {
    at: usize,
    title: String,
}

impl Table {
    /// Prints columns that line up, one row a line.
    pub(crate) fn to_text(&self, parameters: &Parameters) -> Result<String, ApiError> {
        if parameters.is_set("help")? {
            return Ok(self.help());
        }
        let (chosen, order) = self.arranged(parameters)?;
        let has_header = parameters.is_set("v")?;
        let mut lines: Vec<Vec<&str>> = Vec::new();
        if has_header {
            lines.push(chosen.iter().map(|column| column.title.as_str()).collect());
        }
        for row in order {
            let cells = chosen.iter().map(|column| self.rows[row][column.at].text());
            lines.push(cells.collect());
        }
        let are_numbers: Vec<bool> = chosen
            .iter()
            .map(|column| self.columns[column.at].is_number)
            .collect();
        Ok(aligned(&lines, &are_numbers))
    }

    /// Prints a list of objects, all values as text.
    pub(crate) fn to_json(&self, parameters: &Parameters) -> Result<Value, ApiError> {
        let (chosen, order) = self.arranged(parameters)?;
        let object = |row: usize| {
            let cells = chosen.iter().map(|column| {
                let shown = self.rows[row][column.at].shown.clone();
                (column.title.clone(), Value::from(shown))
            });
            Value::Object(cells.collect::<Map<_, _>>())
        };
        Ok(order.into_iter().map(object).collect())
    }

    fn help(&self) -> String {
        let lines: Vec<Vec<&str>> = self
            .columns
            .iter()
            .map(|c| {
                vec![
                    c.name,
                    "|",
                    if c.aliases.is_empty() { "-" } else { c.aliases },
                    "|",
                    c.description,
                ]
            })
            .collect();
        aligned(&lines, &[false; 5])
    }

    fn arranged(
        &self,
        parameters: &Parameters,
    ) -> Result<(Vec<ChosenColumn>, Vec<usize>), ApiError> {
        let mut chosen = match parameters.list("h") {
            None => self.defaults(),
            Some(names) => self.named(&names)?,
        };
        if parameters.flag("ts")? == Some(false) {
            let is_time = |column: &ChosenColumn| TIMES.contains(&self.columns[column.at].name);
            chosen.retain(|column| !is_time(column));
        }
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        if let Some(keys) = parameters.list("s") {
            let keys = keys
                .iter()
                .map(|key| self.sort_key(key))
                .collect::<Result<Vec<_>, _>>()?;
            order.sort_by(|a, b| self.compare(&keys, *a, *b));
        }
        Ok((chosen, order))
    }

    fn defaults(&self) -> Vec<ChosenColumn> {
        let shown = self
            .columns
            .iter()
            .enumerate()
            .filter(|(_, column)| column.is_default);
        shown
            .map(|(at, column)| ChosenColumn {
                at,
                title: column.name.to_owned(),
            })
            .collect()
    }

    /// Unknown names are left out, as the dialect does; patterns name all that match.
    fn named(&self, names: &[String]) -> Result<Vec<ChosenColumn>, ApiError> {
        let mut chosen = Vec::new();
        for name in names {
            let columns = self.columns.iter().enumerate();
            if name.contains('*') {
                let matching = columns.filter(|(_, column)| matches_pattern(name, column.name));
                chosen.extend(matching.map(|(at, c)| ChosenColumn {
                    at,
                    title: c.name.to_owned(),
                }));
            } else {
                let borne = columns.filter(|(_, column)| column.bears(name)).take(1);
                chosen.extend(borne.map(|(at, _)| ChosenColumn {
                    at,
                    title: name.clone(),
                }));
            }
            if chosen.len() > MAX_COLUMNS {
                return Err(ApiError::illegal(format!(
                    "[h] names more than [{MAX_COLUMNS}] columns"
                )));
            }
        }
        Ok(chosen)
    }

    fn sort_key(&self, text: &str) -> Result<(usize, bool), ApiError> {
        let (name, descending) = match text.rsplit_once(':') {
            Some((name, "desc")) => (name, true),
            Some((name, "asc")) => (name, false),
            _ => (text, false),
        };
        let at = self.columns.iter().position(|column| column.bears(name));
        let unknown = || {
            let reason = format!("Unable to sort by unknown sort key `{name}`");
            ApiError::illegal(reason)
        };
        Ok((at.ok_or_else(unknown)?, descending))
    }

    fn compare(&self, keys: &[(usize, bool)], a: usize, b: usize) -> Ordering {
        for (at, descending) in keys {
            let order = self.rows[a][*at].compare(&self.rows[b][*at]);
            if order.is_ne() {
                return if *descending { order.reverse() } else { order };
            }
        }
        Ordering::Equal
    }
}

/// Pads cells to the widest of their column; nothing follows the last left-standing cell.
fn aligned(lines: &[Vec<&str>], are_numbers: &[bool]) -> String {
    let width = |at: usize| {
        lines
            .iter()
            .map(|line| line[at].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..are_numbers.len()).map(width).collect();
    let mut out = String::new();
    for line in lines {
        for (at, cell) in line.iter().enumerate() {
            let is_last = at + 1 == line.len();
            let width = widths[at];
            let written = match (are_numbers[at], is_last) {
                (true, _) => write!(out, "{cell:>width$}"),
                (false, true) => write!(out, "{cell}"),
                (false, false) => write!(out, "{cell:<width$}"),
            };
            written.expect("a string takes all");
            if !is_last {
                out.push(' ');
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests;
