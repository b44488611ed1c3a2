//! What was measured: as JSON, and as a page with one table.

use std::fmt;

use serde::Serialize;

use super::export::Export;
use super::load::Loaded;
use super::lucene::Lucene;
use super::timing::Times;
use crate::report::Table;

/// All figures of one run.
#[derive(Debug, Serialize)]
pub(super) struct Findings {
    /// How it was started.
    pub(super) command: String,
    /// Processor, memory, system, compiler, revision, load.
    pub(super) machine: String,
    pub(super) shards: usize,
    pub(super) loaded: Loaded,
    pub(super) classes: Vec<Row>,
    pub(super) exports: Vec<Export>,
    /// Documents a second that the server copied by itself.
    pub(super) reindex_per_second: f64,
    /// `None` where it was left out.
    pub(super) lucene: Option<Lucene>,
}

/// A class and its times.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    /// What Lucene's runner calls the same.
    pub(super) peer: Option<&'static str>,
    #[serde(flatten)]
    pub(super) times: Times,
}

impl Findings {
    fn table(&self) -> Table {
        let mut table = Table::new(["asked", "p50, ms", "p99, ms", "Lucene p50, ms", "ratio"]);
        for Row { name, peer, times } in &self.classes {
            let p50_ms = self.lucene.as_ref().zip(*peer);
            let p50_ms = p50_ms.and_then(|(lucene, peer)| lucene.p50_ms.get(peer));
            let (beside, ratio) = match p50_ms {
                Some(&beside) => (millis(beside), format!("{:.1}", times.p50_ms / beside)),
                None => ("–".to_owned(), "–".to_owned()),
            };
            let (p50, p99) = (millis(times.p50_ms), millis(times.p99_ms));
            table.row([name.clone(), p50, p99, beside, ratio]);
        }
        table
    }

    fn table_of_exports(&self) -> Table {
        let mut table = Table::new(["export", "docs/s", "first pages, ms", "last pages, ms"]);
        for export in &self.exports {
            table.row([
                export.name.clone(),
                format!("{:.0}", export.per_second),
                millis(export.first_ms),
                millis(export.last_ms),
            ]);
        }
        table
    }
}

/// Milliseconds with three digits that count.
fn millis(millis: f64) -> String {
    match millis {
        millis if millis < 10.0 => format!("{millis:.2}"),
        millis if millis < 100.0 => format!("{millis:.1}"),
        millis => format!("{millis:.0}"),
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Loaded {
            documents,
            per_second,
            peak_bytes,
            segments,
            store_bytes,
        } = self.loaded;
        writeln!(f, "# Lists, sorts, pages and aggregations\n")?;
        writeln!(f, "Written by `{}`.\n\n{}", self.command, self.machine)?;
        writeln!(
            f,
            "{documents} documents in {} shards, {segments} segments and {:.0} MB in all; one client on one kept \
             connection; neither answers nor filters are kept. Times are the client's.",
            self.shards,
            store_bytes as f64 / 1e6
        )?;
        match &self.lucene {
            None => writeln!(f, "Lucene was left out.")?,
            Some(lucene) => writeln!(
                f,
                "Lucene {}: {} documents, {} segments; asked in process by one thread, warm; reads no documents.",
                lucene.release, lucene.documents, lucene.segments
            )?,
        }
        if self.lucene.as_ref().is_some_and(|lucene| !lucene.is_whole) {
            writeln!(
                f,
                "Its runner did not come to its end, so some classes lack it."
            )?;
        }
        write!(f, "\n{}\n{}\n", self.table(), self.table_of_exports())?;
        writeln!(
            f,
            "Loading: {per_second:.0} documents a second over HTTP, {} MiB of the server's own memory at most. \
             `_reindex`: {:.0} documents a second, {:.2} of that.",
            peak_bytes >> 20,
            self.reindex_per_second,
            self.reindex_per_second / per_second
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lucene: Option<Lucene>) -> Findings {
        let row = |name: &str, peer| Row {
            name: name.to_owned(),
            peer,
            times: Times {
                p50_ms: 3.0,
                p99_ms: 123.4,
                repetitions: 100,
            },
        };
        Findings {
            command: "bench".to_owned(),
            machine: String::new(),
            shards: 4,
            loaded: Loaded {
                documents: 20_000,
                per_second: 1_000.0,
                peak_bytes: 0,
                segments: 4,
                store_bytes: 0,
            },
            classes: vec![row("one", Some("one of Lucene")), row("other", None)],
            exports: Vec::new(),
            reindex_per_second: 800.0,
            lucene,
        }
    }

    #[test]
    fn a_class_stands_beside_the_same_of_lucene_where_there_is_one() {
        let lucene = Lucene {
            p50_ms: [("one of Lucene".to_owned(), 2.0)].into(),
            ..Lucene::default()
        };
        let page = found(Some(lucene)).to_string();
        assert!(page.contains("| one | 3.00 | 123 | 2.00 | 1.5 |"), "{page}");
        assert!(page.contains("| other | 3.00 | 123 | – | – |"), "{page}");
        assert!(page.contains("did not come to its end"), "{page}");
        let page = found(None).to_string();
        assert!(page.contains("| one | 3.00 | 123 | – | – |"), "{page}");
        assert!(
            page.contains("left out") && page.contains("0.80 of that"),
            "{page}"
        );
    }
}
