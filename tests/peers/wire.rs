//! A wire that remembers what passed.
//!
//! Owns the connections through it and the octets they carried; changes nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Octets that passed a tap.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    /// Which connection through this tap, counted from 0.
    pub(crate) connection: u16,
    /// Whether they went to the tapped listener.
    pub(crate) forth: bool,
    /// The octets.
    pub(crate) octets: Vec<u8>,
}

/// A wire that remembers what passed.
pub(crate) struct Tap {
    /// Where to connect instead.
    pub(crate) address: SocketAddr,
    passed: Arc<Mutex<Vec<Passed>>>,
}

impl Tap {
    /// Taps whatever goes to `target`.
    pub(crate) fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let passed = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&passed);
        thread::spawn(move || {
            for (connection, near) in (0..).zip(listener.incoming().map_while(Result::ok)) {
                let Ok(far) = TcpStream::connect(target) else { continue };
                for (from, to, forth) in [(&near, &far, true), (&far, &near, false)] {
                    let (from, to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
                    let log = Arc::clone(&log);
                    thread::spawn(move || copy(from, to, connection, forth, &log));
                }
            }
        });
        Self { address, passed }
    }

    /// Everything that passed so far, in order.
    pub(crate) fn passed(&self) -> Vec<Passed> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, connection: u16, forth: bool, log: &Mutex<Vec<Passed>>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let octets = buffer[..read].to_vec();
        log.lock().unwrap_or_else(PoisonError::into_inner).push(Passed { connection, forth, octets });
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _closed = to.shutdown(Shutdown::Write);
}
