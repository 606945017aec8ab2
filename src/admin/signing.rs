//! Signatures of lists of files.
//!
//! Owns what the gate puts its name under for the command line: lists as `sha256sum` writes them, and nothing
//! else, so that no other signed thing can be had this way. Driven by exports and dossiers.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::store::Keys;

/// A signature, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Ed25519, in hexadecimal.
    pub signature: String,
    /// The public key, in hexadecimal.
    pub public_key: String,
    /// The same as a PEM file.
    pub public_pem: String,
}

/// Signs a list of files and hashes.
pub(super) fn sign(keys: &Keys, list: &str) -> Result<Signed, String> {
    if list.is_empty() || !list.lines().all(is_entry) {
        return Err("not signed: expected lines as sha256sum writes them, a hash, two blanks and a name".to_owned());
    }
    let signer = keys.signer().map_err(|error| error.to_string())?;
    Ok(Signed {
        signature: HEXLOWER.encode(&signer.sign(list.as_bytes())),
        public_key: HEXLOWER.encode(&signer.public_key()),
        public_pem: signer.public_pem(),
    })
}

fn is_entry(line: &str) -> bool {
    let is_hash = |hash: &str| hash.len() == 64 && hash.bytes().all(|octet| octet.is_ascii_hexdigit());
    line.split_once("  ").is_some_and(|(hash, name)| is_hash(hash) && !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lists_of_hashes_are_taken_for_entries() {
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(is_entry(&format!("{hash}  records.csv")));
        for other in ["{\"day\": 1}", "", hash, &format!("{hash}  "), &format!("{hash} x"), "abc  records.csv"] {
            assert!(!is_entry(other), "{other}");
        }
    }
}
