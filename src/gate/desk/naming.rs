//! `query_sm`, `cancel_sm` and `replace_sm`: they name a message by its `message_id`.
//!
//! The provider knows an acknowledged part by the gate's own `message_id`, the carrier by
//! another. What is still with the gate is answered here.

use jiff::Timestamp;
use portcullis_protocol::field::COctetString;
use portcullis_protocol::pdu::{QueryResult, QuerySmResp};

use portcullis_protocol::{CommandStatus, Frame, Pdu};

use super::{Desk, Judged, Kind, Open, Settling};
use crate::gate::Moment;
use crate::register::Register;
use crate::relay::{self, Ticket};
use crate::rules::Permit;

impl Desk {
    pub(super) fn judge_naming(
        &mut self,
        _register: &Register,
        ticket: Ticket,
        _frame: &Frame,
        now: Moment,
    ) -> Option<Judged> {
        Some(self.pass_question(ticket, now.wall))
    }

    /// What only names a message goes on as it came.
    fn pass_question(&mut self, ticket: Ticket, now: Timestamp) -> Judged {
        self.open.insert(ticket, Open::recorded(Vec::new(), now));
        let permit = Permit::unjudged("carries no text");
        Judged { decision: relay::Decision::Forward(permit), settling: Settling::NOW, frame: None }
    }
}

/// The carrier's answer to a question, under the `message_id` the provider asked by.
pub(super) fn under(answer: &Frame, message_id: &[u8]) -> Option<Frame> {
    let Ok(Pdu::QuerySmResp(pdu)) = Pdu::decode(answer) else { return None };
    let found = QueryResult { message_id: COctetString(message_id), ..pdu.found? };
    let pdu = QuerySmResp { found: Some(found), ..pdu };
    Some(Pdu::QuerySmResp(pdu).to_frame(answer.command_status(), answer.sequence_number()))
}
