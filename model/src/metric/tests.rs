//! Metrics: their names, and the pages that name them.

mod dashboard;

use super::*;

#[test]
fn names_are_sorted_unique_and_in_the_style_of_prometheus() {
    let names = ALL.map(|metric| metric.name);
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    for metric in ALL {
        let is_word = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        let is_ours = metric.name.starts_with("gleaner_") || metric.name.starts_with("process_");
        let has_style = is_ours && metric.name.chars().all(is_word);
        assert!(has_style, "{}", metric.name);
        let is_total = metric.name.ends_with("_total") && metric != PROCESS_CPU_SECONDS;
        assert_eq!(
            is_total,
            metric.kind == MetricKind::Counter,
            "{}",
            metric.name
        );
    }
}

#[test]
fn the_operators_page_names_metrics_that_there_are() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md");
    let page = std::fs::read_to_string(path).expect("the page is there");
    let words = page.split(|letter: char| !(letter.is_ascii_lowercase() || letter == '_'));
    let named: Vec<&str> = words.filter(|word| word.starts_with("gleaner_")).collect();
    assert!(!named.is_empty());
    for name in named {
        // Prometheus is asked for the buckets of a histogram.
        let name = name.trim_end_matches("_bucket");
        let is_there = ALL.iter().any(|metric| metric.name == name);
        assert!(is_there, "`{name}` is no metric");
    }
}

#[test]
fn the_page_lists_what_there_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, page()).expect("the page can be written");
    }
    let written = std::fs::read_to_string(path).expect("the page is there");
    assert_eq!(
        written,
        page(),
        "UPDATE=1 cargo test -p gleaner-model --lib"
    );
}
