#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| payments::stellar::fuzz::fuzz_answer(data));
