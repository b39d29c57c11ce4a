//! Programs that nobody here wrote, each in a process of the test's own.

#![allow(dead_code, reason = "each test uses its part")]
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use quarterdeck::clock::instant;

const PATIENCE: Duration = Duration::from_mins(1);

/// One of these programs, where PATH has it.
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().flat_map(|n| dirs.iter().map(move |d| d.join(n))).find(|p| p.is_file())
}

/// It ends with the test, by its own handle.
pub struct Process(Child);

impl Process {
    /// What it says goes to `log`, if there is one.
    pub fn start(command: &mut Command, log: Option<&Path>) -> Self {
        let to = |log: &File| Stdio::from(log.try_clone().expect("a file"));
        match log.map(|log| File::create(log).expect("a file")) {
            Some(log) => command.stdout(to(&log)).stderr(to(&log)),
            None => command.stdout(Stdio::null()).stderr(Stdio::null()),
        };
        let child = command.stdin(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|e| panic!("{}: {e}", command.get_program().display())))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address of this machine that nobody listens on.
pub fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port")
}

/// Waits until somebody listens.
pub fn wait_for(addr: SocketAddr) {
    let began = instant();
    while TcpStream::connect(addr).is_err() {
        assert!(began.elapsed() < PATIENCE, "nothing listens on {addr}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// moto, and the translator before it for CloudWatch's CBOR: where they listen, and what keeps them.
pub fn moto(python: &Path, settings: &[(&str, &str)]) -> (SocketAddr, SocketAddr, [Process; 2]) {
    let (moto, shim) = (free(), free());
    let port = |addr: SocketAddr| addr.port().to_string();
    let mut server = Command::new(python.with_file_name("moto_server"));
    server.args(["-H", "127.0.0.1", "-p", &port(moto)]).envs(settings.iter().copied());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/aws/cw_cbor_shim.py");
    let mut translator = Command::new(python);
    translator.arg(script).args([port(shim), port(moto)]);
    let both = [Process::start(&mut server, None), Process::start(&mut translator, None)];
    wait_for(moto);
    wait_for(shim);
    (moto, shim, both)
}
