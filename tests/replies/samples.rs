//! The sample replies of testdata/rulebook/replies-samples.jsonl: what was sent before each, and what it changes.

use portcullis::store::consents::Status;
use serde::Deserialize;

use crate::scene::{ASK, COMMERCIAL, OFFERS_R, OFFERS_T, OTP, OTP_PORT};

pub(crate) fn samples() -> Vec<Sample> {
    let text = include_str!("../../testdata/rulebook/replies-samples.jsonl");
    let samples: Vec<Sample> = text.lines().map(|line| serde_json::from_str(line).expect("a sample")).collect();
    assert_eq!(samples.len(), 10);
    samples
}

/// A line of the samples.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sample {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) text: String,
    pub(crate) context: String,
    pub(crate) expect: String,
}

impl Sample {
    /// What was sent before, so that the context is as it says.
    pub(crate) fn before(&self) -> Option<(&'static str, &'static str)> {
        match self.context.as_str() {
            "last MT offered R" => Some((COMMERCIAL, OFFERS_R)),
            "last MT offered 退订回T" => Some((COMMERCIAL, OFFERS_T)),
            "last MT was an OTP" => Some((OTP_PORT, OTP)),
            "within the window after S18" => Some((COMMERCIAL, ASK)),
            "any" | "hotel-like enquiry" | "no pending request" | "esm_class receipt" => None,
            other => panic!("{}: no way to play {other:?}", self.id),
        }
    }

    /// Of each sender that must have been refused or agreed to, in order.
    pub(crate) fn changes(&self) -> Vec<(&'static str, Status)> {
        match self.expect.as_str() {
            "refuse" => vec![("qinghe", Status::Refusal)],
            "grant, both texts kept" => vec![("qinghe", Status::Consent)],
            "refuse for every sender of that provider" => {
                // And of those it gets later.
                let all = ["binjiang", "kuaiyi", "linhu", "provider:agg1", "qinghe", "yunfan"];
                all.map(|sender| (sender, Status::Refusal)).to_vec()
            }
            "record only: service messages go on" | "forward only" | "never a refusal" => Vec::new(),
            other => panic!("{}: what is {other:?}?", self.id),
        }
    }
}
