//! Templates that data streams go on by.

use gleaner_model::template::{DataStreamTemplate, TemplateContent};
use serde_json::json;

use super::*;
use crate::testing::Fixture;

fn template(pattern: &str, priority: Option<u64>, is_streamed: bool) -> NewTemplate {
    NewTemplate::Index(IndexTemplate {
        index_patterns: vec![pattern.to_owned()],
        priority,
        data_stream: is_streamed.then(DataStreamTemplate::default),
        ..IndexTemplate::default()
    })
}

/// A part of templates in which `@timestamp` is of the kind `kind`.
fn timed(kind: &str) -> TemplateContent {
    TemplateContent {
        mappings: Some(json!({"properties": {"@timestamp": {"type": kind}}})),
        ..TemplateContent::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_data_stream_is_left_without_its_times() {
    let fixture = Fixture::new([]);
    let admin = fixture.root.admin();
    let put = async |name: &str, template: NewTemplate| {
        let put = admin.put_template(name, &template, false).await;
        put.map_err(|error| error.to_string())
    };
    let component = |kind: &str| {
        NewTemplate::Component(ComponentTemplate {
            template: timed(kind),
            ..ComponentTemplate::default()
        })
    };
    let index = |own: Option<&str>| {
        NewTemplate::Index(IndexTemplate {
            index_patterns: vec!["logs-*".to_owned()],
            composed_of: Some(vec!["part".to_owned()]),
            template: own.map(timed),
            data_stream: Some(DataStreamTemplate::default()),
            ..IndexTemplate::default()
        })
    };
    put("part", component("date_nanos")).await.expect("put");
    let refused = "composable template [logs] template after composition is invalid: data stream timestamp field \
                   [@timestamp] must be of type [date]";
    let keyword = put("logs", index(Some("keyword"))).await;
    assert_eq!(keyword, Err(refused.to_owned()));
    put("logs", index(None)).await.expect("put");
    let long = put("part", component("long")).await;
    assert_eq!(long, Err(refused.to_owned()));
    put("part", component("date")).await.expect("put");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_template_leaves_a_data_stream_without_one() {
    let fixture = Fixture::new([]);
    let admin = fixture.root.admin();
    let put = async |name: &str, template: NewTemplate| {
        let put = admin.put_template(name, &template, false).await;
        put.map_err(|error| error.to_string())
    };
    let first = template("hid-*", Some(900), true);
    put("hid", first).await.expect("put");
    admin.create_data_stream("hid-1").await.expect("made");
    for (name, template, shown) in [
        (
            "hid",
            template("nothid-*", Some(900), false),
            "[nothid-*], priority [900] and no data stream configuration would",
        ),
        (
            "hid",
            template("nothid-*", None, true),
            "[nothid-*], priority [null] would",
        ),
        (
            "over",
            template("hid-*", Some(901), false),
            "[hid-*], priority [901] and no data stream configuration would",
        ),
    ] {
        let refused = put(name, template).await.expect_err(shown);
        let expected = format!(
            "composable template [{name}] with index patterns {shown} cause data streams [hid-1] to no longer match \
             a data stream template"
        );
        assert_eq!(refused, expected);
    }
    for (name, template) in [
        ("hid", template("hid*", Some(7), true)),
        ("other", template("other-*", Some(901), false)),
        ("under", template("hid-1", Some(6), false)),
    ] {
        put(name, template).await.expect(name);
    }
}
