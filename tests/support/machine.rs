//! A machine that misbehaves when it is told to.
//!
//! Owns the library that is loaded before libc (`store/bad_machine.c`) and the file that says how the machine is;
//! what it can be told stands there. Refuses to know what should come of it. Driven by the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the machine does wrong.
pub(crate) struct Machine {
    library: PathBuf,
    control: PathBuf,
}

impl Machine {
    /// A sound machine, its files in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        let (library, control) = (folder.join("bad_machine.so"), folder.join("bad_machine"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/bad_machine.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(source).args(["-ldl", "-lpthread"]);
        assert!(compiler.status().expect("a C compiler").success(), "the library does not compile");
        let machine = Self { library, control };
        machine.behaves("");
        machine
    }

    /// From now on like this.
    pub(crate) fn behaves(&self, how: &str) {
        let fresh = self.control.with_extension("new");
        fs::write(&fresh, format!("{how}\n")).and_then(|()| fs::rename(&fresh, &self.control)).expect("a file");
    }

    /// Has a command run on this machine.
    pub(crate) fn load<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("LD_PRELOAD", &self.library).env("BAD_MACHINE", &self.control)
    }
}
