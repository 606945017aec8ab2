//! Arguments, tracing and the exit code; nothing else.

fn main() {}
