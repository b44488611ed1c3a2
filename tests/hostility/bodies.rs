//! Bodies: valid ones, valid ones damaged, and those made to explode.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use gleaner_datasets::Random;

use crate::numbers;
use crate::requests::pick;

/// Bodies of every kind; `@` becomes a number that breaks things.
const TEMPLATES: &[&str] = &[
    r#"{"query":{"match":{"title":"word1 word2"}},"size":@}"#,
    r#"{"query":{"match":{"title":{"query":"a b c","minimum_should_match":"@%","boost":@}}}}"#,
    r#"{"query":{"range":{"n":{"gte":@,"lt":@}}},"sort":[{"n":"desc"}],"search_after":[@]}"#,
    r#"{"query":{"range":{"at":{"gte":"now-@d/d","lt":"2020-13-45||+@y"}}}}"#,
    r#"{"query":{"fuzzy":{"tag":{"value":"ababababab","fuzziness":@,"max_expansions":@}}}}"#,
    r#"{"query":{"match_phrase":{"title":{"query":"word1 aaaa","slop":@}}},"from":@}"#,
    r#"{"size":0,"aggs":{"t":{"terms":{"field":"tag","size":@,"shard_size":@}}}}"#,
    r#"{"size":0,"aggs":{"h":{"histogram":{"field":"n","interval":@,"min_doc_count":0}}}}"#,
    r#"{"size":0,"aggs":{"h":{"histogram":{"field":"n","interval":0.000001,"min_doc_count":0}}}}"#,
    r#"{"size":0,"aggs":{"h":{"histogram":{"field":"n","interval":1,"extended_bounds":{"min":@,"max":@}}}}}"#,
    r#"{"size":0,"aggs":{"d":{"date_histogram":{"field":"at","fixed_interval":"1ms","min_doc_count":0}}}}"#,
    r#"{"size":0,"aggs":{"d":{"date_histogram":{"field":"at","calendar_interval":"month","offset":"@d"}}}}"#,
    r#"{"size":0,"aggs":{"p":{"percentiles":{"field":"n","percents":[@,50,@]}},"c":{"cardinality":{"field":"tag","precision_threshold":@}}}}"#,
    r#"{"size":0,"aggs":{"r":{"range":{"field":"n","ranges":[{"from":@,"to":@},{"to":@}]}}}}"#,
    r#"{"query":{"query_string":{"query":"title:(a OR b^@) AND NOT /x{1,@}/"}}}"#,
    r#"{"docs":[{"_id":"1"},{"_index":"stable","_id":@}]}"#,
    r#"{"doc":{"n":@},"doc_as_upsert":true}"#,
    r#"{"n":@,"at":@,"title":@,"deep":{"er":[[[@]]]}}"#,
    r#"{"settings":{"number_of_replicas":@,"refresh_interval":"@s"},"mappings":{"properties":{"x":{"type":"text","ignore_above":@}}}}"#,
    r#"{"settings":{"number_of_shards":@}}"#,
    r#"{"settings":{"analysis":{"analyzer":{"x":{"tokenizer":"t"}},"tokenizer":{"t":{"type":"ngram","min_gram":@,"max_gram":@}}}}}"#,
    r#"{"properties":{"y":{"type":"keyword","ignore_above":@},"z.z..z":{"type":"object"}}}"#,
    r#"{"actions":[{"add":{"index":"*","alias":"all","filter":{"term":{"n":@}}}}]}"#,
    r#"{"analyzer":"standard","text":["aaaa bbbb",@]}"#,
    r#"{"tokenizer":{"type":"pattern","pattern":"(a+)+$"},"text":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"}"#,
    r#"{"scroll":"1m","scroll_id":"R1QBAsyhrVgBYgdB9nCyCYPLSkbFPN6bSgQAAAEAAgADAADg1AMceyJxdWVyeSI6"}"#,
    r#"{"id":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}"#,
    r#"{"query":{"ids":{"values":[@,"1",null]}},"_source":{"includes":["*","*.*.*"]},"highlight":{"fields":{"*":{"fragment_size":@,"number_of_fragments":@}}}}"#,
    r#"{"query":{"dis_max":{"queries":[{"match_all":{"boost":@}}],"tie_breaker":@}},"min_score":@,"explain":true}"#,
];

/// Lines of bulk and multi-search requests.
const LINES: &[&str] = &[
    r#"{"index":{"_index":"a","_id":"1"}}"#,
    r#"{"index":{}}"#,
    r#"{"create":{"_index":"b"}}"#,
    r#"{"delete":{"_index":"a","_id":"1"}}"#,
    r#"{"update":{"_index":"a","_id":"1","retry_on_conflict":@}}"#,
    r#"{"index":{"_index":"a","version":@,"version_type":"external"}}"#,
    r#"{"unknown":{}}"#,
    r#"{"index":"stable"}"#,
    r#"{"query":{"match_all":{}}}"#,
    r#"{"n":@}"#,
    "",
    "{}",
    "[",
    "null",
];

/// Patterns that a backtracking or unbounded matcher pays for.
const PATTERNS: &[&str] = &[
    "(a*)*b",
    "(a|aa)+(a|aa)+(a|aa)+c",
    "((a{100}){100}){100}",
    "a{1,30000}",
    "(.*a){25}",
    "[ab]*a[ab]{30}",
    "(((((((((((((a?)?)?)?)?)?)?)?)?)?)?)?)?)*",
    "~(.*~(.*~(a*)))",
    "<0-99999999999>",
    "(?=a)b",
    "\\",
    "[",
    "a**",
];

/// Draws a body for `path`, and its `content-encoding`.
pub(crate) fn draw(random: &mut Random, path: &str) -> (Vec<u8>, Option<&'static str>) {
    let is_lines = path.contains("_bulk") || path.contains("_msearch");
    let body = match random.below(16) {
        0..=3 => template(random).into_bytes(),
        4..=6 => mutated(random),
        7 => deep(random).into_bytes(),
        8 => pattern(random).into_bytes(),
        9 => wide(random).into_bytes(),
        10 => parentheses(random).into_bytes(),
        11 => bad_text(random),
        12 => return bomb(random),
        _ if is_lines => lines(random),
        _ => template(random).into_bytes(),
    };
    match random.below(12) {
        0 => (gzipped(&body), Some("gzip")),
        1 => (body, Some(pick_encoding(random))),
        _ => (body, None),
    }
}

fn pick_encoding(random: &mut Random) -> &'static str {
    ["gzip", "deflate", "br", "gzip, gzip", "identity"][random.below(5) as usize]
}

fn filled(random: &mut Random, template: &str) -> String {
    let mut parts = template.split('@');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(numbers::draw(random));
        text.push_str(part);
    }
    text
}

fn template(random: &mut Random) -> String {
    let template = pick(random, TEMPLATES);
    filled(random, template)
}

/// A body with bytes changed, taken away, doubled, or cut off.
fn mutated(random: &mut Random) -> Vec<u8> {
    let mut body = template(random).into_bytes();
    for _ in 0..=random.below(6) {
        if body.is_empty() {
            break;
        }
        let at = random.below(body.len() as u64) as usize;
        match random.below(5) {
            0 => body[at] = random.below(256) as u8,
            1 => drop(body.remove(at)),
            2 => body.truncate(at),
            3 => body.insert(at, b"{}[]\":,0"[random.below(8) as usize]),
            _ => body.extend_from_within(at..),
        }
    }
    body
}

fn deep(random: &mut Random) -> String {
    let depth = [50, 127, 1_000, 100_000][random.below(4) as usize];
    let (open, inner, close) = [
        ("[", "", "]"),
        ("{\"a\":", "1", "}"),
        (
            "{\"query\":{\"bool\":{\"must\":",
            "{\"match_all\":{}}",
            "}}}",
        ),
        ("{\"bool\":{\"filter\":[", "", "]}}"),
        (
            "{\"aggs\":{\"a\":{\"terms\":{\"field\":\"tag\"},",
            "\"meta\":{}",
            "}}}",
        ),
        ("{\"constant_score\":{\"filter\":", "{}", "}}"),
        ("{\"properties\":{\"a\":", "{}", "}}"),
    ][random.below(7) as usize];
    let nested = format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
    match random.below(3) {
        0 => nested,
        1 => format!("{{\"query\":{nested}}}"),
        // Never closed.
        _ => open.repeat(depth),
    }
}

fn pattern(random: &mut Random) -> String {
    let pattern = pick(random, PATTERNS);
    let wild = "*a?".repeat(1 + random.below(3_000) as usize);
    let text = serde_json::Value::from(pattern);
    let wild = serde_json::Value::from(wild);
    match random.below(5) {
        0 => format!(r#"{{"query":{{"wildcard":{{"tag":{{"value":{wild}}}}}}}}}"#),
        1 => format!(
            r#"{{"query":{{"query_string":{{"query":"tag:/x/ OR tag:*a*b*","fields":[{wild}]}}}}}}"#
        ),
        2 => {
            format!(r#"{{"size":0,"aggs":{{"t":{{"terms":{{"field":"tag","include":{text}}}}}}}}}"#)
        }
        3 => format!(r#"{{"tokenizer":{{"type":"pattern","pattern":{text}}},"text":{wild}}}"#),
        _ => format!(
            r#"{{"query":{{"regexp":{{"tag":{{"value":{text},"max_determinized_states":2147483647}}}}}}}}"#
        ),
    }
}

/// Very many of something.
fn wide(random: &mut Random) -> String {
    let number = 1 + random.below(60_000) as usize;
    let many = |one: &str| vec![one; number].join(",");
    match random.below(6) {
        0 => format!(
            r#"{{"query":{{"bool":{{"should":[{}]}}}}}}"#,
            many(r#"{"term":{"tag":"a"}}"#)
        ),
        1 => format!(r#"{{"query":{{"terms":{{"tag":[{}]}}}}}}"#, many("\"ab\"")),
        2 => format!(
            r#"{{"query":{{"match":{{"title":"{}"}}}}}}"#,
            many("word1 ")
        ),
        3 => format!(r#"{{"sort":[{}]}}"#, many(r#"{"n":"asc"}"#)),
        4 => {
            let fields: Vec<String> = (0..number).map(|n| format!("\"f{n}\":{n}")).collect();
            format!("{{{}}}", fields.join(","))
        }
        _ => format!(
            r#"{{"docs":[{}]}}"#,
            many(r#"{"_index":"stable","_id":"1"}"#)
        ),
    }
}

fn parentheses(random: &mut Random) -> String {
    let depth = 100 + random.below(100_000) as usize;
    let (open, close) = [
        ("(", ")"),
        ("((a OR ", ")"),
        ("NOT ", ""),
        ("-", ""),
        ("\\\"", ""),
    ][random.below(5) as usize];
    let text = format!("{}a{}", open.repeat(depth), close.repeat(depth));
    let kind = ["query_string", "simple_query_string"][random.below(2) as usize];
    format!(r#"{{"query":{{"{kind}":{{"query":"{text}","default_field":"title"}}}}}}"#)
}

fn bad_text(random: &mut Random) -> Vec<u8> {
    let bad: &[u8] = [
        &b"\xff\xfe"[..],
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\\ud800",
        b"\x00",
        b"\xf4\x90\x80\x80",
    ][random.below(6) as usize];
    let mut body = br#"{"query":{"match":{"title":""#.to_vec();
    body.extend_from_slice(bad);
    body.extend_from_slice(br#""}},"title":""#);
    body.extend_from_slice(bad);
    body.extend_from_slice(b"\"}");
    body
}

fn lines(random: &mut Random) -> Vec<u8> {
    let mut body = String::new();
    for _ in 0..random.below(30) {
        let line = pick(random, LINES);
        body.push_str(&filled(random, line));
        body.push_str(["\n", "\n", "\n", "\r\n", "\n\n"][random.below(5) as usize]);
    }
    if random.chance(1, 2) {
        // The last line is not ended, or is half a line.
        body.truncate(
            body.trim_end()
                .len()
                .saturating_sub(random.below(4) as usize),
        );
    }
    body.into_bytes()
}

fn gzipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

/// Little that unpacks to much: 200 MiB of one byte, of one string, or packed twice.
fn bomb(random: &mut Random) -> (Vec<u8>, Option<&'static str>) {
    let filler = vec![if random.chance(1, 2) { b' ' } else { b'a' }; 1 << 20];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(b"{\"title\":\"")
        .expect("memory takes everything");
    for _ in 0..200 {
        encoder.write_all(&filler).expect("memory takes everything");
    }
    let mut packed = encoder.finish().expect("memory takes everything");
    match random.below(3) {
        0 => packed.truncate(packed.len() / 2),
        1 => packed = gzipped(&packed),
        _ => {}
    }
    (packed, Some("gzip"))
}
