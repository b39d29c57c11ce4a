//! The audit: what is written survives a kill at any point, and nobody changes it unseen.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use quarterdeck::action::audit::{Audit, EntryKind, Line, Point, Record, Who, check, entries};
use quarterdeck::action::{Assent, Change, End, Fate, Intent, Plan, Precondition, Verb};
use quarterdeck::domain::{ClusterId, Kind, ObjectId, Text, Timestamp};

fn at(seconds: i64) -> Timestamp {
    chrono::DateTime::from_timestamp(1_795_000_000 + seconds, 0).unwrap()
}

fn deploy(name: &str) -> ObjectId {
    let (cluster, namespace) = (ClusterId::new("prod"), Text::new("shop"));
    ObjectId { cluster, kind: Kind::Deployment, namespace, name: Text::new(name) }
}

fn plan() -> Plan {
    let mut plan = Plan::new(Intent::new(Verb::Scale, vec![deploy("web")]), at(0));
    plan.intent.options.command = ["mysql", "--password=hunter2", "--token", "hunter3"].map(str::to_owned).to_vec();
    plan.diff = vec![Text::new("+ secret: hunter4")];
    plan.changes.push(Change {
        target: deploy("web"),
        field: Text::new("replicas"),
        from: Text::new("3"),
        to: Text::new("5"),
        fate: Fate::Acts,
        note: Text::empty(),
        precondition: Precondition::Nothing,
    });
    plan
}

fn who() -> Who {
    let env = |name: &str| (name == "SSH_CONNECTION").then(|| "192.0.2.7 1 2 3".to_owned());
    Who::here(&env)
}

fn assent() -> Assent {
    Assent { typed: "web".to_owned(), reason: "more load".to_owned(), ..Assent::default() }
}

fn audit(dir: &Path) -> Audit {
    Audit::new(dir, who())
}

/// Some entries: an intent and its outcome, so often.
fn fill(dir: &Path, times: i64) {
    let audit = audit(dir);
    for i in 0..times {
        let number = audit.begin(&plan(), &assent(), at(2 * i)).unwrap();
        audit.end(number, &End::done("scaled", None), at(2 * i + 1)).unwrap();
    }
}

fn file(dir: &Path) -> PathBuf {
    dir.join("audit.jsonl")
}

fn lines(dir: &Path) -> Vec<Line> {
    let (lines, damaged) = entries(dir).unwrap();
    assert_eq!(damaged, 0);
    lines
}

fn words(dir: &Path) -> Vec<String> {
    lines(dir).iter().map(|l| format!("{} {}", l.entry.kind.word(), l.entry.outcome).trim().to_owned()).collect()
}

#[test]
fn an_intent_is_whole_and_has_no_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    fill(&state, 1);
    let text = std::fs::read_to_string(file(&state)).unwrap();
    assert_eq!(text.lines().count(), 2);
    for secret in ["hunter2", "hunter3", "hunter4"] {
        assert!(!text.contains(secret), "{text}");
    }
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((&first["v"], &first["n"], &first["kind"]), (&1.into(), &1.into(), &"intent".into()));
    assert_eq!((&first["why"], &first["confirmed"]["typed"]), (&"more load".into(), &"web".into()));
    assert_eq!((&first["what"]["verb"], &first["what"]["targets"][0]), (&"scale".into(), &"deploy shop/web".into()));
    assert_eq!((&first["what"]["changes"][0]["from"], &first["what"]["changes"][0]["to"]), (&"3".into(), &"5".into()));
    assert_eq!((&first["who"]["from"], &first["at"]), (&"192.0.2.7".into(), &"2026-11-18T11:06:40.000Z".into()));
    assert!(first["who"]["host"].as_str().is_some_and(|h| !h.is_empty()) && first["who"]["uid"].is_u64());
    let second: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!((&second["of"], &second["outcome"], &second["prev"]), (&1.into(), &"done".into(), &first["hash"]));
    for name in ["audit.jsonl", "audit.head", "audit.lock"] {
        let mode = std::fs::metadata(state.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(std::fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    // Somebody opened it to others: it is closed again.
    std::fs::set_permissions(file(&state), std::fs::Permissions::from_mode(0o644)).unwrap();
    fill(&state, 1);
    assert_eq!(std::fs::metadata(file(&state)).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(check(&state).unwrap().numbers, Some((1, 4)));
}

/// What somebody does to the lines, and the line at which it has to be found.
type Forgery = (&'static str, fn(&mut Vec<String>), usize);

#[test]
fn whatever_is_changed_is_found_at_its_line_and_nothing_is_done_any_more() {
    let forgeries: [Forgery; 8] = [
        ("a flipped byte", |l| l[2] = l[2].replace("more load", "more loaf"), 3),
        ("another outcome in the last line", |l| l[5] = l[5].replace("\"done\"", "\"fail\""), 6),
        ("a removed line", |l| drop(l.remove(3)), 4),
        ("the first line removed", |l| drop(l.remove(0)), 1),
        ("swapped lines", |l| l.swap(1, 2), 2),
        ("the last line removed", |l| drop(l.pop()), 6),
        ("nothing left", Vec::clear, 1),
        ("a line twice", |l| l.insert(2, l[1].clone()), 3),
    ];
    for (what, forge, line) in forgeries {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), 3);
        assert_eq!(check(dir.path()).unwrap().entries, 6);
        let text = std::fs::read_to_string(file(dir.path())).unwrap();
        let mut all: Vec<String> = text.lines().map(str::to_owned).collect();
        forge(&mut all);
        let text: String = all.iter().flat_map(|l| [l.as_str(), "\n"]).collect();
        std::fs::write(file(dir.path()), text).unwrap();
        let fault = check(dir.path()).unwrap_err();
        assert_eq!((fault.line, &fault.file), (line, &file(dir.path())), "{what}: {fault}");
        let refused = audit(dir.path()).begin(&plan(), &assent(), at(100)).unwrap_err();
        assert!(refused.contains("nothing is done"), "{what}: {refused}");
    }
}

#[test]
fn every_single_flipped_byte_is_found() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 2);
    let whole = std::fs::read(file(dir.path())).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        std::fs::write(file(dir.path()), &changed).unwrap();
        let line = 1 + memchr::memchr_iter(b'\n', &whole[..at]).count();
        match check(dir.path()) {
            Ok(_) => panic!("byte {at} was changed unseen"),
            Err(fault) => assert_eq!(fault.line, line, "byte {at}: {fault}"),
        }
    }
}

#[test]
fn a_head_that_is_missing_or_tells_another_story_is_a_fault() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 1);
    let head = dir.path().join("audit.head");
    let said = std::fs::read_to_string(&head).unwrap();
    std::fs::remove_file(&head).unwrap();
    assert!(check(dir.path()).unwrap_err().text.contains("missing"));
    std::fs::write(&head, said.replace("\"n\":2", "\"n\":1")).unwrap();
    assert_eq!(check(dir.path()).unwrap_err().line, 1);
    std::fs::write(&head, "{").unwrap();
    assert!(audit(dir.path()).begin(&plan(), &assent(), at(9)).is_err());
    std::fs::write(&head, said).unwrap();
    assert!(check(dir.path()).is_ok());
}

#[test]
fn a_disk_that_is_full_or_may_not_be_written_refuses_the_action() {
    let dir = tempfile::tempdir().unwrap();
    if Path::new("/dev/full").exists() {
        // The head is there; the file's every write meets a full disk.
        fill(dir.path(), 0);
        std::os::unix::fs::symlink("/dev/full", file(dir.path())).unwrap();
        let why = audit(dir.path()).begin(&plan(), &assent(), at(0)).unwrap_err();
        assert!(why.contains("No space left") && why.contains("nothing is changed"), "{why}");
        std::fs::remove_file(file(dir.path())).unwrap();
        fill(dir.path(), 1);
        assert_eq!(check(dir.path()).unwrap().entries, 2, "once there is room it goes on");
    }
    let nowhere = dir.path().join("audit.head/below-a-file");
    let why = audit(&nowhere).begin(&plan(), &assent(), at(0)).unwrap_err();
    assert!(why.contains("cannot be written"), "{why}");
}

#[test]
fn a_line_that_was_cut_off_is_put_aside_and_the_chain_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 1);
    let mut raw = std::fs::OpenOptions::new().append(true).open(file(dir.path())).unwrap();
    raw.write_all(b"{\"v\":1,\"n\":3,\"at\":\"2026").unwrap();
    let checked = check(dir.path()).unwrap();
    assert!(checked.notes.iter().any(|n| n.contains("cut off")), "{checked:?}");
    fill(dir.path(), 1);
    assert_eq!(words(dir.path()), ["intent", "outcome done", "recovered", "intent", "outcome done"]);
    assert!(check(dir.path()).unwrap().notes.is_empty());
    let aside = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path());
    let aside = aside.filter(|p| p.to_str().unwrap().contains("audit-torn-")).collect::<Vec<_>>();
    assert_eq!(aside.len(), 1);
    assert_eq!(std::fs::read(&aside[0]).unwrap(), b"{\"v\":1,\"n\":3,\"at\":\"2026");
}

#[test]
fn the_chain_goes_on_through_many_files() {
    let dir = tempfile::tempdir().unwrap();
    let audit = audit(dir.path()).with_files_of(2500);
    for i in 0..20 {
        let number = audit.begin(&plan(), &assent(), at(i)).unwrap();
        audit.end(number, &End::done("scaled", None), at(i)).unwrap();
    }
    let older = |dir: &Path| {
        let names = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
        let mut names: Vec<PathBuf> = names.filter(|p| p.to_str().unwrap().contains("audit-0")).collect();
        names.sort();
        names
    };
    let files = older(dir.path());
    assert!(files.len() > 5, "{files:?}");
    assert!(files.iter().all(|f| std::fs::metadata(f).unwrap().len() <= 2500));
    assert_eq!(check(dir.path()).unwrap().numbers, Some((1, 40)));
    // A change in an older file is found there; one that is missing between others, too.
    let text = std::fs::read_to_string(&files[1]).unwrap();
    std::fs::write(&files[1], text.replace("more load", "less load")).unwrap();
    let fault = check(dir.path()).unwrap_err();
    assert_eq!(
        (fault.file, fault.line),
        (files[1].clone(), 1 + usize::from(!text.lines().next().unwrap().contains("more load")))
    );
    std::fs::remove_file(&files[1]).unwrap();
    assert!(check(dir.path()).is_err());
    // The oldest may be put away.
    std::fs::write(&files[1], text).unwrap();
    std::fs::remove_file(&files[0]).unwrap();
    let checked = check(dir.path()).unwrap();
    assert!(checked.notes[0].contains("not here"), "{checked:?}");
    audit.begin(&plan(), &assent(), at(50)).unwrap();
    // The last of the older ones is what the file that is written follows on.
    for file in older(dir.path()) {
        std::fs::remove_file(file).unwrap();
    }
    assert_eq!(check(dir.path()).unwrap().numbers.unwrap().1, 41);
}

#[test]
fn an_end_between_two_files_is_no_fault() {
    let dir = tempfile::tempdir().unwrap();
    let audit = audit(dir.path()).with_files_of(2500);
    let head = dir.path().join("audit.head");
    let older = || {
        std::fs::read_dir(dir.path())
            .unwrap()
            .filter(|e| e.as_ref().unwrap().path().to_str().unwrap().contains("audit-0"))
            .count()
    };
    let mut moves = 0;
    for i in 0..30 {
        let (before, files) = (std::fs::read_to_string(&head).unwrap_or_default(), older());
        let text = std::fs::read_to_string(file(dir.path())).unwrap_or_default();
        audit.begin(&plan(), &assent(), at(i)).unwrap();
        if older() == files {
            continue;
        }
        moves += 1;
        // The entry is there, and the head does not tell of it yet.
        let (entry, told) =
            (std::fs::read_to_string(file(dir.path())).unwrap(), std::fs::read_to_string(&head).unwrap());
        std::fs::write(&head, &before).unwrap();
        assert_eq!(check(dir.path()).unwrap().entries, usize::try_from(i).unwrap() + 1);
        // Half of it is there; none of it is.
        for part in [&entry[..entry.len() / 2], ""] {
            std::fs::write(file(dir.path()), part).unwrap();
            assert_eq!(check(dir.path()).unwrap().entries, usize::try_from(i).unwrap());
        }
        std::fs::remove_file(file(dir.path())).unwrap();
        assert_eq!(check(dir.path()).unwrap().entries, usize::try_from(i).unwrap());
        // Once it is told of, it may not be missing.
        std::fs::write(&head, told).unwrap();
        assert!(check(dir.path()).is_err());
        std::fs::write(file(dir.path()), text).unwrap();
        assert!(check(dir.path()).is_err(), "the file before once more");
        std::fs::write(file(dir.path()), entry).unwrap();
    }
    assert!(moves > 3, "{moves}");
    assert_eq!(check(dir.path()).unwrap().numbers, Some((1, 30)));
}

// ---- programs that are killed

/// This test's own program, running [`child`] as `role` in `dir`.
fn start(dir: &Path, role: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env("QD_AUDIT_CHILD", role)
        .env("QD_AUDIT_DIR", dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Waits until the child says that it is there.
fn is_there(child: &mut Child) {
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while out.read_line(&mut line).unwrap() > 0 {
        if line.contains("QD-HERE") {
            return;
        }
        line.clear();
    }
    panic!("the child ended without a word");
}

#[expect(clippy::print_stdout, reason = "the parent waits for this word")]
fn here() -> ! {
    println!("QD-HERE");
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

/// Not a test by itself: what is killed.
#[test]
fn child() {
    let Ok(role) = std::env::var("QD_AUDIT_CHILD") else { return };
    let dir = PathBuf::from(std::env::var("QD_AUDIT_DIR").unwrap());
    let stop: fn(EntryKind, Point) = match role.as_str() {
        "before-intent" => |k, p| {
            if (k, p) == (EntryKind::Intent, Point::Before) {
                here()
            }
        },
        "intent-written" => |k, p| {
            if (k, p) == (EntryKind::Intent, Point::Written) {
                here()
            }
        },
        "intent-synced" => |k, p| {
            if (k, p) == (EntryKind::Intent, Point::Synced) {
                here()
            }
        },
        "outcome-written" => |k, p| {
            if (k, p) == (EntryKind::Outcome, Point::Written) {
                here()
            }
        },
        "outcome-synced" => |k, p| {
            if (k, p) == (EntryKind::Outcome, Point::Synced) {
                here()
            }
        },
        _ => |_, _| {},
    };
    let audit = audit(&dir).watched(stop);
    if role == "many" {
        for i in 0..50 {
            let number = audit.begin(&plan(), &assent(), at(i)).unwrap();
            audit.end(number, &End::done("scaled", None), at(i)).unwrap();
        }
        return;
    }
    let number = audit.begin(&plan(), &assent(), at(0)).unwrap();
    if role == "running" {
        here();
    }
    audit.end(number, &End::done("scaled", None), at(1)).unwrap();
    here();
}

#[test]
fn a_kill_at_each_step_leaves_a_log_that_verifies_and_tells_what_is_not_known() {
    for (role, left, told) in [
        ("before-intent", &[][..], &["intent", "outcome done"][..]),
        ("intent-written", &["intent"], &["intent", "recovered unknown", "intent", "outcome done"]),
        ("intent-synced", &["intent"], &["intent", "recovered unknown", "intent", "outcome done"]),
        ("running", &["intent"], &["intent", "recovered unknown", "intent", "outcome done"]),
        ("outcome-written", &["intent", "outcome done"], &["intent", "outcome done", "intent", "outcome done"]),
        ("outcome-synced", &["intent", "outcome done"], &["intent", "outcome done", "intent", "outcome done"]),
        ("after-outcome", &["intent", "outcome done"], &["intent", "outcome done", "intent", "outcome done"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = start(dir.path(), role);
        is_there(&mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(words(dir.path()), left, "{role}");
        let checked = check(dir.path()).unwrap_or_else(|f| panic!("{role}: {f}"));
        assert_eq!(checked.open.len(), usize::from(left == ["intent"]), "{role}");
        fill(dir.path(), 1);
        assert_eq!(words(dir.path()), told, "{role}");
        let checked = check(dir.path()).unwrap_or_else(|f| panic!("{role}: {f}"));
        assert!(checked.open.is_empty(), "{role}");
        if told.len() == 4 && told[1] == "recovered unknown" {
            assert_eq!(lines(dir.path())[1].entry.of, Some(1), "{role}");
        }
    }
}

#[test]
fn what_a_living_program_does_is_left_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start(dir.path(), "running");
    is_there(&mut child);
    assert_eq!(audit(dir.path()).recover(at(5)).unwrap(), 0);
    fill(dir.path(), 1);
    assert_eq!(words(dir.path()), ["intent", "intent", "outcome done"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(audit(dir.path()).recover(at(6)).unwrap(), 1);
    assert_eq!(words(dir.path()), ["intent", "intent", "outcome done", "recovered unknown"]);
    assert_eq!(audit(dir.path()).recover(at(7)).unwrap(), 0, "once");
}

#[test]
fn programs_that_write_at_once_do_not_disturb_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let children: Vec<Child> = (0..3).map(|_| start(dir.path(), "many")).collect();
    for child in children {
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    }
    let checked = check(dir.path()).unwrap();
    assert_eq!((checked.entries, checked.open.len()), (300, 0));
}
