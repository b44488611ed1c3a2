//! Bytes for the reader `log_line`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("log_line", bytes));
