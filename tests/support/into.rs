//! A fleet to get into, served by this test, and one of its pods.

use std::io::{Read as _, Write as _};

use quarterdeck::clock::{Clock, instant};
use quarterdeck::sim::model::{Model, Parameters, Scenario};
use quarterdeck::sim::server::{ServerOptions, SimServer};
use tokio::runtime::Runtime;

/// The fleet; it lives as long as this.
pub struct Fleet {
    pub server: SimServer,
    pub namespace: String,
    /// A running pod with a container that serves port 8080.
    pub pod: String,
    dir: tempfile::TempDir,
    _runtime: Runtime,
}

impl Fleet {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let scenario = Scenario::embedded("calm", Parameters::default()).expect("an embedded scenario");
        let started = SimServer::start(Box::new(Model::new(scenario)), Clock::system(), ServerOptions::default());
        let server = runtime.block_on(started).expect("starts");
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("config"), server.kubeconfig()).expect("writes");
        let (namespace, pod) = a_pod(&server);
        Self { server, namespace, pod, dir, _runtime: runtime }
    }

    pub fn kubeconfig(&self) -> String {
        self.dir.path().join("config").display().to_string()
    }

    /// As a command line names it.
    pub fn task(&self) -> String {
        format!("{}/{}", self.namespace, self.pod)
    }
}

fn a_pod(server: &SimServer) -> (String, String) {
    let end = instant() + std::time::Duration::from_secs(30);
    loop {
        let pods = get(server, "/api/v1/pods");
        for pod in pods["items"].as_array().expect("a list") {
            let ready = pod["status"]["containerStatuses"]
                .as_array()
                .is_some_and(|all| !all.is_empty() && all.iter().all(|c| c["state"]["running"].is_object()));
            let serves = pod["spec"]["containers"][0]["ports"][0]["containerPort"] == 8080;
            if ready && serves {
                let text = |key: &str| pod["metadata"][key].as_str().expect("text").to_owned();
                return (text("namespace"), text("name"));
            }
        }
        assert!(instant() < end, "a pod runs");
    }
}

fn get(server: &SimServer, path: &str) -> serde_json::Value {
    let mut socket = std::net::TcpStream::connect(server.addr()).expect("connects");
    let token = server.token();
    write!(socket, "GET {path} HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n").expect("asks");
    let mut all = Vec::new();
    socket.read_to_end(&mut all).expect("answers");
    let at = all.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
    serde_json::from_slice(&all[at..]).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&all)))
}
