//! Events of an import on their way into a running gate.
//!
//! Owns what one conversation has staged and not yet committed; it goes with the conversation. Many
//! events taken in together cost far less each than one by one. Bounded: a full chunk is taken in, if
//! not yet durable, by itself. Driven by the conversations of [`super::Admin`].

use std::sync::{Arc, Mutex, PoisonError};

use super::api::Line;
use crate::store::consents::{Held, Import};
use crate::store::{Applied, Consents};

/// What a conversation has staged.
#[derive(Default)]
pub(super) struct Staging(Mutex<Option<Import<Arc<Consents>>>>);

impl Staging {
    pub(super) fn stage(&self, rows: &[Held], consents: &Arc<Consents>) -> Result<(), String> {
        let mut staged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let import = staged.get_or_insert_with(|| Import::into(Arc::clone(consents)));
        rows.iter().try_for_each(|row| import.push(&row.as_event())).map_err(|error| error.to_string())
    }

    pub(super) fn commit(&self) -> Result<Line, String> {
        let mut staged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let committed = staged.as_mut().map(Import::commit).transpose();
        let Applied { changed, unchanged, stale } = committed.map_err(|error| error.to_string())?.unwrap_or_default();
        Ok(Line::Applied { changed, unchanged, stale })
    }
}
