//! The platform's wire formats, pure: bytes in, checked types out. No I/O, no clock, no keys kept.
//!
//! - [`add_order`]: the one call the platform offers, and the check of the address it answers with.
//! - [`xml`]: the strict reading of a notification's body into raw fields.
//! - [`sign`]: the signature over those raw fields. [`reading`]: that what is signed can be read in one way only.
//! - [`notification`]: what a notification says. It can only be read from fields whose signature was verified.
//!
//! The rules come from the platform's document (`docs/selpay-integration.zh.md`) and, where that is silent, from docs/protocol.md.
//! The platform's own words (`out_trade_no`, `total_fee`) stay in here.

pub mod add_order;
pub mod notification;
pub mod reading;
pub mod sign;
pub mod xml;
