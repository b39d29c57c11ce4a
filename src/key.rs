//! One grammar for keys: in keymap files, on screen and in docs.

/// Where keys mean something. A context inherits what its parent binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    /// Everywhere.
    Global,
    /// Any list of rows, the map included.
    Table,
    /// A list whose selected row is a node.
    Node,
    /// A list whose selected row is a task.
    Task,
    /// A list whose selected row is a workload.
    Workload,
    /// Read-only text: describe, YAML, help, errors.
    Text,
    /// The log view.
    Logs,
}

impl Context {
    /// Every context, in the order help shows them.
    pub const ALL: [Self; 7] =
        [Self::Global, Self::Table, Self::Node, Self::Task, Self::Workload, Self::Text, Self::Logs];

    /// Its name: the table in keymap files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Table => "table",
            Self::Node => "node",
            Self::Task => "task",
            Self::Workload => "workload",
            Self::Text => "text",
            Self::Logs => "logs",
        }
    }

    /// The context whose bindings it inherits.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        match self {
            Self::Global => None,
            Self::Node | Self::Task | Self::Workload => Some(Self::Table),
            Self::Table | Self::Text | Self::Logs => Some(Self::Global),
        }
    }
}

/// A key without its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyCode {
    /// A printable character, as typed: `G` is `Char('G')` without shift.
    Char(char),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Shift-tab, as terminals report it.
    BackTab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// Insert.
    Insert,
    /// Arrow.
    Up,
    /// Arrow.
    Down,
    /// Arrow.
    Left,
    /// Arrow.
    Right,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// F1 to F24.
    F(u8),
}

/// One key press: `ctrl-f`, `shift-left`, `G`, `space`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Which key.
    pub code: KeyCode,
    /// Control held.
    pub ctrl: bool,
    /// Alt held.
    pub alt: bool,
    /// Shift held; never set for characters, where it is part of the character.
    pub shift: bool,
}
