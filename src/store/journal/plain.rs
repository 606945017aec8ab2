//! Entries without a time or keys, for tests of what asks for neither.

use super::{Index, Schema};

#[derive(Debug)]
pub(super) struct Plain;

impl Schema for Plain {
    fn at_ms(&self, _: &[u8]) -> i64 {
        0
    }

    fn keys(&self, _: &[u8], _: &mut dyn FnMut(Index, &[u8])) {}
}
