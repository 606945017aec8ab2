//! The other roles of this binary: the sink and the two forwarders to compare with.
//!
//! Owns what a proxy costs that does nothing (`forward`), and what one costs that also puts
//! every octet on disk before the answer leaves (`file`). They know no SMPP.

use std::fs::{self, File};
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use bytes::BytesMut;
use portcullis::simulator::{Simulator, SimulatorOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Octets read at once.
const READ: usize = 64 * 1024;

/// The carrier's end: counts on demand, ends with stdin.
pub(crate) fn sink() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let simulator = runtime.block_on(Simulator::start(SimulatorOptions::default()))?;
    println!("{}", simulator.address());
    for line in io::stdin().lock().lines() {
        line?;
        println!("{}", simulator.counts().messages);
    }
    Ok(())
}

/// Copies octets both ways; with a file, appends the provider's to it and syncs them
/// (group commit over all connections) before what the carrier says next goes back.
pub(crate) fn forwarder(to: SocketAddr, file: Option<PathBuf>) -> io::Result<()> {
    std::thread::spawn(|| {
        let _ended = io::stdin().lock().lines().last();
        std::process::exit(0);
    });
    let filer = file.map(Filer::start).transpose()?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (provider, _) = listener.accept().await?;
            let filer = filer.clone();
            tokio::spawn(async move {
                if let Err(error) = forward(provider, to, filer).await {
                    eprintln!("forwarder: {error}");
                }
            });
        }
    })
}

async fn forward(mut provider: TcpStream, to: SocketAddr, filer: Option<Arc<Filer>>) -> io::Result<()> {
    let mut carrier = TcpStream::connect(to).await?;
    provider.set_nodelay(true)?;
    carrier.set_nodelay(true)?;
    match filer {
        None => copy_bidirectional(&mut provider, &mut carrier).await.map(drop),
        Some(filer) => filer.forward(provider, carrier).await,
    }
}

/// A file that many connections append to and one thread syncs.
struct Filer {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    synced: watch::Sender<u64>,
}

#[derive(Default)]
struct Waiting {
    octets: Vec<u8>,
    end: u64,
}

impl Filer {
    fn start(path: PathBuf) -> io::Result<Arc<Self>> {
        let file = File::create(&path)?;
        fs::remove_file(path)?;
        let filer =
            Arc::new(Self { waiting: Mutex::default(), arrived: Condvar::new(), synced: watch::Sender::new(0) });
        let writer = Arc::clone(&filer);
        std::thread::spawn(move || {
            if let Err(error) = writer.write(file) {
                eprintln!("forwarder: {error}");
                std::process::exit(1);
            }
        });
        Ok(filer)
    }

    fn write(&self, mut file: File) -> io::Result<()> {
        let mut batch = Vec::new();
        loop {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            while waiting.octets.is_empty() {
                waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut batch, &mut waiting.octets);
            let end = waiting.end;
            drop(waiting);
            file.write_all(&batch)?;
            file.sync_data()?;
            batch.clear();
            self.synced.send_replace(end);
        }
    }

    fn append(&self, octets: &[u8]) -> u64 {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.octets.extend_from_slice(octets);
        waiting.end += octets.len() as u64;
        self.arrived.notify_one();
        waiting.end
    }

    async fn forward(&self, provider: TcpStream, carrier: TcpStream) -> io::Result<()> {
        let (mut from_provider, mut to_provider) = provider.into_split();
        let (mut from_carrier, mut to_carrier) = carrier.into_split();
        let appended = watch::Sender::new(0);
        let mut synced = self.synced.subscribe();
        let requests = async {
            let mut octets = BytesMut::with_capacity(READ);
            while from_provider.read_buf(&mut octets).await? > 0 {
                appended.send_replace(self.append(&octets));
                to_carrier.write_all(&octets).await?;
                octets.clear();
            }
            to_carrier.shutdown().await
        };
        let answers = async {
            let mut octets = BytesMut::with_capacity(READ);
            while from_carrier.read_buf(&mut octets).await? > 0 {
                let end = *appended.borrow();
                synced.wait_for(|synced| *synced >= end).await.map_err(io::Error::other)?;
                to_provider.write_all(&octets).await?;
                octets.clear();
            }
            to_provider.shutdown().await
        };
        tokio::try_join!(requests, answers).map(drop)
    }
}
