#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| payments::lightning::fuzz::fuzz_lnd(data));
