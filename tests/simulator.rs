//! The simulated carrier over real sockets: what it answers, sends back and does wrong.

use std::num::NonZeroU64;
use std::time::Duration;

use bytes::BytesMut;
use portcullis::clock;
use portcullis::simulator::{Account, Answers, Faults, Form, Simulator, SimulatorOptions};
use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::command::CommandId;
use portcullis_protocol::field::{COctetString, DataCoding, InterfaceVersion, RegisteredDelivery};
use portcullis_protocol::frame::{self, DEFAULT_LIMIT, Frame};
use portcullis_protocol::pdu::{Bind, Pdu, SubmitSm};
use portcullis_protocol::status::CommandStatus;
use portcullis_protocol::text::ucs2;
use portcullis_protocol::tlv::TlvTag;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const OK: CommandStatus = CommandStatus::ESME_ROK;
const PATIENCE: Duration = Duration::from_secs(10);

/// A peer that reads and writes frames.
struct Peer {
    stream: TcpStream,
    input: BytesMut,
}

impl Peer {
    async fn connect(simulator: &Simulator) -> Self {
        let stream = TcpStream::connect(simulator.address()).await.expect("the simulator listens");
        Self { stream, input: BytesMut::new() }
    }

    async fn bound(simulator: &Simulator, bind: CommandId) -> Self {
        let mut peer = Self::connect(simulator).await;
        assert_eq!(peer.bind(bind, "house", "secret").await.command_status(), OK);
        peer
    }

    async fn bind(&mut self, command_id: CommandId, system_id: &str, password: &str) -> Frame {
        let bind = Bind {
            system_id: COctetString(system_id.as_bytes()),
            password: COctetString(password.as_bytes()),
            interface_version: InterfaceVersion::V3_4,
            ..Bind::default()
        };
        let body = Pdu::BindTransceiver(bind).to_frame(OK, 1);
        self.send(&Frame::new(command_id, OK, 1, body.body())).await;
        self.next().await.expect("an answer to the bind")
    }

    async fn send(&mut self, frame: &Frame) {
        self.stream.write_all(frame.as_bytes()).await.expect("the simulator reads");
    }

    /// The next frame; `None` when the simulator closed.
    async fn next(&mut self) -> Option<Frame> {
        let read = async {
            loop {
                if let Some(frame) = frame::split(&mut self.input, DEFAULT_LIMIT).expect("a sound frame") {
                    return Some(frame);
                }
                if self.stream.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                    return None;
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("a frame or an end")
    }

    /// What follows a request: the header of its answer.
    async fn ask(&mut self, frame: &Frame) -> (CommandId, CommandStatus, u32) {
        self.send(frame).await;
        let answer = self.next().await.expect("an answer");
        (answer.command_id(), answer.command_status(), answer.sequence_number())
    }
}

fn address(digits: &str) -> Address<'_> {
    Address { ton: Ton(1), npi: Npi(1), addr: COctetString(digits.as_bytes()) }
}

fn submit(sequence_number: u32) -> Frame {
    let submit = SubmitSm {
        source: address("10690007770001"),
        destination: address("8613900001111"),
        registered_delivery: RegisteredDelivery(1),
        short_message: b"Hello there",
        ..SubmitSm::default()
    };
    Pdu::SubmitSm(submit).to_frame(OK, sequence_number)
}

fn empty(command_id: CommandId, sequence_number: u32) -> Frame {
    Frame::new(command_id, OK, sequence_number, &[])
}

async fn start(options: SimulatorOptions) -> Simulator {
    Simulator::start(options).await.expect("a free port")
}

async fn faulty(faults: Faults) -> Simulator {
    start(SimulatorOptions { faults, ..SimulatorOptions::default() }).await
}

#[tokio::test]
async fn answers_each_operation_in_its_own_way() {
    let simulator = start(SimulatorOptions { keep: 100, ..SimulatorOptions::default() }).await;
    let mut peer = Peer::bound(&simulator, CommandId::BIND_TRANSCEIVER).await;
    peer.send(&submit(7)).await;
    let answer = peer.next().await.expect("an answer");
    let (body, id) = (answer.body(), answer.body().strip_suffix(&[0]).expect("a message id and its NUL"));
    assert_eq!((answer.command_id(), answer.sequence_number()), (CommandId::SUBMIT_SM_RESP, 7));
    assert!(body.len() > 1 && id.iter().all(u8::is_ascii_digit), "{body:?}");

    let query = Frame::new(CommandId::QUERY_SM, OK, 8, &[id, b"\0\x01\x01\0"].concat());
    peer.send(&query).await;
    assert_eq!(peer.next().await.expect("an answer").body(), [id, &[0, 0, 2, 0]].concat());
    let query = Frame::new(CommandId::QUERY_SM, OK, 9, b"77\0\x01\x01\0");
    assert_eq!(peer.ask(&query).await, (CommandId::QUERY_SM_RESP, CommandStatus::ESME_RQUERYFAIL, 9));
    assert_eq!(peer.ask(&empty(CommandId::ENQUIRE_LINK, 10)).await, (CommandId::ENQUIRE_LINK_RESP, OK, 10));
    let unknown = empty(CommandId(0x0100_0001), 11);
    assert_eq!(peer.ask(&unknown).await, (CommandId::GENERIC_NACK, CommandStatus::ESME_RINVCMDID, 11));
    assert_eq!(peer.ask(&empty(CommandId::UNBIND, 12)).await, (CommandId::UNBIND_RESP, OK, 12));
    assert!(peer.next().await.is_none(), "the simulator closes after unbind");
    assert_eq!(simulator.received_of(CommandId::SUBMIT_SM)[0].frame, submit(7));
    assert_eq!(&*simulator.received_of(CommandId::SUBMIT_SM)[0].system_id, "house");
    assert_eq!(simulator.counts().messages, 1);
}

#[tokio::test]
async fn many_frames_in_one_segment_are_all_answered_in_order() {
    let simulator = start(SimulatorOptions::default()).await;
    let mut peer = Peer::bound(&simulator, CommandId::BIND_TRANSMITTER).await;
    let octets: Vec<u8> = (1..=500).flat_map(|number| submit(number).as_bytes().to_vec()).collect();
    for piece in octets.chunks(1_009) {
        peer.stream.write_all(piece).await.expect("the simulator reads");
    }
    for number in 1..=500 {
        assert_eq!(peer.next().await.expect("an answer").sequence_number(), number);
    }
}

#[tokio::test]
async fn binds_are_checked_against_the_accounts() {
    let accounts = vec![Account { system_id: "house".into(), password: "secret".into() }];
    let simulator = start(SimulatorOptions { accounts, ..SimulatorOptions::default() }).await;
    let mut peer = Peer::connect(&simulator).await;
    assert_eq!(peer.ask(&submit(1)).await.1, CommandStatus::ESME_RINVBNDSTS);
    let transceiver = CommandId::BIND_TRANSCEIVER;
    assert_eq!(peer.bind(transceiver, "house", "guess").await.command_status(), CommandStatus::ESME_RINVPASWD);
    assert_eq!(peer.bind(transceiver, "shed", "secret").await.command_status(), CommandStatus::ESME_RINVSYSID);
    assert_eq!(peer.bind(transceiver, "house", "secret").await.command_status(), OK);
    assert_eq!(peer.bind(transceiver, "house", "secret").await.command_status(), CommandStatus::ESME_RALYBND);
    assert_eq!((simulator.counts().binds, simulator.counts().refused_binds), (1, 2));
    let mut receiver = Peer::bound(&simulator, CommandId::BIND_RECEIVER).await;
    assert_eq!(receiver.ask(&submit(1)).await.1, CommandStatus::ESME_RINVBNDSTS);
}

#[tokio::test]
async fn receipts_and_replies_follow_the_answer() {
    let options = SimulatorOptions { receipts: true, reply_with: Some("退订".into()), ..SimulatorOptions::default() };
    let simulator = start(options).await;
    let mut peer = Peer::bound(&simulator, CommandId::BIND_TRANSCEIVER).await;
    peer.send(&submit(2)).await;
    let answer = peer.next().await.expect("an answer");
    let receipt = peer.next().await.expect("a receipt");
    let Ok(Pdu::DeliverSm(receipt)) = Pdu::decode(&receipt) else { panic!("{receipt:?}") };
    assert_eq!((receipt.esm_class.0, receipt.source.addr.0), (0x04, &b"8613900001111"[..]));
    assert_eq!(receipt.tlvs.get(TlvTag::RECEIPTED_MESSAGE_ID), Some(answer.body()));
    assert!(receipt.short_message.ends_with(b"stat:DELIVRD err:000 text:Hello there"));
    let reply = peer.next().await.expect("a reply");
    let Ok(Pdu::DeliverSm(deliver)) = Pdu::decode(&reply) else { panic!("{reply:?}") };
    assert_eq!((deliver.data_coding, deliver.short_message), (DataCoding(8), &ucs2::encode("退订")[..]));
    assert_eq!(deliver.destination.addr.0, b"10690007770001");
    peer.send(&Frame::new(CommandId::DELIVER_SM_RESP, OK, reply.sequence_number(), &[0])).await;
    assert!(simulator.wait_until(PATIENCE, |counts| counts.acknowledged == 1).await);
}

#[tokio::test]
async fn a_transmitters_receipts_wait_for_a_receiver() {
    let simulator = start(SimulatorOptions { receipts: true, ..SimulatorOptions::default() }).await;
    let mut transmitter = Peer::bound(&simulator, CommandId::BIND_TRANSMITTER).await;
    assert_eq!(transmitter.ask(&submit(2)).await.0, CommandId::SUBMIT_SM_RESP);
    let mut receiver = Peer::bound(&simulator, CommandId::BIND_RECEIVER).await;
    assert_eq!(receiver.next().await.expect("the receipt that waited").command_id(), CommandId::DELIVER_SM);
    assert_eq!(transmitter.ask(&submit(3)).await.0, CommandId::SUBMIT_SM_RESP);
    assert_eq!(receiver.next().await.expect("the next receipt").command_id(), CommandId::DELIVER_SM);
}

#[tokio::test]
async fn latency_holds_answers_back_but_not_links() {
    let latency = Duration::from_millis(120);
    let simulator = start(SimulatorOptions { latency, ..SimulatorOptions::default() }).await;
    let mut peer = Peer::bound(&simulator, CommandId::BIND_TRANSCEIVER).await;
    let start = clock::monotonic();
    peer.send(&submit(2)).await;
    assert_eq!(peer.ask(&empty(CommandId::ENQUIRE_LINK, 3)).await.0, CommandId::ENQUIRE_LINK_RESP);
    assert_eq!(peer.next().await.expect("an answer").sequence_number(), 2);
    assert!(clock::monotonic() - start >= latency, "the answer came early");
}

#[tokio::test]
async fn an_unanswered_enquire_link_ends_the_session() {
    let enquire_link = Some(Duration::from_millis(50));
    let simulator = start(SimulatorOptions { enquire_link, ..SimulatorOptions::default() }).await;
    let mut peer = Peer::bound(&simulator, CommandId::BIND_TRANSCEIVER).await;
    for _ in 0..3 {
        let asked = peer.next().await.expect("enquire_link");
        assert_eq!(asked.command_id(), CommandId::ENQUIRE_LINK);
        peer.send(&empty(CommandId::ENQUIRE_LINK_RESP, asked.sequence_number())).await;
    }
    assert_eq!(peer.next().await.expect("enquire_link").command_id(), CommandId::ENQUIRE_LINK);
    assert!(peer.next().await.is_none(), "a dead peer is cut");
}

#[tokio::test]
async fn faults_come_when_asked_for() {
    let status = CommandStatus::ESME_RSYSERR;
    let simulator = faulty(Faults { refuse_binds: Some(status), ..Faults::default() }).await;
    let mut peer = Peer::connect(&simulator).await;
    assert_eq!(peer.bind(CommandId::BIND_TRANSMITTER, "house", "secret").await.command_status(), status);
    let third = NonZeroU64::new(3).expect("not zero");
    simulator.set_faults(Faults {
        refuse_every: Some((third, CommandStatus::ESME_RTHROTTLED)),
        close_on_submit: NonZeroU64::new(4),
        ..Faults::default()
    });
    let mut peer = Peer::bound(&simulator, CommandId::BIND_TRANSMITTER).await;
    assert_eq!(peer.ask(&submit(2)).await.1, OK);
    assert_eq!(peer.ask(&submit(3)).await.1, OK);
    assert_eq!(peer.ask(&submit(4)).await.1, CommandStatus::ESME_RTHROTTLED);
    peer.send(&submit(5)).await;
    assert!(peer.next().await.is_none(), "closed, unanswered");
}

#[tokio::test]
async fn answers_take_the_form_asked_for() {
    let simulator = faulty(Faults { answers: Answers::Never, ..Faults::default() }).await;
    let mut peer = Peer::bound(&simulator, CommandId::BIND_TRANSMITTER).await;
    peer.send(&submit(2)).await;
    let link = peer.ask(&empty(CommandId::ENQUIRE_LINK, 3)).await;
    assert_eq!(link.2, 3, "the message stays unanswered");
    let mut answers = Vec::new();
    for (form, count) in [(Form::Twice, 2), (Form::WithoutMessageId, 1), (Form::GenericNack, 1)] {
        simulator.set_faults(Faults { form, ..Faults::default() });
        peer.send(&submit(4)).await;
        for _ in 0..count {
            let answer = peer.next().await.expect("an answer");
            answers.push((answer.command_id(), answer.sequence_number(), answer.body().is_empty()));
        }
    }
    let response = CommandId::SUBMIT_SM_RESP;
    let nack = (CommandId::GENERIC_NACK, 4, true);
    assert_eq!(answers, [(response, 4, false), (response, 4, false), (response, 4, true), nack]);
}

#[tokio::test]
async fn what_is_no_smpp_is_told_so_and_closed() {
    let simulator = start(SimulatorOptions::default()).await;
    let mut peer = Peer::connect(&simulator).await;
    peer.stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("the simulator reads");
    let answer = peer.next().await.expect("an answer");
    assert_eq!(answer.command_status(), CommandStatus::ESME_RINVCMDLEN);
    assert!(peer.next().await.is_none());
}

#[tokio::test]
async fn connections_are_bounded_cut_and_stopped() {
    let simulator = start(SimulatorOptions { max_sessions: 1, ..SimulatorOptions::default() }).await;
    let mut first = Peer::bound(&simulator, CommandId::BIND_TRANSCEIVER).await;
    let mut second = Peer::connect(&simulator).await;
    assert!(second.next().await.is_none(), "one is enough");
    assert!(simulator.deliver("house", empty(CommandId::ENQUIRE_LINK, 0)).await);
    assert_eq!(first.next().await.expect("what was delivered").command_id(), CommandId::ENQUIRE_LINK);
    simulator.cut_connections();
    assert!(first.next().await.is_none(), "cut");
    assert!(simulator.wait_until(PATIENCE, |counts| counts.sessions == 0).await);
    let mut third = Peer::bound(&simulator, CommandId::BIND_TRANSCEIVER).await;
    let address = simulator.address();
    simulator.unbind_all().await;
    assert_eq!(third.next().await.expect("unbind").command_id(), CommandId::UNBIND);
    simulator.stop().await;
    assert!(third.next().await.is_none(), "stopped");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
