#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| payments::rates::fuzz::fuzz_answer(data));
