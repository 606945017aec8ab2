//! The proof of what a subscriber said, as the consents keep it: longer than the journal keeps its records.

use super::Reply;
use super::context::LastMessage;
use crate::store::consents::WORDING_OCTETS;

/// How the event came about.
pub(super) const METHOD: &str = "mo";

/// The same where nobody sent the reply.
pub(super) const PROBE: &str = "probe";

/// Who recorded it.
pub(super) const RECORDED_BY: &str = "gate";

/// Octets of a reply that are kept with its event; the journal has all of it.
const REPLY: usize = 1024;

/// Octets of a request.
const REQUEST: usize = 2800;

/// Names the records and quotes the texts.
pub(super) fn text(reply: &Reply, request: Option<&LastMessage>) -> String {
    let said = format!("reply {}: {}", reply.entry, shortened(&reply.text, REPLY));
    match request {
        Some(request) => format!("{said}\nto request {}: {}", request.id, shortened(&request.text, REQUEST)),
        None => said,
    }
}

/// What the subscriber was shown before agreeing.
pub(super) fn wording(request: &str) -> &str {
    shortened(request, WORDING_OCTETS)
}

fn shortened(text: &str, octets: usize) -> &str {
    &text[..text.floor_char_boundary(octets)]
}
