//! Bytes for the reader `redis_answer`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("redis_answer", bytes));
