//! The senders, providers and ports that records name, as the register has them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::register::Register;

/// What the register says of senders (true), providers (false) and ports.
pub(in crate::cli) fn registered(
    register: &Register,
    names: &[(bool, String)],
    ports: &BTreeSet<String>,
) -> Map<String, Value> {
    let (mut senders, mut providers) = (Vec::new(), Vec::new());
    for (is_sender, id) in names {
        match (is_sender, register.sender(id)) {
            (true, Some(sender)) => senders.push(json!({
                "id": id, "former_ids": sender.former_ids, "name": sender.name, "credential": sender.credential,
                "government": sender.government, "signatures": sender.signatures, "phones": sender.phones,
                "links": sender.links, "active": sender.active,
                "filed_until": sender.filed_until.map(|day| day.to_string()),
            })),
            (true, None) => senders.push(json!({ "id": id, "registered": false })),
            (false, _) => {
                let known = register.providers().iter().find(|provider| provider.system_id == *id);
                providers.push(json!({ "system_id": id, "registered": known.is_some() }));
            }
        }
    }
    let ports = ports.iter().map(|number| match register.port(number.as_bytes()) {
        Some(port) => json!({
            "number": port.number, "class": port.class.name(), "sender": port.sender, "signature": port.signature,
            "category": port.category, "active": port.active,
        }),
        None => json!({ "number": number, "registered": false }),
    });
    let ports = ports.collect::<Vec<Value>>();
    let mut value = Map::new();
    value.insert("senders".to_owned(), senders.into());
    value.insert("providers".to_owned(), providers.into());
    value.insert("ports".to_owned(), ports.into());
    value
}
