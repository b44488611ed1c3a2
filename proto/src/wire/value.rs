//! JSON values that are the user's own.

use serde_json::{Map, Number, Value};

use super::field::known;
use super::tree::Forest;
use super::v1::value_node::Kind;
use super::{DecodeError, Wire, v1};

/// Levels of a value: what the reader of JSON bodies lets through (127), and one.
const MAX_DEPTH: usize = 128;

impl Wire for Value {
    type Message = v1::Value;

    fn to_message(&self) -> v1::Value {
        let mut nodes = Vec::new();
        push(self, &mut nodes);
        v1::Value { nodes }
    }

    fn from_message(message: v1::Value) -> Result<Self, DecodeError> {
        let mut values = Forest::new("Value", MAX_DEPTH);
        for node in message.nodes {
            add(&mut values, known(node.kind, "Value")?)?;
        }
        values.into_one()
    }
}

fn push(value: &Value, nodes: &mut Vec<v1::ValueNode>) {
    let kind = match value {
        Value::Null => Kind::Null(v1::Unit {}),
        Value::Bool(boolean) => Kind::Boolean(*boolean),
        Value::Number(number) => number_kind(number),
        Value::String(text) => Kind::Text(text.clone()),
        Value::Array(values) => {
            values.iter().for_each(|value| push(value, nodes));
            Kind::Array(values.len() as u32)
        }
        Value::Object(map) => {
            map.values().for_each(|value| push(value, nodes));
            let keys = map.keys().cloned().collect();
            Kind::Object(v1::ObjectKeys { keys })
        }
    };
    nodes.push(v1::ValueNode { kind: Some(kind) });
}

fn number_kind(number: &Number) -> Kind {
    match (number.as_u64(), number.as_i64()) {
        (Some(unsigned), _) => Kind::Unsigned(unsigned),
        (None, Some(negative)) => Kind::Negative(negative),
        // A number that is neither is a finite fraction.
        (None, None) => Kind::Fraction(number.as_f64().unwrap_or_default()),
    }
}

fn add(values: &mut Forest<Value>, kind: Kind) -> Result<(), DecodeError> {
    match kind {
        Kind::Array(count) => values.add(count as usize, |parts| Ok(Value::Array(parts))),
        Kind::Object(v1::ObjectKeys { keys }) => values.add(keys.len(), |parts| {
            Ok(Value::Object(
                keys.into_iter().zip(parts).collect::<Map<_, _>>(),
            ))
        }),
        Kind::Null(_) => values.add(0, |_| Ok(Value::Null)),
        Kind::Boolean(boolean) => values.add(0, |_| Ok(Value::Bool(boolean))),
        Kind::Negative(number) => values.add(0, |_| Ok(number.into())),
        Kind::Unsigned(number) => values.add(0, |_| Ok(number.into())),
        Kind::Fraction(number) => values.add(0, |_| {
            let number = Number::from_f64(number);
            let number = number.ok_or_else(|| DecodeError::field("Value", "not a finite number"));
            Ok(Value::Number(number?))
        }),
        Kind::Text(text) => values.add(0, |_| Ok(Value::String(text))),
    }
}
