//! The promises between files, in one program: one is linked, not twenty. `cargo test --test integration sale::` runs those of
//! one file; each file says which features it needs. The world on one thread is a program of its own, `simulation`.

mod support {
    pub mod browser;
    pub mod glass;
    pub mod modules;
    pub mod network;
    pub mod pi;
    pub mod postgres;
    #[cfg(all(feature = "kiosk", feature = "server"))]
    pub mod properties;
    pub mod shop;
    pub mod tls;
    pub mod visitor;
}

mod alarms;
mod api;
mod awake;
mod browser;
mod commands;
mod console;
mod demo;
mod docs;
mod door;
mod fleet;
mod front;
mod installer;
mod killed;
mod layering;
mod names;
mod notifications;
mod panel;
mod promises;
mod properties;
mod reconcile;
mod sale;
mod screens;
mod size;
mod spellings;
mod vectors;
mod virtual_pi;
