//! How many copies of its shards an index can be asked to wait for: no more than it is to have.

use gleaner_model::{ActiveShards, IndexSettings};
use gleaner_query::QueryError;

/// Refuses a request that waits for more copies than the index is to have.
pub(super) fn check_wanted(
    wanted: ActiveShards,
    settings: &IndexSettings,
) -> Result<(), QueryError> {
    check_number("wait_for_active_shards", wanted, settings)
}

/// Refuses settings by which writes wait for more copies than the index is to have.
pub(super) fn check(settings: &IndexSettings) -> Result<(), QueryError> {
    let wanted = ActiveShards::of_writes(settings);
    check_number(ActiveShards::SETTING, wanted, settings)
}

/// As [`check`]; what older versions took stays until either number is changed.
pub(super) fn check_change(
    before: &IndexSettings,
    after: &IndexSettings,
) -> Result<(), QueryError> {
    let is_same = before.number_of_replicas == after.number_of_replicas
        && ActiveShards::of_writes(before) == ActiveShards::of_writes(after);
    match is_same {
        true => Ok(()),
        false => check(after),
    }
}

fn check_number(
    name: &str,
    wanted: ActiveShards,
    settings: &IndexSettings,
) -> Result<(), QueryError> {
    let num_copies = ActiveShards::All.number(settings);
    if wanted.number(settings) <= num_copies {
        return Ok(());
    }
    Err(QueryError::illegal(format!(
        "invalid {name}[{wanted}]: cannot be greater than number of shard copies [{num_copies}]"
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Fixture, index};

    fn settings(number_of_replicas: u32, wanted: &str) -> IndexSettings {
        let mut settings = IndexSettings {
            number_of_replicas,
            ..IndexSettings::default()
        };
        let key = ActiveShards::SETTING.to_owned();
        settings.declared.insert(key, json!(wanted));
        settings
    }

    #[test]
    fn no_more_copies_are_waited_for_than_there_are_to_be() {
        for (replicas, wanted, refused) in [
            (0, "1", None),
            (0, "all", None),
            (2, "3", None),
            (
                0,
                "2",
                Some("[2]: cannot be greater than number of shard copies [1]"),
            ),
            (
                2,
                "4",
                Some("[4]: cannot be greater than number of shard copies [3]"),
            ),
        ] {
            let settings = settings(replicas, wanted);
            for (name, outcome) in [
                ("index.write.wait_for_active_shards", check(&settings)),
                (
                    "wait_for_active_shards",
                    check_wanted(ActiveShards::of_writes(&settings), &settings),
                ),
            ] {
                let reason = outcome.err().map(|error| error.reason);
                let expected = refused.map(|refused| format!("invalid {name}{refused}"));
                assert_eq!(reason, expected, "{replicas} {wanted}");
            }
        }
    }

    #[test]
    fn what_an_older_version_took_holds_up_no_other_change() {
        let before = settings(0, "3");
        assert!(check_change(&before, &before.clone()).is_ok());
        assert!(check_change(&before, &settings(1, "3")).is_err());
        assert!(check_change(&before, &settings(0, "2")).is_err());
        assert!(check_change(&before, &settings(0, "1")).is_ok());
        assert!(check_change(&settings(1, "2"), &settings(0, "2")).is_err());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_index_that_writes_could_not_go_to_is_neither_made_nor_changed_into() {
        let fixture = Fixture::new([index(1, &json!({}))]);
        let admin = fixture.root.admin();
        let body =
            json!({"settings": {"number_of_replicas": 0, "write.wait_for_active_shards": 2}});
        let name = gleaner_query::names::NewName::from("books");
        let made = admin.create_index_by_templates(&name, &body, ActiveShards::ONE);
        let refused = made.await.expect_err("too many").to_string();
        assert!(refused.contains(ActiveShards::SETTING), "{refused}");
        let body = json!({"settings": {"number_of_replicas": 1}});
        let made = admin.create_index_by_templates(&name, &body, ActiveShards::AtLeast(3));
        let refused = made.await.expect_err("too many").to_string();
        assert!(refused.contains("[3]"), "{refused}");
        assert!(
            fixture
                .root
                .cluster()
                .state()
                .index_named("books")
                .is_none()
        );
        let options = gleaner_query::names::ResolveOptions::default();
        let body = json!({"index": {"write": {"wait_for_active_shards": 3}}});
        let put = admin.put_settings("index-1", &options, &body, false);
        let refused = put.await.expect_err("too many").to_string();
        assert!(refused.contains(ActiveShards::SETTING), "{refused}");
    }
}
