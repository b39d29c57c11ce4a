//! How far the line to the user is behind.
//!
//! sshd takes whatever is drawn and keeps it for the line: on a slow one each frame waits behind
//! all those before it, and what is on screen is seconds old. So the next frame waits until the
//! other end has acknowledged the last. What it has not is in the kernel's table of connections,
//! which everybody may read; where there is none (another system, a container of its own, a
//! multiplexer that was attached elsewhere), frames keep the pace that is set.

use std::time::{Duration, Instant};

use crate::clock::instant;

/// How long what was read of the table is good for.
const FRESH: Duration = Duration::from_millis(20);
/// With so much unacknowledged what the user asked for still goes out: it is one frame more.
const KEY_ROOM: u64 = 1500;
/// A frame waits no longer than this, whatever the table says.
const LONGEST: Duration = Duration::from_secs(3);
/// How often a frame that waits looks again.
pub const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// The line to the user.
#[derive(Debug)]
pub struct Line {
    /// The ports of sshd and of its client, where the console runs over SSH.
    ports: Option<(u16, u16)>,
    read: Option<(Instant, Option<u64>)>,
}

impl Line {
    /// The line that `SSH_CONNECTION` tells of; without it the user sits at this machine.
    #[must_use]
    pub fn of(ssh_connection: Option<&str>) -> Self {
        Self { ports: ssh_connection.and_then(ports), read: None }
    }

    /// Whether the next frame should wait; `asked` for one that a key or the clock wants, `since` the last frame.
    pub fn is_behind(&mut self, asked: bool, since: Duration) -> bool {
        if self.ports.is_none() || since > LONGEST {
            return false;
        }
        self.unacknowledged().is_some_and(|bytes| bytes > if asked { KEY_ROOM } else { 0 })
    }

    /// Bytes that the user's machine has not acknowledged; `None` where nobody can say.
    fn unacknowledged(&mut self) -> Option<u64> {
        let now = instant();
        if let Some((at, bytes)) = self.read
            && now.saturating_duration_since(at) < FRESH
        {
            return bytes;
        }
        let ports = self.ports?;
        let bytes = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .find_map(|file| std::fs::read_to_string(file).ok().and_then(|table| queued(&table, ports)));
        if bytes.is_none() {
            // It will not appear later: the table is not asked each frame for nothing.
            self.ports = None;
        }
        self.read = Some((now, bytes));
        bytes
    }
}

/// Of `CLIENT PORT SERVER PORT`: the server's port and the client's.
fn ports(connection: &str) -> Option<(u16, u16)> {
    let mut words = connection.split_whitespace();
    let (_client, port, _server, own) = (words.next()?, words.next()?, words.next()?, words.next()?);
    Some((own.parse().ok()?, port.parse().ok()?))
}

/// The queue of the established connection between these ports in the kernel's table.
fn queued(table: &str, (own, other): (u16, u16)) -> Option<u64> {
    const ESTABLISHED: &str = "01";
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, remote, state, queues) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let port = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
        if state != ESTABLISHED || port(local) != Some(own) || port(remote) != Some(other) {
            return None;
        }
        u64::from_str_radix(queues.split_once(':')?.0, 16).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn the_connection_is_found_by_its_ports() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n   \
             0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000\n   \
             1: 0100007F:0016 0100007F:D2F0 01 00000A3C:00000000 01:00000014 00000000\n   \
             2: 0100007F:D2F0 0100007F:0016 01 00000001:00000000 00:00000000 00000000\n";
        assert_eq!(queued(table, (22, 54_000)), Some(0xa3c));
        assert_eq!(queued(table, (22, 54_001)), None);
        assert_eq!(ports("10.0.0.9 54000 10.0.0.1 22"), Some((22, 54_000)));
        assert_eq!(ports("nonsense"), None);
    }

    #[test]
    fn at_this_machine_nothing_waits() {
        let mut line = Line::of(None);
        assert!(!line.is_behind(false, Duration::ZERO));
        // A connection that the table does not have: its pace is the one that is set.
        let mut line = Line::of(Some("10.0.0.9 1 10.0.0.1 1"));
        assert!(!line.is_behind(false, Duration::ZERO));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_the_other_end_does_not_take_holds_the_next_frame() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, from) = listener.accept().unwrap();
        let own = listener.local_addr().unwrap().port();
        let mut line = Line::of(Some(&format!("127.0.0.1 {} 127.0.0.1 {own}", from.port())));
        assert!(!line.is_behind(true, Duration::ZERO));
        // The client reads nothing: what is sent stays in the queue once its buffer is full.
        server.set_nonblocking(true).unwrap();
        let much = vec![0; 65_536];
        while server.write(&much).is_ok() {}
        std::thread::sleep(FRESH * 2);
        assert!(line.is_behind(true, Duration::ZERO) && line.is_behind(false, Duration::ZERO));
        assert!(!line.is_behind(false, LONGEST * 2), "but not for ever");
        drop(client);
    }
}
