//! The routes as they are shown: to a probe, and in the status.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{OTHERS, Routes};

/// Ports that a status names.
const NAMED: usize = 5;

/// The receiving binds of a provider, as a reply to one of its ports finds them.
#[derive(Debug, Default)]
pub(in crate::gate) struct Seen {
    /// The sessions it may come in by.
    pub(in crate::gate) taking: Vec<SeenBind>,
    /// Those that are for other ports.
    pub(in crate::gate) refusing: Vec<SeenBind>,
}

/// One of them.
#[derive(Debug)]
pub(in crate::gate) struct SeenBind {
    pub(in crate::gate) session: u64,
    /// What its `address_range` says, and how that is read where it is not as it says.
    pub(in crate::gate) range: String,
}

/// Routes of a provider that are lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostRoutes {
    /// The provider.
    pub provider: String,
    /// How many of its ports no reply comes in to.
    pub ports: usize,
    /// How many ports it has.
    pub of: usize,
    /// Since when the first of them.
    pub since: Timestamp,
    /// Some of them.
    pub named: Vec<String>,
}

impl Routes {
    /// The binds that a reply to a port may come in by.
    pub(in crate::gate) fn see(&self, provider: &str, port: &str) -> Seen {
        let mut seen = Seen::default();
        let list = self.lock();
        let Some(account) = list.get(provider) else { return seen };
        for (&session, reach) in &account.binds {
            let remark = reach.remark(&account.ports).map(|remark| format!(", which {remark}")).unwrap_or_default();
            let bind = SeenBind { session, range: format!("{}{remark}", reach.range) };
            if reach.takes(port) { seen.taking.push(bind) } else { seen.refusing.push(bind) }
        }
        seen
    }

    /// What is lost, by provider; of one without ports in the register nothing.
    pub(in crate::gate) fn lost_ones(&self, now: Timestamp) -> Vec<LostRoutes> {
        let list = self.lock();
        let mut all: Vec<LostRoutes> = list
            .iter()
            .filter_map(|(provider, account)| {
                let own = account.routes.iter().filter(|(name, _)| name.as_ref() != OTHERS);
                let lost: Vec<_> = own.filter(|(_, route)| route.binds == 0).collect();
                let since = lost.iter().map(|(_, route)| route.lost.unwrap_or(now)).min()?;
                let mut named: Vec<String> = lost.iter().map(|(name, _)| name.to_string()).collect();
                named.sort_unstable();
                named.truncate(NAMED);
                let (ports, of) = (lost.len(), account.ports.len());
                Some(LostRoutes { provider: provider.clone(), ports, of, since, named })
            })
            .collect();
        drop(list);
        all.sort_by(|one, other| one.provider.cmp(&other.provider));
        all
    }
}
