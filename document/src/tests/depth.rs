//! Levels of what the mapping leaves out.

use super::*;
use crate::depth::MAX_LEVELS;

/// Returns a document of that many levels, itself counted.
fn nested(open: &str, close: &str, levels: usize) -> String {
    let (open, close) = (open.repeat(levels - 1), close.repeat(levels - 1));
    format!(r#"{{"x":{open}1{close}}}"#)
}

#[test]
fn what_is_left_out_may_not_be_nested_without_bound() {
    let unmapped = json!({"dynamic": false});
    let disabled = one(&json!({"type": "object", "enabled": false}));
    let whole = json!({"enabled": false});
    for declared in [&unmapped, &disabled, &whole] {
        for (open, close) in [("{\"a\":", "}"), ("[", "]"), ("[{\"\":", "}]")] {
            let most = match open.starts_with("[{") {
                true => MAX_LEVELS.div_ceil(2),
                false => MAX_LEVELS,
            };
            let deepest = nested(open, close, most);
            parser(declared)
                .parse("1", deepest.as_bytes())
                .expect("as deep as allowed");
            for levels in [most + 1, 100_000] {
                let error = refusal(declared, &nested(open, close, levels));
                assert!(matches!(error, DocumentError::Json { .. }), "{error}");
            }
        }
    }
}

#[test]
fn brackets_in_texts_are_no_levels() {
    let declared = json!({"dynamic": false});
    let text = r#"[{\"[\\"#.repeat(200);
    let document = format!(r#"{{"x":"{text}","{text}":[]}}"#);
    parser(&declared)
        .parse("1", document.as_bytes())
        .expect("it is flat");
}
