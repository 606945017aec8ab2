//! From portcullis.toml to checked values, with every fault in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::HEXLOWER;
use jiff::civil::Time;
use jiff::tz::{Offset, TimeZone};
use ring::digest::{SHA256, digest};

use super::links::{carrier, listen};
use super::{Config, Durability, JournalConfig, ListFile, LongMessages, QueueConfig, RetentionConfig, SessionConfig};
use crate::document::{self, Complaints, Fault, Section, unknown_word};
use crate::register::{LongMode, WindowOverflow};
use crate::rules::workdays::Calendar;
use crate::rules::{Class, Mode, Profile, Rule, profile};

const DEFAULT_TIME_ZONE: &str = "Asia/Shanghai";

pub(super) fn config(path: &Path, text: &str) -> (Config, Vec<Fault>) {
    let complaints = Complaints::new(path, text);
    let table = document::parse(text, &complaints);
    let top = Section::top(&table, &complaints);
    let folder = path.parent().unwrap_or(Path::new(""));
    let (time_zone, time_zone_name) = time_zone(&top);
    let (profile, profile_file) = read_profile(&top, folder, &time_zone);
    let mut config = Config {
        file: path.to_owned(),
        sha256: HEXLOWER.encode(digest(&SHA256, text.as_bytes()).as_ref()),
        register: folder.join(top.required("register")),
        data: folder.join(top.string("data").unwrap_or("data")),
        master_key: master_key(&top, folder),
        listen: listen(&top, folder),
        carrier: carrier(&top, folder),
        journal: journal(&top),
        session: session(&top),
        long_messages: long_messages(&top),
        do_not_disturb: do_not_disturb(&top, folder),
        queue: queue(&top),
        retention: retention(&top),
        drain_timeout: seconds(&top, "drain_timeout", 10),
        profile,
        workdays: workdays(&top, folder),
        profile_file,
        time_zone,
        time_zone_name,
        warnings: Vec::new(),
    };
    top.finish();
    let (faults, warnings) = complaints.into_parts();
    config.warnings = warnings;
    (config, faults)
}

fn time_zone(top: &Section<'_, '_>) -> (TimeZone, String) {
    let name = top.string("time_zone").unwrap_or(DEFAULT_TIME_ZONE);
    let zone = match TimeZone::get(name) {
        Ok(zone) => zone,
        // China has had one zone without summer time since 1991, so the default needs no zone database.
        Err(_) if name == DEFAULT_TIME_ZONE => TimeZone::fixed(Offset::constant(8)),
        Err(_) => {
            top.fault("time_zone", format!("{name:?} is not a time zone of this machine's database"));
            TimeZone::UTC
        }
    };
    (zone, name.to_owned())
}

/// The profile, and its file where it has one of its own.
fn read_profile(top: &Section<'_, '_>, folder: &Path, time_zone: &TimeZone) -> (Profile, Option<PathBuf>) {
    let section = top.section("profile");
    let base = section.as_ref().and_then(|section| section.string("base")).unwrap_or(profile::DEFAULT);
    let file = base.ends_with(".toml").then(|| folder.join(base));
    let mut profile = match (&section, &file) {
        (Some(section), Some(file)) => profile_file(section, file),
        _ => Profile::built_in(base),
    };
    if let (None, Some(section), None) = (&profile, &section, &file) {
        section.fault("base", unknown_word(base, Profile::built_in_names()));
    }
    let mut profile = profile.take().unwrap_or_default();
    profile.time_zone = time_zone.clone();
    if let Some(section) = section {
        profile.read(&section);
        warn_of_vain_keywords(&profile, &section);
        section.finish();
    }
    (profile, file)
}

/// R07 asks for a keyword that is honoured: R23 is what honours it.
fn warn_of_vain_keywords(profile: &Profile, section: &Section<'_, '_>) {
    let mode = |rule| profile.mode_set(rule, Class::Commercial, None);
    if mode(Rule::R07) != Mode::Off && mode(Rule::R23) != Mode::Enforce {
        section.warn("R23", "is not enforced: the opt-out keywords that R07 asks for refuse nothing");
    }
}

fn profile_file(section: &Section<'_, '_>, path: &Path) -> Option<Profile> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            section.fault("base", format!("{} cannot be read: {error}", path.display()));
            return None;
        }
    };
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    match Profile::parse(&name, path, &text) {
        Ok(profile) => Some(profile),
        Err(faults) => {
            section.complaints().adopt(faults);
            None
        }
    }
}

fn journal(top: &Section<'_, '_>) -> JournalConfig {
    const WORDS: [(&str, Durability); 3] = [
        ("before-response", Durability::BeforeResponse),
        ("before-forward", Durability::BeforeForward),
        ("interval", Durability::Interval),
    ];
    let mut journal = JournalConfig {
        durability: Durability::BeforeResponse,
        interval: Duration::from_millis(100),
        spool_entries: 1 << 20,
        spool_bytes: 256 << 20,
    };
    let Some(section) = top.section("journal") else { return journal };
    journal.durability = section.word("durability", &WORDS).unwrap_or(journal.durability);
    if let Some(interval) = section.duration("interval") {
        if interval.is_zero() || interval > Duration::from_secs(60) {
            section.fault("interval", "must be more than nothing and at most 60s: what it covers can be lost");
        }
        journal.interval = interval;
    }
    journal.spool_entries = whole(&section, "spool_entries", 1..=100_000_000).unwrap_or(journal.spool_entries);
    let bytes = whole(&section, "spool_bytes", 1024 * 1024..=64 * 1024 * 1024 * 1024);
    journal.spool_bytes = bytes.unwrap_or(journal.spool_bytes);
    section.finish();
    journal
}

fn long_messages(top: &Section<'_, '_>) -> LongMessages {
    let empty = toml::de::DeTable::new();
    let section = top.section("long_messages").unwrap_or_else(|| Section::top(&empty, top.complaints()));
    let long_messages = LongMessages {
        mode: section.word("mode", &LongMode::WORDS).unwrap_or(LongMode::Hold),
        timeout: seconds(&section, "timeout", 10),
        patience: section.duration("patience").unwrap_or(Duration::from_millis(500)),
        max_parts: whole(&section, "max_parts", 2..=10_000_000).unwrap_or(50_000),
        max_bytes: whole(&section, "max_bytes", 64 * 1024..=16 * 1024 * 1024 * 1024).unwrap_or(64 * 1024 * 1024),
    };
    if long_messages.patience >= long_messages.timeout {
        section.fault("patience", "must be shorter than timeout: parts would be given up before they are acknowledged");
    }
    section.finish();
    long_messages
}

/// The lists of `[[do_not_disturb]]`; what they hold is read by the gate.
fn do_not_disturb(top: &Section<'_, '_>, folder: &Path) -> Vec<ListFile> {
    let mut lists: Vec<ListFile> = Vec::new();
    for section in top.sections("do_not_disturb") {
        let file = folder.join(section.required("file"));
        let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let name = section.string("name").map_or(stem, str::to_owned);
        if lists.iter().any(|list| list.file == file) {
            section.fault("file", "is a list already");
        } else if lists.iter().any(|list| list.name == name) {
            section.fault("name", format!("{name:?} is the name of another list"));
        }
        section.finish();
        lists.push(ListFile { name, file });
    }
    lists
}

/// The calendar of complaints: the notices that come with the program, and those of a file.
fn workdays(top: &Section<'_, '_>, folder: &Path) -> Calendar {
    let mut calendar = Calendar::built_in();
    let Some(section) = top.section("complaints") else { return calendar };
    if let Some(file) = section.string("holidays").map(|file| folder.join(file)) {
        match std::fs::read_to_string(&file) {
            Err(error) => section.fault("holidays", format!("{} cannot be read: {error}", file.display())),
            Ok(text) => match Calendar::parse(&file, &text) {
                Ok(own) => calendar.adopt(own),
                Err(faults) => section.complaints().adopt(faults),
            },
        }
    }
    section.finish();
    calendar
}

fn queue(top: &Section<'_, '_>) -> QueueConfig {
    let empty = toml::de::DeTable::new();
    let section = top.section("queue").unwrap_or_else(|| Section::top(&empty, top.complaints()));
    let queue = QueueConfig {
        max_messages: whole(&section, "max_messages", 1..=1_000_000).unwrap_or(50_000),
        per_second: whole(&section, "per_second", 1..=100_000).and_then(|n| u32::try_from(n).ok()).unwrap_or(100),
    };
    section.finish();
    queue
}

fn retention(top: &Section<'_, '_>) -> RetentionConfig {
    let empty = toml::de::DeTable::new();
    let section = top.section("retention").unwrap_or_else(|| Section::top(&empty, top.complaints()));
    let time = |text: &str| Time::strptime("%H:%M", text).ok();
    let mib = section.integer("mib_per_second", 1..=100_000).unwrap_or(128);
    let retention = RetentionConfig {
        at: section.parsed("at", "a time of day like \"03:30\"", time).unwrap_or(Time::constant(3, 30, 0, 0)),
        at_most: whole(&section, "at_most", 1..=10_000).unwrap_or(7),
        per_second: mib * 1024 * 1024,
    };
    section.finish();
    retention
}

/// Whether the key in the file is one is seen when the store is opened: checking a configuration reads no secret.
fn master_key(top: &Section<'_, '_>, folder: &Path) -> Option<PathBuf> {
    let section = top.section("keys")?;
    let file = section.string("master").map(|file| folder.join(file));
    if let Some(file) = file.as_ref().filter(|file| !file.is_file()) {
        section.fault("master", format!("{} is no file: `portcullis keys new FILE` makes one", file.display()));
    }
    section.finish();
    file
}

fn session(top: &Section<'_, '_>) -> SessionConfig {
    let empty = toml::de::DeTable::new();
    let section = top.section("session").unwrap_or_else(|| Section::top(&empty, top.complaints()));
    let max_sessions = whole(&section, "max_sessions", 1..=1_000_000).unwrap_or(10_000);
    let session = SessionConfig {
        session_init_timeout: seconds(&section, "session_init_timeout", 10),
        handshake_timeout: seconds(&section, "handshake_timeout", 5),
        enquire_link_interval: seconds(&section, "enquire_link_interval", 30),
        inactivity_timeout: section.duration("inactivity_timeout").unwrap_or(Duration::ZERO),
        response_timeout: seconds(&section, "response_timeout", 30),
        window: whole(&section, "window", 1..=100_000).unwrap_or(100),
        window_overflow: section.word("window_overflow", &WindowOverflow::WORDS).unwrap_or_default(),
        pdu_limit: whole(&section, "pdu_limit", 1024..=16 * 1024 * 1024).unwrap_or(64 * 1024),
        max_sessions,
        max_sessions_per_address: whole(&section, "max_sessions_per_address", 1..=1_000_000).unwrap_or(1000),
        max_binds: whole(&section, "max_binds", 1..=1_000_000).unwrap_or(max_sessions),
    };
    section.finish();
    session
}

/// A length of time that must not be nothing.
fn seconds(section: &Section<'_, '_>, key: &str, default: u64) -> Duration {
    let duration = section.duration(key).unwrap_or(Duration::from_secs(default));
    if duration.is_zero() {
        section.fault(key, "must be more than nothing");
    }
    duration
}

pub(super) fn whole(section: &Section<'_, '_>, key: &str, bounds: std::ops::RangeInclusive<u64>) -> Option<usize> {
    section.integer(key, bounds).and_then(|number| usize::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MessageIdForm, SMALLEST};
    use crate::rules::{r06_phone, r18_quiet_hours};

    fn parse(text: &str) -> Config {
        Config::parse(Path::new("/etc/portcullis/portcullis.toml"), text)
            .unwrap_or_else(|faults| panic!("{}", faults[0]))
    }

    #[test]
    fn the_smallest_configuration_has_the_promised_defaults() {
        let config = parse(SMALLEST);
        assert_eq!(config.register, Path::new("/etc/portcullis/register.toml"));
        assert_eq!(config.data, Path::new("/etc/portcullis/data"));
        assert_eq!(config.journal.durability, Durability::BeforeResponse);
        assert_eq!(config.session.pdu_limit, 64 * 1024);
        assert_eq!(config.profile.name, "cn-2020-draft");
        assert_eq!(config.profile.retention.months.content, 5);
        assert_eq!(config.profile.quiet_hours, None);
    }

    #[test]
    fn message_ids_are_found_out_unless_a_form_is_set() {
        assert_eq!(parse(SMALLEST).carrier.message_id, MessageIdForm::Auto);
        let config = parse(&format!("{SMALLEST}message_id = \"hex-in-answer\"\n"));
        assert_eq!(config.carrier.message_id, MessageIdForm::HexInAnswer);
    }

    #[test]
    fn keywords_that_refuse_nothing_are_warned_of() {
        assert!(parse(&format!("{SMALLEST}\n[profile]\nR24 = \"off\"\n")).warnings.is_empty());
        let config = parse(&format!("{SMALLEST}\n[profile]\nR23 = \"observe\"\n"));
        assert!(config.warnings.iter().any(|warning| warning.key == "profile.R23"), "{:?}", config.warnings);
    }

    #[test]
    fn a_profile_is_its_base_and_what_is_set_beside_it() {
        let config = parse(&format!(
            "{SMALLEST}\n[profile]\nbase = \"cn-2026-74\"\nquiet_hours = \"08:00-21:00\"\nphone = \"forbidden\"\n"
        ));
        assert_eq!(config.profile.retention.months.content, 6);
        assert_eq!(config.profile.phone, r06_phone::Label::Forbidden);
        let hours: Option<r18_quiet_hours::Window> = config.profile.quiet_hours;
        assert!(hours.is_some_and(|hours| hours.contains(jiff::civil::Time::constant(8, 0, 0, 0))));
    }

    #[test]
    fn every_mistake_in_a_profile_file_is_told_with_that_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("own.toml"), "R01 = \"enforce\"\n\nR02 = \"enforced\"\n").unwrap();
        let text = format!("{SMALLEST}\n[profile]\nbase = \"own.toml\"\n");
        let faults = Config::parse(&folder.path().join("portcullis.toml"), &text).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert_eq!((faults[0].file.file_name(), faults[0].line), (Some("own.toml".as_ref()), Some(3)));
    }
}
