//! Where a session stands.
//!
//! Owns the states and every transition between them. Refuses to act: what goes with a
//! transition is done where the step is taken. Driven by the relay's handlers.

/// ```text
///            bind            granted           connected          accepted
///   Open ──────────▶ Judging ───────▶ Connecting ───────▶ Binding ───────▶ Bound
///    ▲ │                │                  │                 │               │
///    │ │                ▼                  ▼                 ▼               │ unbind of a leg, loss of a leg,
///    └─┼──────────── BindFailed (refused, unreachable, nacked, timed out)    │ silence, inactivity, drain
///      │                                                                     ▼
///      │                                                                  Settling    no new request; answers come
///      │                                                                     │        in and are recorded
///      │ closed, never bound, too many                                       │ nothing pending, or time is up
///      │ refusals, drain (from Judging,                                      ▼
///      │ Connecting and Binding too)                                     Unbinding    unbind sent to each leg that
///      │                                                                     │        has not sent its own
///      ▼                                                                     ▼ answered, gone, or time is up
///    Ended ◀─────────────────────────────────────────────────────────────────┘
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// The provider is connected and has not asked to bind, or its last bind failed.
    Open,
    /// The driver decides on the provider's bind.
    Judging,
    /// The driver dials the carrier.
    Connecting,
    /// The carrier decides on the bind.
    Binding,
    /// Traffic flows.
    Bound,
    /// No new request is taken; pending ones get their answers.
    Settling,
    /// Nothing pending; the legs are asked to unbind.
    Unbinding,
    /// Over.
    Ended,
}

/// What moves a session on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    BindReceived,
    BindGranted,
    Connected,
    BindAccepted,
    BindFailed,
    Finish,
    Settled,
    Done,
}

impl State {
    /// The state after `step`; a step that does not apply changes nothing.
    pub(super) const fn after(self, step: Step) -> Self {
        match (self, step) {
            (Self::Open, Step::BindReceived) => Self::Judging,
            (Self::Judging, Step::BindGranted) => Self::Connecting,
            (Self::Connecting, Step::Connected) => Self::Binding,
            (Self::Binding, Step::BindAccepted) => Self::Bound,
            (Self::Judging | Self::Connecting | Self::Binding, Step::BindFailed) => Self::Open,
            (Self::Bound, Step::Finish) => Self::Settling,
            (Self::Settling, Step::Settled) => Self::Unbinding,
            (_, Step::Done) => Self::Ended,
            (state, _) => state,
        }
    }

    /// Whether a bind is on its way: the provider is not read meanwhile.
    pub(super) const fn is_binding(self) -> bool {
        matches!(self, Self::Judging | Self::Connecting | Self::Binding)
    }

    /// Whether both legs are bound or on their way out.
    pub(super) const fn is_finishing(self) -> bool {
        matches!(self, Self::Settling | Self::Unbinding)
    }
}
