//! Quarterdeck: one terminal console for the person on call.
//!
//! The library holds everything; `main.rs` only calls [`cli`]. Which module may
//! use which is a table in `docs/architecture.md`, checked by
//! `tests/architecture.rs`.

#![forbid(unsafe_code)]

pub mod action;
pub mod app;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod docs;
pub mod domain;
pub mod key;
pub mod keymap;
pub mod run;
pub mod runbook;
pub mod sim;
pub mod slo;
pub mod source;
pub mod store;
pub mod term;
pub mod theme;
pub mod ui;
pub mod view;
