//! Requests that two readers may read in two ways: a backend sees one of them or none, and what follows on either
//! connection is answered as what it is.
//!
//! The table of cases is in `cases`; its verdict is held against a forwarder with a planted hole (`naive`).

mod cases;
mod naive;

use super::*;

use cases::{Case, Want};
use recorder::{Arrived, Seen};

/// Fields that no request has at a backend.
const NEVER: [&str; 14] = [
    "connection",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "transfer_encoding",
    "content_length",
    "x-gleaner-remaining-ms",
    "gleaner-principal",
    "x_gleaner_remaining_ms",
    "gleaner_principal",
];

/// Sends a case through a front ahead of `backend`, and then a request on either connection.
async fn verdict(front: SocketAddr, backend: &Recorder, case: &Case) -> Result<(), String> {
    backend.take();
    let mut client = Client::connect(front).await;
    client.send(&case.bytes).await;
    if case.ends {
        client.end().await;
    }
    let answer = client.answer().await;
    if answer.as_ref().is_some_and(|answer| !answer.is_last()) && !case.ends {
        let next = client.get("/next").await;
        let is_own = |next: &client::Answer| next.body == "GET /next";
        let is_refused = |next: &client::Answer| next.status == 400 && next.is_last();
        if next
            .as_ref()
            .is_some_and(|next| !is_own(next) && !is_refused(next))
        {
            return Err(format!("the next request was answered {next:?}"));
        }
    }
    let other = Client::connect(front).await.get("/other").await;
    if other
        .as_ref()
        .is_none_or(|other| other.body != "GET /other")
    {
        return Err(format!("another client was answered {other:?}"));
    }
    let status = answer.map_or(0, |answer| answer.status);
    judge(&case.want, status, &backend.take())
}

/// Compares what arrived with what may.
fn judge(want: &Want, status: u16, seen: &Seen) -> Result<(), String> {
    if let Some(breach) = seen.breaches.first() {
        return Err(format!("at the backend: {breach}"));
    }
    for arrived in &seen.arrived {
        judge_head(arrived)?;
    }
    let (own, others): (Vec<_>, Vec<_>) =
        (seen.arrived.iter()).partition(|arrived| arrived.line.ends_with("/case"));
    let is_asked = |arrived: &&Arrived| ["GET /next", "GET /other"].contains(&&*arrived.line);
    if let Some(smuggled) = others.into_iter().find(|arrived| !is_asked(arrived)) {
        return Err(format!("smuggled: {smuggled:?}"));
    }
    match (want, &own[..]) {
        (Want::Refused | Want::Either(_), []) if status == 0 || status >= 400 => Ok(()),
        (Want::Taken(body) | Want::Either(body), [one])
            if one.body == body.as_bytes() && status == 200 =>
        {
            Ok(())
        }
        _ => Err(format!(
            "answered {status}, wanted {want:?}, arrived: {own:?}"
        )),
    }
}

/// Checks what no head may say.
fn judge_head(arrived: &Arrived) -> Result<(), String> {
    let has = |name: &&&str| arrived.head.contains(&format!("\r\n{name}:"));
    match NEVER.iter().find(has) {
        Some(name) => Err(format!("`{name}` in {:?}", arrived.head)),
        None if arrived.field("host").is_none() => Err(format!("no host: {:?}", arrived.head)),
        None => Ok(()),
    }
}

#[tokio::test]
async fn a_request_is_read_in_one_way_and_the_next_one_is_its_own() {
    let backend = Recorder::start().await;
    let front = Running::ahead_of(&[backend.address], unprobed()).await;
    let cases = cases::all();
    assert!(cases.len() >= 100, "{}", cases.len());
    let mut breaches = Vec::new();
    for case in &cases {
        if let Err(breach) = verdict(front.address, &backend, case).await {
            breaches.push(format!("{}: {breach}", case.name));
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[tokio::test]
async fn the_verdict_finds_the_holes_of_a_naive_forwarder() {
    let holes = [
        "Content-Length before Transfer-Encoding",
        "Transfer-Encoding before Content-Length",
        "two lengths",
        "Connection names a field of ours",
        "two hosts",
        "a space before the colon of a coding",
    ];
    for case in cases::all()
        .iter()
        .filter(|case| holes.contains(&case.name))
    {
        let backend = Recorder::start().await;
        let naive = naive::start(backend.address).await;
        let found = soon("a verdict", verdict(naive, &backend, case)).await;
        assert!(found.is_err(), "{} was not found", case.name);
    }
    let names: Vec<&str> = cases::all().iter().map(|case| case.name).collect();
    assert!(holes.iter().all(|hole| names.contains(hole)));
}
