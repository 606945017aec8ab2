//! SMPP on the wire: bytes to values and values to bytes.
//!
//! Owns the formats of SMPP 3.4 and 5.0 (3.3 peers are understood) and the reading of
//! message text for judging. Refuses to do I/O, to keep state, and to know any rule.
//! Driven by the session core (`relay`), the gate, the simulator and the fuzz targets.

pub mod address;
pub mod command;
pub mod error;
pub mod field;
pub mod frame;
pub mod header;
pub mod operations;
pub mod pdu;
pub mod status;
pub mod text;
pub mod time;
pub mod tlv;

pub use command::CommandId;
pub use error::{BodyFault, FrameFault};
pub use frame::Frame;
pub use header::Header;
pub use pdu::Pdu;
pub use status::CommandStatus;
