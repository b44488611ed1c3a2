//! The report as a whole, frozen: scripts read it.

use std::time::{Duration, Instant};

use super::{super::load::EndedRequest, super::request::Outcome, *};

fn report() -> Report {
    let start = Instant::now();
    let mut tally = Tally::new(7, start);
    for number in 0..1_000_u32 {
        let intended = start + Duration::from_millis(10) * number;
        let sent = intended + Duration::from_millis(if number < 100 { 50 } else { 1 });
        let outcome = match number {
            0..5 => Outcome::Failed("http_429".to_owned()),
            5..7 => Outcome::Failed("timeout".to_owned()),
            _ => Outcome::Answered {
                timed_out: number == 7,
                is_partial: number < 10,
            },
        };
        tally.add(&EndedRequest {
            intended,
            begun: intended + Duration::from_millis(20),
            sent,
            done: sent + Duration::from_millis(2),
            outcome,
        });
    }
    tally.num_begun = 1_000;
    tally.num_dropped = 3;
    let schedule = Schedule {
        rate: 100.3,
        warmup: Duration::from_secs(5),
        duration: Duration::from_secs(10),
    };
    let subject = Subject {
        url: "http://127.0.0.1:9200/".to_owned(),
        index: "books".to_owned(),
        queries: "queries.txt".to_owned(),
        connections: 128,
        max_outstanding: 10_000,
    };
    Report::new(&subject, &schedule, &tally).expect("a report")
}

#[test]
fn the_json_is_frozen() {
    let mut json = serde_json::to_value(report()).expect("JSON");
    for from in ["from_intended", "from_send"] {
        // The bytes are those of a compressor, which may change; `latency` reads them back.
        let data = json["histograms"][from]["data"].take();
        assert!(data.is_string(), "{from}");
    }
    insta::assert_snapshot!(format!("{json:#}"));
}

#[test]
fn the_text_is_frozen() {
    insta::assert_snapshot!(report().to_string());
}
