//! Bytes for the reader `traceparent`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("traceparent", bytes));
