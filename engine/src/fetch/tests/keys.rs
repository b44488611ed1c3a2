//! Keys of `flattened` fields, by the field's path and by an alias of it.

use super::*;

#[test]
fn keys_below_an_alias_are_shown_under_it() {
    let properties = json!({
        "labels": {"type": "flattened"},
        "tags": {"type": "alias", "path": "labels"},
    });
    let source = json!({"labels": {"env": ["prod", "eu"], "other": 1}});
    let asked = formats(&[("labels.env", None), ("tags.env", None)]);
    let shown = |spec: &FetchSpec<'_>| {
        let fetched = fetched_of(&properties, source.clone(), spec);
        json!(fetched.expect("it can be read").fields)
    };
    let of_source = shown(&FetchSpec {
        fields: &asked,
        ..FetchSpec::default()
    });
    let both = |values: Value| json!({"labels.env": values, "tags.env": values});
    assert_eq!(of_source, both(json!(["prod", "eu"])));
    let of_columns = shown(&FetchSpec {
        docvalue_fields: &asked,
        ..FetchSpec::default()
    });
    assert_eq!(of_columns, both(json!(["eu", "prod"])));
}
