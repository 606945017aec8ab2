//! A gate follows another on the same sockets: nobody is refused a connection, and whatever
//! was sent has its answer and its record.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use portcullis::admin::api::{Line, Request};
use portcullis::gate::evidence::{Found, FoundMessage, Query};
use portcullis_protocol::{CommandId, CommandStatus, Frame};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::gate::{Folder, Gate};
use crate::provider::{OK, Provider, bind, message_id, submit};
use crate::stage::{PORT, carrier, configure, register};

/// Connections at a time that come and go.
const CLIENTS: u64 = 4;

/// Providers that connect, send a little and leave, again and again.
struct Load {
    stop: Arc<AtomicBool>,
    /// Binds that were accepted, over all clients.
    binds: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<Answered>>>,
}

/// A message and its answer.
struct Answered {
    to: String,
    status: CommandStatus,
    message_id: Option<String>,
}

impl Load {
    fn on(gate: SocketAddr) -> Self {
        let (stop, binds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |number| tokio::spawn(client(gate, number, Arc::clone(&stop), Arc::clone(&binds)));
        let clients = (0..CLIENTS).map(client).collect();
        Self { stop, binds, clients }
    }

    /// Waits until every client could have bound so many times more.
    async fn goes_on(&self, rounds: u64) {
        let enough = self.binds.load(Ordering::SeqCst) + rounds * CLIENTS;
        let waiting = async {
            while self.binds.load(Ordering::SeqCst) < enough {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(crate::gate::PATIENCE, waiting).await.expect("binds go on");
    }

    async fn ended(self) -> Vec<Answered> {
        self.stop.store(true, Ordering::SeqCst);
        let mut answered = Vec::new();
        for client in self.clients {
            answered.extend(client.await.expect("no connection refused, no answer lost"));
        }
        answered
    }
}

async fn client(gate: SocketAddr, number: u64, stop: Arc<AtomicBool>, binds: Arc<AtomicU64>) -> Vec<Answered> {
    let mut answered = Vec::new();
    let mut serial = 0;
    while !stop.load(Ordering::SeqCst) {
        let stream = TcpStream::connect(gate).await.expect("never refused");
        let address = stream.local_addr().expect("an address");
        let mut provider = Provider::over(Box::new(stream), address);
        let request = bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret");
        if provider.try_send(request).await.is_none() {
            continue;
        }
        // A gate that drains closes what has not bound yet, or refuses the bind.
        match provider.read().await {
            Some(answer) if answer.command_status() == OK => {}
            Some(answer) => {
                assert_eq!(answer.command_status(), CommandStatus::ESME_RBINDFAIL);
                continue;
            }
            None => continue,
        }
        binds.fetch_add(1, Ordering::SeqCst);
        for _ in 0..3 {
            serial += 1;
            let to = format!("86138{number}{serial:07}");
            let (answer, leaving) = exchange(&mut provider, &to).await;
            let message_id = if answer.command_status() == OK { message_id(&answer) } else { None };
            answered.push(Answered { to, status: answer.command_status(), message_id });
            if leaving {
                break;
            }
        }
    }
    answered
}

/// Sends a message and waits for its answer; whether the gate wants to part, too.
async fn exchange(provider: &mut Provider, to: &str) -> (Frame, bool) {
    let sequence_number = provider.send(submit(&format!("{PORT}0"), to, "[Bakery] Your code is 4711")).await;
    let mut unbind = None;
    loop {
        let frame = provider.read().await.expect("an answer before the end");
        if frame.command_id() == CommandId::UNBIND {
            // Answered last, so that the gate still reads what came before.
            unbind = Some(frame.sequence_number());
        } else if frame.command_id() == CommandId::SUBMIT_SM_RESP && frame.sequence_number() == sequence_number {
            if let Some(unbind) = unbind {
                provider.write(Frame::new(CommandId::UNBIND_RESP, OK, unbind, &[]).as_bytes()).await;
            }
            return (frame, unbind.is_some());
        }
    }
}

/// Every message answered `ESME_ROK` has its record, and nothing was answered oddly.
fn check(folder: &Folder, answered: &[Answered]) {
    let mut accepted = 0;
    let mut found: HashMap<String, Vec<FoundMessage>> = HashMap::new();
    for line in folder.ask(&Request::Find(Query { limit: 1_000_000, ..Query::default() })) {
        if let Line::Found(Found::Message(message)) = line {
            found.entry(message.destination.clone()).or_default().push(*message);
        }
    }
    for message in answered {
        if message.status != OK {
            assert_eq!(message.status, CommandStatus::ESME_RSYSERR, "turned away while the session parts");
            continue;
        }
        accepted += 1;
        let records = found.get(&message.to).map_or(&[][..], Vec::as_slice);
        assert_eq!(records.len(), 1, "{}", message.to);
        let outcome = records[0].outcome.as_ref().expect("an outcome");
        assert_eq!((outcome.outcome.as_str(), &outcome.message_id), ("answered", &message.message_id));
    }
    assert!(accepted > 0);
}

async fn scene() -> (Folder, portcullis::simulator::Simulator) {
    let carrier = carrier().await;
    let folder = Folder::new(&register(&[("herald", "max_binds = 100")]), carrier.address());
    configure(&folder, "", &format!("addresses = [\"{}\"]", carrier.address()), "");
    (folder, carrier)
}

fn successor(folder: &Folder) -> Gate {
    let mut command = folder.command(&["run", "--take-over"]);
    command.env("RUST_LOG", "info");
    Folder::launch(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_takes_the_sockets_over_under_load() {
    let (folder, _carrier) = scene().await;
    let mut gate = folder.start();
    let load = Load::on(gate.address);
    for _ in 0..3 {
        load.goes_on(3).await;
        let next = successor(&folder);
        assert_eq!(next.address, gate.address);
        gate.await_log("a successor has the listening sockets");
        assert!(std::mem::replace(&mut gate, next).ended().success());
    }
    load.goes_on(3).await;
    let answered = load.ended().await;
    check(&folder, &answered);
    gate.await_log("taking over from the running gate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_that_come_with_the_process_outlive_it() {
    let (folder, _carrier) = scene().await;
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address");
    let mut gate = activated(&folder, &socket);
    assert_eq!(gate.address, address);
    let load = Load::on(address);
    for _ in 0..2 {
        load.goes_on(3).await;
        // One after the other, as a service manager does it.
        assert!(gate.stop().success());
        gate = activated(&folder, &socket);
    }
    load.goes_on(3).await;
    let answered = load.ended().await;
    check(&folder, &answered);
}

/// Starts a gate as a service manager does: the socket is descriptor 3.
fn activated(folder: &Folder, socket: &TcpListener) -> Gate {
    let run = folder.command(&["run"]);
    let mut command = Command::new("sh");
    command.args(["-c", "exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\""]);
    command.arg(run.get_program()).args(run.get_args()).env("RUST_LOG", "info").stderr(Stdio::piped());
    command.stdin(OwnedFd::from(socket.try_clone().expect("a copy")));
    Folder::launch(command)
}

#[tokio::test]
async fn a_successor_that_could_not_start_leaves_the_running_gate_alone() {
    let (folder, carrier) = scene().await;
    let gate = folder.start();
    folder.write_register("no register at all");
    let said = folder.run(&["run", "--take-over"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("register.toml:1:"), "{}", said.stderr);
    gate.await_log("could not be handed over: the gate goes on");
    folder.write_register(&register(&[("herald", "")]));
    // An address more, which somebody else has.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let more = format!("[[listen]]\naddress = \"{}\"", taken.local_addr().expect("an address"));
    configure(&folder, "", &format!("addresses = [\"{}\"]", carrier.address()), &more);
    let said = folder.run(&["run", "--take-over"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("cannot listen on"), "{}", said.stderr);
    Provider::bound(gate.address, "herald", "s3cret").await;
}

#[tokio::test]
async fn where_no_gate_runs_there_is_nothing_to_take_over() {
    let (folder, _carrier) = scene().await;
    let gate = successor(&folder);
    Provider::bound(gate.address, "herald", "s3cret").await;
}

#[tokio::test]
async fn a_second_gate_without_the_flag_is_refused_and_the_first_goes_on() {
    let (folder, _carrier) = scene().await;
    let gate = folder.start();
    let said = folder.run(&["run"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("is held by another process"), "{}", said.stderr);
    Provider::bound(gate.address, "herald", "s3cret").await;
}
