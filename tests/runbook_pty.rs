//! Runbooks in the console's own terminal, on the demo, with the real desk and the real audit: opened for
//! what is wrong, ticked, their steps carried out; and in a read-only console shown and never run.

#![cfg(all(unix, feature = "kubernetes"))]
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "support/pty.rs"]
#[expect(dead_code, reason = "each test file uses its own part")]
mod pty;

use std::path::Path;

use pty::Pty;

/// For a task that crashes: a checkbox, what looks, and a program that leaves a mark of having run.
const BOOK: &str = r#"---
title: Ours for crashes
for:
  status: ["CrashLoopBackOff"]
---
# Ours for crashes

- [ ] Somebody looks at it

```step view Who crashes
view = "tasks"
filter = "status=CrashLoopBackOff"
```

```step logs The last words
target = "task"
```

```step run Leave a mark
argv = ["sh", "-c", "echo \"task $1 of $2\" | tee \"$MARK\"", "sh", "{pod}", "{ns}"]
[params]
pod = { from = "task", matches = "[a-z0-9-]+" }
ns = "namespace"
[env]
MARK = "MARK-FILE"
```
"#;

/// The demo with a task that crashes selected, and the runbook opened for it.
fn opened(dir: &Path, more: &[&str]) -> Pty {
    let mark = dir.join("mark").display().to_string();
    std::fs::write(dir.join("ours.md"), BOOK.replace("MARK-FILE", &mark)).expect("written");
    let books = dir.display().to_string();
    let mut arguments = vec!["--demo=bad-deploy", "--view", "tasks"];
    arguments.extend(more);
    let mut pty = Pty::start(&arguments, &[("QUARTERDECK_RUNBOOKS_DIR", &books)], 120, 44);
    pty.shows("Running");
    pty.send("/status=CrashLoopBackOff\r");
    pty.wait_for("the cursor on a task that crashes", |s| {
        s.contents().lines().any(|l| l.starts_with('▶') && l.contains("CrashLoopBackOff"))
    });
    pty.send(",b");
    pty.shows("Ours for crashes");
    pty.shows("0 of 1 ticked");
    pty
}

/// The name of the task that the page is for.
fn task(pty: &Pty) -> String {
    let text = pty.screen();
    let line = text.lines().find(|l| l.contains("for task ")).expect("what it is for");
    let id = line.split("for task ").nth(1).and_then(|r| r.split_whitespace().next()).expect("a name");
    id.rsplit('/').next().expect("a name").to_owned()
}

#[test]
fn it_is_ticked_and_its_steps_open_views_and_logs() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut pty = opened(dir.path(), &[]);
    pty.send(" ");
    pty.shows("1 of 1 ticked");
    pty.shows("[✔]");
    pty.send("\t\r");
    pty.shows("› tasks");
    pty.shows("status=CrashLoopBackOff");
    // Escape takes the filter away first, then the view.
    pty.send("\u{1b}");
    pty.shows("Running");
    pty.send("\u{1b}");
    pty.shows("1 of 1 ticked");
    pty.send("\t\r");
    pty.shows("following");
    pty.send("\u{1b}");
    pty.shows("1 of 1 ticked");
}

#[test]
fn a_program_is_run_after_yes_and_its_output_stays_with_the_step() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut pty = opened(dir.path(), &[]);
    let task = task(&pty);
    pty.send("\t\t\t\r");
    pty.shows("exactly this is run");
    pty.shows(&format!("argv[4] {task}"));
    pty.shows("argv[5] payments");
    // Enter leaves it undone.
    pty.send("\r");
    pty.shows("nothing was changed");
    assert!(!dir.path().join("mark").exists(), "it ran without a yes");
    pty.send("r");
    pty.shows("[ Run ]");
    pty.send("\t\r");
    pty.shows("exit code 0");
    pty.shows(&format!("task {task} of payments"));
    pty.send("\u{1b}");
    pty.shows("0 of 1 ticked");
    pty.wait_for("what it printed, below the step", |s| {
        s.contents().lines().any(|l| l.contains('│') && l.contains(&format!("task {task} of payments")))
    });
    let mark = std::fs::read_to_string(dir.path().join("mark")).expect("it ran");
    assert_eq!(mark, format!("task {task} of payments\n"));
    pty.send("o");
    pty.shows("what it printed");
}

#[test]
fn read_only_it_is_shown_and_never_run() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut pty = opened(dir.path(), &["--read-only"]);
    pty.shows("Leave a mark");
    for keys in ["\t\t\t\r", "r"] {
        pty.send(keys);
        pty.shows("read-only: the step is shown, and nothing is done");
        assert!(!pty.screen().contains("[ Cancel ]"), "{}", pty.screen());
    }
    // What only looks still does.
    pty.send("p\r");
    pty.shows("following");
    assert!(!dir.path().join("mark").exists(), "it ran");
}
