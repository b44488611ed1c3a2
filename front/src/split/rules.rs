//! Rules that send a share of requests another way, as files and people write them.

use gleaner_model::mapping::matches_pattern;
use http::HeaderName;
use http::request::Parts;
use serde::{Deserialize, Serialize};

use super::share::{Share, SplitKey};
use crate::classes::RequestClass;

/// Rules in their order: the first that fits a request decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The rules.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name. Users are dealt out by it: another name deals anew.
    pub name: String,
    /// Which requests it is for; by default all.
    #[serde(default, skip_serializing_if = "When::is_any")]
    pub when: When,
    /// The service that the share goes to; by default the front's own backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The index that the share is asked of in place of another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexRewrite>,
    /// The share of users that goes the other way.
    pub share: Share,
    /// By what users are known.
    #[serde(default)]
    pub by: SplitKey,
    /// Do writes go the other way too? By default they go the main way.
    #[serde(default)]
    pub writes: bool,
    /// Is the other way watched, and left when it is worse?
    #[serde(default)]
    pub canary: bool,
}

/// Which requests a rule is for: those that fit all that is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Beginning of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Pattern of the first part of the path, in which `*` stands for any characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// A header, `NAME` or `NAME: VALUE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// What kind of work it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<RequestClass>,
}

/// One index in place of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexRewrite {
    /// The first part of the path.
    pub from: String,
    /// What stands there instead.
    pub to: String,
}

/// The rules cannot be put in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule `{rule}`: {reason}")]
pub struct BadRules {
    rule: String,
    reason: String,
}

/// Most rules of a front: each request is held against all of them.
const MOST_RULES: usize = 100;

impl BadRules {
    fn of(rule: &Rule, reason: impl Into<String>) -> Self {
        Self {
            rule: rule.name.clone(),
            reason: reason.into(),
        }
    }

    pub(super) fn target(rule: &Rule, to: &str) -> Self {
        Self::of(
            rule,
            format!("`{to}` is no service that this front was started with (`--split-to`)"),
        )
    }
}

impl Rules {
    /// Is a way watched, so that it may be left?
    pub(super) fn has_canary(&self) -> bool {
        self.rules.iter().any(|rule| rule.canary)
    }

    pub(super) fn check(&self) -> Result<(), BadRules> {
        for (at, rule) in self.rules.iter().enumerate() {
            let is_twice = self.rules[..at].iter().any(|other| other.name == rule.name);
            let fault = if at >= MOST_RULES {
                format!("there are at most {MOST_RULES} rules")
            } else if rule.name.is_empty() || is_twice {
                "each needs a name of its own".to_owned()
            } else if rule.to.is_none() && rule.index.is_none() {
                "it sends nobody anywhere: wanted `to` or `index`".to_owned()
            } else if rule
                .index
                .as_ref()
                .is_some_and(|index| !is_name(&index.from) || !is_name(&index.to))
            {
                "`index` takes names of indices or aliases".to_owned()
            } else if rule.when.header_name().is_some_and(|name| name.is_err()) {
                "`when.header` is no `NAME` or `NAME: VALUE`".to_owned()
            } else if rule.when.class == Some(RequestClass::Write) && !rule.writes {
                "`when.class` is `write`, and writes go the main way: wanted `\"writes\": true`"
                    .to_owned()
            } else {
                continue;
            };
            return Err(BadRules::of(rule, fault));
        }
        Ok(())
    }
}

/// Can the text stand in a path as one part, without being an interface?
fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && !text.starts_with(['_', '-', '.']) && text.bytes().all(is_plain)
}

impl Rule {
    /// Is it for this request, which is of this class?
    pub(super) fn fits(&self, head: &Parts, is_read: bool, class: RequestClass) -> bool {
        let path = head.uri.path();
        let first = path
            .trim_start_matches('/')
            .split('/')
            .next()
            .unwrap_or_default();
        (is_read || self.writes)
            && self
                .when
                .path
                .as_ref()
                .is_none_or(|start| path.starts_with(start.as_str()))
            && self
                .when
                .index
                .as_ref()
                .is_none_or(|pattern| !first.starts_with('_') && matches_pattern(pattern, first))
            && self.index.as_ref().is_none_or(|index| index.from == first)
            && self.when.has_header(head)
            && self.when.class.is_none_or(|wanted| wanted == class)
    }
}

impl When {
    fn is_any(&self) -> bool {
        *self == Self::default()
    }

    fn header_name(&self) -> Option<Result<HeaderName, ()>> {
        let name = self.header.as_ref()?.split(':').next()?.trim();
        Some(name.parse().map_err(|_| ()))
    }

    fn has_header(&self, head: &Parts) -> bool {
        let Some(Ok(name)) = self.header_name() else {
            return true;
        };
        let wanted = self
            .header
            .as_ref()
            .and_then(|header| header.split_once(':'));
        let wanted = wanted.map(|(_, value)| value.trim().as_bytes());
        let mut values = head.headers.get_all(name).iter();
        values.any(|value| wanted.is_none_or(|wanted| value.as_bytes() == wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Rules, String> {
        let rules: Rules = serde_json::from_str(text).map_err(|error| error.to_string())?;
        rules.check().map_err(|error| error.to_string())?;
        Ok(rules)
    }

    #[test]
    fn rules_are_read_and_checked_as_a_whole() {
        let text = r#"{"rules":[
            {"name":"new","when":{"path":"/wiki/"},"to":"http://new:9200","share":"10%","by":"cookie:sid","canary":true},
            {"name":"alias","index":{"from":"wiki","to":"wiki-2"},"share":"0.5%"}
        ]}"#;
        let rules = read(text).expect("rules");
        let again = serde_json::to_string(&rules).expect("JSON");
        assert_eq!(read(&again).as_ref(), Ok(&rules));
        for (wrong, word) in [
            (r#"{"rules":[{"name":"a","share":"10%"}]}"#, "sends nobody"),
            (
                r#"{"rules":[{"name":"a","to":"x","share":"10"}]}"#,
                "no share",
            ),
            (r#"{"rules":[{"name":"","to":"x","share":"1%"}]}"#, "a name"),
            (
                r#"{"rules":[{"name":"a","to":"x","share":"1%","typo":1}]}"#,
                "typo",
            ),
            (
                r#"{"rules":[{"name":"a","index":{"from":"_all","to":"b"},"share":"1%"}]}"#,
                "names of indices",
            ),
            (
                r#"{"rules":[{"name":"a","index":{"from":"a","to":"b/_doc"},"share":"1%"}]}"#,
                "names of indices",
            ),
            (
                r#"{"rules":[{"name":"a","to":"x","share":"1%","when":{"header":"a b"}}]}"#,
                "when.header",
            ),
            (
                r#"{"rules":[{"name":"a","to":"x","share":"1%","when":{"class":"writes"}}]}"#,
                "unknown variant `writes`",
            ),
            (
                r#"{"rules":[{"name":"a","to":"x","share":"1%","when":{"class":"write"}}]}"#,
                "when.class",
            ),
        ] {
            let error = read(wrong).expect_err(wrong);
            assert!(error.contains(word), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_rule_is_for_what_it_says() {
        let text = r#"{"rules":[{"name":"a","to":"x","share":"1%","when":{"index":"wiki*","header":"x-beta: yes"}}]}"#;
        let rule = read(text).expect("rules").rules.remove(0);
        let fits = |path: &str, value: &str, is_read| {
            let request = http::Request::get(path).header("x-beta", value).body(());
            let head = request.expect("a request").into_parts().0;
            rule.fits(&head, is_read, RequestClass::Read)
        };
        assert!(fits("/wiki-1/_search", "yes", true));
        assert!(!fits("/wiki-1/_search", "no", true));
        assert!(!fits("/other/_search", "yes", true));
        assert!(!fits("/_search", "yes", true));
        assert!(
            !fits("/wiki-1/_doc", "yes", false),
            "writes go the main way"
        );
    }
}
