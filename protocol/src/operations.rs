//! Who may send what in which bind state.
