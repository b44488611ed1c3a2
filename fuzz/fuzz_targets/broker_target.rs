//! Bytes for the reader `broker_target`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("broker_target", bytes));
