//! Exact totals over HTTP: the number of matches alone, and beside the ten best hits.

use anyhow::Result;
use serde_json::{Value, json};

use super::{INDEX, Side, request, take_turns};
use crate::process::Server;
use crate::queries::{Class, Query, Set};
use crate::race::geometric_mean;
use crate::report::Table;

/// Lets bare and ours count all `queries` in turns; both find the same number of matches.
pub(super) fn measure(
    set: Set,
    queries: &[Query],
    bare: &Server,
    ours: &Server,
    rounds: usize,
) -> Result<Table> {
    let asked = queries.iter().map(serde_json::to_vec);
    let asked: Vec<Vec<u8>> = asked.collect::<Result<_, _>>()?;
    let search = format!("/{INDEX}/_search");
    let with = |change: fn(&mut Value)| {
        let body = |query| {
            let mut body = request(query, &json!(true));
            change(&mut body);
            body.to_string().into_bytes()
        };
        queries.iter().map(body).collect::<Vec<_>>()
    };
    let mut sides = [
        Side::new(bare, "/count".to_owned(), asked.clone())?,
        Side::new(ours, search.clone(), with(|body| body["size"] = json!(0)))?,
        Side::new(bare, "/total".to_owned(), asked)?,
        Side::new(ours, search, with(|_| ()))?,
    ];
    take_turns(&mut sides, rounds)?;
    Ok(table(set, queries, &sides))
}

fn table(set: Set, queries: &[Query], sides: &[Side; 4]) -> Table {
    let mut table = Table::new([
        &format!("exact totals, µs: {}", set.name()),
        "bare, count alone: p50 / mean",
        "ours",
        "ours / bare, p50",
        "ours / bare, mean",
        "bare, ten hits and count: p50 / mean",
        "ours ",
        "ours / bare, p50 ",
        "ours / bare, mean ",
    ]);
    let mut ratios = [const { Vec::new() }; 4];
    for class in set.classes().iter().copied().map(Some).chain([None]) {
        let [bare, ours, bare_hits, our_hits] = sides
            .each_ref()
            .map(|side| side.median_and_mean(queries, class));
        let of_class = [
            ours.0 / bare.0,
            ours.1 / bare.1,
            our_hits.0 / bare_hits.0,
            our_hits.1 / bare_hits.1,
        ];
        if class.is_some() {
            ratios
                .iter_mut()
                .zip(of_class)
                .for_each(|(all, one)| all.push(one));
        }
        let pair = |(p50, mean): (f64, f64)| format!("{p50:.0} / {mean:.0}");
        let [count_p50, count_mean, hits_p50, hits_mean] =
            of_class.map(|ratio| format!("{ratio:.2}"));
        table.row([
            class.map_or("**all**", Class::name).to_owned(),
            pair(bare),
            pair(ours),
            count_p50,
            count_mean,
            pair(bare_hits),
            pair(our_hits),
            hits_p50,
            hits_mean,
        ]);
    }
    let [count_p50, count_mean, hits_p50, hits_mean] =
        ratios.map(|ratios| format!("**{:.2}**", geometric_mean(&ratios)));
    let name = "**geometric mean**";
    table.row([
        name,
        "",
        "",
        &count_p50,
        &count_mean,
        "",
        "",
        &hits_p50,
        &hits_mean,
    ]);
    table
}
