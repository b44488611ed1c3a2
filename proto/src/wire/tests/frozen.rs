//! What must never change: the number and type of each field, and the bytes of one message of each
//! service.
//!
//! `fields.txt` and `bytes.txt` lie beside this file. A new field or message adds lines to the first; a line that changes
//! breaks every peer of another version. One goes when no version that nodes may be mixed with needs it; its number is
//! `reserved`.

use std::fmt::Write;

use gleaner_model::{NodeId, Role};
use prost::Message;

use super::super::{Wire, v1};
use crate::LeafFault;
use crate::node::NodeInfo;
use crate::read::GenerationsCall;
use crate::replicate::Snapshot;
use crate::tests::samples;
use crate::version::Versions;
use crate::write::WriteAnswer;

/// Compares as text, and shows the whole of what is now when it differs.
fn is_as_before(now: &str, before: &str) {
    assert!(now.trim() == before.trim(), "it is now:\n{now}");
}

#[test]
fn field_numbers_are_frozen() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    let files = ["leaf", "replication", "node", "leases"];
    let files = files.map(|name| format!("gleaner/v1/{name}.proto"));
    let descriptors = protox::compile(files, [folder]).expect("they compile");
    let mut lines = Vec::new();
    for file in &descriptors.file {
        for message in &file.message_type {
            let mut pending = vec![(message.name().to_owned(), message)];
            while let Some((name, message)) = pending.pop() {
                for field in &message.field {
                    let (field_name, number) = (field.name(), field.number());
                    let (label, kind) = (field.label(), field.r#type());
                    let (label, kind) = (label.as_str_name(), kind.as_str_name());
                    let target = field.type_name();
                    lines.push(format!(
                        "{name}.{field_name} = {number} {label} {kind} {target}"
                    ));
                }
                let nested = message.nested_type.iter();
                pending.extend(nested.map(|part| (format!("{name}.{}", part.name()), part)));
            }
        }
        for number in &file.enum_type {
            let name = number.name();
            let values = number.value.iter();
            lines.extend(values.map(|v| format!("{name}.{} = {}", v.name(), v.number())));
        }
        for service in &file.service {
            let name = service.name();
            let methods = service.method.iter();
            lines.extend(methods.map(|method| {
                let (call, answer) = (method.input_type(), method.output_type());
                format!("{name}.{}({call}) {answer}", method.name())
            }));
        }
    }
    lines.sort();
    let text = lines.join("\n").replace(".gleaner.v1.", "");
    is_as_before(
        &text
            .replace("LABEL_", "")
            .replace("TYPE_", "")
            .replace(" \n", "\n"),
        include_str!("fields.txt"),
    );
}

#[test]
fn bytes_are_frozen() {
    let mut text = String::new();
    let mut freeze = |name: &str, bytes: Vec<u8>| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{name} {hex}").expect("text can be written to");
    };
    let call = samples::search_call().to_message();
    freeze("SearchCall", call.encode_to_vec());
    let answers = [
        Ok(samples::hits()),
        Err(LeafFault::NotHere {
            shard: samples::shard(1),
        }),
    ];
    let answers = super::super::messages(&answers);
    let answers = v1::SearchAnswers { answers };
    freeze("SearchAnswers", answers.encode_to_vec());
    let answer = Ok::<_, LeafFault>(samples::postings());
    freeze("PostingsAnswer", answer.to_message().encode_to_vec());
    let answer = Ok::<_, LeafFault>(samples::places());
    freeze("LocateAnswer", answer.to_message().encode_to_vec());
    let call = samples::write_call().to_message();
    freeze("WriteCall", call.encode_to_vec());
    let written = Ok::<WriteAnswer, LeafFault>(samples::written());
    freeze("WriteAnswer", written.to_message().encode_to_vec());
    let snapshot = Ok::<Snapshot, LeafFault>(samples::snapshot());
    freeze("OpenSnapshotAnswer", snapshot.to_message().encode_to_vec());
    let call = GenerationsCall {
        shards: vec![samples::shard(1)],
        remaining: samples::REMAINING,
    };
    freeze("GenerationsCall", call.to_message().encode_to_vec());
    let shown = Ok::<_, LeafFault>(samples::shown());
    freeze("GenerationAnswer", shown.to_message().encode_to_vec());
    let call = samples::follow_call().to_message();
    freeze("FollowCall", call.encode_to_vec());
    let answer = samples::follow_answer().to_message();
    freeze("FollowAnswer", answer.encode_to_vec());
    let info = NodeInfo {
        id: NodeId("leaf-1".into()),
        role: Role::Leaf,
        build_version: "1.2.3".to_owned(),
        wire: Versions { min: 1, max: 2 },
    };
    freeze("HelloAnswer", info.to_message().encode_to_vec());
    is_as_before(&text, include_str!("bytes.txt"));
}
