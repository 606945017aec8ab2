//! What the peers of a session that is over believe, against what the records say.

use portcullis::relay::{Leg, Outcome};
use portcullis_protocol::CommandStatus;

use super::World;
use crate::account::Account;

impl World {
    /// The messages that reached the carrier, those the gate sent itself among them.
    pub(crate) fn reached_the_carrier(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.peers[Leg::Carrier as usize].reached()
    }

    /// What the peers believe is what the records say.
    pub(crate) fn verdict(self, account: &Account) -> Vec<&'static str> {
        self.shadow.settled();
        let mut seen = self.seen;
        for (asking, across) in [(&self.peers[0], &self.peers[1]), (&self.peers[1], &self.peers[0])] {
            for body in &asking.confirmed {
                assert!(across.accepted.contains(body), "confirmed, and never accepted");
                let relayed = body.first() == Some(&b'P') && !self.durable.contains_key(body);
                assert!(
                    relayed || self.durable.get(body) == Some(&Outcome::Answered(CommandStatus::ESME_ROK)),
                    "confirmed, and not in the records"
                );
                seen.push("accepted");
            }
            for body in &asking.acknowledged {
                assert!(account.has_acknowledged(body), "acknowledged by nobody");
                assert_eq!(
                    self.durable.get(body),
                    Some(&Outcome::Acknowledged),
                    "acknowledged, and not in the records"
                );
                assert!(!across.was_reached_by(body), "acknowledged, and forwarded in its own name");
            }
            for body in &asking.refused {
                assert!(self.refused.contains(body) && !across.was_reached_by(body), "refused, and forwarded");
            }
        }
        let leaked = self.refused.iter().any(|body| self.peers.iter().any(|peer| peer.was_reached_by(body)));
        assert!(!leaked, "forwarded against the verdict");
        seen
    }
}
