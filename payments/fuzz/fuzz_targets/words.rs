#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| payments::tariff::fuzz::fuzz_words(data));
