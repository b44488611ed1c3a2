//! What the operators and functions of an expression do, and how tightly they bind.
//!
//! Does: bind as Java does: `a > 1 && b < 2` is of two comparisons. `exmex`'s own operators bind `&&` and `||`
//! before comparisons, and add up literals before what stands left of them (`a - 2 + 3` as `a - 5`).
//! Does not: take a condition for a number, or a number for a condition, nor compute with `null`, which can be compared
//! with `==` and `!=` alone.
//! Source: Java language specification, chapter 15; Painless follows it.

use exmex::{BinOp, ExError, MakeOperators, Operator, Val};

/// A number, which is always a `Val::Float`; whether a condition holds, a `Val::Bool`; or `null`, which is `Val::None`.
pub(super) type Value = Val<i32, f64>;

/// Functions of one number that an expression may call.
pub(super) const FUNCTIONS: [&str; 17] = [
    "abs", "acos", "asin", "atan", "cbrt", "ceil", "cos", "exp", "floor", "isNaN", "ln", "log",
    "log10", "round", "sin", "sqrt", "tan",
];

/// Functions of two numbers; they become operators between these.
pub(super) const FUNCTIONS_OF_TWO: [&str; 4] = ["atan2", "max", "min", "pow"];

/// Between the condition of a conditional operator and what is chosen where it holds.
pub(super) const THEN: &str = "then";
/// Between that and what is chosen where it does not.
pub(super) const ELSE: &str = "else";

/// What stands for no value.
pub(super) const NULL: &str = "null";
/// What stands for the result of `0.0 / 0.0`.
pub(super) const NAN: &str = "NaN";

/// What [`THEN`] gives where its condition does not hold: no other value is a whole number.
const NOT_CHOSEN: Value = Val::Int(0);

// What an operator takes, as messages name it.
const NUMBER: &str = "a number";
const CONDITION: &str = "a condition";

/// All that an expression may be made of, besides numbers and brackets.
#[derive(Clone, Debug)]
pub(super) struct Operators;

// How tightly operators of two sides bind, the loosest first. Those that are words stand in brackets. Those of one side bind more tightly than these.
const WORD: i64 = 0;
const OR: i64 = 1;
const AND: i64 = 2;
const EQUALITY: i64 = 3;
const RELATION: i64 = 4;
const SUM: i64 = 5;
const PRODUCT: i64 = 6;

impl MakeOperators<Value> for Operators {
    fn make<'a>() -> Vec<Operator<'a, Value>> {
        let plus = binary(SUM, |a, b| arithmetic(a, b, |x, y| x + y));
        let minus = binary(SUM, |a, b| arithmetic(a, b, |x, y| x - y));
        let times = binary(PRODUCT, |a, b| arithmetic(a, b, |x, y| x * y));
        let over = binary(PRODUCT, |a, b| arithmetic(a, b, |x, y| x / y));
        let modulo = binary(PRODUCT, |a, b| arithmetic(a, b, |x, y| x % y));
        let less = binary(RELATION, |a, b| comparison(a, b, |x, y| x < y));
        let at_most = binary(RELATION, |a, b| comparison(a, b, |x, y| x <= y));
        let more = binary(RELATION, |a, b| comparison(a, b, |x, y| x > y));
        let at_least = binary(RELATION, |a, b| comparison(a, b, |x, y| x >= y));
        vec![
            Operator::make_bin_unary("+", plus, |a| function(a, |x| x)),
            Operator::make_bin_unary("-", minus, |a| function(a, |x| -x)),
            Operator::make_bin("*", times),
            Operator::make_bin("/", over),
            Operator::make_bin("%", modulo),
            Operator::make_bin("<", less),
            Operator::make_bin("<=", at_most),
            Operator::make_bin(">", more),
            Operator::make_bin(">=", at_least),
            Operator::make_bin("==", binary(EQUALITY, equality)),
            Operator::make_bin("!=", binary(EQUALITY, |a, b| negation(equality(a, b)))),
            Operator::make_bin("&&", binary(AND, |a, b| logic(a, b, |x, y| x && y))),
            Operator::make_bin("||", binary(OR, |a, b| logic(a, b, |x, y| x || y))),
            Operator::make_bin(THEN, binary(WORD, chosen)),
            Operator::make_bin(ELSE, binary(WORD, otherwise)),
            Operator::make_bin("atan2", binary(WORD, |a, b| arithmetic(a, b, f64::atan2))),
            Operator::make_bin("max", binary(WORD, |a, b| arithmetic(a, b, largest))),
            Operator::make_bin("min", binary(WORD, |a, b| arithmetic(a, b, smallest))),
            Operator::make_bin("pow", binary(WORD, |a, b| arithmetic(a, b, power))),
            Operator::make_constant(NULL, Val::None),
            Operator::make_constant(NAN, Val::Float(f64::NAN)),
            Operator::make_unary("!", negation),
            // Casts, as Java has them: towards 0, no further than the type reaches, and 0 of NaN.
            Operator::make_unary("int", |a| function(a, |x| f64::from(x as i32))),
            Operator::make_unary("long", |a| function(a, |x| x as i64 as f64)),
            Operator::make_unary("abs", |a| function(a, f64::abs)),
            Operator::make_unary("acos", |a| function(a, f64::acos)),
            Operator::make_unary("asin", |a| function(a, f64::asin)),
            Operator::make_unary("atan", |a| function(a, f64::atan)),
            Operator::make_unary("cbrt", |a| function(a, f64::cbrt)),
            Operator::make_unary("ceil", |a| function(a, f64::ceil)),
            Operator::make_unary("cos", |a| function(a, f64::cos)),
            Operator::make_unary("exp", |a| function(a, f64::exp)),
            Operator::make_unary("floor", |a| function(a, f64::floor)),
            Operator::make_unary("isNaN", is_nan),
            Operator::make_unary("ln", |a| function(a, f64::ln)),
            // Java's is the natural one.
            Operator::make_unary("log", |a| function(a, f64::ln)),
            Operator::make_unary("log10", |a| function(a, f64::log10)),
            Operator::make_unary("round", |a| function(a, rounded)),
            Operator::make_unary("sin", |a| function(a, f64::sin)),
            Operator::make_unary("sqrt", |a| function(a, f64::sqrt)),
            Operator::make_unary("tan", |a| function(a, f64::tan)),
        ]
    }
}

/// Returns an operator of two sides; of those that bind alike, the left one comes first.
fn binary(prio: i64, apply: fn(Value, Value) -> Value) -> BinOp<Value> {
    BinOp {
        apply,
        prio,
        // Otherwise `exmex` lets literals come before what stands left of them.
        is_commutative: false,
    }
}

fn arithmetic(left: Value, right: Value, apply: fn(f64, f64) -> f64) -> Value {
    match (left, right) {
        (Val::Float(left), Val::Float(right)) => Val::Float(apply(left, right)),
        (left, right) => unfit([left, right], NUMBER),
    }
}

fn comparison(left: Value, right: Value, apply: fn(f64, f64) -> bool) -> Value {
    match (left, right) {
        (Val::Float(left), Val::Float(right)) => Val::Bool(apply(left, right)),
        (left, right) => unfit([left, right], NUMBER),
    }
}

/// Returns what two conditions come to. As in Java, a fault of the right one does not count where the left one
/// decides: `x != null && x > 1`.
fn logic(left: Value, right: Value, apply: fn(bool, bool) -> bool) -> Value {
    match (left, right) {
        (Val::Bool(left), Val::Bool(right)) => Val::Bool(apply(left, right)),
        (Val::Bool(left), Val::Error(_)) if apply(left, true) == apply(left, false) => {
            Val::Bool(apply(left, true))
        }
        (left, right) => unfit([left, right], CONDITION),
    }
}

/// Returns whether two values are the same; `null` is so to itself alone.
fn equality(left: Value, right: Value) -> Value {
    match (left, right) {
        (Val::Error(fault), _) | (_, Val::Error(fault)) => Val::Error(fault),
        (Val::None, other) | (other, Val::None) => Val::Bool(matches!(other, Val::None)),
        (Val::Float(left), Val::Float(right)) => Val::Bool(left == right),
        (Val::Bool(left), Val::Bool(right)) => Val::Bool(left == right),
        _ => Val::Error(ExError::new("a number is compared with a condition")),
    }
}

fn negation(value: Value) -> Value {
    match value {
        Val::Bool(is_true) => Val::Bool(!is_true),
        other => unfit([other], CONDITION),
    }
}

/// Returns what is chosen where a condition holds, [`NOT_CHOSEN`] elsewhere.
fn chosen(condition: Value, value: Value) -> Value {
    match condition {
        Val::Bool(true) => value,
        Val::Bool(false) => NOT_CHOSEN,
        other => unfit([other], CONDITION),
    }
}

fn otherwise(chosen: Value, other: Value) -> Value {
    match chosen {
        Val::Int(_) => other,
        chosen => chosen,
    }
}

/// Returns the larger one; none of them is a number where one is none, as in Java.
fn largest(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

fn smallest(a: f64, b: f64) -> f64 {
    -largest(-a, -b)
}

/// Returns a power as Java has it: none of what is no number, and of 1 none to infinity.
fn power(base: f64, exponent: f64) -> f64 {
    match exponent.is_nan() || (base.abs() == 1.0 && exponent.is_infinite()) {
        true => f64::NAN,
        false => base.powf(exponent),
    }
}

/// Returns the nearest whole number; of two the larger one, as in Java.
fn rounded(number: f64) -> f64 {
    if number.is_nan() {
        return 0.0;
    }
    let below = number.floor();
    if number - below >= 0.5 {
        below + 1.0
    } else {
        below
    }
}

fn function(value: Value, apply: fn(f64) -> f64) -> Value {
    match value {
        Val::Float(number) => Val::Float(apply(number)),
        other => unfit([other], NUMBER),
    }
}

fn is_nan(value: Value) -> Value {
    match value {
        Val::Float(number) => Val::Bool(number.is_nan()),
        other => unfit([other], NUMBER),
    }
}

/// Returns the fault that a side has already, else that one of them is not what is `wanted`.
fn unfit<const N: usize>(sides: [Value; N], wanted: &str) -> Value {
    let mut found = NULL;
    for side in sides {
        let name = match side {
            Val::Error(fault) => return Val::Error(fault),
            Val::Float(_) => NUMBER,
            Val::Bool(_) => CONDITION,
            _ => NULL,
        };
        if name != wanted {
            found = name;
        }
    }
    let why = format!("{found} stands where {wanted} must");
    Val::Error(ExError::new(&why))
}
