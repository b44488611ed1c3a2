//! A page of the reference as its tests read it: sections, rows of tables, examples in JSON.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::root;

/// Names of the dialect.
pub(crate) type Words = BTreeSet<String>;

/// A page of `docs/`.
pub(crate) struct Page {
    /// The name of its file.
    pub(crate) name: &'static str,
    /// What stands under each heading; the first section has none.
    pub(crate) sections: Vec<Section>,
}

/// What stands under a heading.
#[derive(Default)]
pub(crate) struct Section {
    /// The heading.
    pub(crate) title: String,
    /// Rows of its tables, by cells; heads and the lines below them too.
    pub(crate) rows: Vec<Vec<String>>,
    /// Its text outside of tables and blocks.
    pub(crate) text: String,
    /// Its blocks of JSON.
    pub(crate) bodies: Vec<Body>,
}

/// An example in JSON with the place it stands at.
pub(crate) struct Body {
    pub(crate) place: String,
    pub(crate) json: Value,
}

/// The block that is being read.
enum Block {
    None,
    /// With the line it starts at.
    Json(usize, String),
    Other,
}

impl Page {
    /// Reads the page in the file `name` of `docs/`.
    pub(crate) fn read(name: &'static str) -> Result<Self> {
        let path = root().join("docs").join(name);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let mut sections = Vec::new();
        let mut section = Section::default();
        let mut block = Block::None;
        for (number, line) in text.lines().enumerate() {
            match (&mut block, line) {
                (Block::Json(start, json), "```") => {
                    let place = format!("docs/{name}:{start}");
                    let json = serde_json::from_str(json).with_context(|| place.clone())?;
                    section.bodies.push(Body { place, json });
                    block = Block::None;
                }
                (Block::Other, "```") => block = Block::None,
                (Block::Json(_, json), line) => json.push_str(line),
                (Block::Other, _) => {}
                (Block::None, "```json") => block = Block::Json(number + 1, String::new()),
                (Block::None, line) if line.starts_with("```") => block = Block::Other,
                (Block::None, line) => match line.strip_prefix("## ") {
                    Some(title) => {
                        let next = Section {
                            title: title.to_owned(),
                            ..Section::default()
                        };
                        sections.push(std::mem::replace(&mut section, next));
                    }
                    None => section.take(line),
                },
            }
        }
        sections.push(section);
        Ok(Self { name, sections })
    }

    /// Returns the section of this title.
    pub(crate) fn section(&self, title: &str) -> Result<&Section> {
        let mut sections = self.sections.iter();
        let found = sections.find(|section| section.title == title);
        found.with_context(|| format!("docs/{} has no section `{title}`", self.name))
    }

    /// Returns the names in all its headings.
    pub(crate) fn names(&self) -> Words {
        self.sections.iter().flat_map(Section::names).collect()
    }

    /// Returns its examples in order.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = &Body> {
        self.sections.iter().flat_map(|section| &section.bodies)
    }
}

impl Section {
    fn take(&mut self, line: &str) {
        if line.starts_with('|') {
            self.rows.push(cells(line));
        } else {
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    /// Returns the names in its heading.
    pub(crate) fn names(&self) -> Vec<String> {
        codes(&self.title)
    }

    /// Returns the names in the first cells of its tables.
    pub(crate) fn options(&self) -> Words {
        let firsts = self.rows.iter().filter_map(|cells| cells.first());
        firsts.flat_map(|cell| codes(cell)).collect()
    }

    /// Returns all names in its text and tables.
    pub(crate) fn words(&self) -> Words {
        let cells = self.rows.iter().flatten();
        let of_tables = cells.flat_map(|cell| codes(cell));
        of_tables.chain(codes(&self.text)).collect()
    }

    /// Returns the names in the paragraph that begins with `Refused:`.
    pub(crate) fn refused(&self) -> Words {
        let mut paragraphs = self.text.split("\n\n");
        let refused = paragraphs.find_map(|text| text.trim_start().strip_prefix("Refused:"));
        codes(refused.unwrap_or_default()).into_iter().collect()
    }
}

/// Splits a row of a table.
fn cells(row: &str) -> Vec<String> {
    let row = row.replace("\\|", " ");
    let cells = row.trim_matches('|').split('|');
    cells.map(|cell| cell.trim().to_owned()).collect()
}

/// Returns what stands in backticks.
pub(crate) fn codes(text: &str) -> Vec<String> {
    let parts = text.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

/// Returns what stands in backticks before a `=`.
pub(crate) fn assigned(text: &str) -> Words {
    let parts: Vec<&str> = text.split('`').collect();
    let pairs = parts.windows(2).skip(1).step_by(2);
    let assigned = pairs.filter(|pair| pair[1].starts_with(" ="));
    assigned.map(|pair| pair[0].to_owned()).collect()
}
