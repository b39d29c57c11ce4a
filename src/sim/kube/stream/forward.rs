//! Port-forward: two channels for each port, data and errors, and a small web server behind them.

use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::super::status::Failure;
use super::Socket;

/// No request is longer.
const LONGEST: usize = 64 << 10;

/// The ports that are asked for: `ports=80&ports=81`, or `ports=80,81`.
pub(super) fn ports(all: &[(String, String)]) -> Result<Vec<u16>, Failure> {
    let words = all.iter().filter(|(k, _)| k == "ports").flat_map(|(_, v)| v.split(','));
    let ports: Result<Vec<u16>, _> = words.map(str::parse).collect();
    match ports {
        Ok(ports) if !ports.is_empty() && ports.len() < 100 && !ports.contains(&0) => Ok(ports),
        _ => Err(Failure::bad_request("query parameter \"port\" is required, and a number between 1 and 65535")),
    }
}

/// Answers requests on every port until the client is gone.
pub(super) async fn serve(mut socket: Socket, pod: &Value, ports: &[u16]) {
    // A client that is gone is no error.
    let _ = answer(&mut socket, pod, ports).await;
}

async fn answer(socket: &mut Socket, pod: &Value, ports: &[u16]) -> Result<(), Error> {
    let mut pending: Vec<Vec<u8>> = vec![Vec::new(); ports.len()];
    for (at, port) in (0_u8..).zip(ports) {
        for channel in [2 * at, 2 * at + 1] {
            let [low, high] = port.to_le_bytes();
            socket.send(Message::binary(vec![channel, low, high])).await?;
        }
    }
    for (at, port) in (0_u8..).zip(ports) {
        if let Some(why) = refusal(pod, *port) {
            let message: Vec<u8> = std::iter::once(2 * at + 1).chain(why.into_bytes()).collect();
            socket.send(Message::binary(message)).await?;
            return socket.close(None).await;
        }
    }
    while let Some(message) = socket.next().await {
        let bytes = match message? {
            Message::Binary(bytes) => bytes,
            Message::Close(_) => return Ok(()),
            _ => continue,
        };
        let Some((&channel, data)) = bytes.split_first() else { continue };
        let Some(buffer) = pending.get_mut(usize::from(channel / 2)).filter(|_| channel % 2 == 0) else { continue };
        buffer.extend_from_slice(data);
        for reply in replies(buffer, pod) {
            let message: Vec<u8> = std::iter::once(channel).chain(reply).collect();
            socket.send(Message::binary(message)).await?;
        }
        if buffer.len() > LONGEST {
            return socket.close(None).await;
        }
    }
    Ok(())
}

/// The kubelet's words for a port where nobody listens.
pub(super) fn refusal(pod: &Value, port: u16) -> Option<String> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut open = containers.flat_map(|c| c["ports"].as_array().into_iter().flatten());
    if open.any(|p| p["containerPort"] == port) {
        return None;
    }
    let name = pod["metadata"]["uid"].as_str().unwrap_or_default();
    Some(format!(
        "error forwarding port {port} to pod {name}, uid : failed to connect to localhost:{port} inside namespace \
         \"{name}\", IPv4: dial tcp4 127.0.0.1:{port}: connect: connection refused"
    ))
}

/// An answer for each whole request, which is taken out.
pub(crate) fn replies(buffer: &mut Vec<u8>, pod: &Value) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    while let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") {
        buffer.drain(..end + 4);
        let body = format!("{}\n", pod["metadata"]["name"].as_str().unwrap_or_default());
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
        out.push((head + &body).into_bytes());
    }
    out
}
