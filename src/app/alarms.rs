//! What the user does with alarms: unfold them, read one, go to what it is about.

use chrono::TimeDelta;

use super::table::{Scope, ViewKind};
use super::text::{Content, TextKind, TextState};
use super::{App, Effect, Page};
use crate::command::Command;
use crate::domain::{Kind, ObjectId, Timestamp};
use crate::store::Store;
use crate::store::alarm_groups::{subject, trouble};

/// So long alarms have to be on screen to have been looked at.
const LOOK: TimeDelta = TimeDelta::seconds(15);

impl App {
    /// The alarms view or the overview is, or is not, on screen now: until when what had
    /// appeared has been looked at.
    pub fn look(&mut self, now: Timestamp) -> Option<Timestamp> {
        let visible = self
            .table()
            .is_some_and(|t| t.scope == Scope::All && matches!(t.kind, ViewKind::Alarms | ViewKind::Overview));
        if !visible || self.overlay.is_some() {
            self.looking = None;
            return None;
        }
        let since = *self.looking.get_or_insert(now);
        (now - since >= LOOK).then(|| now - LOOK)
    }

    /// The alarm whose details are on screen: in the pane, or as a page.
    pub(super) fn detailed_alarm(&self, store: &Store) -> Option<ObjectId> {
        let id = match self.page() {
            Some(Page::Table(t)) if self.details => t.selected(store)?,
            Some(Page::Text(t)) => t.id.clone(),
            _ => return None,
        };
        (id.kind == Kind::Alarm).then_some(id)
    }

    /// The details of an alarm as a page; they are drawn from the store, so that they
    /// stay true while it is open.
    pub(super) fn open_alarm(&mut self, id: ObjectId) {
        let page = self.number();
        let mut text = TextState::new(page, id, TextKind::Describe);
        text.content = Content::Lines(Vec::new());
        self.stack.push(Page::Text(Box::new(text)));
    }

    /// Enter on an alarm: shows or hides what is behind it; its details if nothing is.
    pub(super) fn unfold_or_open_alarm(&mut self, id: ObjectId, store: &Store) {
        let Some(table) = self.table_mut() else { return };
        if table.kind == ViewKind::Alarms {
            let at = table.order.get(table.cursor_at).copied();
            let line = at.and_then(|slot| table.alarms.get(slot as usize));
            if line.is_some_and(|l| l.instances + l.others > 0) {
                if !table.open.remove(&id) {
                    table.open.insert(id);
                }
                table.touch();
            } else {
                self.open_alarm(id);
            }
            return;
        }
        let several = trouble(store).iter().any(|g| g.len() > 1 && g.lead().is_some_and(|a| a.id == id));
        if !several {
            self.open_alarm(id);
            return;
        }
        self.open_table(ViewKind::Alarms, Scope::All, Some(id.clone()));
        if let Some(table) = self.table_mut() {
            table.open.insert(id);
        }
    }

    /// Commands about an alarm.
    pub(super) fn run_alarm(&mut self, command: Command, id: &ObjectId, store: &Store, now: Timestamp) -> Vec<Effect> {
        let Some(alarm) = store.alarms.get(id) else {
            self.complain(now, &format!("{} is no alarm that fires now", id.name));
            return Vec::new();
        };
        if command == Command::Runbook {
            if alarm.runbook.is_empty() {
                let say = format!("{} names no runbook; [[runbook]] in config.toml can give it one", id.name);
                self.complain(now, &say);
                return Vec::new();
            }
            let url = alarm.runbook.to_string();
            self.say(now, &format!("runbook, copied: {url}"));
            return vec![Effect::Copy(url)];
        }
        let about = alarm.about.clone().or_else(|| subject(store, alarm));
        match about {
            Some(id) if id.kind == Kind::Node => self.open_table(ViewKind::Nodes, Scope::All, Some(id)),
            Some(id) if id.kind == Kind::Task => self.open_table(ViewKind::Tasks, Scope::All, Some(id)),
            Some(id) if id.kind == Kind::Zone => self.open_table(ViewKind::Nodes, Scope::Zone(id), None),
            Some(id) if id.kind.is_workload() => self.open_table(ViewKind::Workloads, Scope::All, Some(id)),
            Some(id) => self.complain(now, &format!("{} {} has no view here", id.kind.short(), id.name)),
            None => self.complain(now, "nobody says what this alarm is about"),
        }
        Vec::new()
    }
}
