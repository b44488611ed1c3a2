//! Expressions: what they come to, and which are refused.

use gleaner_query::aggregation::BucketPath;

use super::*;

fn script(source: &str) -> BucketScript {
    let path = |name: &str| {
        let path = BucketPath {
            text: name.to_owned(),
            steps: Vec::new(),
            property: None,
        };
        (name.to_owned(), path)
    };
    BucketScript {
        paths: vec![path("sales"), path("visits")],
        source: source.to_owned(),
        params: vec![("least".to_owned(), -2.5), ("visits".to_owned(), 9.0)],
        is_lucene: false,
    }
}

fn number(source: &str) -> Result<Option<f64>, EvaluationError> {
    number_of(source, Some(3.0))
}

fn number_of(source: &str, sales: Option<f64>) -> Result<Option<f64>, EvaluationError> {
    Expression::new(&script(source))?.number(&[sales, Some(2.0)])
}

#[test]
fn arithmetic_is_that_of_fractions() {
    for (source, wanted) in [
        ("params.sales / params.visits", 1.5),
        ("params['sales'] * 100", 300.0),
        ("sales / visits * 100", 150.0),
        ("5 / 2 + -params.sales", -0.5),
        ("return Math.sqrt(params.visits * 8);", 4.0),
        ("(params.sales - 1) * (2)", 4.0),
        ("params.sales - 2 + 3", 4.0),
        ("2 - params.sales - 4", -5.0),
        ("100 / 10 / 5 * params.visits", 4.0),
        ("7 % 4 * 2 + params.sales % params.visits", 7.0),
        ("-params.sales * 2 - -(params.visits + 1)", -3.0),
        ("-Math.abs(1 - params.sales * 2) + Math.log10(100)", -3.0),
        ("1e3 + 2.5E-1 - 1e+2d", 900.25),
        ("Math.pow(params.sales, params.visits) * 2", 18.0),
        ("-Math.max(params.sales, Math.min(7, pow(2, 2)))", -4.0),
        ("Math.floor(2.7) + Math.ceil(2.1) + Math.round(-2.5)", 3.0),
        ("Math.exp(0) + Math.log(Math.E) + Math.sqrt(4)", 4.0),
        // Of the two that have the name, that of the bucket.
        ("params.least * params.visits - least", -2.5),
        ("params.sales > 2 && true ? 1 : 0", 1.0),
        ("(params.sales < 2 ? 10 : 20) + 1", 21.0),
        ("sales > 5 ? 1 : sales > 2 ? visits > 5 ? 2 : 3 : 4", 3.0),
        ("sales > 5 ? sales > 2 ? 1 : 2 : 4", 4.0),
    ] {
        assert_eq!(number(source).expect(source), Some(wanted), "{source}");
    }
}

#[test]
fn casts_bind_before_all_operators_of_two_sides() {
    for (source, wanted) in [
        ("(int)(params.sales / params.visits) + (long)-2.7", -1.0),
        ("(int)params.sales / params.visits", 1.5),
        ("(double)params.sales / (float)params.visits * 2", 3.0),
        ("( int ) -1.5 * 2", -2.0),
        ("-(int)2.7", -2.0),
        ("(int)1e10", 2_147_483_647.0),
        ("(long)1e10 + 0.5", 10_000_000_000.5),
        ("(int)Double.NaN + 1", 1.0),
        ("(int)(sales > 5 ? 1.9 : Math.max(2.9, 1))", 2.0),
    ] {
        assert_eq!(number(source).expect(source), Some(wanted), "{source}");
    }
}

#[test]
fn statements_return_what_their_expression_gives() {
    for (source, wanted) in [
        ("{return params.sales}", 3.0),
        ("{ return params.sales; }", 3.0),
        ("return(params.sales);", 3.0),
        ("if (sales > 5) { return 1 } else { return 2 }", 2.0),
        (
            "if (sales > 5) { return 1; } else if (sales > 2) { return visits; } else { return 3; }",
            2.0,
        ),
        ("if (sales < 5) { return 1; } return 2;", 1.0),
        (
            "if (sales > 2) return visits > 2 ? 4 : 5; else return 6;",
            5.0,
        ),
        (
            "{ if (sales > 2) { return (1 + 2) * visits } return 3 }",
            6.0,
        ),
    ] {
        assert_eq!(number(source).expect(source), Some(wanted), "{source}");
    }
}

#[test]
fn null_is_compared_and_returned() {
    let ratio = "params.sales != null && params.visits != null && params.visits > 0 \
                 ? params.sales / params.visits : 0";
    for (source, sales, wanted) in [
        (ratio, Some(3.0), Some(1.5)),
        (ratio, None, Some(0.0)),
        ("params.sales == null ? null : sales", None, None),
        ("params.sales == null ? null : sales", Some(3.0), Some(3.0)),
        (
            "null != sales && sales > 2 ? 1 : null",
            Some(3.0),
            Some(1.0),
        ),
        ("null != sales && sales > 2 ? 1 : null", Some(1.0), None),
        ("null != sales && sales > 2 ? 1 : null", None, None),
        ("sales == null || sales > 5 ? 1 : 2", None, Some(1.0)),
        ("sales == null || sales > 5 ? 1 : 2", Some(3.0), Some(2.0)),
        // `null` that is chosen is a choice.
        ("sales > 2 ? null : 1", Some(3.0), None),
        ("null == null ? 1 : 2", None, Some(1.0)),
        ("(sales > 1) == null ? 1 : 2", Some(3.0), Some(2.0)),
        // What is no number is not `null`.
        ("sales != null ? 1 : 2", Some(f64::NAN), Some(1.0)),
        ("Double.isNaN(sales) ? null : 1", Some(f64::NAN), None),
        ("Double.isNaN(sales) ? null : 1", Some(3.0), Some(1.0)),
        (
            "if (sales == null) { return null } return sales * 2",
            None,
            None,
        ),
        (
            "if (sales == null) { return null } return sales * 2",
            Some(3.0),
            Some(6.0),
        ),
    ] {
        let number = number_of(source, sales).expect(source);
        assert_eq!(number, wanted, "{source} of {sales:?}");
    }
}

#[test]
fn nothing_is_computed_with_null() {
    let (no_number, no_condition) = (
        "null stands where a number must",
        "null stands where a condition must",
    );
    for (source, wanted) in [
        ("params.sales + 1", no_number),
        ("params.sales > 1", no_number),
        ("Math.abs(sales)", no_number),
        ("Math.max(1, sales)", no_number),
        ("(int)sales", no_number),
        ("(double)sales", no_number),
        ("Double.isNaN(sales)", no_number),
        // The left side comes first.
        ("sales > 1 && sales != null", no_number),
        ("sales != null || sales > 1", no_number),
        ("null + 1", no_number),
        ("!sales", no_condition),
        ("sales ? 1 : 2", no_condition),
        ("2 > 1 && sales", no_condition),
    ] {
        let error = number_of(source, None).expect_err(source).to_string();
        assert!(error.contains(wanted), "{source}: {error}");
    }
}

#[test]
fn conditions_hold_or_do_not() {
    let holds = |source: &str| {
        let script = script(source);
        let expression = Expression::new(&script).expect("a condition");
        expression
            .holds(&[Some(3.0), Some(2.0)])
            .expect("it is one")
    };
    assert!(holds("params.sales > 2"));
    assert!(holds("params.sales >= 3 && params.visits != 3"));
    assert!(!holds("params.sales == 4 || params.visits < 2"));
}

#[test]
fn operators_bind_as_those_of_java() {
    let buckets = [("hat", 30.0, 2.0), ("shirt", 70.0, 2.0), ("bag", 55.5, 1.0)];
    for (source, wanted) in [
        ("params.a > 20 && params.a < 65", vec!["hat", "bag"]),
        ("params.n == 2 && params.a > 40", vec!["shirt"]),
        ("params.a > 20 && params.a != 70", vec!["hat", "bag"]),
        ("params.a >= 60.5 || params.a == 30.0", vec!["hat", "shirt"]),
        // `&&` comes before `||`, on either side of it.
        ("a == 30 || n == 2 && a > 90", vec!["hat"]),
        ("n == 1 && a > 90 || a == 30", vec!["hat"]),
        ("(a == 30 || n == 2) && a > 40", vec!["shirt"]),
        // `==` comes after `<`, and before `&&`.
        ("a > 40 == n < 2", vec!["hat", "bag"]),
        ("n == 2 == a < 40 && a > 1 + 20 * 2", vec!["bag"]),
        ("!(a > 40) || !!(n == 1)", vec!["hat", "bag"]),
        (
            "!(a > 40 && n == 2) && a - 5 * 2 > 20 - 5",
            vec!["hat", "bag"],
        ),
        (
            "Math.abs(a - 60) < 5 || -n < -1 && a % 7 == 0",
            vec!["shirt", "bag"],
        ),
    ] {
        let mut script = script(source);
        script.paths[0].0 = "a".to_owned();
        script.paths[1].0 = "n".to_owned();
        let expression = Expression::new(&script).expect(source);
        let kept = buckets.iter().filter(|(_, a, n)| {
            let holds = expression.holds(&[Some(*a), Some(*n)]);
            holds.expect(source)
        });
        let kept: Vec<&str> = kept.map(|(name, _, _)| *name).collect();
        assert_eq!(kept, wanted, "{source}");
    }
}

#[test]
fn a_number_is_no_condition() {
    let numbers = [Some(1.0), Some(2.0)];
    for (source, number) in [("params.sales", "[1]"), ("params.sales - 1", "[0]")] {
        let mut script = script(source);
        let expression = Expression::new(&script).expect(source);
        let error = expression.holds(&numbers).expect_err(source).to_string();
        assert!(error.contains("must return a boolean"), "{error}");
        assert!(error.contains(number), "{error}");
        script.is_lucene = true;
        let expression = Expression::new(&script).expect(source);
        let holds = expression.holds(&numbers).expect(source);
        assert_eq!(holds, number == "[1]", "{source}");
    }
}

#[test]
fn null_is_no_condition() {
    for is_lucene in [false, true] {
        let mut script = script("params.sales > 2 ? null : true");
        script.is_lucene = is_lucene;
        let expression = Expression::new(&script).expect("an expression");
        let error = expression.holds(&[Some(3.0), Some(2.0)]);
        let error = error.expect_err("it is null").to_string();
        let wanted = "must return a boolean, but returns [null]";
        assert!(error.contains(wanted), "{error}");
        let holds = expression.holds(&[Some(1.0), Some(2.0)]);
        assert!(holds.expect("a condition"));
    }
}

#[test]
fn what_is_no_expression_is_refused_by_name() {
    for (source, named) in [
        ("params.other", "other"),
        ("def x = 1; x", "def"),
        ("System.exit(1)", "System"),
        ("fact(3)", "fact"),
        ("5 & 2", "&"),
        ("5 = 2", "="),
        ("1 + (2 > 1)", "a condition stands"),
        ("1 && 2 > 1", "a number stands"),
        ("!1", "a number stands"),
        ("(2 > 1) == 1", "compared with a condition"),
        ("1 ? 2 : 3", "a number stands"),
        ("* params.sales params.visits", "[*]"),
        ("(params.sales)(* params.visits)", "[(]"),
        ("params.sales params.visits", "[p]"),
        ("2 > 1 ? 2", "[:] is missing"),
        ("2 > 1 ? : 3", "something is missing"),
        ("(2 > 1", "[)] is missing"),
        ("2)", "[)]"),
        ("pow(2)", "[,] is missing"),
        ("abs(2, 3)", "[)] is missing"),
        ("1e999", "1e999"),
        ("Math.random()", "random"),
        ("'a'", "'"),
        ("", "script []"),
        ("(string)params.sales", "[string]"),
        ("(int)", "operator"),
        ("Double.MAX_VALUE", "[MAX_VALUE]"),
        ("{return 1", "[}] is missing"),
        ("return;", "something is missing"),
        ("return 1; return 2", "[r]"),
        ("if (2 > 1) { return 1 }", "something is missing"),
        ("if (2 > 1) { return 1 } else { return 2 } 3", "[3]"),
        ("if 2 > 1 { return 1 } else { return 2 }", "[(] is missing"),
        ("for (;;) { return 1 }", "[for]"),
        (&"(".repeat(100), "deep"),
        (&"{".repeat(100), "deep"),
    ] {
        let error = number(source).expect_err(source).to_string();
        assert!(error.contains(named), "{source}: {error}");
    }
}
