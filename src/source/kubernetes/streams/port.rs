//! One connection to a port: channel 0 is data, channel 1 says what is wrong.

use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::tungstenite::Message;

use super::{PING, Socket};
use crate::domain::Text;

/// How long the pod may be silent once the local side has said everything: the protocol cannot tell it so.
const REST: Duration = Duration::from_secs(5);

/// Carries bytes both ways until one side ends it.
pub(super) async fn carry(socket: Socket, local: TcpStream) -> Result<(), Text> {
    let (mut to, mut from) = socket.split();
    let (mut reader, mut writer) = local.into_split();
    let out = async {
        let mut ping = tokio::time::interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut buffer = vec![0; 32 << 10];
        loop {
            // The first byte is the channel.
            let message = tokio::select! {
                read = reader.read(&mut buffer[1..]) => match read {
                    Ok(n @ 1..) => Message::binary(buffer[..=n].to_vec()),
                    // Whatever happened to it, nothing more comes from there.
                    Ok(0) | Err(_) => return Ok::<(), Text>(()),
                },
                _ = ping.tick() => Message::Ping(Bytes::new()),
            };
            to.send(message).await.map_err(|e| broke(&e))?;
        }
    };
    let back = async {
        // Each channel begins with the port's number.
        let mut begun = [false; 2];
        while let Some(message) = from.next().await {
            let bytes = match message.map_err(|e| broke(&e))? {
                Message::Binary(bytes) => bytes,
                Message::Close(_) => return Ok(()),
                _ => continue,
            };
            let Some((&channel @ (0 | 1), data)) = bytes.split_first() else { continue };
            if !std::mem::replace(&mut begun[usize::from(channel)], true) && data.len() == 2 {
                continue;
            }
            if channel == 1 {
                let why = String::from_utf8_lossy(data);
                return Err(Text::new(plain(&why)));
            }
            if writer.write_all(data).await.is_err() {
                // The local side is gone.
                return Ok(());
            }
        }
        Ok(())
    };
    tokio::pin!(back);
    tokio::select! {
        done = &mut back => done,
        done = out => {
            done?;
            tokio::time::timeout(REST, back).await.unwrap_or(Ok(()))
        }
    }
}

/// Without the names of namespaces that only the kubelet knows.
fn plain(why: &str) -> &str {
    why.find("failed to connect to ").map_or(why, |at| &why[at..])
}

fn broke(error: &tokio_tungstenite::tungstenite::Error) -> Text {
    Text::new(&format!("the connection broke ({error})"))
}
