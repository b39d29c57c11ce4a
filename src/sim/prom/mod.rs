//! Prometheus and Alertmanager, as far as the embedded fleet needs them.
pub mod promql;
