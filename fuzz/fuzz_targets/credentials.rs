//! Bytes for the reader `credentials`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("credentials", bytes));
