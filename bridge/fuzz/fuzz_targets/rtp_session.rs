#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bridge::rtp::fuzz::fuzz_session(data));
