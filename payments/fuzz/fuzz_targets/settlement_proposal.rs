#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| payments::settlement::fuzz::fuzz_proposal(data));
