//! A server of plain HTTP whose answers a test decides, request by request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A request: method, path with query, head as sent, body.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub head: String,
    pub body: String,
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Says {
    pub code: u16,
    pub headers: &'static str,
    pub body: String,
    pub after: Duration,
}

pub fn says(code: u16, body: impl Into<String>) -> Says {
    Says { code, headers: "", body: body.into(), after: Duration::ZERO }
}

type Script = dyn Fn(&Asked) -> Says + Send + Sync;

pub struct Web {
    pub addr: SocketAddr,
    pub asked: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Web {
    #[allow(clippy::disallowed_methods, reason = "the server's tasks end with the test")]
    pub async fn start(script: impl Fn(&Asked) -> Says + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let (asked, script): (Arc<Mutex<Vec<Asked>>>, Arc<Script>) = (Arc::default(), Arc::new(script));
        let log = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((mut tcp, _)) = listener.accept().await {
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                tokio::spawn(async move {
                    let mut got = Vec::new();
                    let mut piece = [0; 8192];
                    let request = loop {
                        let text = String::from_utf8_lossy(&got).into_owned();
                        if let Some((head, body)) = text.split_once("\r\n\r\n") {
                            let length = head
                                .to_lowercase()
                                .lines()
                                .find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
                            if body.len() >= length.unwrap_or(0) {
                                break (head.to_owned(), body.to_owned());
                            }
                        }
                        match tcp.read(&mut piece).await {
                            Ok(n) if n > 0 => got.extend_from_slice(&piece[..n]),
                            _ => return,
                        }
                    };
                    let mut first = request.0.split(' ');
                    let word = |w: Option<&str>| w.unwrap_or_default().to_owned();
                    let asked = Asked {
                        method: word(first.next()),
                        path: word(first.next()),
                        head: request.0.clone(),
                        body: request.1,
                    };
                    let answer = script(&asked);
                    log.lock().expect("no panic").push(asked);
                    tokio::time::sleep(answer.after).await;
                    let head = format!(
                        "HTTP/1.1 {} X\r\nContent-Length: {}\r\n{}Connection: close\r\n\r\n",
                        answer.code,
                        answer.body.len(),
                        answer.headers
                    );
                    let _ = tcp.write_all(head.as_bytes()).await;
                    let _ = tcp.write_all(answer.body.as_bytes()).await;
                });
            }
        });
        Self { addr, asked, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn requests(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}
