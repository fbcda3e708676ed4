//! A vending kiosk that takes WeChat and Alipay payments through selpay, and the merchant's server that confirms them.
//!
//! The map of the house:
//!
//! | where | what |
//! | --- | --- |
//! | [`money`], [`ids`], [`sale`] | words that all share: fen, order numbers, where a sale stands |
//! | [`selpay`] | the platform's wire formats, pure |
//! | [`api`] | the merchant's HTTP API as types |
//! | [`kiosk`] | the device: a pure machine, and adapters for panel, keypad, dispenser, journal and network |
//! | [`merchant`] | the merchant's server: a pure ledger, the books in SQLite or PostgreSQL, HTTP, the console |
//! | [`paysim`] | a stand-in for the platform and the paying customer; shares no codec with [`selpay`] |
//! | [`demo`] | all three on loopback, the kiosk in the browser |
//! | [`cli`], [`files`], [`http`], [`log`], [`random`] | what programs and servers have in common |
//!
//! Imports go one way only, from the shells to the pure cores; `tests/layering.rs` fails on any other.

#[cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]
pub mod demo;
#[cfg(feature = "kiosk")]
pub mod kiosk;
#[cfg(feature = "server")]
pub mod merchant;
#[cfg(feature = "sim")]
pub mod paysim;

pub mod api;
pub mod cli;
pub mod files;
#[cfg(feature = "http")]
pub mod http;
pub mod ids;
pub mod log;
pub mod money;
#[doc(hidden)]
pub mod planted;
pub mod random;
pub mod sale;
pub mod selpay;
