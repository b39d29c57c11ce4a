//! THE command table.
//!
//! A command is added here and nowhere else: its name, what it does, where it
//! means something, how dangerous it is. Help overlay, hint bar, palette,
//! which-key popup, keymap lint, and the generated docs are derived.

use crate::key::Context;

/// How much harm a command can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Danger {
    /// Looks only.
    Safe,
    /// Changes something outside; goes through plan, guard, confirmation and audit.
    Changes,
}

/// One row of the table.
#[derive(Debug)]
pub struct CommandInfo {
    /// The command.
    pub command: Command,
    /// Its name in keymap files and the palette, kebab-case.
    pub name: &'static str,
    /// A few words for hint bar and which-key popup.
    pub label: &'static str,
    /// One sentence for help and docs.
    pub doc: &'static str,
    /// Where it means something.
    pub context: Context,
    /// What it can do.
    pub danger: Danger,
}

macro_rules! commands {
    ($($variant:ident, $name:literal, $context:ident, $danger:ident, $label:literal, $doc:literal;)*) => {
        /// Everything a key, the palette or a script can ask of the console.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Command {
            $(#[doc = $doc] $variant,)*
        }

        /// Every command, in the order help shows them.
        pub static COMMANDS: &[CommandInfo] = &[
            $(CommandInfo {
                command: Command::$variant,
                name: $name,
                label: $label,
                doc: $doc,
                context: Context::$context,
                danger: Danger::$danger,
            },)*
        ];
    };
}

commands! {
    // Everywhere.
    Quit, "quit", Global, Safe, "quit", "Quit the console.";
    Back, "back", Global, Safe, "back", "Close what is on top, clear the filter, or go back to the view before.";
    BackOrQuit, "back-or-quit", Global, Safe, "back/quit", "Go back, or quit when there is nothing to go back to.";
    Palette, "palette", Global, Safe, "commands", "Open the command palette: any command or view, by a few letters of its name.";
    Help, "help", Global, Safe, "help", "Show every key that does something here.";
    Errors, "errors", Global, Safe, "errors", "Show each source with its freshness, and the log of what went wrong.";
    Suspend, "suspend", Global, Safe, "suspend", "Suspend the console to the shell; `fg` brings it back.";
    Refresh, "refresh", Global, Safe, "refresh", "Ask every source again at once, also those that wait to retry.";
    SaveScreen, "save-screen", Global, Safe, "save screen", "Save the screen as text and SVG in the state directory (of a demo: here).";
    CompactHeader, "compact-header", Global, Safe, "header", "Switch between the full and the one-line header.";
    AbsoluteTimes, "absolute-times", Global, Safe, "abs. times", "Switch between relative and absolute times.";
    HistoryBack, "history-back", Global, Safe, "view before", "Go to the view before, keeping its position and filter.";
    HistoryForward, "history-forward", Global, Safe, "view after", "Go to the view after, where you came back from.";
    NextPane, "next-pane", Global, Safe, "pane", "Move the focus to the next pane.";
    ViewOverview, "view-overview", Global, Safe, "overview", "Show the overview: what is wrong, worst first.";
    ViewNodes, "view-nodes", Global, Safe, "nodes", "Show the nodes.";
    ViewTasks, "view-tasks", Global, Safe, "tasks", "Show the tasks.";
    ViewWorkloads, "view-workloads", Global, Safe, "workloads", "Show the workloads.";
    ViewEvents, "view-events", Global, Safe, "events", "Show the events, newest first.";
    ViewMap, "view-map", Global, Safe, "map", "Show the map of nodes and their tasks.";
    ViewAlarms, "view-alarms", Global, Safe, "alarms", "Show the alarms, worst first.";
    ViewBudgets, "view-budgets", Global, Safe, "budgets", "Show the error budgets, the first to be gone first if traffic stays as it is; docs/slo.md says how to write objectives.";
    ViewServices, "view-services", Global, Safe, "services", "Show the services with their golden signals.";
    ViewSpot, "view-spot", Global, Safe, "spot", "Show the notices: what is going to go, with the time that is left.";
    ViewPools, "view-pools", Global, Safe, "pools", "Show the pools, instance type by zone: how often they are taken back, and who leans on one.";
    ViewActions, "view-actions", Global, Safe, "actions", "Show the actions of this session: those that run, and how the others ended.";
    OpenRunbook, "open-runbook", Global, Safe, "runbook", "Open the runbook that fits what is selected.";
    Runbooks, "runbooks", Global, Safe, "runbooks", "Show all runbooks, those that fit what is selected first, and open one.";
    // Moving in whatever has rows or lines.
    Down, "down", Global, Safe, "down", "Move down a row.";
    Up, "up", Global, Safe, "up", "Move up a row.";
    Left, "left", Global, Safe, "left", "Move or scroll left.";
    Right, "right", Global, Safe, "right", "Move or scroll right.";
    PageDown, "page-down", Global, Safe, "page down", "Move down a page.";
    PageUp, "page-up", Global, Safe, "page up", "Move up a page.";
    Top, "top", Global, Safe, "first", "Go to the first row.";
    Bottom, "bottom", Global, Safe, "last", "Go to the last row.";
    Open, "open", Global, Safe, "open", "Open what is selected: its tasks, or its details.";
    Filter, "filter", Global, Safe, "filter", "Filter rows: text, `!text`, `-l key=value`, `col=value`, `cpu>80%`, `age<1h`.";
    // Tables.
    Mark, "mark", Table, Safe, "mark", "Mark or unmark the row and move on.";
    MarkRange, "mark-range", Table, Safe, "mark range", "Mark all rows between the last mark and here.";
    ClearMarks, "clear-marks", Table, Safe, "clear marks", "Clear all marks, also those the filter hides.";
    Wide, "wide", Table, Safe, "wide", "Show or hide the wide columns.";
    ProblemsOnly, "problems-only", Table, Safe, "problems", "Show only what is unhealthy, or everything again.";
    Details, "details", Table, Safe, "details", "Show or hide the details pane beside the table.";
    SortLeft, "sort-left", Table, Safe, "sort <", "Sort by the column to the left.";
    SortRight, "sort-right", Table, Safe, "sort >", "Sort by the column to the right.";
    SortFlip, "sort-flip", Table, Safe, "flip sort", "Reverse the sort order.";
    SortName, "sort-name", Table, Safe, "sort name", "Sort by name.";
    SortAge, "sort-age", Table, Safe, "sort age", "Sort by age.";
    SortStatus, "sort-status", Table, Safe, "sort status", "Sort by status, worst first.";
    SortCpu, "sort-cpu", Table, Safe, "sort cpu", "Sort by CPU use.";
    SortMemory, "sort-memory", Table, Safe, "sort mem", "Sort by memory use.";
    Describe, "describe", Table, Safe, "describe", "Describe the object as it is now, with its events.";
    Yaml, "yaml", Table, Safe, "yaml", "Show the object as YAML.";
    CopyName, "copy-name", Table, Safe, "copy name", "Copy the name to the clipboard, also over SSH (OSC 52).";
    CopyId, "copy-id", Table, Safe, "copy id", "Copy cluster/namespace/name to the clipboard.";
    GoToNode, "go-to-node", Table, Safe, "its node", "Go to the node it runs on.";
    GoToOwner, "go-to-owner", Table, Safe, "its owner", "Go to the workload that owns it.";
    Events, "object-events", Table, Safe, "its events", "Show the events about it.";
    Logs, "logs", Table, Safe, "logs", "Show its logs: all containers of a task, or all tasks of a workload.";
    PreviousLogs, "previous-logs", Task, Safe, "prev. logs", "Show the logs of the container's run before its last restart.";
    GoToSubject, "go-to-subject", Alarm, Safe, "its subject", "Go to what the alarm is about.";
    Runbook, "runbook", Alarm, Safe, "runbook", "Show where the alarm's runbook is, and copy the link to the clipboard.";
    NoticeHistory, "notice-history", Notice, Safe, "history", "Show what is remembered of earlier as well, or only what is open and was just now.";
    // What changes something: each shows its plan first, and asks.
    Delete, "delete", Table, Changes, "delete", "Delete it, or stop an ECS task.";
    Cordon, "cordon", Node, Changes, "cordon", "Let the node take no new tasks; in ECS that also moves the tasks of services away.";
    Uncordon, "uncordon", Node, Changes, "uncordon", "Let the node take new tasks again.";
    Drain, "drain", Node, Changes, "drain", "Let the node take no new tasks, and move away those that are there.";
    Scale, "scale", Workload, Changes, "scale", "Change how many tasks are wanted.";
    Restart, "restart", Workload, Changes, "restart", "Replace every task, a few at a time.";
    SetImage, "set-image", Workload, Changes, "image", "Run another image in one container.";
    RollBack, "roll-back", Workload, Changes, "roll back", "Go back to an earlier revision.";
    Trigger, "trigger", Workload, Changes, "run now", "Run a cron job now.";
    SuspendJob, "suspend-job", Workload, Changes, "suspend", "Let a job or cron job start nothing more.";
    ResumeJob, "resume-job", Workload, Changes, "resume", "Let a suspended job or cron job go on.";
    Exec, "exec", Task, Changes, "shell", "Open a shell, or run a command, in a container.";
    Attach, "attach", Task, Changes, "attach", "Attach to a container's own process.";
    PortForward, "port-forward", Task, Changes, "forward", "Forward a local port to the task, until it is closed or the console ends.";
    Silence, "silence", Alarm, Changes, "silence", "Silence an alert for a time, or disable a CloudWatch alarm's actions.";
    Unsilence, "unsilence", Alarm, Changes, "unsilence", "End an alert's silence, or enable a CloudWatch alarm's actions again.";
    CancelAction, "cancel-action", Action, Safe, "cancel it", "End the running action early; what was done stays done, and is told.";
    UndoAction, "undo-action", Action, Safe, "undo", "Show the plan that undoes what was done.";
    CopyEquivalent, "copy-equivalent", Action, Safe, "copy by hand", "Copy the commands that do the same by hand.";
    // Text: describe, YAML, help.
    SearchNext, "search-next", Text, Safe, "next match", "Go to the next match.";
    SearchPrevious, "search-previous", Text, Safe, "prev. match", "Go to the previous match.";
    Wrap, "wrap", Text, Safe, "wrap", "Wrap long lines, or cut them.";
    CopyText, "copy-text", Text, Safe, "copy all", "Copy the whole text to the clipboard.";
    // Runbooks.
    NextStep, "next-step", Runbook, Safe, "next step", "Go to the next step, checkbox or link.";
    PreviousStep, "previous-step", Runbook, Safe, "prev. step", "Go to the previous step, checkbox or link.";
    Tick, "tick", Runbook, Safe, "tick", "Tick the checkbox, or take the tick away; ticks are kept for this incident.";
    StepOutput, "step-output", Runbook, Safe, "output", "Show what the step's last run printed, and how it ended.";
    RunStep, "run", Runbook, Changes, "do step", "Do the step: open its view, or show the plan of what it changes or runs.";
    // Logs.
    LogTail, "log-tail", Logs, Safe, "newest", "Read from the last lines and follow.";
    LogHead, "log-head", Logs, Safe, "from start", "Read from the start.";
    LogSince1m, "log-since-1m", Logs, Safe, "last 1m", "Read the last minute.";
    LogSince5m, "log-since-5m", Logs, Safe, "last 5m", "Read the last five minutes.";
    LogSince15m, "log-since-15m", Logs, Safe, "last 15m", "Read the last quarter of an hour.";
    LogSince30m, "log-since-30m", Logs, Safe, "last 30m", "Read the last half hour.";
    LogSince1h, "log-since-1h", Logs, Safe, "last 1h", "Read the last hour.";
    LogFollow, "log-follow", Logs, Safe, "follow", "Follow new lines, or hold still.";
    LogWrap, "log-wrap", Logs, Safe, "wrap", "Wrap long lines, or cut them.";
    LogTimestamps, "log-timestamps", Logs, Safe, "timestamps", "Show or hide each line's time.";
    LogMark, "log-mark", Logs, Safe, "mark", "Put a marker line after the newest line.";
    LogFullScreen, "log-full-screen", Logs, Safe, "full screen", "Hide header and hints around the log.";
    LogNextMatch, "log-next-match", Logs, Safe, "next match", "Go to the next match.";
    LogPreviousMatch, "log-previous-match", Logs, Safe, "prev. match", "Go to the previous match.";
    LogAllLines, "log-all-lines", Logs, Safe, "all lines", "Show all lines with what was found highlighted, or only the lines that have it.";
    LogContainer, "log-container", Logs, Safe, "container", "Show one container after the other, then all again.";
}

impl Command {
    /// Its row of the table.
    #[must_use]
    pub fn info(self) -> &'static CommandInfo {
        &COMMANDS[self as usize]
    }

    /// Its name in keymap files.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The command called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        COMMANDS.iter().find(|c| c.name == name).map(|c| c.command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_table_is_in_enum_order_and_names_are_unique() {
        let mut seen = HashSet::new();
        for (i, c) in COMMANDS.iter().enumerate() {
            assert_eq!(c.command as usize, i);
            assert_eq!(c.command.info().name, c.name);
            assert!(seen.insert(c.name), "{} twice", c.name);
            assert!(c.doc.ends_with('.'), "{}: a doc is a sentence", c.name);
            assert!(c.label.chars().count() <= 12, "{}: a label has 12 characters at most", c.name);
        }
    }
}
