//! What is typed into a line: filters, searches, the palette.

use super::filter::Filter;
use super::overlay::{Choice, Overlay, Prompt, PromptKind, edit};
use super::table::Scope;
use super::{App, Effect, Page};
use crate::domain::{Text, Timestamp};
use crate::key::{Key, KeyCode};
use crate::store::Store;

impl App {
    /// Pasted text goes into what is being typed, and nowhere else: a paste must
    /// not run commands.
    pub fn paste(&mut self, text: &str) {
        let clean = Text::new(text.lines().next().unwrap_or_default());
        if let Some(Overlay::Action(dialog)) = &mut self.overlay {
            dialog.paste(&clean);
            return;
        }
        for c in clean.chars() {
            let key = Key { code: KeyCode::Char(c), ctrl: false, alt: false, shift: false };
            if self.prompt.is_some() {
                self.prompt_key(key);
            } else if let Some(Overlay::Palette(p)) = &mut self.overlay {
                edit(&mut p.input, key);
                p.search();
            }
        }
    }

    pub(super) fn open_prompt(&mut self) {
        if self.overlay.is_some() {
            return;
        }
        let (kind, before) = match self.stack.last() {
            Some(Page::Table(t)) => (PromptKind::Filter, t.filter.raw.clone()),
            Some(Page::Text(t)) => (PromptKind::Search, t.search.clone()),
            Some(Page::Logs(l)) => (PromptKind::LogFilter, l.filter_raw.clone()),
            None => return,
        };
        let input = if kind == PromptKind::Search { String::new() } else { before.clone() };
        self.prompt = Some(Prompt { kind, input: input.into(), before, error: None });
    }

    pub(super) fn prompt_key(&mut self, key: Key) {
        let Some(mut prompt) = self.prompt.take() else { return };
        let cancel = key.code == KeyCode::Esc || (key.ctrl && key.code == KeyCode::Char('c'));
        if cancel {
            let before = prompt.before.clone();
            let _ = self.apply_prompt(prompt.kind, &before);
            return;
        }
        if key.code == KeyCode::Enter {
            // What cannot be used stays open, with its reason.
            if prompt.error.is_none() {
                return;
            }
        } else if edit(&mut prompt.input, key) {
            prompt.error = self.apply_prompt(prompt.kind, prompt.input.value()).err();
        }
        self.prompt = Some(prompt);
    }

    /// Puts what is typed in force as it is typed.
    fn apply_prompt(&mut self, kind: PromptKind, raw: &str) -> Result<(), String> {
        let columns = self.settings.columns;
        match (kind, self.stack.last_mut()) {
            (PromptKind::Filter, Some(Page::Table(t))) => {
                let keys: Vec<&str> = columns(t.kind).iter().map(|c| c.key).collect();
                t.filter = Filter::parse(raw, &keys).map_err(|e| e.to_string())?;
                t.touch();
            }
            (PromptKind::LogFilter, Some(Page::Logs(l))) => l.set_filter(raw).map_err(|e| e.to_string())?,
            (PromptKind::Search, Some(Page::Text(t))) => {
                t.search = raw.to_lowercase();
                if !t.search.is_empty() && !t.find(true, true) {
                    return Err("not in the text".to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn palette_key(&mut self, key: Key, store: &Store, now: Timestamp) -> Vec<Effect> {
        let Some(Overlay::Palette(palette)) = &mut self.overlay else { return Vec::new() };
        match (key.code, key.ctrl) {
            (KeyCode::Esc, _) | (KeyCode::Char('c'), true) => self.overlay = None,
            (KeyCode::Down | KeyCode::Tab, _) | (KeyCode::Char('n' | 'j'), true) => {
                palette.selected = (palette.selected + 1).min(palette.found.len().saturating_sub(1));
            }
            (KeyCode::Up | KeyCode::BackTab, _) | (KeyCode::Char('p' | 'k'), true) => {
                palette.selected = palette.selected.saturating_sub(1);
            }
            (KeyCode::Enter, _) => {
                let (choice, nothing) = (palette.choice().cloned(), palette.nothing);
                self.overlay = None;
                match choice {
                    Some(Choice::Command(command)) => return self.run(command, store, now),
                    Some(Choice::Cluster(kind, cluster)) => self.open_table(kind, Scope::Cluster(cluster), None),
                    Some(Choice::Runbook(name)) => return self.open_named(&name, store, now),
                    None => self.complain(now, nothing),
                }
            }
            _ => {
                if edit(&mut palette.input, key) {
                    palette.search();
                }
            }
        }
        Vec::new()
    }
}
