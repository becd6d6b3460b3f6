//! A wire between a client and a server that a test can break in the worst moment.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Passes bytes on, until told otherwise.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    wires: Arc<Wires>,
}

#[derive(Debug)]
struct Wires {
    target: u16,
    open: Mutex<Vec<TcpStream>>,
    /// The answer to the next piece of at least so many bytes is lost. `usize::MAX`: to none.
    loses_from_bytes: AtomicUsize,
    /// The last piece that contains these bytes is kept.
    wanted: Mutex<(Vec<u8>, Option<Vec<u8>>)>,
    refusing: AtomicBool,
}

impl Proxy {
    /// A wire to this port of this machine.
    ///
    /// # Panics
    /// When there is no port to be had.
    #[must_use]
    pub fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let wires = Arc::new(Wires {
            target,
            open: Mutex::default(),
            loses_from_bytes: AtomicUsize::new(usize::MAX),
            wanted: Mutex::default(),
            refusing: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&wires);
        // It lasts as long as the test's process.
        thread::spawn(move || listener.incoming().flatten().for_each(|client| accepting.connect(client)));
        Self { port, wires }
    }

    /// Where clients connect to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The next piece of at least `bytes_min` bytes that a client sends reaches the server, and the connection is cut
    /// before the answer comes back. Happens once.
    pub fn lose_next_answer(&self, bytes_min: usize) {
        self.wires.loses_from_bytes.store(bytes_min, Ordering::SeqCst);
    }

    /// Whether what [`lose_next_answer`](Self::lose_next_answer) planned has happened.
    #[must_use]
    pub fn has_lost_it(&self) -> bool {
        self.wires.loses_from_bytes.load(Ordering::SeqCst) == usize::MAX
    }

    /// From now on the last piece with these bytes that a client sends is kept; what was kept before is forgotten.
    pub fn watch_for(&self, bytes: &[u8]) {
        *self.wires.wanted() = (bytes.to_vec(), None);
    }

    /// The last piece that [`watch_for`](Self::watch_for) wanted.
    #[must_use]
    pub fn seen(&self) -> Option<Vec<u8>> {
        self.wires.wanted().1.clone()
    }

    /// Cuts every connection, and closes new ones at once.
    pub fn refuse(&self) {
        self.wires.refusing.store(true, Ordering::SeqCst);
        for wire in self.wires.open().drain(..) {
            // It may be closed already.
            let _ = wire.shutdown(Shutdown::Both);
        }
    }

    /// Ends what [`refuse`](Self::refuse) began.
    pub fn accept(&self) {
        self.wires.refusing.store(false, Ordering::SeqCst);
    }
}

impl Wires {
    fn open(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wanted(&self) -> std::sync::MutexGuard<'_, (Vec<u8>, Option<Vec<u8>>)> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, piece: &[u8]) {
        let (wanted, seen) = &mut *self.wanted();
        if !wanted.is_empty() && piece.windows(wanted.len()).any(|window| window == wanted) {
            *seen = Some(piece.to_vec());
        }
    }

    fn connect(self: &Arc<Self>, client: TcpStream) {
        if self.refusing.load(Ordering::SeqCst) {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.target)) else {
            return;
        };
        let clone = |stream: &TcpStream| stream.try_clone().expect("a socket can be cloned");
        for stream in [&client, &server] {
            stream.set_nodelay(true).expect("a socket takes options");
        }
        self.open().extend([clone(&client), clone(&server)]);
        let answers = (clone(&server), clone(&client));
        let wires = Arc::clone(self);
        thread::spawn(move || wires.forward(client, server));
        thread::spawn(move || copy(answers.0, answers.1));
    }

    fn forward(&self, mut client: TcpStream, mut server: TcpStream) {
        let mut buffer = vec![0; 256 * 1024];
        while let Ok(bytes @ 1..) = client.read(&mut buffer) {
            self.keep(&buffer[..bytes]);
            let limit = self.loses_from_bytes.load(Ordering::SeqCst);
            let taken = || self.loses_from_bytes.compare_exchange(limit, usize::MAX, Ordering::SeqCst, Ordering::SeqCst);
            let loses = bytes >= limit && taken().is_ok();
            if loses {
                // The answer has nowhere to go, but the server reads on until it has seen everything.
                let _ = client.shutdown(Shutdown::Both);
            }
            if server.write_all(&buffer[..bytes]).is_err() || loses {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Write);
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    // Either end may close.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}
