//! The embedded fleet: a pure model driven by scenario files, and a façade that
//! speaks the real wire protocols. Nobody but `cli` and tests imports it.

pub mod aws;
pub mod backend;
pub mod cloud;
pub mod fault;
pub mod kube;
pub mod model;
pub mod prom;
pub mod server;
pub mod telemetry;
