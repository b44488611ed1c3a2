//! What an index cannot be asked, told without asking its shards.

use super::*;

#[tokio::test]
async fn a_window_beyond_the_limit_is_refused() {
    let refused = search(&fixture(), json!({"from": 9_995, "size": 6})).await;
    let reason = reason_of_all(&refused.expect_err("too large"));
    assert!(
        reason.contains("must be less than or equal to: [10000] but was [10001]"),
        "{reason}"
    );
}

/// Returns why all four shards failed.
fn reason_of_all(refused: &RootError) -> String {
    let failures = refused.failures();
    let reasons = failures.iter().map(|failure| failure.fault.to_string());
    let mut reasons: Vec<String> = reasons.collect();
    assert_eq!(reasons.len(), 4, "{refused}");
    reasons.dedup();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    reasons.remove(0)
}

#[tokio::test]
async fn an_order_that_no_index_has_is_refused_without_asking_a_shard() {
    let fixture = fixture();
    for size in [0, 10] {
        for (field, reason) in [
            ("day", "No mapping found for [day] in order to sort on"),
            ("title", "Fielddata is disabled on [title]"),
        ] {
            let refused = search(&fixture, json!({"sort": [field], "size": size})).await;
            let found = reason_of_all(&refused.expect_err("no such order"));
            assert!(found.contains(reason), "{found}");
        }
    }
    assert!(fixture.leaf.asked.lock().is_empty());
}

#[tokio::test]
async fn an_index_without_the_order_fails_beside_one_that_has_it() {
    let dated = json!({"properties": {"day": {"type": "date"}}});
    let fixture = Fixture::new([index(1, &json!({})), index(2, &dated)]);
    let response = search(&fixture, json!({"sort": ["day"]})).await;
    let shards = response.expect("answered in part").shards;
    assert_eq!((shards.successful, shards.failures.len()), (2, 2));
    assert!(shards.failures.iter().all(|lost| lost.index == "index-1"));
    let any = json!({"sort": [{"day": {"unmapped_type": "date"}}]});
    let shards = search(&fixture, any).await.expect("answered").shards;
    assert_eq!((shards.successful, shards.failures.len()), (4, 0));
}

#[tokio::test]
async fn a_field_that_an_index_lacks_is_of_a_type_that_there_is() {
    let unmapped = |type_name: &str| json!({"sort": [{"day": {"unmapped_type": type_name}}]});
    let refused = search(&fixture(), unmapped("boguso")).await;
    let reason = reason_of_all(&refused.expect_err("no such type"));
    assert!(
        reason.contains("No mapper found for type [boguso]"),
        "{reason}"
    );
    // Where the field is known, its own type counts.
    let dated = json!({"properties": {"day": {"type": "date"}}});
    let fixture = Fixture::new([index(1, &json!({})), index(2, &dated)]);
    let response = search(&fixture, unmapped("boguso")).await;
    let shards = response.expect("answered in part").shards;
    assert_eq!((shards.successful, shards.failures.len()), (2, 2));
    assert!(shards.failures.iter().all(|lost| lost.index == "index-1"));
}

#[tokio::test]
async fn more_doc_values_than_the_limit_are_refused() {
    let fields: Vec<String> = (0..101).map(|n| format!("f{n}")).collect();
    let refused = search(&fixture(), json!({"docvalue_fields": fields})).await;
    let reason = reason_of_all(&refused.expect_err("too many"));
    assert!(
        reason.contains("Must be less than or equal to: [100] but was [101]"),
        "{reason}"
    );
}
