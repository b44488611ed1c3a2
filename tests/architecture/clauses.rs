//! The files that a query clause touches: as many as `ARCHITECTURE.md` lists, and those.

use std::collections::BTreeSet;

use crate::code::names;
use crate::house::{House, Source, Violation};

/// The section that lists them.
const SECTION: &str = "## What does a new query clause touch?";

/// Most files that a clause may touch.
const MAX_FILES: usize = 12;

/// Finds files that name the clause of `ids` and are not listed, or are listed and do not name it.
pub(crate) fn unlisted_clause_files(house: &House) -> Vec<Violation> {
    let listed = listed(&house.architecture);
    let touched = house.sources.iter().filter(|source| is_touched(source));
    let touched: BTreeSet<&str> = touched.map(|source| source.path.as_str()).collect();
    let unlisted = touched.difference(&listed).map(|path| {
        let seen = "names the clause of `ids` and is not listed in `ARCHITECTURE.md`";
        Violation::new(*path, seen)
    });
    let untouched = listed.difference(&touched).map(|path| {
        let seen = "is listed in `ARCHITECTURE.md` and does not name the clause of `ids`";
        Violation::new(*path, seen)
    });
    let too_many = (listed.len() > MAX_FILES).then(|| {
        let seen = format!("lists {} files, {MAX_FILES} at most", listed.len());
        Violation::new("ARCHITECTURE.md", seen)
    });
    unlisted.chain(untouched).chain(too_many).collect()
}

/// Returns the first path of each row of the section.
fn listed(architecture: &str) -> BTreeSet<&str> {
    let section = architecture
        .split_once(SECTION)
        .map_or("", |(_, rest)| rest);
    let section = section.split_once("\n## ").map_or(section, |(own, _)| own);
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|row| row.split('`').nth(1)).collect()
}

fn is_touched(source: &Source) -> bool {
    let paths = ["Clause::Ids", "Query::Ids", "Self::Ids"];
    let is_declared = || source.product.lines().any(|line| line.trim() == "Ids {");
    paths.iter().any(|path| names(&source.product, path)) || is_declared()
}
