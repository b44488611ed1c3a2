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

/// What 10 documents hold while a field of theirs is shown under 300 names, in an account of so many bytes.
fn held_of_many_names(asked: &[FieldFormat], limit: u64) -> Result<u64, EngineError> {
    use gleaner_partial::control::MemoryAccount;

    let alias = |n: usize| (format!("f{n}"), json!({"type": "alias", "path": "n"}));
    let mut properties: serde_json::Map<String, Value> = (0..299).map(alias).collect();
    properties.insert("n".to_owned(), json!({"type": "long"}));
    let account = MemoryAccount::root("request", limit);
    let ledger = Ledger::open(&account)?;
    let spec = FetchSpec {
        fields: asked,
        ledger: Some(&ledger),
        ..FetchSpec::default()
    };
    for _ in 0..10 {
        fetched_of(&Value::Object(properties.clone()), json!({"n": 1}), &spec)?;
    }
    Ok(account.held_bytes())
}

#[test]
fn a_field_of_a_hit_counts_as_much_as_it_takes() {
    let all = formats(&[("*", None)]);
    // A list of one value, its name and their place in a map, of each field.
    let least = 10 * 300 * (size_of::<Value>() + size_of::<(String, Vec<Value>)>() + 64);
    let held = held_of_many_names(&all, 1 << 30).expect("there is room");
    assert!(held as usize > least, "{held} of {least}");
    let refused = held_of_many_names(&all, least as u64).expect_err("there is no room");
    assert!(refused.to_string().contains("Data too large"), "{refused}");
}

#[test]
fn a_field_is_shown_once_however_many_patterns_name_it() {
    let once = held_of_many_names(&formats(&[("*", None)]), 1 << 30);
    let often = formats(&vec![("*", None); 1_000]);
    let others = formats(&[("f*", None), ("*", None), ("n", None), ("*1*", None)]);
    for asked in [often, others] {
        assert_eq!(
            held_of_many_names(&asked, 1 << 30).ok(),
            once.as_ref().ok().copied()
        );
    }
}
