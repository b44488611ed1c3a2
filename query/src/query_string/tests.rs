//! Texts of both query syntaxes and what they mean.

use proptest::prelude::*;

use super::{
    BoolClauses, Build, Shape, UriOptions, escape, expand, parse, parse_simple, parse_uri_query,
};
use crate::dsl::{Fuzziness, MinimumShouldMatch, Operator, Query, QueryStringQuery};
use crate::limits::Limits;

fn query(text: &str) -> QueryStringQuery {
    QueryStringQuery {
        fields: vec![("d".to_owned(), 1.0)],
        ..QueryStringQuery::new(text.to_owned())
    }
}

/// Writes a tree the way Lucene's tests do: `+required optional -prohibited`.
fn show(query: &Query) -> String {
    let (text, boost) = match query {
        Query::Match(q) => (format!("{}:{}", q.field, text(&q.query)), q.boost),
        Query::MatchPhrase(q) => {
            let slop = if q.slop > 0 {
                format!("~{}", q.slop)
            } else {
                String::new()
            };
            (format!("{}:\"{}\"{slop}", q.field, text(&q.query)), q.boost)
        }
        Query::MultiMatch(q) => {
            let names: Vec<&str> = q.fields.iter().map(|(name, _)| name.as_str()).collect();
            (
                format!("{{{}}}{:?}:{}", names.join(","), q.kind, text(&q.query)),
                q.boost,
            )
        }
        Query::Prefix(q) => (format!("{}:{}*", q.field, q.value), q.boost),
        Query::Wildcard(q) => (format!("{}:w({})", q.field, q.value), q.boost),
        Query::Regexp(q) => (format!("{}:/{}/", q.field, q.value), q.boost),
        Query::Fuzzy(q) => {
            let edits = match q.fuzziness {
                Fuzziness::Edits(edits) => edits.to_string(),
                Fuzziness::Auto { .. } => "auto".to_owned(),
            };
            (format!("{}:{}~{edits}", q.field, q.value), q.boost)
        }
        Query::Range(q) => {
            let bound = |bound: &Option<(serde_json::Value, bool)>, marks: [char; 2]| match bound {
                None => ("*".to_owned(), marks[0]),
                Some((value, included)) => (text(value), marks[usize::from(!included)]),
            };
            let (lower, open) = bound(&q.lower, ['[', '{']);
            let (upper, close) = bound(&q.upper, [']', '}']);
            (
                format!("{}:{open}{lower} TO {upper}{close}", q.field),
                q.boost,
            )
        }
        Query::Exists { field, boost } => (format!("exists({field})"), *boost),
        Query::MatchAll { boost } => ("*:*".to_owned(), *boost),
        Query::MatchNone => ("none".to_owned(), 1.0),
        Query::OverFields(q) => {
            let asked = |(field, boost): &(String, f32)| {
                show(&q.clause.as_ref().clone().on_field(field).boosted(*boost))
            };
            let shown: Vec<String> = q.fields.iter().map(asked).collect();
            (format!("({})", shown.join(" | ")), q.boost)
        }
        Query::Group(group) => {
            let members = group.members.iter();
            let said: Vec<Vec<String>> = members
                .map(|member| member.query.iter().map(show).collect())
                .collect();
            let build: Build<String> = Build {
                all: || "*:*".to_owned(),
                joined: show_joined,
            };
            let text = match group.join(said, &build).expect("text") {
                Shape::Single(text) => text,
                Shape::BoolClauses(joined) => show_joined(joined),
            };
            (text, group.boost)
        }
        other => panic!("{other:?}"),
    };
    if boost == 1.0 {
        text
    } else {
        format!("{text}^{boost}")
    }
}

fn show_joined(joined: BoolClauses<String>) -> String {
    let mut parts: Vec<String> = joined.must.iter().map(|q| format!("+{q}")).collect();
    parts.extend(joined.should);
    parts.extend(joined.must_not.iter().map(|q| format!("-{q}")));
    format!("({})", parts.join(" "))
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn classic(text: &str) -> String {
    match parse(&query(text), &Limits::default()) {
        Ok(query) => show(&query),
        Err(fault) => format!("error: {fault}"),
    }
}

fn classic_and(text: &str) -> String {
    let query = QueryStringQuery {
        default_operator: Operator::And,
        ..query(text)
    };
    show(&parse(&query, &Limits::default()).expect(text))
}

fn simple(text: &str) -> String {
    show(&parse_simple(&query(text), &Limits::default()).expect(text))
}

#[test]
fn classic_syntax_reads_as_lucene_does() {
    let cases = [
        ("", "none"),
        ("term", "d:term"),
        ("quick brown fox", "d:quick brown fox"),
        ("a AND b", "(+d:a +d:b)"),
        ("a && b", "(+d:a +d:b)"),
        ("a OR b", "(d:a d:b)"),
        ("a || b", "(d:a d:b)"),
        ("a OR b AND c", "(+d:b +d:c d:a)"),
        ("+a -b", "(+d:a -d:b)"),
        ("a NOT b", "(d:a -d:b)"),
        ("a !b", "(d:a -d:b)"),
        ("NOT a", "(-d:a)"),
        ("a b +c", "(+d:c d:a b)"),
        ("a b f:c", "(d:a b f:c)"),
        ("f:a b", "(f:a d:b)"),
        ("f:(a OR b)", "(f:a f:b)"),
        ("f:(a b) c", "(f:a b d:c)"),
        ("(a OR b) AND c", "(+(d:a d:b) +d:c)"),
        ("(a OR b)^4", "(d:a d:b)^4"),
        ("\"quick fox\"", "d:\"quick fox\""),
        ("f:\"quick fox\"~3^2", "f:\"quick fox\"~3^2"),
        ("quick^2 fox", "(d:quick^2 d:fox)"),
        ("roam~", "d:roam~auto"),
        ("roam~1 x", "(d:roam~1 d:x)"),
        ("roam~0.5", "d:roam~0"),
        ("roam~1.5", "d:roam~1"),
        ("roam~7", "d:roam~2"),
        ("qu?ck bro*", "(d:w(qu?ck) d:bro*)"),
        ("f:*ing", "f:w(*ing)"),
        ("f:*", "exists(f)"),
        ("*", "exists(d)"),
        ("*:*", "*:*"),
        ("_exists_:title", "exists(title)"),
        ("name:/joh?n(ath[oa]n)/", "name:/joh?n(ath[oa]n)/"),
        (r"f:/a\/b/", r"f:/a\/b/"),
        ("n:[1 TO 5]", "n:[1 TO 5]"),
        ("n:{1 TO 5]", "n:{1 TO 5]"),
        ("n:[10 TO *]", "n:[10 TO *]"),
        ("n:[* TO \"x y\"}", "n:[* TO x y}"),
        (
            "date:[2012-01-01 TO 2012-12-31]^3",
            "date:[2012-01-01 TO 2012-12-31]^3",
        ),
        ("age:>10", "age:{10 TO *]"),
        ("age:>=10", "age:[10 TO *]"),
        ("age:(>=10 AND <20)", "(+age:[10 TO *] +age:[* TO 20})"),
        ("age:(+>=10 +<20)", "(+age:[10 TO *] +age:[* TO 20})"),
        (r"kimchy\!", "d:kimchy!"),
        (r"\(1\+1\)\=2", "d:(1+1)=2"),
        (r"\u0041bc", "d:Abc"),
        (r"first\ name:x", "first name:x"),
        (r"a\*", "d:a*"),
        (r"a\**", "d:a**"),
        ("foo-bar a+b", "d:foo-bar a+b"),
        ("a - b", "(d:a d:- d:b)"),
        ("book.*:x", "{book.*}BestFields:x"),
        ("&&foo ANDY", "d:&&foo ANDY"),
        ("\u{3000}a\tb", "d:a b"),
        ("k:\"\"", "k:\"\""),
        ("_exists_:k AND NOT k:\"\"", "(+exists(k) -k:\"\")"),
        ("_exists_:\"\"", "none"),
    ];
    for (text, expected) in cases {
        assert_eq!(classic(text), expected, "{text}");
    }
}

#[test]
fn and_as_default_operator_requires_what_or_does_not_free() {
    let cases = [
        ("f:a f:b", "(+f:a +f:b)"),
        ("f:a OR f:b", "(f:a f:b)"),
        ("f:a OR f:b f:c", "(+f:c f:a f:b)"),
        ("f:a -f:b", "(+f:a -f:b)"),
    ];
    for (text, expected) in cases {
        assert_eq!(classic_and(text), expected, "{text}");
    }
}

#[test]
fn faults_of_syntax_name_the_text() {
    let wrong = [
        "(a", "a)", "()", "a AND", "AND a", "\"a", "f:", "a^x", "a^", "[a TO", "n:[1 5]", "/a",
        "a]", "\\", "f:g:h", "+", "-",
    ];
    for text in wrong {
        let shown = classic(text);
        assert!(
            shown.starts_with(&format!("error: Failed to parse query [{text}]: ")),
            "{text}: {shown}"
        );
    }
    let mut no_leading = query("*ing");
    no_leading.allow_leading_wildcard = false;
    assert!(parse(&no_leading, &Limits::default()).is_err());
}

#[test]
fn default_fields_may_be_none_or_several() {
    let limits = Limits::default();
    let over = |fields: &[&str], text: &str| {
        let mut query = query(text);
        query.fields = fields.iter().map(|f| ((*f).to_owned(), 2.0)).collect();
        show(&parse(&query, &limits).expect(text))
    };
    assert_eq!(over(&[], "a b"), "{}BestFields:a b");
    assert_eq!(over(&[], "a*"), "()", "the index's");
    assert_eq!(over(&[], "*"), "*:*");
    assert_eq!(over(&["*"], "*:*"), "*:*");
    assert_eq!(over(&["a", "b"], "x y"), "{a,b}BestFields:x y");
    assert_eq!(over(&["a", "b"], "x*"), "(a:x*^2 | b:x*^2)");
    assert_eq!(over(&["a", "b"], "\"x y\""), "{a,b}Phrase:x y");
    assert_eq!(over(&["a"], "x^3"), "a:x^6");
}

#[test]
fn minimum_and_boost_apply_to_the_whole_text() {
    let mut asked = query("a OR b OR c");
    asked.minimum_should_match = Some(MinimumShouldMatch::Count(2));
    asked.boost = 3.0;
    let parsed = parse(&asked, &Limits::default()).expect("text");
    let Query::Group(parsed) = parsed else {
        panic!("a group");
    };
    assert_eq!(
        parsed.minimum_should_match,
        Some(MinimumShouldMatch::Count(2))
    );
    assert_eq!(parsed.boost, 3.0);
}

#[test]
fn simple_syntax_reads_as_lucene_does() {
    let cases = [
        ("", "none"),
        ("   ", "none"),
        ("foo", "d:foo"),
        ("foo bar", "(d:foo d:bar)"),
        ("foo + bar", "(+d:foo +d:bar)"),
        ("foo | bar", "(d:foo d:bar)"),
        ("foo + bar | baz", "((+d:foo +d:bar) d:baz)"),
        ("-foo", "(*:* -d:foo)"),
        ("--foo", "d:foo"),
        ("- foo", "d:foo"),
        ("foo -bar", "(d:foo (*:* -d:bar))"),
        ("\"foo bar\"", "d:\"foo bar\""),
        ("\"foo bar\"~2", "d:\"foo bar\"~2"),
        ("\"foo bar\"~", "d:\"foo bar\""),
        ("\"foo", "d:foo"),
        ("foo*", "d:foo*"),
        ("*", "*:*"),
        (" * ", "*:*"),
        ("* foo", "(d:* d:foo)"),
        ("fo*o", "d:fo*o"),
        (r"foo\*", "d:foo*"),
        ("foo~1", "d:foo~1"),
        ("foo~", "d:foo~2"),
        ("foo~9", "d:foo~2"),
        ("foo~x", "d:foo"),
        ("(foo bar) + baz", "(+(d:foo d:bar) +d:baz)"),
        ("((foo", "d:foo"),
        ("foo))", "d:foo"),
        ("()", "none"),
        ("+|", "none"),
        (r"\(foo", "d:(foo"),
        (
            "\"fried eggs\" +(eggplant | potato) -frittata",
            "((+d:\"fried eggs\" +(d:eggplant d:potato)) (*:* -d:frittata))",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(simple(text), expected, "{text}");
    }
}

#[test]
fn flags_switch_simple_operators_off() {
    let mut asked = query("foo | bar + baz*");
    asked.flags = super::SimpleFlags::parse("OR|WHITESPACE")
        .expect("flags")
        .bits();
    let parsed = parse_simple(&asked, &Limits::default()).expect("text");
    assert_eq!(show(&parsed), "(d:foo d:bar d:+ d:baz*)");
    let Query::Group(parsed) = parsed else {
        panic!("a group");
    };
    let last = parsed.members.last().and_then(|last| last.query.as_ref());
    assert!(matches!(last, Some(Query::Match(_))), "not a prefix");
}

#[test]
fn depth_is_refused_before_recursion() {
    let limits = Limits {
        query_string_bytes: 10_000_000,
        clauses: 1_000_000,
        ..Limits::default()
    };
    let nested = "(".repeat(1_000_000) + "a" + &")".repeat(1_000_000);
    assert!(parse(&query(&nested), &limits).is_err());
    assert!(parse_simple(&query(&nested), &limits).is_err());
    let open = "(".repeat(1_000_000);
    assert!(parse(&query(&open), &limits).is_err());
    assert_eq!(parse_simple(&query(&open), &limits), Ok(Query::MatchNone));
    let alternating = "a + b | ".repeat(10_000);
    assert!(parse_simple(&query(&alternating), &limits).is_err());
    let words = "f:a OR ".repeat(2_000) + "f:b";
    assert!(parse(&query(&words), &Limits::default()).is_err());
    assert!(parse(&query(&words), &limits).is_ok());
}

#[test]
fn uri_queries_expand_like_bodies() {
    let options = UriOptions {
        default_field: Some("field".to_owned()),
        default_operator: Some("AND".to_owned()),
        ..UriOptions::default()
    };
    let limits = Limits::default();
    let asked = parse_uri_query("field:foo xyz", &options, &limits).expect("uri");
    let expanded = expand(asked, &limits).expect("text");
    assert_eq!(show(&expanded), "(+field:foo +field:xyz)");
}

proptest! {
    #[test]
    fn texts_never_panic(text in "\\PC{0,40}") {
        let limits = Limits::default();
        let _parsed = parse(&query(&text), &limits);
        prop_assert!(parse_simple(&query(&text), &limits).is_ok());
    }

    #[test]
    fn operators_never_panic(text in "[ab \"*?:/()~^+|!&\\\\\\[\\]{}<>=0-9.TOANDR-]{0,60}") {
        let limits = Limits::default();
        let _parsed = parse(&query(&text), &limits);
        let _parsed = parse_simple(&query(&text), &limits);
    }

    #[test]
    fn escaped_texts_are_read_as_they_are(text in "[ab*?:/()~^+|!&\\\\\\[\\]{}=\"-]{1,20}") {
        let parsed = parse(&query(&escape(&text)), &Limits::default()).expect("escaped");
        let Query::Match(parsed) = parsed else {
            panic!("{parsed:?}");
        };
        prop_assert_eq!(parsed.query.as_str(), Some(text.as_str()));
    }
}
