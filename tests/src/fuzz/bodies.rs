//! Bodies and lines of clients.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use gleaner_adapter::{Format, Joined, Joiner};
use gleaner_analysis::{AnalyzerRegistry, Meter};
use gleaner_api::{KeyMaker, Moment, Searches, action_shown, parameter_tables};
use gleaner_cache::Memo;
use gleaner_model::{ClusterState, IndexMeta, IndexName, IndexUuid};
use gleaner_query::Limits;
use gleaner_query::alias::parse_alias_actions;
use gleaner_query::canonical::answer::CanonicalRequest;
use gleaner_query::date::{DateFormatter, TimeZone, parse_date_math};
use gleaner_query::dsl::{Query, parse_query};
use gleaner_query::names::expand_date_math;
use gleaner_query::search::{SearchRequest, parse_search};
use gleaner_query::settings::parse_create_index;
use gleaner_query::templates::{parse_component_template, parse_index_template};
use gleaner_query::{json, query_string};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

/// Milliseconds since the epoch at which everything is read.
const NOW_MS: i64 = 1_767_225_600_000;

/// Returns bytes as JSON of the dialect.
pub(super) fn value(bytes: &[u8]) -> Option<Value> {
    json::read(bytes, &Limits::default()).ok()
}

/// A search: what can be read has a canonical form, and that of the same search again is the same.
pub(super) fn search(bytes: &[u8]) {
    let limits = Limits::default();
    let Ok(search) = parse_search(bytes, &limits) else {
        return;
    };
    let again = parse_search(bytes, &limits).expect("read a moment ago");
    let one = CanonicalRequest::of(&search, NOW_MS);
    let two = CanonicalRequest::of(&again, NOW_MS);
    assert_eq!(format!("{one:?}"), format!("{two:?}"));
}

/// Returns the letters of a search, sorted: defaults are filled in, and clauses in another order have the same letters.
fn letters(mut search: SearchRequest) -> Vec<char> {
    search.size = Some(search.size());
    search.timeout = None;
    search.stats_groups.clear();
    search.is_source_asked &= search.stored_fields.is_some();
    let everything = Query::MatchAll { boost: 1.0 };
    search.query.get_or_insert(everything);
    let mut letters: Vec<char> = format!("{search:?}").chars().collect();
    letters.sort_unstable();
    letters
}

/// Two searches, an empty line between them: those of one canonical form ask for the same.
pub(super) fn key_confusion(bytes: &[u8]) {
    let Some(end) = bytes.windows(2).position(|two| two == b"\n\n") else {
        return;
    };
    let limits = Limits::default();
    let parsed = [&bytes[..end], &bytes[end + 2..]].map(|body| parse_search(body, &limits));
    let [Ok(one), Ok(two)] = parsed else {
        return;
    };
    let forms = [&one, &two].map(|search| CanonicalRequest::of(search, NOW_MS));
    if forms[0].is_some() && forms[0] == forms[1] {
        assert_eq!(letters(one), letters(two));
    }
}

/// Lines of a bulk: what the usual line says is what it says by the long way.
pub(super) fn bulk(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        assert_eq!(action_shown(line), action_shown(line));
    }
}

/// The texts of `query_string` and `simple_query_string`: the simple one takes any text.
pub(super) fn query_string(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let limits = Limits::default();
    for kind in ["query_string", "simple_query_string"] {
        let query = json!({kind: {"query": text, "fields": ["a^2", "b*"]}});
        let parsed = parse_query(&query, &limits);
        let expanded = parsed.and_then(|query| query_string::expand(query, &limits));
        // Above the limits on clauses and depth it is refused too.
        drop(expanded);
    }
}

/// A pattern of dates, and behind a line's end a date in it, with steps.
pub(super) fn date_math(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    drop(expand_date_math(text, NOW_MS));
    let (pattern, date) = text
        .split_once('\n')
        .unwrap_or(("strict_date_optional_time", text));
    let zone = TimeZone::parse(date).unwrap_or(TimeZone::UTC);
    let Ok(formatter) = DateFormatter::parse_pattern(pattern) else {
        return;
    };
    for round_up in [false, true] {
        if let Ok(ms) = parse_date_math(date, NOW_MS, &formatter, round_up, &zone) {
            drop(formatter.format_in(ms, &zone));
        }
    }
}

/// The body that creates an index: settings, mapping, aliases.
pub(super) fn index(bytes: &[u8]) {
    if let Some(body) = value(bytes) {
        drop(parse_create_index(&body, &Limits::default()));
    }
}

/// The analysis of an index, and behind a line's end a text: offsets of tokens are within the text.
pub(super) fn analysis(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (Some(settings), text) = (parts.next(), parts.next().unwrap_or_default()) else {
        return;
    };
    let text = String::from_utf8_lossy(text);
    let text: String = text.chars().take(2_000).collect();
    let Some(registry) = value(settings).and_then(|it| AnalyzerRegistry::from_settings(&it).ok())
    else {
        return;
    };
    for name in ["default", "a", "standard", "keyword", "english"] {
        let Some(analyzer) = registry.analyzer(name) else {
            continue;
        };
        let tokens = analyzer.analyze(&text, &Meter::for_document());
        for token in tokens.unwrap_or_default() {
            let piece = text.get(token.start..token.end);
            assert!(piece.is_some(), "{name}: {token:?} of {text:?}");
        }
    }
}

/// Templates and aliases.
pub(super) fn metadata(bytes: &[u8]) {
    let Some(body) = value(bytes) else {
        return;
    };
    let limits = Limits::default();
    drop(parse_component_template("a", &body, &limits));
    drop(parse_index_template("a", &body, &limits));
    drop(parse_alias_actions(&body, &limits));
}

pub(super) fn moment() -> &'static Moment {
    static MOMENT: OnceLock<Moment> = OnceLock::new();
    MOMENT.get_or_init(|| {
        let index = IndexMeta {
            settings: Default::default(),
            ..IndexMeta::new(
                IndexUuid([7; 16]),
                IndexName::parse("books").expect("a good name"),
            )
        };
        let mut state = ClusterState::default();
        state.indices.insert(index.uuid, Arc::new(index));
        Moment {
            state: Arc::new(state),
            now_ms: NOW_MS,
        }
    })
}

/// Reads `METHOD TARGET`, lines of headers, an empty line and a body.
fn request_of(bytes: &[u8]) -> Option<(Parts, Bytes)> {
    let end = bytes.windows(2).position(|two| two == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&bytes[..end], &bytes[end + 2..]),
        None => (bytes, &[][..]),
    };
    let mut lines = std::str::from_utf8(head).ok()?.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        request = request.header(name.trim(), value.trim());
    }
    let (head, ()) = request.body(()).ok()?.into_parts();
    Some((head, Bytes::copy_from_slice(body)))
}

/// A request whose answer a front may keep: its key is the same when it is read anew, and when it is remembered.
pub(super) fn asked(bytes: &[u8]) {
    let Some((head, body)) = request_of(bytes) else {
        return;
    };
    let keys = KeyMaker::new(parameter_tables(), Limits::default());
    let key = |memo: &Memo| keys.keep(&head, &body, moment(), memo).map(|keep| keep.key);
    let memo = Memo::default();
    let first = key(&memo);
    assert_eq!(key(&memo), first, "remembered");
    assert_eq!(key(&Memo::default()), first, "read anew");
}

/// The lines of an `_msearch`: those of a part are read as the whole was, and answers come apart as they were joined.
pub(super) fn msearch(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let request = Request::post("/_msearch").header("content-type", "application/x-ndjson");
    let (head, ()) = request.body(()).expect("a good request").into_parts();
    let keys = KeyMaker::new(parameter_tables(), Limits::default());
    let read = |body: &Bytes| keys.searches(&head, body, moment(), &Memo::default());
    let Some(searches) = read(&body) else {
        return;
    };
    let num = searches.keeps().len();
    let places: Vec<usize> = (0..num).collect();
    let again = read(&searches.body_for(&places)).expect("the same searches");
    let keys_of = |searches: &Searches| -> Vec<_> {
        let keeps = searches.keeps().iter();
        keeps
            .map(|keep| keep.as_ref().map(|keep| keep.key))
            .collect()
    };
    assert_eq!(keys_of(&again), keys_of(&searches));
    let parts = vec![(StatusCode::OK, Bytes::from_static(b"{\"took\":1}")); num];
    let joined = Response::new(Searches::joined(&parts, std::time::Duration::ZERO));
    let apart = searches.answers_in(&joined, num).expect("they were joined");
    assert!(apart.iter().all(|answer| answer.body == "{\"took\":1}"));
    // An answer that a backend made up.
    drop(searches.answers_in(&Response::new(body), num));
}

/// Lines of logs: each is a record, as JSON.
pub(super) fn log_line(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut joiner = Joiner::default();
    let mut records: Vec<Joined> = Vec::new();
    for line in text.lines() {
        joiner.push(line, std::time::Instant::now());
        records.extend(std::iter::from_fn(|| joiner.pop()));
    }
    joiner.flush();
    records.extend(std::iter::from_fn(|| joiner.pop()));
    for record in &records {
        for format in [
            Format::Auto,
            Format::Json,
            Format::Logfmt,
            Format::Access,
            Format::Syslog,
            Format::Plain,
        ] {
            let json = format.read(record).to_json(Some("a"));
            assert!(json.is_object(), "{json}");
            let text = json.to_string();
            assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
        }
    }
}
