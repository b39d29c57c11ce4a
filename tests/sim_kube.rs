//! The embedded fleet's Kubernetes API, asked by hand over TCP.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

mod common;

use std::time::Duration;

use common::client::{Client, PATIENCE, Says, Stream};
use common::fleet::TestFleet;
use quarterdeck::clock::{Clock, instant};
use quarterdeck::sim::backend::Fleet;
use quarterdeck::sim::server::{ServerOptions, SimError, SimServer, Tuning};
use serde_json::{Value, json};

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const PODS: &str = "/api/v1/namespaces/shop/pods";
const WEB: &str = "/apis/apps/v1/namespaces/shop/deployments/web";
const SETTINGS: &str = "/api/v1/namespaces/shop/configmaps";

async fn serve(fleet: Box<dyn Fleet>, tuning: Tuning) -> (SimServer, Client) {
    let options = ServerOptions { tuning, ..ServerOptions::default() };
    let server = SimServer::start(fleet, Clock::system(), options).await.expect("starts");
    let client = Client { addr: server.addr(), token: server.token().to_owned() };
    (server, client)
}

async fn small() -> (SimServer, Client) {
    serve(TestFleet::boxed(), Tuning::default()).await
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().expect("items");
    items.iter().map(|i| i["metadata"]["name"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn loopback_only_and_a_kubeconfig_that_reaches_it() {
    let options = ServerOptions { listen: ([0, 0, 0, 0], 0).into(), ..ServerOptions::default() };
    let refused = SimServer::start(TestFleet::boxed(), Clock::system(), options).await.expect_err("refused");
    assert!(matches!(refused, SimError::NotLoopback(_)), "{refused}");
    let (server, client) = small().await;
    let config: Value = serde_saphyr::from_str(&server.kubeconfig()).expect("YAML");
    assert_eq!(config["clusters"][0]["cluster"]["server"], format!("http://{}/{}", server.addr(), client.token));
    assert_eq!(config["users"][0]["user"]["token"], client.token);
    assert_eq!(config["current-context"], "demo");
    let addr = server.addr();
    server.stop().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err(), "the port is free");
}

#[tokio::test]
async fn only_the_token_opens() {
    let (server, _) = small().await;
    let stranger = Client { addr: server.addr(), token: "wrong".into() };
    let refused = stranger.get("/api/v1/pods").await;
    assert_eq!((refused.code, refused.json()["reason"].as_str()), (401, Some("Unauthorized")));
    let path = format!("/{}/api/v1/nodes", server.token());
    assert_eq!(stranger.get(&path).await.code, 401, "a wrong token is wrong whatever the path");
    let silent = Client { addr: server.addr(), token: String::new() };
    assert_eq!(silent.get("/api/v1/nodes").await.code, 401);
    assert_eq!(silent.get(&path).await.code, 200, "the kubeconfig's path opens as well");
    assert_eq!(stranger.get("/healthz").await.text(), "ok");
    assert_eq!(stranger.get("/version").await.json()["major"], "1");
}

#[tokio::test]
async fn discovery_both_ways() {
    let (_server, client) = small().await;
    assert_eq!(client.get("/api").await.json()["versions"], json!(["v1"]));
    let groups = client.get("/apis").await.json();
    assert!(groups["groups"].as_array().expect("groups").iter().any(|g| g["name"] == "apps"));
    let core = client.get("/api/v1").await.json();
    let find = |name: &str| core["resources"].as_array().expect("list").iter().find(|r| r["name"] == name).cloned();
    assert_eq!(find("pods").expect("pods")["shortNames"], json!(["po"]));
    assert!(find("pods/log").is_some());
    let wanted = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let all = client.accepting("/apis", wanted).await;
    assert!(all.header("content-type").expect("a type").contains("as=APIGroupDiscoveryList"));
    let apps = all.json()["items"].as_array().expect("items").iter().find(|g| g["metadata"]["name"] == "apps").cloned();
    let resources = apps.expect("apps")["versions"][0]["resources"].clone();
    let deployments = resources.as_array().expect("list").iter().find(|r| r["resource"] == "deployments").cloned();
    assert_eq!(deployments.expect("there")["scope"], "Namespaced");
    assert_eq!(client.get("/apis/nope/v1").await.code, 404);
}

#[tokio::test]
async fn get_and_list_and_select() {
    let (_server, client) = small().await;
    let pod = client.get(&format!("{PODS}/web-5d4f-a")).await.json();
    assert_eq!((pod["kind"].as_str(), pod["apiVersion"].as_str()), (Some("Pod"), Some("v1")));
    let missing = client.get(&format!("{PODS}/nope")).await;
    assert_eq!(missing.code, 404);
    assert_eq!(missing.json()["message"], "pods \"nope\" not found");
    let all = client.get("/api/v1/pods").await.json();
    assert_eq!(all["kind"], "PodList");
    assert_eq!(names(&all), ["web-5d4f-a", "web-5d4f-b"]);
    assert!(all["items"][0].get("kind").is_none());
    assert_eq!(names(&client.get("/api/v1/namespaces/default/pods").await.json()), Vec::<&str>::new());
    for (query, want) in [
        ("fieldSelector=spec.nodeName%3Dnode-2", vec!["web-5d4f-b"]),
        ("fieldSelector=metadata.name%3Dweb-5d4f-a", vec!["web-5d4f-a"]),
        ("labelSelector=app+in+(web),!gone", vec!["web-5d4f-a", "web-5d4f-b"]),
        ("labelSelector=app%3Dother", vec![]),
    ] {
        assert_eq!(names(&client.get(&format!("{PODS}?{query}")).await.json()), want, "{query}");
    }
    let events = "/api/v1/events?fieldSelector=involvedObject.name%3Dweb-5d4f-a,type%3DNormal,reason%3DStarted";
    assert_eq!(names(&client.get(events).await.json()), ["web-5d4f-a.1"]);
    assert_eq!(client.get(&format!("{PODS}?fieldSelector=spec.x%3D1")).await.code, 400);
    assert_eq!(client.get(&format!("{PODS}?labelSelector=a+in+(b")).await.code, 400);
    assert_eq!(client.ask("DELETE", "/version", Says::default()).await.code, 405);
}

#[tokio::test]
async fn an_eviction_asks_the_budget() {
    let (_server, client) = small().await;
    let budgets = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets";
    let budget = json!({"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}}}});
    assert_eq!(client.send("POST", budgets, JSON, &budget).await.code, 201);
    let (pod, evict) = (format!("{PODS}/web-5d4f-a"), format!("{PODS}/web-5d4f-a/eviction"));
    let mut eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web-5d4f-a"}});
    let held = client.send("POST", &evict, JSON, &eviction).await;
    let cause = held.json()["details"]["causes"][0].clone();
    assert_eq!((held.code, cause["reason"].as_str()), (429, Some("DisruptionBudget")));
    let allow = json!({"status": {"disruptionsAllowed": 1}});
    assert_eq!(client.send("PATCH", &format!("{budgets}/web/status"), MERGE, &allow).await.code, 200);
    eviction["deleteOptions"] = json!({"preconditions": {"uid": "another"}});
    assert_eq!(client.send("POST", &evict, JSON, &eviction).await.code, 409);
    eviction["deleteOptions"] = json!({});
    assert_eq!(client.send("POST", &format!("{evict}?dryRun=All"), JSON, &eviction).await.code, 201);
    assert_eq!(client.get(&pod).await.code, 200, "a dry run evicts nothing");
    let second = json!({"metadata": {"name": "more"}, "spec": {"selector": {}}});
    assert_eq!(client.send("POST", budgets, JSON, &second).await.code, 201);
    assert!(client.send("POST", &evict, JSON, &eviction).await.text().contains("more than one PodDisruptionBudget"));
    assert_eq!(client.ask("DELETE", &format!("{budgets}/more"), Says::default()).await.code, 200);
    assert_eq!(client.send("POST", &evict, JSON, &eviction).await.code, 201);
    assert_eq!((client.get(&pod).await.code, client.get(&evict).await.code), (404, 405));
}

#[tokio::test]
async fn pages_and_their_expiry() {
    let (server, client) = serve(TestFleet::with_pods(10), Tuning::default()).await;
    let first = client.get(&format!("{PODS}?limit=5")).await.json();
    assert_eq!(names(&first).len(), 5);
    assert_eq!(first["metadata"]["remainingItemCount"], 7);
    let token = first["metadata"]["continue"].as_str().expect("a token").to_owned();
    let second = client.get(&format!("{PODS}?limit=100&continue={token}")).await.json();
    assert_eq!(names(&second).len(), 7);
    assert!(second["metadata"].get("continue").is_none());
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert_eq!(client.get(&format!("{PODS}?continue=nonsense")).await.code, 400);
    let deleted = client.ask("DELETE", &format!("{PODS}/extra-00009"), Says::default()).await;
    assert_eq!(deleted.json()["status"], "Success");
    server.faults().expire();
    let expired = client.get(&format!("{PODS}?limit=5&continue={token}")).await;
    assert_eq!((expired.code, expired.json()["reason"].as_str()), (410, Some("Expired")));
    let future = client.get(&format!("{PODS}?resourceVersion=999999999")).await;
    assert_eq!(future.code, 504);
    assert_eq!(future.json()["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
}

#[tokio::test]
async fn long_lists_are_compressed() {
    let (_server, client) = serve(TestFleet::with_pods(300), Tuning::default()).await;
    let says = Says { headers: &[("Accept-Encoding", "gzip")], body: "" };
    let zipped = client.ask("GET", PODS, says).await;
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    let plain = client.get(PODS).await;
    assert_eq!(plain.header("content-encoding"), None);
    let list: Value = serde_json::from_slice(&zipped.gunzipped()).expect("JSON");
    assert_eq!(names(&list).len(), 302);
    assert_eq!(list["items"], plain.json()["items"]);
    assert!(zipped.body.len() * 5 < plain.body.len());
}

#[tokio::test]
async fn tables_and_metadata() {
    let (_server, client) = small().await;
    let table = client.accepting(PODS, TABLE).await.json();
    assert_eq!(table["kind"], "Table");
    let columns: Vec<_> =
        table["columnDefinitions"].as_array().expect("columns").iter().map(|c| c["name"].clone()).collect();
    assert_eq!(columns[..5], ["Name", "Ready", "Status", "Restarts", "Age"].map(Value::from));
    assert_eq!(table["columnDefinitions"][6]["priority"], 1);
    let row = &table["rows"][1];
    assert_eq!(
        row["cells"],
        json!(["web-5d4f-b", "2/2", "Running", "0", "5m", "10.0.0.9", "node-2", "<none>", "<none>"])
    );
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    let whole = client.accepting(&format!("{PODS}?includeObject=Object"), TABLE).await.json();
    assert_eq!(whole["rows"][0]["object"]["spec"]["nodeName"], "node-1");
    let one = client.accepting("/api/v1/nodes/node-1", TABLE).await.json();
    let cells = one["rows"][0]["cells"].as_array().expect("cells");
    assert_eq!(cells[..5], ["node-1", "Ready", "worker", "5m", "v1.33.1"].map(Value::from));
    let partial =
        client.accepting(PODS, "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io").await.json();
    assert_eq!(partial["kind"], "PartialObjectMetadataList");
    assert!(partial["items"][0].get("spec").is_none());
    assert_eq!(client.accepting(PODS, "application/vnd.kubernetes.protobuf").await.code, 406);
}

#[tokio::test]
async fn a_watch_tells_what_happens_after_a_version() {
    let (_server, client) = small().await;
    let version = client.get(PODS).await.json()["metadata"]["resourceVersion"].as_str().expect("one").to_owned();
    let mut all = client.stream(&format!("{PODS}?watch=1&resourceVersion={version}"), JSON).await;
    let mut blue =
        client.stream(&format!("{PODS}?watch=1&resourceVersion={version}&labelSelector=colour%3Dblue"), JSON).await;
    let path = format!("{PODS}/web-5d4f-a");
    for colour in [json!("blue"), json!(null)] {
        let patched = client.send("PATCH", &path, MERGE, &json!({"metadata": {"labels": {"colour": colour}}})).await;
        assert_eq!(patched.code, 200, "{}", patched.text());
    }
    assert_eq!(client.ask("DELETE", &path, Says::default()).await.code, 200);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let event = all.event().await;
        seen.push(event["type"].as_str().expect("a type").to_owned());
        assert_eq!(event["object"]["metadata"]["name"], "web-5d4f-a");
    }
    assert_eq!(seen, ["MODIFIED", "MODIFIED", "DELETED"]);
    let enters = blue.event().await;
    assert_eq!(enters["type"], "ADDED", "it enters the selection");
    assert_eq!(blue.event().await["type"], "DELETED", "and leaves it");
    let after = enters["object"]["metadata"]["resourceVersion"].as_str().expect("one").to_owned();
    let mut late = client.stream(&format!("{PODS}?watch=1&resourceVersion={after}"), JSON).await;
    assert_eq!(late.event().await["type"], "MODIFIED", "what came after its version is told again");
}

#[tokio::test]
async fn a_streaming_list_ends_with_its_mark_and_goes_on() {
    let tuning = Tuning { bookmark_every: Duration::from_millis(50), ..Tuning::default() };
    let (_server, client) = serve(TestFleet::with_pods(20), tuning).await;
    let path =
        format!("{PODS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
    let mut stream = client.stream(&path, JSON).await;
    for _ in 0..22 {
        assert_eq!(stream.event().await["type"], "ADDED");
    }
    let mark = stream.event().await;
    assert_eq!(mark["type"], "BOOKMARK");
    assert_eq!(mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let later = stream.event().await;
    assert_eq!(later["type"], "BOOKMARK");
    assert!(later["object"]["metadata"].get("annotations").is_none());
    let version = |e: &Value| e["object"]["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse::<u64>().ok());
    assert!(version(&later) >= version(&mark));
    let unmatched = client.get(&format!("{PODS}?watch=1&sendInitialEvents=true")).await;
    assert_eq!(unmatched.code, 422);
}

#[tokio::test]
async fn watches_end_when_told_to_and_tables_have_columns_once() {
    let (_server, client) = small().await;
    let began = instant();
    let answer = client.get("/api/v1/nodes?watch=1&timeoutSeconds=1").await;
    assert_eq!(answer.text().lines().count(), 2, "both nodes, then the end");
    assert!(began.elapsed() >= Duration::from_secs(1));
    let mut stream = client.stream(&format!("{SETTINGS}?watch=1"), TABLE).await;
    let first = stream.event().await;
    assert_eq!(first["object"]["kind"], "Table");
    assert_eq!(first["object"]["columnDefinitions"][0]["name"], "Name");
    assert_eq!(first["object"]["rows"][0]["cells"][0], "settings");
    assert_eq!(stream.event().await["object"]["columnDefinitions"], Value::Null);
}

#[tokio::test]
async fn old_versions_are_gone() {
    let tuning = Tuning { event_log: 3, tick: Duration::from_millis(10), ..Tuning::default() };
    let (server, client) = serve(TestFleet::boxed(), tuning).await;
    let mut first = client.stream(&format!("{SETTINGS}?watch=1"), JSON).await;
    let version = first.event().await["object"]["metadata"]["resourceVersion"].as_str().expect("one").to_owned();
    for _ in 0..5 {
        first.event().await;
    }
    let mut late = client.stream(&format!("{SETTINGS}?watch=1&resourceVersion={version}"), JSON).await;
    let gone = late.event().await;
    assert_eq!((gone["type"].as_str(), gone["object"]["code"].as_u64()), (Some("ERROR"), Some(410)));
    assert_eq!(gone["object"]["reason"], "Expired");
    assert_eq!(late.next_line().await.expect("ends well"), None);
    server.faults().expire();
    let last = first.event_where(|e| e["type"] == "ERROR").await;
    assert_eq!(last["object"]["code"], 410);
}

#[tokio::test]
async fn writes() {
    let (_server, client) = small().await;
    let made =
        client.send("POST", SETTINGS, JSON, &json!({"metadata": {"generateName": "new-"}, "data": {"k": "v"}})).await;
    assert_eq!(made.code, 201, "{}", made.text());
    let made = made.json();
    let name = made["metadata"]["name"].as_str().expect("a name").to_owned();
    assert!(name.starts_with("new-") && name.len() == 9 && made["metadata"]["uid"].is_string());
    let path = format!("{SETTINGS}/{name}");
    let again = client.send("POST", SETTINGS, JSON, &json!({"metadata": {"name": name}})).await;
    assert_eq!((again.code, again.json()["reason"].as_str()), (409, Some("AlreadyExists")));
    let mut changed = made.clone();
    changed["data"] = json!({"k": "w"});
    let put = client.send("PUT", &path, JSON, &changed).await;
    assert_eq!(put.json()["data"]["k"], "w");
    let stale = client.send("PUT", &path, JSON, &changed).await;
    assert_eq!((stale.code, stale.json()["reason"].as_str()), (409, Some("Conflict")));
    let tested =
        json!([{"op": "test", "path": "/data/k", "value": "w"}, {"op": "add", "path": "/data/l", "value": "x"}]);
    let patched = client.send("PATCH", &path, "application/json-patch+json", &tested).await;
    assert_eq!(patched.json()["data"], json!({"k": "w", "l": "x"}));
    let dry = client.send("PATCH", &format!("{path}?dryRun=All"), MERGE, &json!({"data": null})).await;
    assert!(dry.json().get("data").is_none());
    assert_eq!(client.get(&path).await.json()["data"]["k"], "w", "nothing was done");
    let odd = client.send("PATCH", &path, "text/plain", &json!({})).await;
    assert_eq!(odd.code, 415);
    let refused = client.send("PATCH", &path, MERGE, &json!({"metadata": {"labels": {"refuse": "yes"}}})).await;
    assert_eq!((refused.code, refused.json()["reason"].as_str()), (422, Some("Invalid")));
    let nowhere =
        client.send("POST", "/api/v1/namespaces/nope/configmaps", JSON, &json!({"metadata": {"name": "a"}})).await;
    assert_eq!(nowhere.json()["message"], "namespaces \"nope\" not found");
    let applied = Says {
        headers: &[("Content-Type", "application/apply-patch+yaml")],
        body: "metadata:\n  name: applied\ndata: {a: b}\n",
    };
    let applied = client.ask("PATCH", &format!("{SETTINGS}/applied?fieldManager=t"), applied).await;
    assert_eq!(applied.code, 201, "{}", applied.text());
    let gone = client.ask("DELETE", &format!("{path}?dryRun=All"), Says::default()).await;
    assert_eq!(gone.json()["status"], "Success");
    assert_eq!(client.get(&path).await.code, 200);
    let wrong = client.send("DELETE", &path, JSON, &json!({"preconditions": {"uid": "other"}})).await;
    assert_eq!(wrong.code, 409);
    assert_eq!(client.ask("DELETE", SETTINGS, Says::default()).await.json()["kind"], "ConfigMapList");
    assert_eq!(client.get(&path).await.code, 404);
}

#[tokio::test]
async fn workloads_scale_and_restart() {
    let (_server, client) = small().await;
    let scale = client.get(&format!("{WEB}/scale")).await.json();
    assert_eq!((scale["kind"].as_str(), scale["spec"]["replicas"].as_i64()), (Some("Scale"), Some(2)));
    assert_eq!(scale["status"]["selector"], "app=web");
    let mut wanted = scale.clone();
    wanted["spec"]["replicas"] = json!(5);
    let scaled = client.send("PUT", &format!("{WEB}/scale"), JSON, &wanted).await;
    assert_eq!(scaled.json()["spec"]["replicas"], 5);
    let outdated = client.send("PUT", &format!("{WEB}/scale"), JSON, &wanted).await;
    assert_eq!(outdated.code, 409, "the scale's version counts");
    let patched = client.send("PATCH", &format!("{WEB}/scale"), MERGE, &json!({"spec": {"replicas": 3}})).await;
    assert_eq!(patched.json()["spec"]["replicas"], 3);
    let now = client.get(WEB).await.json();
    assert_eq!(now["status"]["readyReplicas"], 3);
    let negative = client.send("PATCH", &format!("{WEB}/scale"), MERGE, &json!({"spec": {"replicas": -1}})).await;
    assert_eq!(negative.code, 422);
    assert_eq!(negative.json()["details"]["causes"][0]["field"], "spec.replicas");
    let restart =
        json!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "x"}}}}});
    let restarted = client.send("PATCH", WEB, "application/strategic-merge-patch+json", &restart).await.json();
    assert!(restarted["metadata"]["generation"].as_i64() > now["metadata"]["generation"].as_i64());
    assert_eq!(restarted["spec"]["template"]["spec"]["containers"][0]["name"], "app");
    let lie = client.send("PATCH", WEB, MERGE, &json!({"status": {"readyReplicas": 99}})).await.json();
    assert_eq!(lie["status"]["readyReplicas"], 3, "the status is not the object's to change");
}

#[tokio::test]
async fn logs_past_and_live() {
    let (_server, client) = small().await;
    let log = format!("{PODS}/web-5d4f-a/log");
    let tail = client.get(&format!("{log}?tailLines=2")).await.text();
    assert_eq!(tail.lines().count(), 2);
    assert!(tail.starts_with("app line "));
    let stamped = client.get(&format!("{log}?timestamps=true&sinceSeconds=4&limitBytes=60")).await.text();
    assert_eq!(stamped.len(), 60);
    chrono::DateTime::parse_from_rfc3339(stamped.split(' ').next().expect("a word")).expect("a time");
    let which = client.get(&format!("{PODS}/web-5d4f-b/log")).await;
    assert_eq!(which.code, 400);
    let message = "a container name must be specified for pod web-5d4f-b, choose one of: [app proxy]";
    assert_eq!(which.json()["message"], message);
    let no_such = client.get(&format!("{log}?container=nope")).await;
    assert_eq!(no_such.json()["message"], "container nope is not valid for pod web-5d4f-a");
    let previous = client.get(&format!("{log}?previous=true")).await;
    assert_eq!(previous.code, 400);
    assert!(previous.json()["message"].as_str().expect("words").starts_with("previous terminated container \"app\""));
    let mut following = client.stream(&format!("{log}?follow=true&tailLines=1"), "*/*").await;
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let line = following.next_line().await.expect("reads").expect("a line");
        numbers.push(line.rsplit(' ').next().and_then(|n| n.parse::<u32>().ok()).expect("a number"));
    }
    assert!(numbers.windows(2).all(|w| w[1] == w[0] + 1), "each line once and in order: {numbers:?}");
}

#[tokio::test]
async fn metrics_and_reviews() {
    let (server, client) = small().await;
    let nodes = client.get("/apis/metrics.k8s.io/v1beta1/nodes").await.json();
    assert_eq!(nodes["items"][0]["usage"], json!({"cpu": "1250000000n", "memory": "4194304Ki"}));
    let pods = client.get("/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods?labelSelector=app%3Dweb").await.json();
    assert_eq!(names(&pods), ["web-5d4f-a", "web-5d4f-b"]);
    assert_eq!(pods["items"][0]["containers"][0]["name"], "app");
    assert_eq!(client.get("/apis/metrics.k8s.io/v1beta1/nodes/nope").await.code, 404);
    server.faults().forbid("delete", "pods");
    let ask =
        |verb: &str| json!({"spec": {"resourceAttributes": {"verb": verb, "resource": "pods", "namespace": "shop"}}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    assert_eq!(client.send("POST", path, JSON, &ask("get")).await.json()["status"]["allowed"], true);
    assert_eq!(client.send("POST", path, JSON, &ask("delete")).await.json()["status"]["allowed"], false);
    let me = client.send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", JSON, &json!({})).await;
    assert_eq!(me.json()["status"]["userInfo"]["username"], "quarterdeck-demo");
}

#[tokio::test]
async fn faults_of_answers() {
    let (server, client) = small().await;
    let faults = server.faults();
    faults.forbid("list", "pods");
    let denied = client.get("/api/v1/pods").await;
    assert_eq!(denied.code, 403);
    let message = "pods is forbidden: User \"quarterdeck-demo\" cannot list resource \"pods\" in API group \"\" at the cluster scope";
    assert_eq!(denied.json()["message"], message);
    faults.clear();
    faults.retry_after(3, Some("nodes"), Some(1));
    assert_eq!(client.get("/api/v1/pods").await.code, 200);
    let throttled = client.get("/api/v1/nodes").await;
    assert_eq!((throttled.code, throttled.header("retry-after")), (429, Some("3")));
    assert_eq!(client.get("/api/v1/nodes").await.code, 200);
    faults.status(500, None, Some(1));
    assert_eq!(client.get("/api/v1/nodes").await.json()["reason"], "InternalError");
    faults.garbage(true);
    assert!(serde_json::from_slice::<Value>(&client.get("/api/v1/nodes").await.body).is_err());
    faults.garbage(false);
    faults.slow(Duration::from_millis(200));
    let began = instant();
    assert_eq!(client.get("/api/v1/nodes").await.code, 200);
    assert!(began.elapsed() >= Duration::from_millis(200));
    faults.clear();
    faults.hang(true);
    let asked = tokio::time::timeout(Duration::from_millis(300), client.get("/api/v1/nodes")).await;
    assert!(asked.is_err(), "no answer");
}

#[tokio::test]
async fn faults_of_connections() {
    let (server, client) = small().await;
    let mut stream = client.stream("/api/v1/nodes?watch=1", JSON).await;
    stream.event().await;
    stream.event().await;
    server.faults().cut_watches();
    let half = tokio::time::timeout(PATIENCE, stream.chunk()).await.expect("in time").expect("half an object");
    assert!(serde_json::from_slice::<Value>(&half.expect("some bytes")).is_err());
    assert!(tokio::time::timeout(PATIENCE, stream.chunk()).await.expect("in time").is_err(), "then the cut");
    let mut stream = client.stream("/api/v1/nodes?watch=1", JSON).await;
    stream.event().await;
    stream.event().await;
    server.faults().go_down();
    assert!(tokio::time::timeout(PATIENCE, stream.chunk()).await.expect("in time").is_err(), "the watch is cut");
    until(|| async { Stream::open(&client, "GET", "/healthz", Says::default()).await.is_err() }).await;
    server.faults().come_back();
    until(|| async { Stream::open(&client, "GET", "/healthz", Says::default()).await.is_ok() }).await;
    assert_eq!(client.get(PODS).await.code, 200);
    assert!(server.faults().requests() > 2);
}

/// Waits for a condition, with a deadline.
async fn until<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the condition in time");
}
