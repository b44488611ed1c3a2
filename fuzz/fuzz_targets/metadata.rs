//! Bytes for the reader `metadata`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("metadata", bytes));
