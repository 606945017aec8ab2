//! `command_status` codes (SMPP 3.4 §5.1.3, SMPP 5.0 §4.7.6).
//!
//! Owns the codes and their names. Refuses to reject one: reserved and vendor codes pass
//! through unchanged. Driven by every answer given, forwarded or recorded.

/// The outcome of a request; any value survives, the named ones are the specification's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct CommandStatus(pub u32);

/// One list for the constants and their names.
macro_rules! statuses {
    ($($name:ident = $code:literal, $meaning:literal;)*) => {
        impl CommandStatus {
            $(
                #[doc = concat!($meaning, ".")]
                pub const $name: Self = Self($code);
            )*

            /// Every code the specifications name.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The specification's name, where it has one.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// What the specification says the code means.
            pub const fn meaning(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($meaning),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    ESME_ROK = 0x0000_0000, "No error";
    ESME_RINVMSGLEN = 0x0000_0001, "Message length is invalid";
    ESME_RINVCMDLEN = 0x0000_0002, "Command length is invalid";
    ESME_RINVCMDID = 0x0000_0003, "Invalid command id";
    ESME_RINVBNDSTS = 0x0000_0004, "Incorrect bind status for the given command";
    ESME_RALYBND = 0x0000_0005, "ESME already in bound state";
    ESME_RINVPRTFLG = 0x0000_0006, "Invalid priority flag";
    ESME_RINVREGDLVFLG = 0x0000_0007, "Invalid registered delivery flag";
    ESME_RSYSERR = 0x0000_0008, "System error";
    ESME_RINVSRCADR = 0x0000_000A, "Invalid source address";
    ESME_RINVDSTADR = 0x0000_000B, "Invalid destination address";
    ESME_RINVMSGID = 0x0000_000C, "Message id is invalid";
    ESME_RBINDFAIL = 0x0000_000D, "Bind failed";
    ESME_RINVPASWD = 0x0000_000E, "Invalid password";
    ESME_RINVSYSID = 0x0000_000F, "Invalid system id";
    ESME_RCANCELFAIL = 0x0000_0011, "`cancel_sm` failed";
    ESME_RREPLACEFAIL = 0x0000_0013, "`replace_sm` failed";
    ESME_RMSGQFUL = 0x0000_0014, "Message queue full";
    ESME_RINVSERTYP = 0x0000_0015, "Invalid service type";
    ESME_RINVNUMDESTS = 0x0000_0033, "Invalid number of destinations";
    ESME_RINVDLNAME = 0x0000_0034, "Invalid distribution list name";
    ESME_RINVDESTFLAG = 0x0000_0040, "Destination flag is invalid (`submit_multi`)";
    ESME_RINVSUBREP = 0x0000_0042, "Submit with replace is not supported or not allowed";
    ESME_RINVESMCLASS = 0x0000_0043, "Invalid `esm_class` field data";
    ESME_RCNTSUBDL = 0x0000_0044, "Cannot submit to distribution list";
    ESME_RSUBMITFAIL = 0x0000_0045, "`submit_sm`, `data_sm` or `submit_multi` failed";
    ESME_RINVSRCTON = 0x0000_0048, "Invalid source address TON";
    ESME_RINVSRCNPI = 0x0000_0049, "Invalid source address NPI";
    ESME_RINVDSTTON = 0x0000_0050, "Invalid destination address TON";
    ESME_RINVDSTNPI = 0x0000_0051, "Invalid destination address NPI";
    ESME_RINVSYSTYP = 0x0000_0053, "Invalid system type";
    ESME_RINVREPFLAG = 0x0000_0054, "Invalid `replace_if_present` flag";
    ESME_RINVNUMMSGS = 0x0000_0055, "Invalid number of messages";
    ESME_RTHROTTLED = 0x0000_0058, "Throttled: the ESME has exceeded allowed message limits";
    ESME_RINVSCHED = 0x0000_0061, "Invalid scheduled delivery time";
    ESME_RINVEXPIRY = 0x0000_0062, "Invalid message validity period (expiry time)";
    ESME_RINVDFTMSGID = 0x0000_0063, "Predefined message id is invalid or the message was not found";
    ESME_RX_T_APPN = 0x0000_0064, "ESME receiver temporary application error";
    ESME_RX_P_APPN = 0x0000_0065, "ESME receiver permanent application error";
    ESME_RX_R_APPN = 0x0000_0066, "ESME receiver reject message error";
    ESME_RQUERYFAIL = 0x0000_0067, "`query_sm` failed";
    ESME_RINVOPTPARSTREAM = 0x0000_00C0, "Error in the optional part of the PDU body";
    ESME_ROPTPARNOTALLWD = 0x0000_00C1, "Optional parameter not allowed";
    ESME_RINVPARLEN = 0x0000_00C2, "Invalid parameter length";
    ESME_RMISSINGOPTPARAM = 0x0000_00C3, "Expected optional parameter missing";
    ESME_RINVOPTPARAMVAL = 0x0000_00C4, "Invalid optional parameter value";
    ESME_RDELIVERYFAILURE = 0x0000_00FE, "Delivery failure (`data_sm_resp`)";
    ESME_RUNKNOWNERR = 0x0000_00FF, "Unknown error";
    ESME_RSERTYPUNAUTH = 0x0000_0100, "ESME not authorised to use the service type (5.0)";
    ESME_RPROHIBITED = 0x0000_0101, "ESME prohibited from using the operation (5.0)";
    ESME_RSERTYPUNAVAIL = 0x0000_0102, "Service type is unavailable (5.0)";
    ESME_RSERTYPDENIED = 0x0000_0103, "Service type is denied (5.0)";
    ESME_RINVDCS = 0x0000_0104, "Invalid data coding scheme (5.0)";
    ESME_RINVSRCADDRSUBUNIT = 0x0000_0105, "Source address subunit is invalid (5.0)";
    ESME_RINVDSTADDRSUBUNIT = 0x0000_0106, "Destination address subunit is invalid (5.0)";
    ESME_RINVBCASTFREQINT = 0x0000_0107, "Broadcast frequency interval is invalid (5.0)";
    ESME_RINVBCASTALIAS_NAME = 0x0000_0108, "Broadcast alias name is invalid (5.0)";
    ESME_RINVBCASTAREAFMT = 0x0000_0109, "Broadcast area format is invalid (5.0)";
    ESME_RINVNUMBCAST_AREAS = 0x0000_010A, "Number of broadcast areas is invalid (5.0)";
    ESME_RINVBCASTCNTTYPE = 0x0000_010B, "Broadcast content type is invalid (5.0)";
    ESME_RINVBCASTMSGCLASS = 0x0000_010C, "Broadcast message class is invalid (5.0)";
    ESME_RBCASTFAIL = 0x0000_010D, "`broadcast_sm` failed (5.0)";
    ESME_RBCASTQUERYFAIL = 0x0000_010E, "`query_broadcast_sm` failed (5.0)";
    ESME_RBCASTCANCELFAIL = 0x0000_010F, "`cancel_broadcast_sm` failed (5.0)";
    ESME_RINVBCAST_REP = 0x0000_0110, "Number of repeated broadcasts is invalid (5.0)";
    ESME_RINVBCASTSRVGRP = 0x0000_0111, "Broadcast service group is invalid (5.0)";
    ESME_RINVBCASTCHANIND = 0x0000_0112, "Broadcast channel indicator is invalid (5.0)";
}

/// The names SMPP 5.0 gives to five codes of SMPP 3.4.
impl CommandStatus {
    /// [`Self::ESME_RINVOPTPARSTREAM`] in SMPP 5.0.
    pub const ESME_RINVTLVSTREAM: Self = Self::ESME_RINVOPTPARSTREAM;
    /// [`Self::ESME_ROPTPARNOTALLWD`] in SMPP 5.0.
    pub const ESME_RTLVNOTALLWD: Self = Self::ESME_ROPTPARNOTALLWD;
    /// [`Self::ESME_RINVPARLEN`] in SMPP 5.0.
    pub const ESME_RINVTLVLEN: Self = Self::ESME_RINVPARLEN;
    /// [`Self::ESME_RMISSINGOPTPARAM`] in SMPP 5.0.
    pub const ESME_RMISSINGTLV: Self = Self::ESME_RMISSINGOPTPARAM;
    /// [`Self::ESME_RINVOPTPARAMVAL`] in SMPP 5.0.
    pub const ESME_RINVTLVVAL: Self = Self::ESME_RINVOPTPARAMVAL;
}

impl CommandStatus {
    /// Whether the request succeeded.
    pub const fn is_ok(self) -> bool {
        self.0 == Self::ESME_ROK.0
    }
}

impl std::fmt::Display for CommandStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#010x}", self.0),
        }
    }
}

impl std::fmt::Debug for CommandStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name}({:#010x})", self.0),
            None => write!(f, "{:#010x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_shown_by_name_and_unknown_ones_by_number() {
        assert_eq!(CommandStatus(0x58).to_string(), "ESME_RTHROTTLED");
        assert_eq!(CommandStatus(0x0112).to_string(), "ESME_RINVBCASTCHANIND");
        assert_eq!(CommandStatus(1375).to_string(), "0x0000055f");
        assert_eq!(CommandStatus::ESME_RTLVNOTALLWD.to_string(), "ESME_ROPTPARNOTALLWD");
    }

    #[test]
    fn every_code_is_listed_once() {
        assert!(CommandStatus::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(crate::tlv::TlvTag::ALL.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
