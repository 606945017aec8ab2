//! The dependency direction of the modules, read from the source: `protocol <- rules <- relay`,
//! `store` knows none of them, `gate` joins rules and store, `proxy` drives relay and gate,
//! `admin` and `cli` sit on top. The cores know no runtime, no clock and no sockets.

#![expect(clippy::unwrap_used, reason = "a source tree that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// A module, the modules of this crate it may name, and the external words it must not.
struct Layer {
    module: &'static str,
    may_use: &'static [&'static str],
    never: &'static [&'static str],
}

const IO: &[&str] = &["tokio", "std::net", "std::fs", "sled", "rand", "clock"];

const LAYERS: &[Layer] = &[
    Layer { module: "clock", may_use: &[], never: &["tokio", "sled", "portcullis_protocol"] },
    Layer { module: "document", may_use: &[], never: IO },
    Layer { module: "rules", may_use: &["document", "register"], never: IO },
    Layer { module: "tls", may_use: &[], never: &["tokio", "sled", "clock", "std::net"] },
    Layer { module: "register", may_use: &["document", "rules", "tls"], never: &["tokio", "sled", "clock"] },
    Layer { module: "config", may_use: &["document", "rules", "register", "tls"], never: &["tokio", "sled", "clock"] },
    Layer { module: "relay", may_use: &["rules"], never: IO },
    Layer { module: "store", may_use: &["clock"], never: &["portcullis_protocol", "std::net"] },
    Layer {
        module: "gate",
        may_use: &["rules", "register", "config", "relay", "store", "tls"],
        never: &["std::net::Tcp"],
    },
    Layer {
        module: "proxy",
        may_use: &["document", "rules", "register", "config", "relay", "store", "gate", "clock", "tls"],
        never: &["sled"],
    },
    Layer {
        module: "admin",
        may_use: &["rules", "register", "config", "relay", "store", "gate", "proxy", "clock"],
        never: &["sled"],
    },
    Layer { module: "simulator", may_use: &["clock"], never: &["sled"] },
];

#[test]
fn every_module_uses_only_the_layers_below_it() {
    let mut faults = Vec::new();
    for layer in LAYERS {
        let files = files_of(layer.module);
        assert!(!files.is_empty(), "module {} has no file", layer.module);
        for file in files {
            check(layer, &file, &mut faults);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_module_has_a_layer() {
    let source = fs::read_to_string(source_root().join("lib.rs")).unwrap();
    let declared: BTreeSet<_> =
        Regex::new(r"(?m)^pub mod (\w+);").unwrap().captures_iter(&source).map(|found| found[1].to_owned()).collect();
    let mut known: BTreeSet<_> = LAYERS.iter().map(|layer| layer.module.to_owned()).collect();
    known.insert("cli".to_owned());
    assert_eq!(declared, known);
}

#[test]
fn protocol_depends_on_nothing_heavier_than_nom_bytes_and_encoding_rs() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<_> =
        Regex::new(r"(?m)^([\w-]+)").unwrap().captures_iter(dependencies).map(|found| found[1].to_owned()).collect();
    assert_eq!(names, ["bytes", "encoding_rs", "nom"]);
}

fn check(layer: &Layer, file: &Path, faults: &mut Vec<String>) {
    let source = fs::read_to_string(file).unwrap();
    let code = product_code(&source);
    for found in Regex::new(r"\bcrate::(\w+)").unwrap().captures_iter(&code) {
        let used = &found[1];
        if used != layer.module && !layer.may_use.contains(&used) {
            faults.push(format!("{}: {} must not use {used}", file.display(), layer.module));
        }
    }
    for word in layer.never {
        if Regex::new(&format!(r"\b{word}::|\buse {word}\b|\bcrate::{word}\b")).unwrap().is_match(&code) {
            faults.push(format!("{}: {} must not use {word}", file.display(), layer.module));
        }
    }
}

/// The source without comments and without its tests, which may use what they like.
fn product_code(source: &str) -> String {
    source
        .split("#[cfg(test)]\nmod ")
        .next()
        .unwrap_or_default()
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files_of(module: &str) -> Vec<PathBuf> {
    let root = source_root();
    let mut files = vec![root.join(format!("{module}.rs"))];
    let mut folders = vec![root.join(module)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                files.push(entry);
            }
        }
    }
    files.retain(|file| file.exists());
    files
}
