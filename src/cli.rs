//! The subcommands, one file each.

pub mod check;
pub mod judge;
pub mod simulate;
