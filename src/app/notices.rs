//! What the user does with notices and pools: open one, go to what it is about.

use super::filter::Filter;
use super::table::{Scope, ViewKind};
use super::text::TextKind;
use super::{App, Effect};
use crate::command::Command;
use crate::domain::{Kind, ObjectId, Timestamp};
use crate::store::Store;
use crate::store::notices::NoticeRow;

impl App {
    /// Enter on a notice: the tasks of its node while that is there; else all that is
    /// known of it.
    pub(super) fn open_notice(&mut self, id: ObjectId, store: &Store, now: Timestamp) -> Vec<Effect> {
        // Elsewhere a line about many of them leads to their list.
        if self.table().is_none_or(|t| t.kind != ViewKind::Spot) {
            self.open_table(ViewKind::Spot, Scope::All, None);
            return Vec::new();
        }
        match row(&id, store, now).and_then(|r| r.node).filter(|node| store.nodes.get(node).is_some()) {
            Some(node) => {
                self.open_table(ViewKind::Tasks, Scope::Node(node), None);
                Vec::new()
            }
            None => self.open_text(id, TextKind::Describe),
        }
    }

    /// Enter on a pool: its nodes.
    pub(super) fn open_pool(&mut self, id: &ObjectId, now: Timestamp) {
        let columns = (self.settings.columns)(ViewKind::Nodes);
        let keys: Vec<&str> = columns.iter().map(|c| c.key).collect();
        match Filter::parse(&format!("type={} zone={}", id.name, id.namespace), &keys) {
            Ok(filter) if !id.name.is_empty() && !id.namespace.is_empty() => {
                self.open_table(ViewKind::Nodes, Scope::All, None);
                if let Some(table) = self.table_mut() {
                    table.filter = filter;
                    table.touch();
                }
            }
            _ => self.complain(now, "nobody says of what type these machines are, or where"),
        }
    }

    /// Commands about a notice.
    pub(super) fn run_notice(&mut self, command: Command, id: &ObjectId, store: &Store, now: Timestamp) {
        let found = row(id, store, now);
        match command {
            Command::GoToNode => match found.and_then(|r| r.node).filter(|node| store.nodes.get(node).is_some()) {
                Some(node) => self.open_table(ViewKind::Nodes, Scope::All, Some(node)),
                None => self.complain(now, "its machine is not among the nodes that are read"),
            },
            Command::GoToOwner => {
                let case = store.notices.case(&crate::domain::notice::Victim::of_key(&id.name));
                let owners = || case.iter().flat_map(|c| &c.tasks).filter_map(|t| t.owner.clone());
                let short =
                    |w: &ObjectId| store.workloads.get(w).is_some_and(|w| w.replicas.ready < w.replicas.desired);
                match owners().find(short).or_else(|| owners().next()) {
                    Some(owner) => self.open_table(ViewKind::Workloads, Scope::All, Some(owner)),
                    None => self.complain(now, "no workload's tasks are known to be on it"),
                }
            }
            Command::Events => match found.and_then(|r| r.node.or(r.task)) {
                Some(about) => self.open_table(ViewKind::Events, Scope::About(about), None),
                None => self.complain(now, "no events are read of what is in no cluster here"),
            },
            _ => {}
        }
    }

    /// Shows what is remembered as well, or not.
    pub(super) fn toggle_history(&mut self) {
        if let Some(table) = self.table_mut() {
            table.history = !table.history;
            table.touch();
        }
    }
}

/// The node that a notice is about, while it is there.
pub(super) fn machine(id: &ObjectId, store: &Store, now: Timestamp) -> Option<ObjectId> {
    row(id, store, now).and_then(|r| r.node).filter(|node| store.nodes.get(node).is_some())
}

fn row(id: &ObjectId, store: &Store, now: Timestamp) -> Option<NoticeRow> {
    (id.kind == Kind::Notice).then(|| store.board(now).rows.iter().find(|r| r.id == *id).cloned()).flatten()
}
