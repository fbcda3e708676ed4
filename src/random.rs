//! Random numbers from the operating system, good enough for secrets.

/// 128 random bits.
///
/// # Panics
///
/// If the operating system has none: without them no order number, token or session would be safe to use.
pub fn bits() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("Linux has random numbers once it has started");
    u128::from_ne_bytes(bytes)
}
