//! Bytes for the reader `path_rights`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("path_rights", bytes));
