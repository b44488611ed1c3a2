//! How much a document may have in fields of objects of any keys.

use super::*;

#[test]
fn numbers_of_flattened_objects_keep_their_text() {
    let declared = one(&json!({"type": "flattened", "null_value": "n"}));
    for number in ["1.10", "1e5", "-0", "1E+2", "-7", "12345678901234567890123"] {
        let beside = r#""t": "\" 1.50 \\", "b": [true, null]"#;
        let object = format!("{{\"v\": {number}, {beside}, \"o\": {{\"w\":[ {number} ,\"x\"]}}}}");
        for written in [object.clone(), format!("[{object}]")] {
            let found = values_of(&declared, &format!("{{\"x\": {written}}}"));
            let shown: Vec<&str> = found
                .iter()
                .filter(|value| !value.contains('\0'))
                .map(String::as_str)
                .collect();
            let number = format!("x={number}");
            let text = "x=\" 1.50 \\";
            let number = number.as_str();
            let expected = [number, text, "x=true", "x=n", number, "x=x"];
            assert_eq!(shown, expected, "{written}");
        }
    }
}

#[test]
fn flattened_objects_of_many_bytes_or_keys_are_refused() {
    let flattened = one(&json!({"type": "flattened"}));
    let key = "k".repeat(30_000);
    for (object, reason) in [
        (json!({key: vec![1; 1_000]}), "takes more than [8388608]"),
        (
            (0..10_001).map(|i| (format!("k{i}"), json!(1))).collect(),
            "more than [10000] different keys",
        ),
    ] {
        let refused = refusal(&flattened, &json!({"x": object}).to_string());
        let refused = format!("{refused:?}");
        assert!(refused.contains(reason), "{reason}");
    }
    let keys = |from: u32, to: u32| -> Value {
        (from..to)
            .map(|i| (format!("k{i}"), json!([1, 2])))
            .collect()
    };
    assert_eq!(
        values(&flattened, &json!({"x": keys(0, 10_000)})).len(),
        40_000
    );
    // Of all objects of a document together, each key once.
    let again = json!({"x": [keys(0, 6_000), keys(4_000, 10_000)]});
    assert_eq!(values(&flattened, &again).len(), 48_000);
    let more = json!({"x": [keys(0, 6_000), keys(6_000, 10_001)]});
    let refused = format!("{:?}", refusal(&flattened, &more.to_string()));
    assert!(refused.contains("more than [10000] different keys"));
}
