//! Hits as a table: one row a hit, and under it the passage that matched.

use std::fmt;

use serde_json::Value;

use crate::terminal::{Palette, cut, grouped, one_line};

/// Marks the start of what matched. A private-use character: no text of a document has it by chance,
/// and it survives JSON.
pub(super) const MARK_START: char = '\u{e000}';

/// Marks the end of what matched.
pub(super) const MARK_END: char = '\u{e001}';

/// The widest column, in characters.
const MAX_WIDTH: usize = 40;

/// Columns that are shown when nobody names any.
const NUM_OWN_COLUMNS: usize = 3;

/// An answer, ready to be shown.
#[derive(Debug)]
pub(super) struct Table {
    heading: String,
    columns: Vec<String>,
    rows: Vec<Row>,
    colours: Palette,
}

#[derive(Debug)]
struct Row {
    cells: Vec<String>,
    /// With marks.
    passages: Vec<String>,
}

impl Table {
    /// Reads an answer of `_search`. Without `fields`, short fields of the first hit are columns.
    pub(super) fn of(answer: &Value, fields: &[String], colours: Palette) -> Self {
        let hits = answer["hits"]["hits"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let own = hits.first().map(|hit| short_fields(&hit["_source"]));
        let fields = if fields.is_empty() {
            own.unwrap_or_default()
        } else {
            fields.to_vec()
        };
        let mut columns = vec!["score".to_owned(), "_id".to_owned()];
        columns.extend(fields.iter().map(|field| cut(&one_line(field), MAX_WIDTH)));
        let rows = hits.iter().map(|hit| row(hit, &fields)).collect();
        Self {
            heading: heading(answer, hits.len()),
            columns,
            rows,
            colours,
        }
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self
                .rows
                .iter()
                .map(|row| row.cells[column].chars().count());
            cells
                .chain([self.columns[column].chars().count()])
                .max()
                .unwrap_or_default()
        };
        (0..self.columns.len()).map(width).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Palette {
            strong,
            faint,
            highlight,
            reset,
            ..
        } = self.colours;
        writeln!(f, "{faint}{}{reset}", self.heading)?;
        if self.rows.is_empty() {
            return Ok(());
        }
        let widths = self.widths();
        writeln!(f, "{strong}{}{reset}", line(&self.columns, &widths))?;
        for row in &self.rows {
            writeln!(f, "{}", line(&row.cells, &widths))?;
            for passage in &row.passages {
                let marked = passage
                    .replace(MARK_START, highlight)
                    .replace(MARK_END, reset);
                writeln!(f, "    {marked}")?;
            }
        }
        Ok(())
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell:<width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

fn heading(answer: &Value, num_shown: usize) -> String {
    let total = answer["hits"]["total"]["value"]
        .as_u64()
        .unwrap_or_default();
    let at_least = if answer["hits"]["total"]["relation"] == "gte" {
        "at least "
    } else {
        ""
    };
    let took = answer["took"].as_u64().unwrap_or_default();
    let mut heading = format!(
        "{at_least}{} documents match, {num_shown} shown, {took} ms",
        grouped(total)
    );
    let failed = answer["_shards"]["failed"].as_u64().unwrap_or_default();
    if failed > 0 {
        heading += &format!(", {failed} shards failed");
    }
    if answer["timed_out"] == true {
        heading += ", timed out";
    }
    heading
}

fn short_fields(source: &Value) -> Vec<String> {
    let is_short = |value: &Value| match value {
        Value::String(text) => text.chars().count() <= MAX_WIDTH,
        Value::Number(_) | Value::Bool(_) => true,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    let members = source.as_object().into_iter().flatten();
    let short = members.filter(|(_, value)| is_short(value));
    short
        .map(|(name, _)| name.clone())
        .take(NUM_OWN_COLUMNS)
        .collect()
}

fn row(hit: &Value, fields: &[String]) -> Row {
    let score = hit["_score"]
        .as_f64()
        .map_or("-".to_owned(), |score| format!("{score:.3}"));
    let id = hit["_id"].as_str().unwrap_or_default();
    let mut cells = vec![score, cut(&one_line(id), MAX_WIDTH)];
    cells.extend(
        fields
            .iter()
            .map(|field| cut(&one_line(&text(&hit["_source"], field)), MAX_WIDTH)),
    );
    let highlights = hit["highlight"].as_object().into_iter().flatten();
    let passages = highlights.filter_map(|(field, passages)| {
        let passage = one_line(passages[0].as_str()?);
        Some(format!("{}: {passage}", one_line(field)))
    });
    Row {
        cells,
        passages: passages.collect(),
    }
}

/// Returns the value at a dotted path, as text.
fn text(source: &Value, path: &str) -> String {
    let whole = source.get(path);
    let deep = || {
        path.split('.')
            .try_fold(source, |value, part| value.get(part))
    };
    match whole.or_else(deep) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer() -> Value {
        json!({
            "took": 7, "timed_out": false, "_shards": {"failed": 0},
            "hits": {"total": {"value": 10_000, "relation": "gte"}, "hits": [
                {"_id": "a", "_score": 1.5, "_source": {
                    "title": "Short\u{1b}[31m", "body": "x".repeat(99), "n": 1, "deep": {"er": 2}},
                 "highlight": {"body": ["some \u{e000}word\u{e001}\nhere"]}},
                {"_id": "b", "_score": null, "_source": {"title": null}},
            ]},
        })
    }

    #[test]
    fn hits_are_rows_and_passages_stand_below() {
        let table = Table::of(&answer(), &[], Palette::PLAIN).to_string();
        let expected = "\
at least 10,000 documents match, 2 shown, 7 ms
score  _id  title       n
1.500  a    Short [31m  1
    body: some word here
-      b
";
        assert_eq!(table, expected);
    }

    #[test]
    fn names_of_fields_are_as_clean_as_values() {
        let hit = json!({"_id": "a", "_score": 1, "_source": {"n\u{1b}[31m": 1},
            "highlight": {"t\u{1b}]0;\u{202e}": ["word"]}});
        let answer = json!({"hits": {"total": {"value": 1}, "hits": [hit]}});
        let table = Table::of(&answer, &[], Palette::PLAIN).to_string();
        assert!(
            table.contains("n [31m") && table.contains("t ]0;: word"),
            "{table}"
        );
        assert!(!table.contains(['\u{1b}', '\u{202e}']), "{table:?}");
    }

    #[test]
    fn named_fields_may_be_deep_and_marks_become_colours() {
        let colours = Palette {
            highlight: "<",
            reset: ">",
            ..Palette::PLAIN
        };
        let table = Table::of(&answer(), &["deep.er".to_owned()], colours).to_string();
        assert!(table.contains("score  _id  deep.er>"), "{table}");
        assert!(
            table.contains("1.500  a    2\n    body: some <word> here"),
            "{table}"
        );
    }

    #[test]
    fn an_answer_without_hits_and_a_partial_one_say_so() {
        let empty = json!({"hits": {"total": {"value": 0}, "hits": []}, "timed_out": true,
            "_shards": {"failed": 1}});
        let table = Table::of(&empty, &[], Palette::PLAIN).to_string();
        assert_eq!(
            table,
            "0 documents match, 0 shown, 0 ms, 1 shards failed, timed out\n"
        );
    }
}
