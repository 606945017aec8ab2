//! `portcullis probe` against a running gate, and reply routes that are dead (R07).
//!
//! Every probe goes over the admin socket of a gate with providers and a carrier on real sockets; whatever it
//! finds, no provider gets anything of it.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;

use portcullis::admin::api::{Line, Request};
use portcullis::clock;
use portcullis::gate::Probe;
use portcullis::gate::evidence::{Found, Query};
use portcullis::simulator::{Simulator, SimulatorOptions};
use portcullis::store::consents::{Held, Status};
use portcullis_protocol::pdu::DeliverSm;
use portcullis_protocol::{CommandId, CommandStatus, Pdu};

use gate::{Folder, Gate, PATIENCE};
use provider::{OK, Provider, source, submit, subscriber};

const SYNTHETIC: u64 = 999_000_000_000;
const PORT: &str = "10690008880001";
const NOTICES: &str = "10650008880001";
const OTHER_PORT: &str = "10690008880003";
const NO_REPLIES: &str = "10690008880002";
const OFFER: &str = "【麦香坊】新炉面包今日八折。热线400-000-0088，拒收请回复R";
const OTHER_OFFER: &str = "【麦香坊】新炉面包今日八折。热线400-000-0088，退订回TD";
const OPT_OUT: CommandStatus = CommandStatus(0x0485);

const REGISTER: &str = r#"
[[provider]]
system_id = "herald"
ports = ["1069000888", "1065000888"]

[[sender]]
id = "bakery"
name = "Bakery Ltd"
credential = "91310000TEST000088"
signatures = ["麦香坊"]
phones = ["400-000-0088"]

[[port]]
number = "10690008880001"
class = "commercial"
sender = "bakery"

[[port]]
number = "10690008880002"
class = "commercial"
sender = "bakery"
replies = false

[[port]]
number = "10690008880003"
class = "commercial"
sender = "bakery"

[[port]]
number = "10650008880001"
class = "service"
sender = "bakery"
"#;

/// A gate in front of a carrier that accepts everything.
struct Stage {
    folder: Folder,
    carrier: Simulator,
    gate: Gate,
}

impl Stage {
    async fn new(profile: &str) -> Self {
        let options = SimulatorOptions { keep: 1000, ..SimulatorOptions::default() };
        let carrier = Simulator::start(options).await.expect("a free port");
        let folder = Folder::new(REGISTER, carrier.address());
        folder.configure("", carrier.address(), profile);
        let gate = folder.start();
        let consents = "msisdn,sender,category,status,at,method,evidence,expires_at\n\
                        8613900008888,bakery,,consent,2025-01-01,web,form,\n";
        folder.feed(&["consent", "import", "-"], consents).ok();
        Self { folder, carrier, gate }
    }

    async fn bound(&self, operation: CommandId) -> Provider {
        let mut provider = Provider::connect(self.gate.address).await;
        assert_eq!(provider.bind(operation, "herald", "").await, OK);
        provider
    }

    fn probe(&self, port: &str, keyword: &str) -> Probe {
        let asked = Request::Probe { port: port.to_owned(), keyword: keyword.to_owned() };
        match self.folder.ask(&asked).pop() {
            Some(Line::Probe(probe)) => *probe,
            other => panic!("no probe but {other:?}"),
        }
    }

    /// The first thing that is not as it must be.
    fn fault(&self, port: &str, keyword: &str) -> String {
        let probe = self.probe(port, keyword);
        assert!(!probe.honoured, "{probe:?}");
        let fault = probe.steps.iter().find(|step| !step.good).unwrap_or_else(|| panic!("{probe:?}"));
        format!("{}: {}", fault.of, fault.found)
    }

    fn held(&self) -> Vec<Held> {
        let lines = self.folder.ask(&Request::Export);
        lines.into_iter().filter_map(|line| if let Line::Held(held) = line { Some(held) } else { None }).collect()
    }
}

async fn offered(provider: &mut Provider, text: &str) -> CommandStatus {
    offered_from(provider, PORT, text).await
}

async fn offered_from(provider: &mut Provider, port: &str, text: &str) -> CommandStatus {
    provider.ask(submit(port, "8613900008888", text)).await.command_status()
}

/// Offers again and again until the answer is this one.
async fn until(provider: &mut Provider, port: &str, status: CommandStatus) {
    let end = clock::monotonic() + PATIENCE;
    while offered_from(provider, port, OFFER).await != status {
        assert!(clock::monotonic() < end, "never {status:?} on {port}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyword_that_works_is_shown_to_and_nobody_else_is_refused() {
    let stage = Stage::new("").await;
    let mut provider = stage.bound(CommandId::BIND_TRANSCEIVER).await;
    let said = stage.folder.run(&["probe", "--port", PORT]).ok();
    assert!(said.ends_with("R is honoured on 10690008880001\n") && said.contains("none went from the port"), "{said}");

    assert_eq!(offered(&mut provider, OFFER).await, OK);
    let probe = stage.probe(PORT, "R");
    assert!(
        probe.honoured && probe.steps.iter().any(|step| step.found.contains("the port's last message")),
        "{probe:?}"
    );
    for keyword in ["TD", "退订", "别再发了", "0000"] {
        assert!(stage.probe(PORT, keyword).honoured, "{keyword}");
    }
    let extension = format!("{PORT}99");
    assert!(stage.probe(&extension, "R").honoured, "an extension of the port");

    let refusals: Vec<Held> = stage.held().into_iter().filter(|held| held.status == Status::Refusal).collect();
    assert!(refusals.iter().any(|held| held.sender == "bakery"), "{refusals:?}");
    assert!(refusals.iter().all(|held| (held.msisdn, &*held.method) == (SYNTHETIC, "probe")), "{refusals:?}");
    assert_eq!(offered(&mut provider, OFFER).await, OK, "the real subscriber has refused nothing");
    let status = stage.folder.status();
    assert_eq!((status.totals.refusals, status.sessions.len()), (0, 1), "a probe leaves no session and is no reply");

    // The next that the provider gets is a real subscriber's, and nothing before it.
    let (from, to) = (subscriber("8613900008888"), source(PORT));
    let deliver = DeliverSm { source: from, destination: to, short_message: b"hello", ..DeliverSm::default() };
    assert!(stage.carrier.deliver("herald", Pdu::DeliverSm(deliver).to_frame(OK, 0)).await);
    let frame = provider.request().await;
    assert!(frame.body().windows(5).any(|octets| octets == b"hello"), "{frame:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_way_is_named() {
    let stage = Stage::new("").await;
    let fault = stage.fault(PORT, "R");
    assert!(fault.starts_with("route: no bind of herald can receive since "), "{fault}");
    let mut provider = stage.bound(CommandId::BIND_TRANSCEIVER).await;
    assert_eq!(offered(&mut provider, OTHER_OFFER).await, OK);
    let long = "1".repeat(21);
    for (port, keyword, fault) in [
        ("10690009990001", "R", "register: 10690009990001 is no port of the register"),
        (NOTICES, "R", "register: service port 10650008880001 of bakery"),
        (NO_REPLIES, "R", "register: commercial port 10690008880002 of bakery, provider herald: its replies do not"),
        (&long, "R", "register: \"111111111111111111111\" is no address"),
        (PORT, "R", "reply: it refuses nothing, after the port's last message"),
        (PORT, "谢谢你", "reply: \"谢谢你\" is no keyword on this port"),
        (PORT, "", "journal: a keyword has 1 to 40 characters"),
    ] {
        let found = stage.fault(port, keyword);
        assert!(found.starts_with(fault), "{port} {keyword}: {found}");
    }
    let said = stage.folder.run(&["probe", "--port", PORT, "--keyword", "R"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("R is not honoured on 10690008880001"), "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_write_honours_nothing() {
    let stage = Stage::new("").await;
    let _provider = stage.bound(CommandId::BIND_TRANSCEIVER).await;
    assert!(stage.probe(PORT, "TD").honoured);
    stage.gate.limit_files(Some(0));
    let fault = stage.fault(PORT, "TD");
    assert!(fault.starts_with("journal: it cannot write"), "{fault}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_only_watches_honours_nothing() {
    let stage = Stage::new("[profile]\nR23 = \"observe\"").await;
    let _provider = stage.bound(CommandId::BIND_TRANSCEIVER).await;
    assert_eq!(stage.fault(PORT, "TD"), "consents: R23 is only observed here: nothing was stored");
}

#[test]
fn without_a_gate_there_is_nothing_to_probe() {
    let folder = Folder::new(REGISTER, ([127, 0, 0, 1], 9).into());
    let said = folder.run(&["probe", "--port", PORT]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("no gate is running"), "{}", said.stderr);
}

/// A provider that only sends is refused once its route has been lost too long, and not any longer once it receives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_route_makes_the_way_to_refuse_none() {
    let stage = Stage::new("[profile]\nreply_route_dead_after = \"1s\"").await;
    let mut sending = stage.bound(CommandId::BIND_TRANSMITTER).await;
    let end = clock::monotonic() + PATIENCE;
    while offered(&mut sending, OFFER).await == OK {
        assert!(clock::monotonic() < end, "never refused");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(offered(&mut sending, OFFER).await, OPT_OUT);
    let why = stage.folder.sent_to("8613900008888").pop().map(|record| format!("{:?}", record.findings));
    assert!(
        why.as_ref().is_some_and(|why| why.contains("no bind of herald has taken replies to 10690008880001 since")),
        "{why:?}"
    );

    let receiving = stage.bound(CommandId::BIND_RECEIVER).await;
    let end = clock::monotonic() + PATIENCE;
    while offered(&mut sending, OFFER).await != OK {
        assert!(clock::monotonic() < end, "refused although replies can come in");
    }
    assert!(stage.probe(PORT, "TD").honoured);
    drop(receiving);
    let end = clock::monotonic() + PATIENCE;
    while offered(&mut sending, OFFER).await == OK {
        assert!(clock::monotonic() < end, "the receiver is gone");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_does_not_make_a_lost_route_fresh() {
    let mut stage = Stage::new("[profile]\nreply_route_dead_after = \"24h\"").await;
    drop(stage.bound(CommandId::BIND_TRANSCEIVER).await);
    let lost = |stage: &Stage| {
        let query = Query { sessions: true, limit: 1000, ..Query::default() };
        let events = stage.folder.find(query).into_iter().filter_map(|found| match found {
            Found::Session(session) => Some(session.event),
            _ => None,
        });
        events.filter(|event| event.starts_with("reply route")).collect::<Vec<_>>()
    };
    let end = clock::monotonic() + PATIENCE;
    // At the start, by the bind, and when that ends.
    while lost(&stage).len() < 3 {
        assert!(clock::monotonic() < end, "{:?}", lost(&stage));
    }
    let before = stage.fault(PORT, "TD");
    let Stage { folder, carrier, gate } = stage;
    gate.kill();
    let gate = folder.start();
    stage = Stage { folder, carrier, gate };
    assert_eq!(stage.fault(PORT, "TD"), before, "since when it is lost");
    assert_eq!(lost(&stage).len(), 3, "{:?}", lost(&stage));
}

/// Two binds, each for a port of its own: with one of them its port goes dead, and no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bind_for_some_ports_takes_only_those_with_it() {
    let stage = Stage::new("[profile]\nreply_route_dead_after = \"1s\"").await;
    let mut sending = stage.bound(CommandId::BIND_TRANSMITTER).await;
    let mut one = Provider::connect(stage.gate.address).await;
    assert_eq!(one.bind_for(CommandId::BIND_TRANSCEIVER, "herald", "^10690008880001$").await, OK);
    let fault = stage.fault(OTHER_PORT, "TD");
    assert!(fault.starts_with("route: no bind of herald takes replies to 10690008880003 since "), "{fault}");
    assert!(fault.contains("address_range \"^10690008880001$\""), "{fault}");
    until(&mut sending, OTHER_PORT, OPT_OUT).await;
    assert_eq!(offered(&mut sending, OFFER).await, OK);
    let status = stage.folder.status();
    let named = &status.lost_routes[0].named;
    assert!(named.iter().any(|port| port == OTHER_PORT) && !named.iter().any(|port| port == PORT), "{named:?}");
    assert!(stage.folder.run(&["status"]).ok().contains("of 4 ports of herald do not come in since"));

    let mut other = Provider::connect(stage.gate.address).await;
    assert_eq!(other.bind_for(CommandId::BIND_RECEIVER, "herald", "0003$").await, OK);
    until(&mut sending, OTHER_PORT, OK).await;
    let probe = stage.probe(OTHER_PORT, "TD");
    let route = probe.steps.iter().find(|step| step.of == "route").expect("a route");
    assert!(probe.honoured && route.found.contains("address_range \"0003$\""), "{probe:?}");
    assert!(route.found.contains(&other.address().to_string()), "{probe:?}");

    drop(one);
    until(&mut sending, PORT, OPT_OUT).await;
    assert_eq!(offered_from(&mut sending, OTHER_PORT, OFFER).await, OK);
    let fault = stage.fault(PORT, "TD");
    assert!(fault.starts_with("route: no bind of herald takes replies to 10690008880001 since "), "{fault}");
}

/// What peers put into `address_range` that is no expression, or about other numbers, counts as all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_that_makes_no_sense_takes_no_reply_away() {
    let stage = Stage::new("[profile]\nreply_route_dead_after = \"1s\"").await;
    for (range, remark) in
        [("*", "is no regular expression and counts as all"), ("^8613", "is for none of its ports and counts as all")]
    {
        let mut provider = Provider::connect(stage.gate.address).await;
        assert_eq!(provider.bind_for(CommandId::BIND_TRANSCEIVER, "herald", range).await, OK);
        until(&mut provider, OTHER_PORT, OK).await;
        let probe = stage.probe(PORT, "TD");
        assert!(probe.honoured && probe.steps[1].found.contains(remark), "{probe:?}");
        drop(provider);
        let end = clock::monotonic() + PATIENCE;
        while stage.probe(PORT, "TD").honoured {
            assert!(clock::monotonic() < end, "the bind is gone");
        }
    }
}

/// Replies come in by the carrier's leg: without it there is no route, however the provider stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_is_gone_delivers_nothing() {
    let stage = Stage::new("[profile]\nreply_route_dead_after = \"1s\"").await;
    let _provider = stage.bound(CommandId::BIND_TRANSCEIVER).await;
    assert!(stage.probe(PORT, "TD").honoured);
    drop(stage.carrier);
    let end = clock::monotonic() + PATIENCE;
    let probe = || match stage.folder.ask(&Request::Probe { port: PORT.to_owned(), keyword: "TD".to_owned() }).pop() {
        Some(Line::Probe(probe)) => *probe,
        other => panic!("no probe but {other:?}"),
    };
    while probe().honoured {
        assert!(clock::monotonic() < end, "the carrier is gone");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(probe().steps[1].found.contains("the carrier has no way to deliver a reply"), "{:?}", probe());
}

/// A port that the register gets has the routes that are there; a restart knows each port's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_ports_and_a_restart_keep_each_route_apart() {
    let mut stage = Stage::new("[profile]\nreply_route_dead_after = \"24h\"").await;
    let mut one = Provider::connect(stage.gate.address).await;
    assert_eq!(one.bind_for(CommandId::BIND_TRANSCEIVER, "herald", "0001$").await, OK);
    let added = "10690008880004";
    let port = format!("\n[[port]]\nnumber = \"{added}\"\nclass = \"commercial\"\nsender = \"bakery\"\n");
    stage.folder.write_register(&format!("{REGISTER}{port}"));
    let end = clock::monotonic() + PATIENCE;
    let is_known = |stage: &Stage| stage.fault(added, "TD").starts_with("route: no bind of herald takes replies");
    while !is_known(&stage) {
        assert!(clock::monotonic() < end, "{}", stage.fault(added, "TD"));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    drop(one);
    let gone = |stage: &Stage| stage.fault(PORT, "TD").starts_with("route: no bind of herald can receive since");
    let end = clock::monotonic() + PATIENCE;
    while stage.probe(PORT, "TD").honoured || !gone(&stage) {
        assert!(clock::monotonic() < end, "the bind is gone");
    }
    // The end of the bind is on disk before the gate dies.
    let lost = |stage: &Stage| {
        let query = Query { sessions: true, limit: 1000, ..Query::default() };
        let events = stage.folder.find(query).into_iter().filter_map(|found| match found {
            Found::Session(session) => Some(session.event),
            _ => None,
        });
        events
            .filter(|event| event.starts_with("reply route of") && event.contains(PORT) && event.contains("lost"))
            .count()
    };
    while lost(&stage) == 0 {
        assert!(clock::monotonic() < end, "never recorded");
    }
    let before: Vec<String> = [PORT, OTHER_PORT, added].map(|port| stage.fault(port, "TD")).into();
    assert!(before[0] != before[1] && before[1] != before[2], "{before:?}");
    let Stage { folder, carrier, gate } = stage;
    gate.kill();
    let gate = folder.start();
    stage = Stage { folder, carrier, gate };
    let after: Vec<String> = [PORT, OTHER_PORT, added].map(|port| stage.fault(port, "TD")).into();
    assert_eq!(after, before);
}
