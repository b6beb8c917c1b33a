#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cachegate_fuzz_targets::opaque_token(data));
