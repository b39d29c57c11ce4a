//! From the store and what the user is doing to what is on the screen, without
//! drawing: rows, cells, lines and badges.

pub mod actions;
pub mod alarms;
pub mod arrange;
pub mod bars;
pub mod chart;
pub mod clusters;
pub mod columns;
pub mod describe;
pub mod details;
mod details_budget;
mod details_ecs;
mod details_notice;
mod details_service;
pub mod header;
pub mod help;
pub mod json;
pub mod level;
pub mod logs;
pub mod map;
pub mod notices;
pub mod placements;
pub mod report;
pub mod runbook;
pub mod sources;
pub mod spark;
pub mod status;
pub mod summary;
pub mod table;
pub mod users;
pub mod wall;
pub mod words;
pub mod yaml;

pub use arrange::{arrange, before_a_key};
pub use columns::column_infos;
