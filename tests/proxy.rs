//! The line between two nodes, where a test can cut it, slow it, and count what passes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::processes::free_port;

/// A port of loopback that passes on what comes to another.
pub struct Proxy {
    port: u16,
    target: u16,
    line: Arc<Line>,
}

#[derive(Default)]
struct Line {
    /// Bytes that passed, both ways.
    passed: AtomicU64,
    /// Most bytes a second, of what goes there and of what comes back; 0: no limit.
    slow: [AtomicU64; 2],
    /// New connections are closed at once.
    cut: AtomicBool,
    over: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Pass on whatever comes to a port of its own; nobody listens at [`target`](Self::target) yet.
    #[expect(clippy::new_without_default, reason = "it listens from now on")]
    pub fn new() -> Self {
        Self::to(free_port())
    }

    /// Pass on whatever comes to a port of its own to this one.
    pub fn to(target: u16) -> Self {
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let line = Arc::<Line>::default();
        let theirs = line.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if theirs.over.load(Ordering::Relaxed) {
                    return;
                }
                if !theirs.cut.load(Ordering::Relaxed) {
                    theirs.connect(socket, target);
                }
            }
        });
        Self { port, target, line }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same, as nodes write it.
    pub fn address(&self) -> String {
        format!("/ip4/127.0.0.1/tcp/{}", self.port)
    }

    /// Where it passes things on to.
    pub fn target(&self) -> u16 {
        self.target
    }

    /// Bytes that passed, both ways.
    pub fn passed(&self) -> u64 {
        self.line.passed.load(Ordering::Relaxed)
    }

    /// Pass on so many bytes a second and direction; 0: as many as come.
    pub fn slow(&self, bytes: u64) {
        self.line.slow.iter().for_each(|way| way.store(bytes, Ordering::Relaxed));
    }

    /// The same, of what comes back only.
    pub fn slow_back(&self, bytes: u64) {
        self.line.slow[1].store(bytes, Ordering::Relaxed);
    }

    /// Let nobody through any more, or again. What is open stays open.
    pub fn cut(&self, cut: bool) {
        self.line.cut.store(cut, Ordering::Relaxed);
    }

    /// Close every connection that is open, in the middle of whatever they say.
    pub fn drop_all(&self) {
        for socket in self.line.open.lock().expect("nobody panics").drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.line.over.store(true, Ordering::Relaxed);
        self.drop_all();
        // It waits for the next one to come.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Line {
    fn connect(self: &Arc<Self>, here: TcpStream, target: u16) {
        // Nobody there: the one who came sees his connection closed.
        let Ok(there) = TcpStream::connect(("127.0.0.1", target)) else { return };
        let _ = here.set_nodelay(true).and_then(|()| there.set_nodelay(true));
        let copy = |socket: &TcpStream| socket.try_clone().expect("a descriptor");
        {
            let mut open = self.open.lock().expect("nobody panics");
            open.retain(|socket| socket.peer_addr().is_ok());
            open.extend([copy(&here), copy(&there)]);
        }
        for (way, (from, to)) in [(copy(&here), copy(&there)), (there, here)].into_iter().enumerate() {
            let line = self.clone();
            std::thread::spawn(move || line.pass(way, from, to));
        }
    }

    fn pass(&self, way: usize, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let slow = self.slow[way].load(Ordering::Relaxed);
            // Twenty small steps a second.
            let most = if slow == 0 { bytes.len() } else { (slow as usize / 20).clamp(1, bytes.len()) };
            match from.read(&mut bytes[..most]) {
                Ok(read @ 1..) if to.write_all(&bytes[..read]).is_ok() => {
                    self.passed.fetch_add(read as u64, Ordering::Relaxed);
                }
                _ => break,
            }
            if slow > 0 {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
