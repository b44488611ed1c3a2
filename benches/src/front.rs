//! The page on the tier ahead: what a hit, a handshake, a miss and a refresh cost, beside nginx, hitch and Varnish; what
//! one client and a shadow do to the others; and how soon companions pass on a push and a changed key.
//!
//! All contenders send the same bytes over TLS 1.3 with one worker and the same certificate. The load is `h2load`'s, in
//! turns; what is compared is the CPU time of the servers' processes a request. Read [`write_page`] first.

mod abuse;
mod cold;
mod contenders;
mod handshakes;
mod hits;
mod key;
mod load;
mod misses;
mod paced;
mod processes;
mod push;
mod refresh;
mod shadow;
mod site;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::report::{Section, machine, tell};
use site::Site;

/// Names of the parts, in their order.
pub const PARTS: [&str; 9] = [
    "hits",
    "handshakes",
    "misses",
    "cold",
    "refresh",
    "abuse",
    "shadow",
    "push",
    "key",
];

/// What is measured, and how thoroughly.
#[derive(Debug, Clone)]
pub struct Options {
    /// Fewer requests and rounds.
    pub is_quick: bool,
    /// The program `gleaner`.
    pub server: PathBuf,
    /// Parts to measure, by name; empty is all of [`PARTS`].
    pub only: Vec<String>,
    /// How the report was started.
    pub command: String,
}

impl Options {
    /// Returns `full`, or `quick` when that was asked for.
    fn sized<T>(&self, quick: T, full: T) -> T {
        if self.is_quick { quick } else { full }
    }
}

/// Measures everything and writes the page to `path`.
///
/// # Errors
/// When something cannot be measured or written; nothing is written then.
pub fn write_page(path: &Path, options: &Options) -> Result<()> {
    let site = Site::start(options)?;
    let mut sections = Vec::new();
    for part in PARTS {
        if options.only.is_empty() || options.only.iter().any(|wanted| wanted == part) {
            tell(part);
            sections.push(measure(part, &site).context(part)?);
        }
    }
    std::fs::write(path, render(options, &sections)).with_context(|| path.display().to_string())
}

fn measure(part: &str, site: &Site) -> Result<Section> {
    match part {
        "hits" => hits::measure(site),
        "handshakes" => handshakes::measure(site),
        "misses" => misses::measure(site),
        "cold" => cold::measure(site),
        "refresh" => refresh::measure(site),
        "abuse" => abuse::measure(site),
        "shadow" => shadow::measure(site),
        "push" => push::measure(site),
        _ => key::measure(site),
    }
}

fn render(options: &Options, sections: &[Section]) -> String {
    let mut page = format!(
        "# The tier ahead\n\nWritten by `{}`; all figures are of that one run, so they may be compared with each \
         other and with nothing else.\n\n{}",
        options.command,
        machine::facts()
    );
    for section in sections {
        page.push_str(&section.to_string());
    }
    page
}
