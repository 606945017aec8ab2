//! The links of the gate over real sockets: TLS, the PROXY protocol, limits, several carriers,
//! restart. Everything listens on loopback; every wait is bounded.

#[path = "links/carriers.rs"]
mod carriers;
#[path = "links/certificates.rs"]
mod certificates;
#[path = "links/door.rs"]
mod door;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[path = "links/limits.rs"]
mod limits;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;
#[path = "links/restart.rs"]
mod restart;
#[path = "links/stage.rs"]
mod stage;
#[path = "links/tls.rs"]
mod tls;
#[path = "links/tls_carrier.rs"]
mod tls_carrier;
