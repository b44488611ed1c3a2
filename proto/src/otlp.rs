//! Spans in the form that collectors take: OTLP (OpenTelemetry Protocol), for its transport over HTTP.
//!
//! Does: encode spans, read what a collector has not taken. Does not: send anything (`cli` does).
//! Read first: [`encode`], then `docs/decisions/0054-telemetry.md`.

use bytes::Bytes;
use gleaner_telemetry::{AttributeValue, FinishedSpan, SpanKind};
use prost::Message;

use v1::any_value::Value;

/// The generated messages.
#[expect(
    unreachable_pub,
    clippy::enum_variant_names,
    reason = "generated code is not written for our lints"
)]
mod v1 {
    tonic::include_proto!("otlp");
}

/// Path at which collectors take spans over HTTP.
pub const TRACES_PATH: &str = "/v1/traces";

/// Content type of a request.
pub const CONTENT_TYPE: &str = "application/x-protobuf";

/// The process that made spans.
#[derive(Debug, Clone)]
pub struct Resource {
    /// What it does: `gleaner-front`, `gleaner-root`, …
    pub service: String,
    /// Name of the node.
    pub instance: String,
    /// Version of the program.
    pub version: &'static str,
}

/// Returns the body of a request that carries `spans`.
pub fn encode(resource: &Resource, spans: &[FinishedSpan]) -> Vec<u8> {
    let text = |key: &str, value: &str| attribute(key, &AttributeValue::Text(value.to_owned()));
    let request = v1::ExportTraceServiceRequest {
        resource_spans: vec![v1::ResourceSpans {
            resource: Some(v1::Resource {
                attributes: vec![
                    text("service.name", &resource.service),
                    text("service.instance.id", &resource.instance),
                    text("service.version", resource.version),
                ],
            }),
            scope_spans: vec![v1::ScopeSpans {
                scope: Some(v1::InstrumentationScope {
                    name: "gleaner".to_owned(),
                    version: resource.version.to_owned(),
                }),
                spans: spans.iter().map(message_of).collect(),
            }],
        }],
    };
    request.encode_to_vec()
}

/// Returns how many spans of a request its answer says were not taken, and why.
pub fn rejected(answer: &[u8]) -> Option<(u64, String)> {
    let answer = v1::ExportTraceServiceResponse::decode(answer).ok()?;
    let partial = answer.partial_success?;
    let num_rejected = u64::try_from(partial.rejected_spans).unwrap_or_default();
    (num_rejected > 0).then_some((num_rejected, partial.error_message))
}

fn message_of(span: &FinishedSpan) -> v1::Span {
    let FinishedSpan {
        context,
        parent,
        name,
        kind,
        started_ns,
        ended_ns,
        attributes,
        error,
    } = span;
    let number = |id: u64| Bytes::copy_from_slice(&id.to_be_bytes());
    v1::Span {
        trace_id: Bytes::copy_from_slice(&context.trace_id.to_be_bytes()),
        span_id: number(context.span_id),
        parent_span_id: parent.map(number).unwrap_or_default(),
        name: name.clone().into_owned(),
        kind: match kind {
            SpanKind::Internal => v1::SpanKind::Internal,
            SpanKind::Server => v1::SpanKind::Server,
            SpanKind::Client => v1::SpanKind::Client,
        }
        .into(),
        start_time_unix_nano: *started_ns,
        end_time_unix_nano: *ended_ns,
        attributes: attributes
            .iter()
            .map(|(key, value)| attribute(key, value))
            .collect(),
        status: error.map(|why| v1::Status {
            message: why.to_owned(),
            code: v1::StatusCode::Error.into(),
        }),
        flags: u32::from(context.is_sampled),
    }
}

fn attribute(key: &str, value: &AttributeValue) -> v1::KeyValue {
    let value = match value {
        AttributeValue::Text(text) => Value::StringValue(text.clone()),
        AttributeValue::Number(number) => Value::IntValue(*number),
        AttributeValue::Flag(flag) => Value::BoolValue(*flag),
    };
    v1::KeyValue {
        key: key.to_owned(),
        value: Some(v1::AnyValue { value: Some(value) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_collector_has_not_taken_is_counted() {
        let answer = v1::ExportTraceServiceResponse {
            partial_success: Some(v1::ExportTracePartialSuccess {
                rejected_spans: 3,
                error_message: "too old".to_owned(),
            }),
        };
        let told = rejected(&answer.encode_to_vec());
        assert_eq!(told, Some((3, "too old".to_owned())));
        assert_eq!(rejected(&[]), None, "all were taken");
        assert_eq!(rejected(b"<html>"), None, "no such message");
    }
}
