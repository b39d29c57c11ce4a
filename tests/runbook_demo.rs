//! Each runbook that ships, tried: in the demo of its situation it is found by what is selected, and every step
//! of it is carried out, by keys, to its end.

#![cfg(all(unix, feature = "kubernetes", feature = "aws", feature = "prometheus"))]
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "support/console.rs"]
mod console;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Mutex;

use chrono::TimeDelta;
use console::Console;
use quarterdeck::app::Page;
use quarterdeck::app::table::ViewKind;
use quarterdeck::domain::{Health, Kind, ObjectId, Task, Timestamp};
use quarterdeck::runbook::render::What;
use quarterdeck::runbook::{Library, StepKind};
use quarterdeck::store::Store;

/// So many fleets at once: each is a console and three servers.
const AT_ONCE: usize = 4;

/// A situation, and what its runbook does in it.
struct Case {
    book: &'static str,
    scenario: &'static str,
    /// Seconds of it that have passed when the console is opened.
    age: u32,
    /// Where one sees it: a view, what is typed there as a filter, and what the chosen row is called.
    at: (ViewKind, &'static str, &'static str),
    /// Every step of the runbook, in its order: its title, and what has to come of it.
    steps: &'static [(&'static str, Outcome)],
}

enum Outcome {
    /// A view with rows, on which all of this stands.
    Rows(&'static [&'static str]),
    /// A view in which, sooner or later, these rows are left and no others.
    Only(&'static [&'static str]),
    /// Log lines, one of them with this.
    Log(&'static str),
    /// A description with all of this in it.
    Text(&'static [&'static str]),
    /// An action: what is typed first (`^`: the autoscaler's minimum is meant), whom it is done to, what is said at its end, and what is so then.
    Done { typed: &'static str, to: &'static str, says: &'static str, then: fn(&Store, &ObjectId, Timestamp) -> bool },
    /// A view in which somebody then selects a row and scales it to so much.
    Scales { shows: &'static [&'static str], row: &'static str, to: u32, then: fn(&Store, &ObjectId) -> bool },
    /// A program that prints this.
    Prints(&'static str),
}

use Outcome::{Done, Log, Only, Prints, Rows, Scales, Text};

/// Its tasks that are there to stay.
fn tasks<'s>(store: &'s Store, id: &'s ObjectId) -> impl Iterator<Item = &'s Task> {
    store.tasks.rows().filter(move |t| {
        let stopped = t.ecs.as_ref().is_some_and(|e| e.stop.is_some());
        let over = stopped || t.health == Health::Done || t.status.starts_with("Terminating");
        !over && store.workload_id_of(t).as_ref() == Some(id)
    })
}

/// As many run as are wanted, all of them from this image, and nothing is being rolled out any more.
fn runs(store: &Store, id: &ObjectId, image: &str) -> bool {
    let Some(w) = store.workloads.get(id) else { return false };
    let all = tasks(store, id).all(|t| t.containers.iter().any(|c| c.image.ends_with(image)));
    let over = w.ecs.as_ref().is_none_or(|e| e.deployments.iter().all(|d| d.rollout == "COMPLETED"));
    all && over && w.replicas.ready == w.replicas.desired && tasks(store, id).count() == w.replicas.desired as usize
}

/// As many run as are wanted, none of them from this image.
fn left(store: &Store, id: &ObjectId, image: &str) -> bool {
    let Some(w) = store.workloads.get(id) else { return false };
    tasks(store, id).all(|t| t.containers.iter().all(|c| !c.image.ends_with(image)))
        && w.replicas.ready == w.replicas.desired
        && tasks(store, id).count() == w.replicas.desired as usize
}

/// Nobody is told any more that a certificate has expired.
fn renewed(store: &Store, id: &ObjectId, since: Timestamp) -> bool {
    anew(store, id, since) && !store.alarms.rows().any(|a| a.is_firing() && a.id.name.contains("CertificateExpired"))
}

/// All its tasks are younger than that, and there are as many as are wanted.
fn anew(store: &Store, id: &ObjectId, since: Timestamp) -> bool {
    let Some(w) = store.workloads.get(id) else { return false };
    let young = tasks(store, id).all(|t| t.created.is_some_and(|c| c >= since - TimeDelta::seconds(2)));
    young && w.replicas.ready == w.replicas.desired && tasks(store, id).count() == w.replicas.desired as usize
}

fn wants(store: &Store, id: &ObjectId, replicas: u32) -> bool {
    store.workloads.get(id).is_some_and(|w| w.replicas.desired == replicas && w.replicas.ready == replicas)
}

fn of(id: &ObjectId, name: &str) -> ObjectId {
    ObjectId { name: quarterdeck::domain::Text::new(name), ..id.clone() }
}

fn cordoned(store: &Store, id: &ObjectId, _: Timestamp) -> bool {
    store.nodes.get(id).is_some_and(|n| n.unschedulable)
}

/// Nothing is left on it but what each node has.
fn drained(store: &Store, id: &ObjectId, now: Timestamp) -> bool {
    let left = store.tasks.rows().filter(|t| {
        let workload = store.workload_id_of(t);
        t.id.cluster == id.cluster && t.node == id.name && workload.is_none_or(|w| w.kind != Kind::DaemonSet)
    });
    cordoned(store, id, now) && left.count() == 0
}

/// The same of a machine that spot takes back, which may be gone by the time that anybody looks.
fn drained_or_gone(store: &Store, id: &ObjectId, now: Timestamp) -> bool {
    store.nodes.get(id).is_none() || drained(store, id, now)
}

const CASES: &[Case] = &[
    Case {
        book: "crash-loop",
        scenario: "bad-deploy",
        age: 120,
        at: (ViewKind::Alarms, "KubePodCrashLooping", "KubePodCrashLooping"),
        steps: &[
            ("What crashes now", Rows(&["api-", "CrashLoopBackOff"])),
            ("What its cluster says of it", Rows(&["BackOff"])),
            ("The last words of the run before", Log("PAYMENT_GATEWAY_URL")),
            ("State, exit code and probes", Text(&["CrashLoopBackOff", "exit code 1"])),
            (
                "Roll back to the revision before",
                Done { typed: "", to: "api", says: "revision 2 -> 1", then: |s, id, _| runs(s, id, ":7.4.0") },
            ),
            ("Restart with the mended configuration", Done { typed: "", to: "api", says: "is restarted", then: anew }),
            ("All its tasks are ready, and no restarts are added", Rows(&["api-", "Running"])),
        ],
    },
    Case {
        book: "image-pull",
        scenario: "bad-deploy",
        age: 120,
        at: (ViewKind::Tasks, "suggest status=ImagePullBackOff", "suggest-"),
        steps: &[
            ("The registry's own words", Text(&["suggest:2.4.0-rc1: not found"])),
            ("Who else waits for an image", Rows(&["suggest-", "ImagePullBackOff"])),
            (
                "Roll back to the image before",
                Done { typed: "", to: "suggest", says: "revision 4 -> 3", then: |s, id, _| runs(s, id, ":2.3.3") },
            ),
            (
                "Take no new tasks on its node",
                Done { typed: "", to: "ip-", says: "schedulable yes -> no", then: cordoned },
            ),
            ("Ask at once", Done { typed: "", to: "suggest", says: "is restarted", then: anew }),
            ("No task waits any more", Rows(&["suggest-", "Running"])),
        ],
    },
    Case {
        book: "node-not-ready",
        scenario: "bad-night",
        age: 240,
        at: (ViewKind::Alarms, "KubeNodeNotReady", "KubeNodeNotReady"),
        steps: &[
            ("Nodes that are not ready", Rows(&["NotReady"])),
            ("Conditions, pressure, and since when", Text(&["CONDITIONS", "KubeletNotReady"])),
            ("Its last events", Rows(&["NodeNotReady"])),
            ("Tasks on it", Rows(&["kube-proxy-"])),
            ("Take no new tasks", Done { typed: "", to: "ip-", says: "schedulable yes -> no", then: cordoned }),
            ("Move its tasks away", Done { typed: "", to: "ip-", says: "drained: ", then: drained }),
            ("What is still short of tasks", Only(&["encode"])),
        ],
    },
    Case {
        book: "spot-storm",
        scenario: "spot-storm",
        age: 44,
        at: (ViewKind::Spot, "type=r7i.large", ""),
        steps: &[
            ("Countdowns, the least time first", Rows(&["ip-"])),
            ("Which pools are taken back, and who leans on one", Rows(&["c7i.xlarge"])),
            ("Tasks that find no room", Rows(&["Pending"])),
            (
                "Move its tasks away, within the two minutes",
                Done { typed: "", to: "ip-", says: "drained: ", then: drained_or_gone },
            ),
            ("Workloads that are short", Rows(&[])),
            ("Budgets", Rows(&["gateway"])),
        ],
    },
    Case {
        book: "budget-burn",
        scenario: "budget-burn",
        age: 250,
        at: (ViewKind::Alarms, "ErrorBudgetBurn payments", "ErrorBudgetBurn"),
        steps: &[
            ("Time until each budget is gone", Rows(&["payments-api"])),
            ("Errors, latency and load of every service", Rows(&["payments-api"])),
            ("What was reported last", Rows(&["api-"])),
            ("What is being rolled out, or is short", Only(&[])),
            (
                "Roll the workload back",
                Done { typed: "", to: "api", says: "revision 2 -> 1", then: |s, id, _| runs(s, id, ":7.4.0") },
            ),
            ("What else fires", Rows(&["ErrorBudgetBurn"])),
            ("More tasks", Done { typed: "8^", to: "api", says: "", then: |s, id, _| wants(s, id, 8) }),
            ("What it says itself", Log("\"service\":\"api\"")),
        ],
    },
    Case {
        book: "ecs-deployment-stuck",
        scenario: "bad-night",
        age: 120,
        at: (ViewKind::Workloads, "name=reviews status!=Steady", "reviews"),
        steps: &[
            ("Deployments, events, circuit breaker", Text(&["PRIMARY", "IN_PROGRESS"])),
            ("Its tasks: running, pending, stopped and why", Rows(&["reviews", "ServiceSchedulerInitiated"])),
            ("Logs of its tasks", Log("connection refused")),
            ("Instances, and what they have left", Rows(&["m7i.large"])),
            (
                "Roll back to the task definition before",
                Done { typed: "", to: "reviews", says: "1 of 1 rolled back", then: |s, id, _| runs(s, id, ":2.3.1") },
            ),
            ("Force a new deployment", Done { typed: "", to: "reviews", says: "1 of 1 restarted", then: anew }),
            ("Its events: steady state", Rows(&["steady state"])),
        ],
    },
    Case {
        book: "fargate-out-of-ips",
        scenario: "bad-night",
        age: 90,
        at: (ViewKind::Overview, "addresses", "subnet-"),
        steps: &[
            ("What is short, subnet by subnet", Rows(&["addresses short"])),
            ("Who waits", Rows(&["storefront", "Provisioning"])),
            (
                "Roll back the rollout that takes twice as many",
                Done {
                    typed: "",
                    to: "storefront",
                    says: "1 of 1 rolled back",
                    then: |s, id, _| runs(s, id, ":8.0.3"),
                },
            ),
            (
                "Which services have most tasks",
                Scales { shows: &["storefront", "basket"], row: "previews", to: 0, then: |s, id| wants(s, id, 0) },
            ),
            (
                "Force a new deployment, once it has more subnets",
                Done { typed: "", to: "storefront", says: "1 of 1 restarted", then: anew },
            ),
            ("It reaches its steady state", Rows(&["steady state"])),
        ],
    },
    Case {
        book: "quota-reached",
        scenario: "bad-night",
        age: 120,
        at: (ViewKind::Workloads, "encode", "encode"),
        steps: &[
            ("Who said no, word for word", Rows(&["You've reached the limit"])),
            ("What is short", Rows(&["Fargate vCPU short"])),
            (
                "Who has most tasks",
                Scales {
                    shows: &["encode", "kube-proxy"],
                    row: "render",
                    to: 4,
                    then: |s, id| wants(s, &of(id, "encode"), 10),
                },
            ),
            ("Jobs", Rows(&["thumbnails-backfill"])),
            ("Nothing waits any more", Only(&[])),
        ],
    },
    Case {
        book: "certificate-expired",
        scenario: "bad-night",
        age: 120,
        at: (ViewKind::Alarms, "CertificateExpired", "CertificateExpired"),
        steps: &[
            ("Who complains, and of whom", Log("expired certificate")),
            ("Ask the server itself", Prints("notAfter of shop.example.com:443")),
            ("What cert-manager and others report", Rows(&["certificate has been successfully issued"])),
            ("Restart whoever serves it", Done { typed: "", to: "gateway", says: "is restarted", then: renewed }),
            ("Errors go down", Rows(&["gateway"])),
        ],
    },
    Case {
        book: "dependency-slow",
        scenario: "bad-night",
        age: 200,
        at: (ViewKind::Alarms, "RequestLatencyHigh", "RequestLatencyHigh"),
        steps: &[
            ("Latency and saturation of every service", Rows(&["query"])),
            ("Timeouts name whom they waited for", Log("upstream index.search timed out")),
            ("Its tasks: CPU, memory, restarts", Rows(&["query-", "Running"])),
            ("What changed in the last hour", Rows(&["NodeNotReady"])),
            (
                "More tasks of the slow one",
                Done { typed: "6", to: "query", says: "replicas 4 -> 6", then: |s, id, _| wants(s, id, 6) },
            ),
            (
                "Roll it back",
                Done { typed: "", to: "query", says: "revision 3 -> 2", then: |s, id, _| left(s, id, ":6.1.4") },
            ),
            ("Let its connections be made anew", Done { typed: "", to: "query", says: "is restarted", then: anew }),
            ("Budgets stand still", Rows(&["gateway"])),
        ],
    },
];

#[test]
fn all_that_ships_is_tried_and_every_step_of_it() {
    let library = Library::shipped();
    for book in &library.books {
        let case = CASES.iter().find(|c| c.book == book.name.as_str());
        let case = case.unwrap_or_else(|| panic!("nobody tries {}", book.name));
        let titles: Vec<&str> = case.steps.iter().map(|(title, _)| *title).collect();
        let written: Vec<String> = book.steps.iter().map(|s| s.title.to_string()).collect();
        assert_eq!(titles, written, "{}: what is tried, and what is written", book.name);
    }
    assert_eq!(CASES.len(), library.books.len());
}

#[test]
fn each_step_of_each_runbook_works_in_the_demo() {
    let only = std::env::var("QUARTERDECK_TEST_RUNBOOK").unwrap_or_default();
    // Several at once: most of the time is spent waiting.
    let left: Mutex<Vec<&Case>> = Mutex::new(CASES.iter().filter(|c| only.is_empty() || only == c.book).collect());
    let failed: Mutex<Vec<&str>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = left.lock().expect("no panic").pop();
                    let Some(case) = next else { return };
                    let tried = std::panic::catch_unwind(|| {
                        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                        runtime.expect("a runtime").block_on(attempt(case));
                    });
                    if tried.is_err() {
                        failed.lock().expect("no panic").push(case.book);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic");
    assert!(failed.is_empty(), "these do not work: {failed:?}");
}

/// Stands in for programs that would ask somebody else's servers.
fn programs(dir: &Path) {
    let put = |name: &str, script: &str| {
        let file = dir.join(name);
        std::fs::write(&file, script).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("may be run");
    };
    put("openssl", "#!/bin/sh\n[ \"$1 $2 $4\" = 's_client -connect -servername' ] && echo \"notAfter of $3 as $5\"\n");
}

async fn attempt(case: &Case) {
    let dir = tempfile::tempdir().expect("a directory");
    programs(dir.path());
    let mut console = Console::open(case.scenario, case.age, 4, (dir.path(), dir.path())).await;
    let (view, filter, name) = case.at;
    console.demo.app.show(view);
    if !filter.is_empty() {
        console.press("/");
        console.types(filter);
        console.press("enter");
    }
    console
        .wait(&format!("{}: {filter} in {view:?}", case.book), |c| {
            c.screen();
            let selected = c.demo.app.table().and_then(|t| t.selected(&c.demo.store));
            selected.is_some_and(|id| id.name.starts_with(name))
        })
        .await;
    let seen = console.screen();
    console.press(", b");
    let screen = console.screen();
    assert_eq!(console.book(), Some(case.book), "{:?}\n{seen}\n{screen}", console.complaint());
    for number in 0..case.steps.len() {
        step(&mut console, case, number).await;
    }
}

/// Puts the cursor on a step by the keys for it.
fn choose(console: &mut Console, number: usize) {
    let at = |c: &Console| match c.demo.app.page() {
        Some(Page::Text(t)) => t.runbook.as_ref().and_then(|o| o.item().map(|i| i.what.clone())),
        _ => None,
    };
    console.press("g");
    for _ in 0..100 {
        if at(console) == Some(What::Step(number)) {
            return;
        }
        console.press("tab");
    }
    panic!("no step {number}\n{}", console.screen());
}

async fn step(console: &mut Console, case: &Case, number: usize) {
    let (title, outcome) = &case.steps[number];
    let what = format!("{}, step {}, {title}", case.book, number + 1);
    choose(console, number);
    let book = Library::shipped().get(case.book).cloned().expect(case.book);
    let kind = book.steps[number].kind.as_ref().expect(&what);
    console.press("enter");
    assert_eq!(console.complaint(), None, "{what}\n{}", console.screen());
    match outcome {
        Rows(wanted) => {
            opened(console, kind, &what);
            console.wait(&format!("{what}: rows"), |c| !c.rows().is_empty()).await;
            for text in *wanted {
                console.wait(&format!("{what}: `{text}`"), |c| !c.rows().is_empty() && c.screen().contains(text)).await;
            }
        }
        Scales { shows, row, to, then } => {
            opened(console, kind, &what);
            for text in *shows {
                console.shows(&what, text).await;
            }
            let most = console.rows();
            let ready = |c: &Console, id| c.demo.store.workloads.get(id).map(|w| w.replicas.ready);
            assert!(most.is_sorted_by_key(|id| std::cmp::Reverse(ready(console, id))), "{what}: {most:?}");
            let at = most.iter().position(|id| id.name.as_str() == *row).unwrap_or_else(|| panic!("{what}: {most:?}"));
            for _ in 0..at {
                console.press("j");
            }
            console.press("s");
            console.types(&to.to_string());
            console.press("enter");
            let (_, targets) = console.confirm(&what).await;
            assert_eq!(targets[0].name.as_str(), *row, "{what}");
            console.wait(&format!("{what}: it is so"), |c| then(&c.demo.store, &targets[0])).await;
        }
        Only(rows) => {
            opened(console, kind, &what);
            let left = |c: &mut Console| c.rows().iter().map(|id| id.name.to_string()).collect::<Vec<_>>();
            console.wait(&format!("{what}: only {rows:?}"), |c| left(c) == *rows).await;
        }
        Log(text) => {
            assert!(matches!(console.demo.app.page(), Some(Page::Logs(_))), "{what}\n{}", console.screen());
            console.shows(&what, text).await;
        }
        Text(wanted) => {
            for text in *wanted {
                console.shows(&what, text).await;
            }
        }
        Done { typed, to, says, then } => {
            if !typed.is_empty() {
                console.types(typed.trim_end_matches('^'));
                console.press(if typed.ends_with('^') { "tab space" } else { "enter" });
            }
            let since = console.clock.now();
            let (said, targets) = console.confirm(&what).await;
            assert!(said.contains(says), "{what}: {said}");
            let [target] = &targets[..] else { panic!("{what}: {targets:?}") };
            assert!(target.name.starts_with(to), "{what}: {target}");
            console.wait(&format!("{what}: it is so"), |c| then(&c.demo.store, target, since)).await;
            kept(console, &what, &said);
        }
        Prints(text) => {
            let (said, _) = console.confirm(&what).await;
            kept(console, &what, &said);
            console.shows(&what, text).await;
        }
    }
    for _ in 0..6 {
        if console.book() == Some(case.book) && console.demo.app.overlay.is_none() {
            return;
        }
        console.press("esc");
    }
    panic!("{what}: no way back\n{}", console.screen());
}

/// The view is open, with the step's filter.
fn opened(console: &mut Console, kind: &StepKind, what: &str) {
    let screen = console.screen();
    let table = console.demo.app.table().unwrap_or_else(|| panic!("{what}: no table\n{screen}"));
    match kind {
        StepKind::View { view, filter, .. } => {
            assert_eq!((table.kind.name(), table.filter.raw.as_str()), (*view, filter.as_str()), "{what}");
        }
        StepKind::Events(_) => assert_eq!(table.kind, ViewKind::Events, "{what}"),
        other => panic!("{what}: {other:?}"),
    }
}

/// The page keeps below the step how it went.
fn kept(console: &mut Console, what: &str, said: &str) {
    let screen = console.screen();
    let short: String = said.chars().take(60).collect();
    assert!(screen.contains("done: ") && screen.contains(short.as_str()), "{what}: {said} is not kept\n{screen}");
}
