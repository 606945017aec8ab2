//! The two sides of the gate in portcullis.toml: where providers connect, where the gate does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::ServerName;

use super::load::whole;
use super::{Carrier, Listen, MessageIdForm};
use crate::document::Section;
use crate::register::{Secret, networks};
use crate::tls::{CarrierTls, ClientAuth, ListenTls, MinVersion, TlsFault};

const VERSIONS: [(&str, MinVersion); 2] = [("1.2", MinVersion::V1_2), ("1.3", MinVersion::V1_3)];

pub(super) fn listen(top: &Section<'_, '_>, folder: &Path) -> Vec<Listen> {
    let mut listeners = Vec::new();
    for section in top.sections("listen") {
        section.required("address");
        let address = section.parsed("address", "an address like 127.0.0.1:2775", |text| text.parse().ok());
        let (tls, trusted) = (listen_tls(&section, folder), trusted(&section));
        if let Some(address) = address {
            listeners.push(Listen { address, tls, trusted });
        }
        section.finish();
    }
    if !top.contains("listen") {
        top.fault("listen", "is missing: providers have nowhere to connect; write [[listen]] with an address");
    }
    listeners
}

/// Whoever may speak the PROXY protocol may claim any address, so it must be said who that is.
fn trusted(section: &Section<'_, '_>) -> Vec<ipnet::IpNet> {
    let spoken = section.boolean("proxy_protocol").unwrap_or(false);
    let trusted = networks(section, "trusted");
    if spoken && trusted.is_empty() {
        section.fault("proxy_protocol", "needs trusted = [\"…\"]: the networks of the balancers that may speak it");
    }
    if !spoken && section.contains("trusted") {
        section.fault("trusted", "means nothing without proxy_protocol = true");
    }
    trusted
}

fn listen_tls(parent: &Section<'_, '_>, folder: &Path) -> Option<ListenTls> {
    const WORDS: [(&str, ClientAuth); 3] =
        [("none", ClientAuth::None), ("optional", ClientAuth::Optional), ("required", ClientAuth::Required)];
    let section = parent.section("tls")?;
    let (certificate, key) = (section.required("certificate"), section.required("key"));
    let client_ca = file(&section, folder, "client_ca");
    let default = if client_ca.is_some() { ClientAuth::Required } else { ClientAuth::None };
    let client_auth = section.word("client_auth", &WORDS).unwrap_or(default);
    if client_ca.is_none() && client_auth != ClientAuth::None {
        section.fault("client_auth", "needs client_ca: the authorities that may sign providers' certificates");
    }
    if client_ca.is_some() && client_auth == ClientAuth::None {
        section.warn("client_ca", "is not used, for client_auth is \"none\"");
    }
    let tls = ListenTls {
        certificate: folder.join(certificate),
        key: folder.join(key),
        client_ca,
        client_auth,
        min_version: section.word("min_version", &VERSIONS).unwrap_or(MinVersion::V1_2),
    };
    if !certificate.is_empty() && !key.is_empty() {
        tell(&section, tls.load().err());
    }
    section.finish();
    Some(tls)
}

pub(super) fn carrier(top: &Section<'_, '_>, folder: &Path) -> Carrier {
    let Some(section) = top.section("carrier") else {
        if !top.contains("carrier") {
            top.fault("carrier", "is missing: write [carrier] with addresses = [\"host:port\"]");
        }
        return Carrier::to(Vec::new());
    };
    let default = Carrier::to(section.endpoints("addresses"));
    if default.addresses.is_empty() {
        section.fault("addresses", "needs at least one \"host:port\"");
    }
    let carrier = Carrier {
        connect_timeout: section.duration("connect_timeout").unwrap_or(default.connect_timeout),
        response_timeout: section.duration("response_timeout").unwrap_or(default.response_timeout),
        enquire_link: section.duration("enquire_link").unwrap_or(default.enquire_link),
        window: whole(&section, "window", 1..=100_000).unwrap_or(default.window),
        system_id: section.string("system_id").map(str::to_owned),
        password: section.string("password").map(|text| Secret::new(text.to_owned())),
        message_id: section.word("message_id", &MessageIdForm::WORDS).unwrap_or_default(),
        tls: carrier_tls(&section, folder),
        ..default
    };
    section.finish();
    carrier
}

fn carrier_tls(parent: &Section<'_, '_>, folder: &Path) -> Option<CarrierTls> {
    let section = parent.section("tls")?;
    let own = (file(&section, folder, "certificate"), file(&section, folder, "key"));
    match &own {
        (Some(_), None) => section.fault("certificate", "needs its private key: key = \"…\""),
        (None, Some(_)) => section.fault("key", "needs its certificate: certificate = \"…\""),
        _ => {}
    }
    let server_name = section.parsed("server_name", "a host name or an address", |text| {
        ServerName::try_from(text).ok().map(|n| n.to_owned())
    });
    let tls = CarrierTls {
        ca: file(&section, folder, "ca"),
        server_name,
        certificate: own.0.zip(own.1),
        min_version: section.word("min_version", &VERSIONS).unwrap_or(MinVersion::V1_2),
    };
    tell(&section, tls.load().err());
    section.finish();
    Some(tls)
}

fn file(section: &Section<'_, '_>, folder: &Path, key: &str) -> Option<PathBuf> {
    section.string(key).map(|name| folder.join(name))
}

fn tell(section: &Section<'_, '_>, fault: Option<TlsFault>) {
    if let Some(fault) = fault {
        section.fault(fault.key, format!("{} {}", fault.file.display(), fault.what));
    }
}

impl Carrier {
    fn to(addresses: Vec<String>) -> Self {
        Self {
            addresses,
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(30),
            enquire_link: Duration::from_secs(30),
            window: 1000,
            system_id: None,
            password: None,
            message_id: MessageIdForm::Auto,
            tls: None,
        }
    }
}
