//! Bytes for the reader `context_id`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("context_id", bytes));
