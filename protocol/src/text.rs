//! What a message says, for judging; never for forwarding.
//!
//! Owns the way from `data_coding`, `esm_class` and octets to text and user-data header.
//! Refuses nothing: what cannot be read is [`Opaque`] with its reason, and what a commercial
//! rule does about that is the rule's business. Driven by the gate, once for every message.
//!
//! # Where the specification leaves room
//!
//! | what a peer sends | what becomes of it |
//! |---|---|
//! | octets above 0x7F as GSM 7-bit | opaque: what a subscriber sees is the carrier's choice |
//! | UTF-16 under a single-octet `data_coding` | read, and [`UserData::misdeclared`] |
//! | little-endian UTF-16, with or without a mark | read, and [`UserData::misdeclared`] |
//! | half a surrogate pair | U+FFFD; the other half may stand in the next part |
//! | an odd octet under UTF-16 | opaque |
//! | an escape at the end, or before an escape | a space, as handsets show it |
//! | an escape before what the extension table lacks | the default alphabet's character |
//! | one NUL at the end of single octets | a C-string's end, no text |
//! | a header whose lengths contradict each other | opaque; in a receipt there is no header then |
//! | an impossible part number | no part: what a handset shows by itself |
//! | text to an application port | opaque |
//! | national language tables | opaque where a character of them is used |
//! | reserved codes, alphabets not listed in [`Alphabet`] | opaque |

mod coding;
pub mod gsm7;
mod guess;
mod joined;
mod octets;
pub mod ucs2;
pub mod udh;

use std::borrow::Cow;

pub use joined::{Piece, read_joined};
pub use octets::{gb18030, latin1};
pub use udh::{ApplicationPort, Concatenation, InformationElement, Udh};

use crate::field::{DataCoding, EsmClass};
use ucs2::Order;

/// How a provider means what the specification leaves open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TextSettings {
    /// What `data_coding` 0 stands for: each SMSC has its own default alphabet.
    pub default_alphabet: Alphabet,
    /// Septets come packed, eight in seven octets, in place of one an octet.
    pub packed_gsm7: bool,
    /// `data_coding` 15 is GB 18030, as Chinese carriers have it; reserved otherwise.
    pub gb18030_for_15: bool,
}

impl Default for TextSettings {
    fn default() -> Self {
        Self { default_alphabet: Alphabet::Gsm7, packed_gsm7: false, gb18030_for_15: true }
    }
}

/// The alphabets a message can be read in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Alphabet {
    /// GSM 03.38 default alphabet with its extension table.
    Gsm7,
    /// IA5, which is ASCII.
    Ia5,
    /// ISO 8859-1.
    Latin1,
    /// ISO 8859-5.
    Cyrillic,
    /// ISO 8859-8.
    Hebrew,
    /// UTF-16, of which UCS-2 is a part.
    Utf16,
    /// UTF-8: no `data_coding` says so, but providers do, under 0.
    Utf8,
    /// GB 18030.
    Gb18030,
}

/// Every alphabet with its name in configuration.
const ALPHABETS: [(Alphabet, &str); 8] = [
    (Alphabet::Gsm7, "gsm7"),
    (Alphabet::Ia5, "ia5"),
    (Alphabet::Latin1, "latin1"),
    (Alphabet::Cyrillic, "iso-8859-5"),
    (Alphabet::Hebrew, "iso-8859-8"),
    (Alphabet::Utf16, "utf-16"),
    (Alphabet::Utf8, "utf-8"),
    (Alphabet::Gb18030, "gb18030"),
];

impl Alphabet {
    /// The alphabet of this name: gsm7, ia5, latin1, iso-8859-5, iso-8859-8, utf-16, utf-8, gb18030.
    pub fn from_name(name: &str) -> Option<Self> {
        ALPHABETS.iter().find(|(_, known)| *known == name).map(|(alphabet, _)| *alphabet)
    }
}

impl std::fmt::Display for Alphabet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = ALPHABETS.iter().find(|(alphabet, _)| alphabet == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

/// A message taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserData<'a> {
    /// The header in front of the text; empty where there is none.
    pub udh: Udh<'a>,
    /// What it says.
    pub text: Text<'a>,
    /// What the text was read in; `None` where it is opaque.
    pub alphabet: Option<Alphabet>,
    /// The octets are plainly UTF-16 though `data_coding` says otherwise, or UTF-16 of the
    /// wrong byte order: the text is what the sender meant, a handset may show another.
    pub misdeclared: bool,
}

/// What a message says, or that it cannot be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Text<'a> {
    /// Text as a subscriber would read it.
    Readable(Cow<'a, str>),
    /// No text, and why.
    Opaque(Opaque),
}

impl Text<'_> {
    /// The same, without a copy of what it says.
    pub fn borrowed(&self) -> Text<'_> {
        match self {
            Self::Readable(text) => Text::Readable(Cow::Borrowed(text)),
            Self::Opaque(why) => Text::Opaque(*why),
        }
    }
}

/// Why a message has no text to judge.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Opaque {
    /// Eight-bit data by its `data_coding`.
    Binary,
    /// Addressed to an application port.
    PortAddressed(u16),
    /// A `data_coding` that is reserved, or whose alphabet is not read here.
    UnknownDataCoding(u8),
    /// Compressed by TS 23.042.
    Compressed,
    /// An octet that the alphabet does not have.
    Undecodable {
        /// What was declared.
        alphabet: Alphabet,
        /// Where the first such octet stands, counted from 0 behind the header.
        at: usize,
    },
    /// Septets of a national language table.
    ShiftTable(u8),
    /// The user-data header's lengths contradict each other.
    BrokenUdh,
}

impl std::fmt::Display for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Binary => f.write_str("binary data"),
            Self::PortAddressed(port) => write!(f, "addressed to application port {port}"),
            Self::UnknownDataCoding(code) => write!(f, "data_coding {code:#04x} is not known"),
            Self::Compressed => f.write_str("compressed text"),
            Self::Undecodable { alphabet: Alphabet::Utf16, at } => {
                write!(f, "half a utf-16 code unit at octet {at}")
            }
            Self::Undecodable { alphabet, at } => write!(f, "octet {at} is not {alphabet}"),
            Self::ShiftTable(language) => write!(f, "national language table {language}"),
            Self::BrokenUdh => f.write_str("broken user-data header"),
        }
    }
}

impl Opaque {
    /// Reads what its `Display` wrote, as journals keep it.
    pub fn from_text(text: &str) -> Option<Self> {
        let between = |before: &str, after: &str| text.strip_prefix(before)?.strip_suffix(after);
        let code = |code: &str| u8::from_str_radix(code.strip_prefix("0x")?, 16).ok();
        match text {
            "binary data" => return Some(Self::Binary),
            "compressed text" => return Some(Self::Compressed),
            "broken user-data header" => return Some(Self::BrokenUdh),
            _ => {}
        }
        if let Some(port) = between("addressed to application port ", "") {
            return port.parse().ok().map(Self::PortAddressed);
        }
        if let Some(known) = between("data_coding ", " is not known") {
            return code(known).map(Self::UnknownDataCoding);
        }
        if let Some(at) = between("half a utf-16 code unit at octet ", "") {
            return at.parse().ok().map(|at| Self::Undecodable { alphabet: Alphabet::Utf16, at });
        }
        if let Some(language) = between("national language table ", "") {
            return language.parse().ok().map(Self::ShiftTable);
        }
        let (at, alphabet) = between("octet ", "")?.split_once(" is not ")?;
        Some(Self::Undecodable { alphabet: Alphabet::from_name(alphabet)?, at: at.parse().ok()? })
    }
}

impl<'a> Text<'a> {
    /// The text, where there is one.
    pub fn readable(&self) -> Option<&str> {
        match self {
            Self::Readable(text) => Some(text),
            Self::Opaque(_) => None,
        }
    }

    /// The same text without the message it was read from.
    pub fn into_owned(self) -> Text<'static> {
        match self {
            Self::Readable(text) => Text::Readable(Cow::Owned(text.into_owned())),
            Self::Opaque(reason) => Text::Opaque(reason),
        }
    }
}

/// Text read, with how: the alphabet and whether it was another than declared.
type Reading<'a> = Result<(Cow<'a, str>, Alphabet, bool), Opaque>;

/// Reads a message, whatever it is.
///
/// `esm_class` tells whether a user-data header comes first. Under GSM 7-bit an octet above
/// 0x7F makes the message opaque, and is not taken for Latin-1: what the subscriber would see
/// then is the carrier's choice. A provider whose carrier does take it for Latin-1 has that as
/// its default alphabet.
pub fn read<'a>(
    data_coding: DataCoding,
    esm_class: EsmClass,
    message: &'a [u8],
    settings: &TextSettings,
) -> UserData<'a> {
    let (udh, reading) = match split(esm_class, message) {
        Ok((udh, octets)) => (udh, read_body(data_coding, &udh, octets, settings)),
        Err(udh::BrokenUdh) => (Udh::default(), Err(Opaque::BrokenUdh)),
    };
    match reading {
        Ok((text, alphabet, misdeclared)) => {
            UserData { udh, text: Text::Readable(text), alphabet: Some(alphabet), misdeclared }
        }
        Err(reason) => UserData { udh, text: Text::Opaque(reason), alphabet: None, misdeclared: false },
    }
}

/// Some carriers copy `esm_class` of a message into its receipt, but not the header it announces.
fn split(esm_class: EsmClass, message: &[u8]) -> Result<(Udh<'_>, &[u8]), udh::BrokenUdh> {
    if !esm_class.has_udhi() {
        return Ok((Udh::default(), message));
    }
    match Udh::split(message) {
        Err(_) if esm_class.is_delivery_receipt() => Ok((Udh::default(), message)),
        split => split,
    }
}

fn read_body<'a>(data_coding: DataCoding, udh: &Udh<'a>, octets: &'a [u8], settings: &TextSettings) -> Reading<'a> {
    if let Some(port) = udh.application_port() {
        return Err(Opaque::PortAddressed(port.destination));
    }
    let alphabet = coding::alphabet(data_coding.0, settings)?;
    match alphabet {
        Alphabet::Utf16 => read_utf16(octets, false),
        Alphabet::Gsm7 if settings.packed_gsm7 => {
            let septets = gsm7::unpack(octets, gsm7::fill_bits(udh.octets()));
            Ok((Cow::Owned(read_septets(udh, &septets)?.into_owned()), alphabet, false))
        }
        Alphabet::Gsm7 | Alphabet::Ia5 | Alphabet::Latin1
            if gsm7::borrowed(octets).is_none() && guess::is_utf16(octets) =>
        {
            read_utf16(octets, true)
        }
        Alphabet::Gsm7 => Ok((read_septets(udh, without_terminator(octets))?, alphabet, false)),
        _ => {
            let text = octets::decode(alphabet, without_terminator(octets));
            Ok((text.map_err(|at| Opaque::Undecodable { alphabet, at })?, alphabet, false))
        }
    }
}

fn read_utf16(octets: &[u8], misdeclared: bool) -> Reading<'_> {
    let alphabet = Alphabet::Utf16;
    let (text, order) = ucs2::decode(octets).map_err(|at| Opaque::Undecodable { alphabet, at })?;
    Ok((Cow::Owned(text), alphabet, misdeclared || order == Order::LittleEndian))
}

/// Septets under the header's language tables, which are recognised but not read: a single
/// shift matters where something is escaped, a locking shift everywhere.
fn read_septets<'s>(udh: &Udh<'_>, septets: &'s [u8]) -> Result<Cow<'s, str>, Opaque> {
    if let Some(language) = udh.locking_shift() {
        return Err(Opaque::ShiftTable(language));
    }
    match udh.single_shift() {
        Some(language) if septets.contains(&gsm7::ESCAPE) => Err(Opaque::ShiftTable(language)),
        _ => gsm7::decode(septets).map_err(|at| Opaque::Undecodable { alphabet: Alphabet::Gsm7, at }),
    }
}

/// Some libraries end `short_message` like a C-string, within `sm_length`. That NUL is no
/// part of the text; as a septet it would be a last `@`, which is far less often meant.
fn without_terminator(octets: &[u8]) -> &[u8] {
    match octets {
        [text @ .., 0] => text,
        text => text,
    }
}

#[cfg(test)]
mod tests;
