//! The SHA-256 of what an import reads, while it reads it.
//!
//! Owns the sum, which covers a file from its first octet even where reading goes on further in. Refuses to read
//! anything twice but what an earlier import has read. Driven by [`super::source`].

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::rc::Rc;

use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};

/// A sum that grows with what is read.
#[derive(Clone)]
pub(super) struct Hashing(Rc<RefCell<Context>>);

impl Hashing {
    /// Of nothing yet.
    pub(super) fn new() -> Self {
        Self(Rc::new(RefCell::new(Context::new(&SHA256))))
    }

    /// Takes in so many octets of a file, from its first.
    pub(super) fn skip(&self, file: &File, octets: u64) -> io::Result<()> {
        io::copy(&mut self.reading(file.take(octets)), &mut io::sink()).map(drop)
    }

    /// Reads through, and takes in what comes.
    pub(super) fn reading<R: Read>(&self, input: R) -> Summed<R> {
        Summed { input, sum: self.clone() }
    }

    /// The sum of what was read, in hex.
    pub(super) fn hex(&self) -> String {
        HEXLOWER.encode(self.0.borrow().clone().finish().as_ref())
    }
}

/// A source whose octets are summed.
pub(super) struct Summed<R> {
    input: R,
    sum: Hashing,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.sum.0.borrow_mut().update(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_sum_is_that_of_the_whole_however_it_is_read() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abc").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let hashing = Hashing::new();
        hashing.skip(&file, 2).unwrap();
        io::copy(&mut hashing.reading(&file), &mut io::sink()).unwrap();
        assert_eq!(hashing.hex(), expected);
    }
}
