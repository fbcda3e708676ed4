#![no_main]

#[path = "../../tests/support/properties.rs"]
#[allow(dead_code, reason = "each target has one property")]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::recut(input));
