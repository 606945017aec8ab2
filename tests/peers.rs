//! The gate between implementations that others wrote.
//!
//! npm `smpp`, PyPI smpplib, Perl Net::SMPP and Kannel as ESME; npm `smpp`, PyPI smpp34 and the
//! simulator as carrier; `portcullis run` in between. `.ci/peers DIR` installs the peers;
//! PORTCULLIS_PEERS=DIR runs the tests, which otherwise skip with a loud line.

#[path = "peers/capture.rs"]
mod capture;
#[path = "peers/conversation.rs"]
mod conversation;
#[path = "peers/decoded.rs"]
mod decoded;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[path = "peers/long.rs"]
mod long;
#[path = "peers/messages.rs"]
mod messages;
#[path = "peers/modes.rs"]
mod modes;
#[path = "peers/party.rs"]
mod party;
#[path = "peers/reconnect.rs"]
mod reconnect;
#[path = "peers/reply.rs"]
mod reply;
#[path = "peers/stage.rs"]
mod stage;
#[path = "peers/wire.rs"]
mod wire;
