//! What a campaign leaves open, and what it is filled with.

use std::collections::HashMap;

use fastrand::Rng;

/// The words for each slot that is not made up on the spot.
pub(crate) struct Slots(HashMap<String, Vec<String>>);

impl Slots {
    pub(crate) fn read(text: &str) -> Self {
        Self(toml::from_str(text).unwrap_or_else(|error| panic!("slots.toml: {error}")))
    }
}

/// The campaign's own words: every alternative, no slot.
pub(crate) fn plain(campaign: &str) -> String {
    let mut out = String::new();
    let mut within = false;
    for c in campaign.chars() {
        match c {
            '{' => within = true,
            '}' => within = false,
            '[' | ']' | '|' => {}
            c if !within => out.push(c),
            _ => {}
        }
    }
    out
}

/// A message of the campaign.
pub(crate) fn expand(campaign: &str, slots: &Slots, rng: &mut Rng) -> String {
    let mut out = String::new();
    let mut rest = campaign;
    while let Some(at) = rest.find(['[', '{']) {
        out.push_str(&rest[..at]);
        let (close, open) = if rest[at..].starts_with('[') { (']', '[') } else { ('}', '{') };
        let Some((inside, behind)) = rest[at + 1..].split_once(close) else {
            panic!("{campaign}: no {close} for {open}");
        };
        if close == ']' {
            let choices: Vec<&str> = inside.split('|').collect();
            out.push_str(&expand(choices[rng.usize(..choices.len())], slots, rng));
        } else {
            out.push_str(&fill(inside, slots, rng));
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

fn fill(slot: &str, slots: &Slots, rng: &mut Rng) -> String {
    if let Some(words) = slots.0.get(slot) {
        return words[rng.usize(..words.len())].clone();
    }
    number(slot, rng)
        .or_else(|| moment(slot, rng))
        .or_else(|| name(slot, rng))
        .unwrap_or_else(|| panic!("no slot {slot}"))
}

fn digits(count: usize, rng: &mut Rng) -> String {
    (0..count).map(|_| rng.digit(10)).collect()
}

fn number(slot: &str, rng: &mut Rng) -> Option<String> {
    Some(match slot {
        "code4" | "tail4" => digits(4, rng),
        "code6" => digits(6, rng),
        "money" | "money_en" => {
            let (whole, cents) = (rng.u32(10..30_000), rng.u32(..100));
            let grouped = if whole >= 1000 && rng.bool() {
                format!("{},{:03}", whole / 1000, whole % 1000)
            } else {
                whole.to_string()
            };
            if rng.bool() { format!("{grouped}.{cents:02}") } else { grouped }
        }
        "smallmoney" => format!("{}.{}", rng.u32(1..100), rng.u32(..10)),
        "tens" => (rng.u32(1..10) * 10).to_string(),
        "hundred" => (rng.u32(1..10) * 100).to_string(),
        "n" => rng.u32(2..40).to_string(),
        "n2" => rng.u32(2..10).to_string(),
        "percent" => format!("{}.{}", rng.u32(1..9), rng.u32(..100)),
        "points" => rng.u32(100..90_000).to_string(),
        _ => return None,
    })
}

fn moment(slot: &str, rng: &mut Rng) -> Option<String> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (month, day, hour, minute) = (rng.usize(1..13), rng.u32(1..29), rng.u32(8..22), rng.u32(..60));
    Some(match (slot, rng.u32(..3)) {
        ("date", 0) => format!("2026年{month}月{day}日"),
        ("date", 1) => format!("2026-{month:02}-{day:02}"),
        ("date", _) => format!("{month}月{day}日"),
        ("time", 0) => format!("{hour}时{minute:02}分"),
        ("time", _) => format!("{hour}:{minute:02}"),
        ("month", _) => month.to_string(),
        ("date_en", 0) => format!("{} {day}", MONTHS[month - 1]),
        ("date_en", _) => format!("{day} {}", MONTHS[month - 1]),
        ("time_en", 0) => format!("{}{}", 1 + hour % 12, if hour < 12 { "am" } else { "pm" }),
        ("time_en", _) => format!("{hour}:{minute:02}"),
        _ => return None,
    })
}

fn name(slot: &str, rng: &mut Rng) -> Option<String> {
    Some(match slot {
        "order" => digits(12, rng),
        "order_en" => format!("{}{}", rng.uppercase(), digits(7, rng)),
        "parcel" => format!("{}{}{}", rng.uppercase(), rng.uppercase(), digits(11, rng)),
        "pickup" => format!("{}-{}-{}", rng.u32(1..10), rng.u32(1..9), digits(4, rng)),
        "mobile" => format!("13800138{}", digits(3, rng)),
        "plate" => format!("京{}{}", rng.uppercase(), digits(5, rng)),
        "plate_en" => format!("{}{}{}", rng.uppercase(), rng.uppercase(), digits(4, rng)),
        "flight" => format!("{}{}{}", rng.uppercase(), rng.uppercase(), digits(4, rng)),
        "train" => format!("G{}", rng.u32(1..2000)),
        _ => return None,
    })
}
