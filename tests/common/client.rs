//! HTTP/1.1 by hand over TCP.

use std::fmt::Write as _;
use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    pub fn gunzipped(&self) -> Vec<u8> {
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(self.body.as_slice()).read_to_end(&mut out).expect("gzip");
        out
    }
}

/// What a request says besides its method and path.
#[derive(Clone, Copy, Default)]
pub struct Says<'a> {
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a str,
}

pub struct Client {
    pub addr: SocketAddr,
    pub token: String,
}

impl Client {
    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, Says::default()).await
    }

    pub async fn accepting(&self, path: &str, accept: &str) -> Answer {
        self.ask("GET", path, Says { headers: &[("Accept", accept)], body: "" }).await
    }

    pub async fn send(&self, method: &str, path: &str, media: &str, body: &Value) -> Answer {
        let body = body.to_string();
        self.ask(method, path, Says { headers: &[("Content-Type", media)], body: &body }).await
    }

    /// One request, read to its end.
    pub async fn ask(&self, method: &str, path: &str, says: Says<'_>) -> Answer {
        let asked = async {
            let mut stream = Stream::open(self, method, path, says).await.expect("connects");
            let mut body = Vec::new();
            while let Some(chunk) = stream.chunk().await.expect("reads") {
                body.extend(chunk);
            }
            Answer { code: stream.code, headers: stream.headers, body }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("{method} {path} took too long"))
    }

    /// A request whose body goes on.
    pub async fn stream(&self, path: &str, accept: &str) -> Stream {
        let says = Says { headers: &[("Accept", accept)], body: "" };
        tokio::time::timeout(PATIENCE, Stream::open(self, "GET", path, says)).await.expect("in time").expect("connects")
    }
}

/// A response that is being read.
pub struct Stream {
    tcp: TcpStream,
    buffer: Vec<u8>,
    lines: Vec<u8>,
    pub code: u16,
    pub headers: Vec<(String, String)>,
    /// Bytes left of a body of known length; `None` is a chunked one.
    left: Option<usize>,
    over: bool,
}

impl Stream {
    pub async fn open(client: &Client, method: &str, path: &str, says: Says<'_>) -> std::io::Result<Self> {
        let mut tcp = TcpStream::connect(client.addr).await?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", client.addr);
        if !client.token.is_empty() {
            write!(head, "Authorization: Bearer {}\r\n", client.token).expect("a string takes everything");
        }
        for (key, value) in says.headers {
            write!(head, "{key}: {value}\r\n").expect("a string takes everything");
        }
        write!(head, "Content-Length: {}\r\n\r\n{}", says.body.len(), says.body).expect("a string takes everything");
        tcp.write_all(head.as_bytes()).await?;
        let mut this =
            Self { tcp, buffer: Vec::new(), lines: Vec::new(), code: 0, headers: Vec::new(), left: None, over: false };
        let status = this.line().await?;
        this.code = status.split(' ').nth(1).and_then(|c| c.parse().ok()).expect("a status line");
        loop {
            let line = this.line().await?;
            let Some((key, value)) = line.split_once(": ") else { break };
            this.headers.push((key.to_lowercase(), value.to_owned()));
        }
        let length = this.headers.iter().find(|(k, _)| k == "content-length");
        this.left = length.map(|(_, v)| v.parse().expect("a length"));
        Ok(this)
    }

    async fn more(&mut self) -> std::io::Result<()> {
        let mut piece = vec![0; 16 * 1024];
        match self.tcp.read(&mut piece).await? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.buffer.extend_from_slice(&piece[..n]);
                Ok(())
            }
        }
    }

    async fn line(&mut self) -> std::io::Result<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..at]).into_owned();
                self.buffer.drain(..at + 2);
                return Ok(line);
            }
            self.more().await?;
        }
    }

    /// The next piece of the body; `None` at its proper end, an error when it is cut.
    pub async fn chunk(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        if self.over {
            return Ok(None);
        }
        if let Some(left) = self.left {
            while self.buffer.len() < left {
                self.more().await?;
            }
            self.over = true;
            return Ok(Some(self.buffer.drain(..left).collect()));
        }
        let size = usize::from_str_radix(&self.line().await?, 16).expect("a chunk's size");
        while self.buffer.len() < size + 2 {
            self.more().await?;
        }
        let piece = self.buffer.drain(..size).collect();
        self.buffer.drain(..2);
        self.over = size == 0;
        Ok((size > 0).then_some(piece))
    }

    /// The next line of the body; `None` at its end.
    pub async fn next_line(&mut self) -> std::io::Result<Option<String>> {
        let read = async {
            loop {
                if let Some(at) = self.lines.iter().position(|b| *b == b'\n') {
                    let line = String::from_utf8_lossy(&self.lines[..at]).into_owned();
                    self.lines.drain(..=at);
                    return Ok(Some(line));
                }
                match self.chunk().await? {
                    Some(chunk) => self.lines.extend(chunk),
                    None => return Ok(None),
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("a line in time")
    }

    /// The next watch event.
    pub async fn event(&mut self) -> Value {
        let line = self.next_line().await.expect("reads").expect("an event");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }

    /// The next event that `wanted` is true for.
    pub async fn event_where(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let event = self.event().await;
                if wanted(&event) {
                    return event;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("the event in time")
    }
}
