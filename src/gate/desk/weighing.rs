//! The verdict for each recipient of a message: register and store become facts, the rules judge.
//!
//! Owns the joining of both, and that a store which cannot answer is a fact of its own (R26). Refuses
//! to decide what becomes of the PDU. Driven by the desks, and by the queue that opens in the morning.

use std::time::Instant;

use jiff::Timestamp;
use portcullis_protocol::BodyFault;
use portcullis_protocol::address::Address;
use portcullis_protocol::pdu::Destination;

use super::ruling::Judgement;
use crate::gate::measures::Trails;
use crate::gate::reading::{DISTRIBUTION_LIST, Reading, Recipients};
use crate::gate::{Gate, facts};
use crate::register::{Provider, Register};
use crate::rules::{Facts, Mode, Operation, Rule, Submission};

/// What whoever judges knows of the gate at that moment, and what is counted for measures (R25).
pub(in crate::gate) struct Watch<'t> {
    pub(in crate::gate) trails: &'t mut Trails,
    pub(in crate::gate) at: Instant,
    /// Whether the journal cannot write.
    pub(in crate::gate) down: bool,
}

impl Gate {
    /// The verdict for each recipient.
    pub(in crate::gate) fn judgements<'r, 'm>(
        &self,
        register: &'r Register,
        provider: &'r Provider,
        reading: &Reading<'m>,
        watch: &mut Watch<'_>,
        now: Timestamp,
    ) -> Result<Vec<Judgement<'r, 'm>>, BodyFault> {
        let mut judgements = Vec::with_capacity(1);
        match reading.recipients {
            Recipients::One(to) => {
                let vouched = reading.operation == Operation::BroadcastSm && provider.broadcasts;
                judgements.push(self.weigh(register, provider, reading, (to, vouched), watch, now));
            }
            Recipients::Many(list) => {
                let is_list = |destination| matches!(destination, Destination::DistributionList(_));
                if !provider.distribution_lists && list.iter().any(is_list) {
                    return Err(DISTRIBUTION_LIST);
                }
                for destination in list.iter() {
                    let (to, vouched) = match destination {
                        Destination::Sme(to) => (to, false),
                        Destination::DistributionList(name) => (Address { addr: name, ..Address::default() }, true),
                    };
                    judgements.push(self.weigh(register, provider, reading, (to, vouched), watch, now));
                }
            }
        }
        Ok(judgements)
    }

    /// Counts verdicts, for the status and for measures (R25).
    pub(super) fn count_verdicts(&self, judgements: &[Judgement<'_, '_>], now: Timestamp) {
        for judgement in judgements {
            self.counters.judged(&judgement.verdict);
            if let Some(trail) = &judgement.trail {
                let port_class = judgement.facts.identity.port_class();
                trail.note(&self.measures, port_class, &judgement.verdict, now.as_millisecond());
            }
        }
    }

    /// One recipient's verdict. A store that cannot be asked is a fact of its own (R26).
    fn weigh<'r, 'm>(
        &self,
        register: &'r Register,
        provider: &'r Provider,
        reading: &Reading<'m>,
        (to, vouched): (Address<'m>, bool),
        watch: &mut Watch<'_>,
        now: Timestamp,
    ) -> Judgement<'r, 'm> {
        let submission = Submission {
            operation: reading.operation,
            source: reading.source,
            destination: to,
            service_type: reading.service_type.0,
            class_tlv: provider.class_tlv.as_ref().and_then(|declared| reading.tlvs.get(declared.tag)),
            sm_default_msg_id: reading.sm_default_msg_id,
            content: reading.text.borrowed(),
            presentation: reading.presentation,
            part: reading.part,
            deliver_at: reading.scheduled(now),
            valid_until: reading.valid_until(now),
        };
        let identity = register.identify(provider, &submission);
        let replaces_unknown = reading.replaces_unknown;
        let port_class = identity.port_class();
        let watched = self.profile.mode(Rule::R25, port_class, provider) != Mode::Off;
        let trail = watched.then(|| watch.trails.of(&self.measures, &identity));
        let measure = trail.as_ref().and_then(|trail| trail.in_force(&self.measures, port_class, watch.at));
        let sampled = trail.as_ref().is_some_and(|trail| trail.samples(&self.measures));
        let reply_route_lost = self.lost_route(&provider.system_id, now);
        let asked = facts::look_up(&self.consents, &self.do_not_disturb, identity, submission.delivery(now));
        let (facts, outage) = match asked {
            Ok(facts) => (facts, watch.down.then(|| "the journal cannot write".to_owned())),
            Err(error) => {
                tracing::error!(%error, "the consents cannot be asked");
                let facts = Facts { unasked: true, ..Facts::new(identity) };
                (facts, Some(format!("the consents cannot be asked: {error}")))
            }
        };
        let facts = Facts { vouched, replaces_unknown, measure, sampled, reply_route_lost, ..facts };
        let counted = self.judge_and_count(&submission, facts, now);
        if let Some(trail) = &trail {
            trail.spend(&self.measures, port_class, &counted.verdict, watch.at);
        }
        Judgement {
            to,
            facts: counted.facts,
            verdict: counted.verdict,
            outage: outage.or(counted.outage),
            counted: counted.counted,
            deliver_at: submission.deliver_at.filter(|at| *at > now),
            trail,
        }
    }
}
