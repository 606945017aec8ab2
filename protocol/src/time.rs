//! SMPP time: absolute and relative (SMPP 3.4 §7.1.1, SMPP 5.0 §4.7.23.4-5).
