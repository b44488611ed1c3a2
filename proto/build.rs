//! Compiles the `.proto` files to Rust, without a `protoc` binary.

use std::error::Error;

/// Files with services or with messages that no other file imports.
const FILES: [&str; 4] = [
    "gleaner/v1/leaf.proto",
    "gleaner/v1/leases.proto",
    "gleaner/v1/replication.proto",
    "gleaner/v1/node.proto",
];

/// What collectors of spans take, which is sent over HTTP.
const OTLP: [&str; 1] = ["otlp/trace.proto"];

/// Calls of etcd, which is never served here.
const ETCD: [&str; 1] = ["etcd/rpc.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure()
        // Documents are slices of the message they came in, not copies.
        .bytes(".")
        .compile_fds(descriptors)?;
    let descriptors = protox::compile(OTLP, ["proto"])?;
    tonic_prost_build::configure()
        .bytes(".")
        .compile_fds(descriptors)?;
    let descriptors = protox::compile(ETCD, ["proto"])?;
    tonic_prost_build::configure()
        .build_server(false)
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
