//! How a cluster is reached: certificates, proxies and credentials, good and
//! bad, against servers of this test. What cannot be used is told in the words
//! of its trade, and harms no other cluster.
#![cfg(feature = "kubernetes")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use quarterdeck::clock::Clock;
use quarterdeck::domain::{ClusterId, Freshness};
use quarterdeck::source::kubernetes::{ClusterSpec, Kubeconfig, Sources};
use quarterdeck::store::{Feed, Store};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

const DEADLINE: Duration = Duration::from_secs(20);

/// A server that answers every list with an empty one and hangs on watches.
struct Server {
    address: SocketAddr,
    /// Request lines and `Authorization` headers.
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(tls: Option<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, acceptor) = (Arc::clone(&asked), tls.map(|c| TlsAcceptor::from(Arc::new(c))));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (log, acceptor) = (Arc::clone(&log), acceptor.clone());
                connections.spawn(async move {
                    match acceptor {
                        None => answer(socket, &log).await,
                        // A client that does not trust us goes away in the handshake.
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(socket).await {
                                answer(stream, &log).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, asked, _tasks: tasks }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(mut socket: impl AsyncRead + AsyncWrite + Unpin, log: &Mutex<Vec<String>>) {
    let (mut head, mut chunk) = (Vec::new(), [0_u8; 4096]);
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        match socket.read(&mut chunk).await {
            Ok(n) if n > 0 => head.extend_from_slice(&chunk[..n]),
            _ => return,
        }
        // As a proxy: what follows goes to whom it names, and that is us as well.
        if head.starts_with(b"CONNECT ") && head.ends_with(b"\r\n\r\n") {
            log.lock().unwrap().push(String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned());
            let _ = socket.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await;
            head.clear();
        }
        // As real servers do to a TLS hello where they speak plain HTTP.
        if head.first() == Some(&0x16) {
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
            return;
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let line = head.lines().next().unwrap_or_default();
    let token = head.lines().find(|l| l.to_ascii_lowercase().starts_with("authorization:")).unwrap_or_default();
    log.lock().unwrap().push(format!("{line} {token}"));
    let body = r#"{"metadata":{"resourceVersion":"1"},"items":[]}"#;
    let watch = line.contains("watch=true");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
    let answer = if line.contains("/namespaces/typo ") {
        let gone = r#"{"kind":"Status","code":404,"message":"namespaces \"typo\" not found"}"#;
        format!("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{gone}", gone.len())
    } else if watch && line.contains("sendInitialEvents") {
        let end = r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1","annotations":{"k8s.io/initial-events-end":"true"}}}}"#;
        format!("{head}\r\n{end}\n")
    } else if watch {
        format!("{head}\r\n")
    } else {
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    let _ = socket.write_all(answer.as_bytes()).await;
    let _ = socket.flush().await;
    if watch {
        let _ = socket.read(&mut chunk).await;
    }
    let _ = socket.shutdown().await;
}

/// An authority and a server's certificate signed by it.
struct Trust {
    authority: String,
    server: ServerConfig,
}

fn trust(names: &[&str], expired: bool) -> Trust {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    if expired {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    Trust { authority: authority.pem(), server }
}

/// `cluster` and `user` are the bodies of those entries, in YAML's flow style.
fn spec(name: &str, cluster: &str, user: &str) -> ClusterSpec {
    let yaml = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{{name: x, context: {{cluster: x, user: x}}}}]\n\
         clusters: [{{name: x, cluster: {{{cluster}}}}}]\nusers: [{{name: x, user: {{{user}}}}}]\n"
    );
    ClusterSpec {
        id: ClusterId::new(name),
        context: None,
        kubeconfig: Kubeconfig::Inline(yaml),
        namespace: None,
        production: false,
        read_only: false,
        metrics_interval: Duration::from_secs(30),
        silence: quarterdeck::source::kubernetes::SILENCE,
    }
}

/// Reads `specs` until the tasks of each have an answer, good or bad: its word and reason.
async fn outcomes<const N: usize>(specs: [ClusterSpec; N]) -> [String; N] {
    let ids = specs.clone().map(|s| s.id);
    let (tx, mut rx) = tokio::sync::mpsc::channel(256);
    let sources = Sources::spawn(specs.to_vec(), tx, Clock::system());
    let mut store = Store::expecting(ids.clone());
    let word = |store: &Store, id: &ClusterId| {
        let freshness = store.source(id, Feed::Tasks).map(|s| s.freshness.clone())?;
        let settled = !matches!(freshness, Freshness::Loading { .. });
        let reason = freshness.reason().map(|r| format!(": {r}")).unwrap_or_default();
        settled.then(|| format!("{}{reason}", freshness.word()))
    };
    let wait = async {
        while ids.iter().any(|id| word(&store, id).is_none()) {
            store.apply(rx.recv().await.unwrap());
        }
    };
    assert!(tokio::time::timeout(DEADLINE, wait).await.is_ok(), "no outcome for one of {ids:?}");
    sources.stop();
    ids.map(|id| word(&store, &id).unwrap())
}

fn pem(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test]
async fn a_certificate_of_a_known_authority_is_trusted_and_others_are_not() {
    let (ours, other) = (trust(&["127.0.0.1"], false), trust(&["127.0.0.1"], false));
    let server = Server::start(Some(ours.server)).await;
    let at = |rest: &str| format!("server: \"https://{}\"{rest}", server.address);
    let [known, unknown, unchecked] = outcomes([
        spec("known", &at(&format!(", certificate-authority-data: {}", pem(&ours.authority))), ""),
        spec("unknown", &at(&format!(", certificate-authority-data: {}", pem(&other.authority))), ""),
        spec("unchecked", &at(", insecure-skip-tls-verify: true"), ""),
    ])
    .await;
    assert_eq!(known, "live");
    assert_eq!(unchecked, "live", "asked for, so done");
    assert!(unknown.starts_with("down: "), "{unknown}");
    for part in ["certificate", "certificate-authority", &server.address.to_string()] {
        assert!(unknown.contains(part), "no {part} in: {unknown}");
    }
}

#[tokio::test]
async fn an_expired_certificate_and_one_of_another_name_say_which() {
    let (expired, named) = (trust(&["127.0.0.1"], true), trust(&["api.example.com"], false));
    let (first, second) = (Server::start(Some(expired.server)).await, Server::start(Some(named.server)).await);
    let at = |server: &Server, authority: &str| {
        format!("server: \"https://{}\", certificate-authority-data: {}", server.address, pem(authority))
    };
    let [expired, named] = outcomes([
        spec("expired", &at(&first, &expired.authority), ""),
        spec("named", &at(&second, &named.authority), ""),
    ])
    .await;
    assert!(expired.starts_with("down: ") && expired.contains("expired"), "{expired}");
    assert!(named.starts_with("down: ") && named.contains("not valid for"), "{named}");
}

#[tokio::test]
async fn plain_http_where_https_is_expected_is_told_as_such() {
    let server = Server::start(None).await;
    let [said] = outcomes([spec("plain", &format!("server: \"https://{}\"", server.address), "")]).await;
    assert!(said.starts_with("down: ") && said.contains("TLS"), "{said}");
}

#[tokio::test]
async fn requests_go_through_the_proxy_and_a_dead_proxy_is_named() {
    let server = Server::start(None).await;
    // The server plays the proxy, and then the cluster at the tunnel's end.
    let through = format!("server: \"http://cluster.invalid:8080\", proxy-url: \"http://{}\"", server.address);
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = free.local_addr().unwrap();
    drop(free);
    let dead = format!("server: \"http://cluster.invalid:8080\", proxy-url: \"http://{gone}\"");
    let [through, dead] = outcomes([spec("through", &through, ""), spec("dead", &dead, "")]).await;
    assert_eq!(through, "live");
    assert!(server.asked().iter().any(|line| line.starts_with("CONNECT cluster.invalid:8080")), "{:?}", server.asked());
    let named = format!("cluster.invalid:8080 (through the proxy {gone})");
    assert!(dead.starts_with("down: ") && dead.contains(&named), "{dead}");
}

/// A plugin that prints this.
fn plugin(script: &str) -> String {
    let script = script.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, command: sh, interactiveMode: Never, args: [\"-c\", \"{script}\"]}}"
    )
}

#[tokio::test]
async fn a_credential_commands_token_is_sent_and_garbage_is_not_shown() {
    let server = Server::start(None).await;
    let at = format!("server: \"http://{}\"", server.address);
    let good = r#"printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"from-the-plugin"}}'"#;
    let [good, garbage, missing] = outcomes([
        spec("good", &at, &plugin(good)),
        spec("garbage", &at, &plugin("echo not-json-but-secret")),
        spec("missing", &at, "exec: {apiVersion: client.authentication.k8s.io/v1, command: /nonexistent/plugin}"),
    ])
    .await;
    assert_eq!(good, "live");
    assert!(server.asked().iter().any(|line| line.ends_with("Bearer from-the-plugin")), "{:?}", server.asked());
    assert!(garbage.contains("not an ExecCredential") && !garbage.contains("secret"), "{garbage}");
    assert!(missing.contains("`/nonexistent/plugin` is not installed"), "{missing}");
}

#[tokio::test]
async fn a_token_file_is_read_again_when_it_changes() {
    let server = Server::start(None).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "first").unwrap();
    let at = format!("server: \"http://{}\"", server.address);
    let user = |file: &Path| format!("tokenFile: \"{}\"", file.display());
    let [first] = outcomes([spec("first", &at, &user(&file))]).await;
    std::fs::write(&file, "second").unwrap();
    let [second] = outcomes([spec("second", &at, &user(&file))]).await;
    assert_eq!((first.as_str(), second.as_str()), ("live", "live"));
    let sent = server.asked();
    assert!(sent.iter().any(|l| l.ends_with("Bearer first")) && sent.iter().any(|l| l.ends_with("Bearer second")));
}

#[tokio::test]
async fn what_cannot_be_used_harms_no_other_cluster() {
    let server = Server::start(None).await;
    let good = format!("server: \"http://{}\"", server.address);
    let [good, none, broken] = outcomes([
        spec("good", &good, ""),
        spec("no server", "", ""),
        ClusterSpec { kubeconfig: Kubeconfig::Inline("clusters: [".to_owned()), ..spec("broken", "", "") },
    ])
    .await;
    assert_eq!(good, "live");
    assert!(none.starts_with("down: kubeconfig: ") && none.contains("server"), "{none}");
    assert!(broken.starts_with("down: kubeconfig: not valid YAML at line 1"), "{broken}");
}

#[tokio::test]
async fn a_namespace_that_does_not_exist_is_told() {
    let server = Server::start(None).await;
    let at = format!("server: \"http://{}\"", server.address);
    let in_namespace = |name: &str| ClusterSpec { namespace: Some(name.to_owned()), ..spec(name, &at, "") };
    let [there, typo] = outcomes([in_namespace("web"), in_namespace("typo")]).await;
    assert_eq!(there, "live");
    assert!(typo.starts_with("down: there is no namespace `typo`"), "{typo}");
}

#[tokio::test]
async fn a_user_that_is_not_in_the_file_is_no_anonymous_one() {
    let server = Server::start(None).await;
    let yaml = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{{name: x, context: {{cluster: x, user: tpyo}}}}]\n\
         clusters: [{{name: x, cluster: {{server: 'http://{}'}}}}]\nusers: [{{name: typo, user: {{}}}}]\n",
        server.address
    );
    let [said] = outcomes([ClusterSpec { kubeconfig: Kubeconfig::Inline(yaml), ..spec("x", "", "") }]).await;
    assert!(said.starts_with("down: kubeconfig: ") && said.contains("user \"tpyo\""), "{said}");
    assert!(server.asked().is_empty(), "nothing is asked as nobody");
}

#[tokio::test]
async fn a_plugin_that_is_missing_is_named_with_its_hint() {
    let user = "exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin, args: [in-argument], \
                installHint: 'Get it from your platform team.'}";
    let [said] = outcomes([spec("x", "server: 'http://127.0.0.1:1'", user)]).await;
    assert!(said.contains("`no-such-plugin` is not installed") && said.contains("your platform team"), "{said}");
    assert!(!said.contains("in-argument") && !said.contains("run the command by hand"), "{said}");
}

#[tokio::test]
async fn a_server_that_hangs_is_not_loading_when_the_time_is_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("server: \"http://{}\"", listener.local_addr().unwrap());
    let (tx, mut rx) = tokio::sync::mpsc::channel(256);
    let spec = spec("x", &at, "");
    let mut store = Store::expecting([spec.id.clone()]);
    let sources = Sources::spawn(vec![spec.clone()], tx, Clock::system());
    assert!(!quarterdeck::run::gather::settle(&mut store, &mut rx, Duration::from_secs(1)).await);
    for feed in Feed::KUBERNETES {
        let freshness = &store.source(&spec.id, feed).unwrap().freshness;
        let reason = freshness.reason().map(ToString::to_string).unwrap_or_default();
        assert!(freshness.word() == "down" && reason.starts_with("no answer in 1 s"), "{feed:?}: {freshness:?}");
    }
    sources.stop();
}
