//! Bytes for the reader `query_string`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("query_string", bytes));
