//! `portcullis check`: every fault of configuration and register, before a gate meets them.
//!
//! Owns the printing, and the questions that need both files. Refuses to open the store and
//! to connect anywhere.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use crate::clock;
use crate::config::{Config, Fault, Listen};
use crate::gate::DoNotDisturb;
use crate::register::Register;
use crate::rules::{Class, r06_phone};
use crate::tls::{self, ClientAuth};

/// How long before its end a certificate is pointed out.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Check configuration and register; every fault comes with file, line and key.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis check --config portcullis.toml
  portcullis check --config /etc/portcullis/portcullis.toml && systemctl reload portcullis

The exit code is 0 where a gate would start with these files, 1 where it would not. Warnings do not count.")]
pub struct CheckArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    pub config: PathBuf,
}

/// Checks what the arguments name: faults and warnings to stderr, a summary to stdout.
pub fn run(args: &CheckArgs) -> ExitCode {
    let report = examine(args);
    for warning in &report.warnings {
        eprintln!("warning: {warning}");
    }
    for fault in &report.faults {
        eprintln!("error: {fault}");
    }
    match report.summary {
        Some(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        None => {
            eprintln!("{}", counted(report.faults.len(), "fault"));
            ExitCode::FAILURE
        }
    }
}

/// What a check comes to; a summary only where there is no fault.
#[derive(Debug)]
struct Report {
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
    summary: Option<String>,
}

fn examine(args: &CheckArgs) -> Report {
    let (config, mut faults) = Config::examine(&args.config);
    let mut warnings = config.as_ref().map(|config| config.warnings.clone()).unwrap_or_default();
    // A register is checked even where the configuration that names it has faults.
    let register =
        config.as_ref().filter(|config| config.names_register()).map(|config| Register::load(&config.register));
    let register = match register {
        Some(Ok(register)) => Some(register),
        Some(Err(more)) => {
            faults.extend(more);
            None
        }
        None => None,
    };
    let lists =
        config.as_ref().map(|config| DoNotDisturb::load(&config.do_not_disturb)).unwrap_or(Ok(DoNotDisturb::default()));
    let lists = lists.unwrap_or_else(|more| {
        faults.extend(more);
        DoNotDisturb::default()
    });
    let mut summary = None;
    if let (Some(config), Some(register)) = (&config, &register) {
        warnings.extend_from_slice(register.warnings());
        warnings.extend(mismatches(config, register));
        warnings.extend(expiring(config, clock::wall()));
        summary = faults.is_empty().then(|| summarize(config, register, &lists));
    }
    Report { faults, warnings, summary }
}

/// What is right in each file and does not fit together.
fn mismatches(config: &Config, register: &Register) -> Vec<Fault> {
    let mut mismatches = Vec::new();
    let mut warn = |message: String| mismatches.push(Fault::of_file(&config.register, message));
    let label = &config.profile.name_label;
    for sender in register.senders() {
        let unfit = sender.signatures.iter().filter(|name| {
            let length = name.chars().count();
            length < label.shortest || length > label.longest
        });
        for name in unfit {
            warn(format!(
                "sender {:?}: the signature {name:?} does not have the {} to {} characters that the profile allows",
                sender.id, label.shortest, label.longest
            ));
        }
    }
    if config.profile.phone == r06_phone::Label::RequiredAndRegistered {
        for port in register.ports().iter().filter(|port| port.class == Class::Commercial) {
            if register.sender(&port.sender).is_some_and(|sender| sender.phones.is_empty()) {
                warn(format!(
                    "port {}: its sender {:?} has no phone, so the profile refuses everything sent from it (R06)",
                    port.number, port.sender
                ));
            }
        }
    }
    let asks = |listen: &Listen| listen.tls.as_ref().is_some_and(|tls| tls.client_auth != ClientAuth::None);
    if !config.listen.iter().any(asks) {
        for provider in register.providers().iter().filter(|provider| provider.certificate.is_some()) {
            warn(format!(
                "provider {:?} must present a certificate, and no [[listen]] asks for one",
                provider.system_id
            ));
        }
    }
    mismatches
}

/// Certificates of the gate's own that are over, or soon will be.
fn expiring(config: &Config, now: Timestamp) -> Vec<Fault> {
    let listening = config.listen.iter().filter_map(|listen| listen.tls.as_ref()).map(|tls| &tls.certificate);
    let carrier =
        config.carrier.tls.iter().filter_map(|tls| tls.certificate.as_ref()).map(|(certificate, _)| certificate);
    let mut expiring = Vec::new();
    for certificate in listening.chain(carrier) {
        let Some(end) = tls::valid_until(certificate) else { continue };
        if end <= now {
            expiring.push(Fault::of_file(certificate, format!("the certificate has expired, at {end}")));
        } else if end <= now + EXPIRES_SOON {
            expiring.push(Fault::of_file(certificate, format!("the certificate expires soon, at {end}")));
        }
    }
    expiring
}

fn summarize(config: &Config, register: &Register, lists: &DoNotDisturb) -> String {
    let count = |class| register.ports().iter().filter(|port| port.class == class).count();
    let classes: Vec<String> = Class::ALL
        .into_iter()
        .filter(|&class| count(class) > 0)
        .map(|class| format!("{} {class}", count(class)))
        .collect();
    let summary = format!(
        "{}: no faults\n  profile {} ({})\n  register {} version {}: {}, {}, {} ({})",
        config.file.display(),
        config.profile.name,
        config.profile.law,
        config.register.display(),
        register.version(),
        counted(register.providers().len(), "provider"),
        counted(register.senders().len(), "sender"),
        counted(register.ports().len(), "port"),
        classes.join(", "),
    );
    lists.lists().fold(summary, |summary, list| format!("{summary}\n  {list}"))
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str) -> Report {
        let config = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/config").join(name);
        examine(&CheckArgs { config })
    }

    #[test]
    fn good_files_are_summed_up() {
        let report = check("smallest/portcullis.toml");
        assert_eq!(report.faults, []);
        assert!(
            report.summary.is_some_and(|summary| summary.contains("cn-2020-draft") && summary.contains("1 commercial"))
        );
    }

    /// The lines of a file that say that they have a fault, and nothing else does.
    #[test]
    fn every_faulty_line_of_both_files_is_told() {
        let report = check("faulty/portcullis.toml");
        assert_eq!(report.summary, None);
        for name in ["portcullis.toml", "register.toml"] {
            let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/config/faulty").join(name);
            let text = std::fs::read_to_string(&file).unwrap();
            let marked = |(_, line): &(usize, &str)| line.contains("# fault");
            let expected: Vec<usize> = text.lines().enumerate().filter(marked).map(|(index, _)| index + 1).collect();
            let ours = report.faults.iter().filter(|fault| fault.file == file);
            let mut told: Vec<usize> = ours.filter_map(|fault| fault.line).collect();
            told.dedup();
            assert_eq!(told, expected, "{name}: {:#?}", report.faults);
        }
    }

    #[test]
    fn a_near_miss_is_pointed_out() {
        let report = check("faulty/portcullis.toml");
        let told: Vec<String> = report.faults.iter().map(Fault::to_string).collect();
        for (key, meant) in [("dta", "data"), ("phone", "required"), ("durability", "before-response"), ("R5", "R05")] {
            let near = |line: &&String| line.contains(&format!("{key}:")) && line.contains(&format!("{meant:?}"));
            assert!(told.iter().any(|line| near(&line)), "{key}: {told:#?}");
        }
        assert!(
            told.iter().any(|line| line.contains("sender: no sender has the id \"qinge\"; did you mean \"qinghe\"?"))
        );
        assert!(told.iter().any(|line| line.contains("profile.service.R09: R13:")), "{told:#?}");
    }

    #[test]
    fn a_missing_file_is_a_fault() {
        let report = check("nowhere/portcullis.toml");
        assert_eq!((report.faults.len(), report.summary), (1, None));
    }
}
