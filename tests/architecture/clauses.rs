//! The files that a query clause touches: as many as `ARCHITECTURE.md` lists, and those.

use std::collections::BTreeSet;

use crate::code::names;
use crate::house::{House, Source, Violation};

/// A clause, and the table of `ARCHITECTURE.md` that lists the files which name it.
struct Example {
    /// The heading above the table.
    heading: &'static str,
    /// What the dialect calls the clause.
    name: &'static str,
    /// How code names it.
    paths: &'static [&'static str],
    /// The line that declares it; `None` where files that do nothing else are not counted.
    declaration: Option<&'static str>,
    /// Most files that the table may list: how many it lists today. A change that makes it shorter lowers this.
    max_files: usize,
}

/// A clause that holds nothing else.
const PLAIN: Example = Example {
    heading: "## What does a new query clause touch?",
    name: "ids",
    paths: &["Clause::Ids", "Query::Ids", "Self::Ids"],
    declaration: Some("Ids {"),
    max_files: 12,
};

/// A clause that holds clauses. Its table lists what it touches beyond the files of [`PLAIN`].
const HOLDING: Example = Example {
    heading: "### A clause that holds clauses",
    name: "function_score",
    paths: &[
        "Clause::Functions",
        "Query::FunctionScore",
        "Self::Functions",
        "Self::FunctionScore",
    ],
    declaration: None,
    max_files: 9,
};

/// Finds files that name the clause of a table and are not listed, or are listed and do not name it; and tables that
/// have become longer.
pub(crate) fn unlisted_clause_files(house: &House) -> Vec<Violation> {
    let of_all = PLAIN.listed(&house.architecture);
    let mut violations = PLAIN.violations(house, &BTreeSet::new());
    violations.extend(HOLDING.violations(house, &of_all));
    violations
}

impl Example {
    /// Compares the table with the files that name the clause, but for those that are `listed_before`.
    fn violations(&self, house: &House, listed_before: &BTreeSet<&str>) -> Vec<Violation> {
        let name = self.name;
        let listed = self.listed(&house.architecture);
        let touched = house.sources.iter().filter(|source| self.is_in(source));
        let touched: BTreeSet<&str> = touched.map(|source| source.path.as_str()).collect();
        let unlisted = touched.difference(&listed);
        let unlisted = unlisted.filter(|path| !listed_before.contains(*path));
        let unlisted = unlisted.map(|path| {
            let seen =
                format!("names the clause of `{name}` and is not listed in `ARCHITECTURE.md`");
            Violation::new(*path, seen)
        });
        let untouched = listed.difference(&touched).map(|path| {
            let seen =
                format!("is listed in `ARCHITECTURE.md` and does not name the clause of `{name}`");
            Violation::new(*path, seen)
        });
        let too_many = (listed.len() > self.max_files).then(|| {
            let (num_files, max_files) = (listed.len(), self.max_files);
            let seen = format!("lists {num_files} files for `{name}`, {max_files} at most");
            Violation::new("ARCHITECTURE.md", seen)
        });
        unlisted.chain(untouched).chain(too_many).collect()
    }

    /// Returns the first path of each row of the table.
    fn listed<'a>(&self, architecture: &'a str) -> BTreeSet<&'a str> {
        let section = architecture.split_once(self.heading);
        let section = section.map_or("", |(_, rest)| rest);
        let section = section.split_once("\n#").map_or(section, |(own, _)| own);
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        rows.filter_map(|row| row.split('`').nth(1)).collect()
    }

    fn is_in(&self, source: &Source) -> bool {
        let is_named = self.paths.iter().any(|path| names(&source.product, path));
        let is_declared = || {
            let mut lines = source.product.lines();
            lines.any(|line| Some(line.trim()) == self.declaration)
        };
        is_named || is_declared()
    }
}
