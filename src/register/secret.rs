//! A password that no log will ever show.

use std::fmt;

/// A password; neither `Debug` nor anything else prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a password in.
    pub const fn new(password: String) -> Self {
        Self(password)
    }

    /// Whether this is the password; takes the same time wherever they differ.
    pub fn matches(&self, password: &[u8]) -> bool {
        let differing = self.0.bytes().zip(password).fold(0, |seen, (own, other)| seen | (own ^ other));
        self.0.len() == password.len() && std::hint::black_box(differing) == 0
    }

    /// The octets, for the carrier's bind.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_matches_and_nothing_prints_it() {
        let secret = Secret::new("s3cret".to_owned());
        assert!(secret.matches(b"s3cret"));
        assert!(
            !secret.matches(b"s3creT")
                && !secret.matches(b"s3cre")
                && !secret.matches(b"")
                && !secret.matches(b"s3crets")
        );
        assert!(!format!("{secret:?}").contains("s3cret"));
    }
}
