//! The page: every figure computed from what was measured.

use std::time::Duration;

use super::asked::{Kind, Way};
use super::cost::{Cost, Measured, Warmth};
use super::crossing::{UpTo, crossing};
use super::{Found, LAYOUTS, NUM_LEAVES, NUM_SHARDS, Options};
use crate::corpus::{Corpus, SEED};
use crate::race::geometric_mean;
use crate::report::{Table, machine};
use crate::spread::{at_share, sorted};

/// Borders between groups of searches, in postings of all their terms together.
const LENGTHS: [u64; 5] = [0, 1_000, 10_000, 100_000, u64::MAX];

/// Differences shown at most.
const MAX_SHOWN: usize = 20;

/// A figure of one search.
type Figure = (&'static str, fn(&Cost) -> f64);

/// The figures of which ratios and crossings are told.
const FIGURES: [Figure; 2] = [
    ("bytes", |cost| cost.bytes() as f64),
    ("time", |cost| cost.time.as_secs_f64()),
];

/// Returns the whole page.
pub(super) fn render(corpus: &Corpus, options: &Options, found: &Found) -> String {
    [
        head(corpus, options, found),
        same(found),
        worked(found),
        by_class(found),
        by_length(found),
        crossings(found),
        ratios(found),
    ]
    .join("\n")
}

fn head(corpus: &Corpus, options: &Options, found: &Found) -> String {
    format!(
        "# 0004: scatter by term, against scatter by shard\n\n\
         Written by `{command}`; all figures are of that one run, so they may be compared with each \
         other and with nothing else. [docs/scatter.md](../scatter.md) says what the two ways do.\n\n\
         {facts}\n\
         Documents: {origin}, {megabytes:.0} MB of JSON, shuffled with seed {SEED}, field `body` \
         searched. One root and {NUM_LEAVES} leaves in one process, each leaf behind its own gRPC \
         server on a loopback socket; one copy of each shard, each shard merged to one segment. \
         Searches: {searches}, as `match` with operator `and` or `or`; ids and \
         scores of the ten best, totals exact up to 10,000. Documents are not fetched (`_source: \
         false`): they travel alike in both ways and would hide what differs.\n\n\
         **Bytes** are counted in a proxy before each leaf: everything on the connection above TCP, \
         requests and answers, HTTP/2 frames and headers included. **Calls** are counted by the \
         leaves. **Time** is the root's, from the parsed request to the answer, without the proxies; \
         the median of {rounds} rounds for each search. The loopback has no latency and no bound on \
         bytes: on a network, rounds and bytes weigh more than here. **Cold** is a root that knows the \
         index and remembers neither posting lists nor the numbers for scores; **warm** is the same \
         search again.\n",
        command = options.command,
        facts = machine::facts(),
        origin = corpus.origin,
        megabytes = corpus.num_bytes() as f64 / 1e6,
        searches = match &options.data {
            Some(_) => format!(
                "all {} intersections and unions of the search-benchmark-game",
                found.num_compared
            ),
            None => format!("{} generated intersections and unions", found.num_compared),
        },
        rounds = options.rounds,
    )
}

fn same(found: &Found) -> String {
    let num_differences = found.differences.len();
    let num_sampled: usize = found
        .layouts
        .iter()
        .map(|layout| layout.measured.len())
        .sum();
    let mut text = format!(
        "## The same answers\n\n\
         {compared} searches answered both ways on {NUM_SHARDS} shards with exact totals, and \
         {measured} times more while they were measured, on {LAYOUTS:?} shards: total, largest score, \
         ids, order and the bits of every score. **{verdict}**\n",
        compared = found.num_compared,
        measured = found.all.len() + found.worked.len() + num_sampled,
        verdict = match num_differences {
            0 => "No answer differs.".to_owned(),
            number => format!("{number} answers differ."),
        },
    );
    if num_differences > 0 {
        text.push('\n');
    }
    for difference in found.differences.iter().take(MAX_SHOWN) {
        text += &format!("- {difference}\n");
    }
    text
}

fn worked(found: &Found) -> String {
    let mut table = Table::new([
        "`cat` and `dog`",
        "scatter",
        "root",
        "calls",
        "of which",
        "leaves",
        "bytes there",
        "bytes back",
        "ms",
    ]);
    for measured in &found.worked {
        for (way, warmth) in each_way() {
            let cost = measured.cost(way, warmth);
            let phases = measured.phases.get(&way).filter(|_| warmth == Warmth::Cold);
            let phases = phases.map(|phases| {
                let each = phases
                    .iter()
                    .map(|(phase, calls)| format!("{calls} {phase}"));
                each.collect::<Vec<_>>().join(", ")
            });
            table.row([
                measured.asked.kind.name().to_owned(),
                way.name().to_owned(),
                warmth.name().to_owned(),
                cost.calls.to_string(),
                phases.unwrap_or_default(),
                cost.leaves.to_string(),
                cost.bytes_there.to_string(),
                cost.bytes_back.to_string(),
                format!("{:.2}", millis(cost.time)),
            ]);
        }
    }
    let lists = found.worked.first().map(|measured| {
        format!(
            "The lists of both terms hold {} documents; with frequencies and lengths they travel as \
             {} bytes.",
            measured.list_length, measured.list_bytes
        )
    });
    format!(
        "## The worked example: cat and dog, {NUM_SHARDS} shards\n\n{}\n\n{table}",
        lists.unwrap_or_default()
    )
}

fn by_class(found: &Found) -> String {
    let mut table = Table::new([
        "class",
        "scatter",
        "root",
        "searches",
        "calls",
        "leaves",
        "kB there",
        "kB back",
        "median ms",
        "p90 ms",
    ]);
    for kind in Kind::ALL {
        let of_kind = found
            .all
            .iter()
            .filter(|measured| measured.asked.kind == kind);
        let of_kind: Vec<&Measured> = of_kind.collect();
        for (way, warmth) in each_way() {
            let costs: Vec<Cost> = of_kind.iter().map(|m| m.cost(way, warmth)).collect();
            let times = sorted(costs.iter().map(|cost| millis(cost.time)));
            let kilobytes = |of: fn(&Cost) -> u64| mean(costs.iter().map(|c| of(c) as f64 / 1e3));
            table.row([
                kind.name().to_owned(),
                way.name().to_owned(),
                warmth.name().to_owned(),
                costs.len().to_string(),
                format!("{:.1}", mean(costs.iter().map(|cost| cost.calls as f64))),
                format!("{:.1}", mean(costs.iter().map(|cost| cost.leaves as f64))),
                format!("{:.1}", kilobytes(|cost| cost.bytes_there)),
                format!("{:.1}", kilobytes(|cost| cost.bytes_back)),
                format!("{:.2}", at_share(&times, 0.5)),
                format!("{:.2}", at_share(&times, 0.9)),
            ]);
        }
    }
    format!(
        "## By class, {NUM_SHARDS} shards\n\nCalls, leaves and bytes are means over the searches of a \
         class.\n\n{table}"
    )
}

fn by_length(found: &Found) -> String {
    let mut table = Table::new([
        "postings",
        "searches",
        "calls cold",
        "bytes cold",
        "time cold",
        "calls warm",
        "bytes warm",
        "time warm",
    ]);
    for (from, to) in lengths() {
        let group = of_length(&found.all, from, to);
        let mut cells = vec![length_name(from, to), group.len().to_string()];
        for warmth in Warmth::ALL {
            cells.push(ratio(&group, warmth, |cost| cost.calls as f64));
            cells.extend(FIGURES.map(|(_, figure)| ratio(&group, warmth, figure)));
        }
        table.row(cells);
    }
    format!(
        "## By length of the posting lists, {NUM_SHARDS} shards\n\nRatios terms / shards, geometric \
         means: below 1 scatter by term is cheaper. The length is that of all terms of a search \
         together.\n\n{table}"
    )
}

fn crossings(found: &Found) -> String {
    let mut headings = vec!["shards".to_owned(), "searches".to_owned()];
    for (name, _) in FIGURES {
        headings.extend(Warmth::ALL.map(|warmth| format!("by {name}, {}", warmth.name())));
    }
    let mut table = Table::new(headings);
    for layout in &found.layouts {
        let mut cells = vec![
            layout.num_shards.to_string(),
            layout.measured.len().to_string(),
        ];
        for (_, figure) in FIGURES {
            cells.extend(Warmth::ALL.map(|warmth| crossing_of(&layout.measured, warmth, figure)));
        }
        table.row(cells);
    }
    format!(
        "## Where the crossing lies\n\nScatter by term is cheaper for searches whose lists hold up to \
         this many postings together. The length is the one that parts the searches best; in brackets \
         the share of them that stand on their side of it: near 50 % means that the length does not \
         decide.\n\n{table}"
    )
}

fn crossing_of(measured: &[Measured], warmth: Warmth, figure: fn(&Cost) -> f64) -> String {
    let searches: Vec<(u64, bool)> = measured
        .iter()
        .map(|measured| {
            let of = |way| figure(&measured.cost(way, warmth));
            (measured.list_length, of(Way::Terms) < of(Way::Shards))
        })
        .collect();
    let Some(found) = crossing(&searches) else {
        return "nothing was measured".to_owned();
    };
    let up_to = match found.up_to {
        UpTo::Never => "never".to_owned(),
        UpTo::Postings(number) => format!("up to {number}"),
        UpTo::Always => "always".to_owned(),
    };
    format!("{up_to} ({:.0} %)", found.share * 100.0)
}

fn ratios(found: &Found) -> String {
    let mut text =
        "## Terms / shards, by number of shards and length of the lists\n\nGeometric means; \
                    below 1 scatter by term is cheaper.\n"
            .to_owned();
    for (name, figure) in FIGURES {
        for warmth in Warmth::ALL {
            let mut headings = vec![format!("{name}, {}: shards", warmth.name())];
            headings.extend(lengths().map(|(from, to)| length_name(from, to)));
            let mut table = Table::new(headings);
            for layout in &found.layouts {
                let mut cells = vec![layout.num_shards.to_string()];
                for (from, to) in lengths() {
                    let group = of_length(&layout.measured, from, to);
                    cells.push(ratio(&group, warmth, figure));
                }
                table.row(cells);
            }
            text += &format!("\n{table}");
        }
    }
    text
}

fn each_way() -> impl Iterator<Item = (Way, Warmth)> {
    let of = |warmth| Way::ALL.map(|way| (way, warmth));
    Warmth::ALL.into_iter().flat_map(of)
}

fn lengths() -> impl Iterator<Item = (u64, u64)> {
    LENGTHS.windows(2).map(|pair| (pair[0], pair[1]))
}

fn length_name(from: u64, to: u64) -> String {
    match (from, to) {
        (0, to) => format!("below {to}"),
        (from, u64::MAX) => format!("from {from}"),
        (from, to) => format!("{from} to {to}"),
    }
}

fn of_length(measured: &[Measured], from: u64, to: u64) -> Vec<&Measured> {
    let is_within = |measured: &&Measured| (from..to).contains(&measured.list_length);
    measured.iter().filter(is_within).collect()
}

/// Returns terms / shards; a dash for no searches.
fn ratio(group: &[&Measured], warmth: Warmth, figure: impl Fn(&Cost) -> f64) -> String {
    let of = |measured: &Measured, way| figure(&measured.cost(way, warmth));
    let ratios = group
        .iter()
        .map(|measured| of(measured, Way::Terms) / of(measured, Way::Shards));
    let ratios: Vec<f64> = ratios.filter(|ratio| ratio.is_finite()).collect();
    match ratios.is_empty() {
        true => "–".to_owned(),
        false => format!("{:.2}", geometric_mean(&ratios)),
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let number = values.len().max(1);
    values.sum::<f64>() / number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_in_one_group() {
        let groups: Vec<_> = lengths().collect();
        assert_eq!(groups.len(), LENGTHS.len() - 1);
        for length in [0, 999, 1_000, 99_999, 100_000, u64::MAX - 1] {
            let holding = groups
                .iter()
                .filter(|(from, to)| (*from..*to).contains(&length));
            assert_eq!(holding.count(), 1, "{length}");
        }
    }
}
