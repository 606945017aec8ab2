//! The PROXY protocol, versions 1 and 2: whom a balancer speaks for.
//!
//! Owns finding the header's end, so that nothing behind it is taken off the stream, and a
//! bound on its length. Refuses to decide whether the balancer may be believed: the door has
//! done so. Driven by the door, before TLS.
//!
//! Specification: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>

use std::io;
use std::net::SocketAddr;

use ppp::{v1, v2};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The longest line of version 1, its end included (§2.1).
const LONGEST_LINE: usize = 107;

/// The longest header of version 2 taken: addresses and more extensions than any balancer sends.
const LONGEST: usize = 4096;

/// Where version 2 says how much follows.
const FIXED: usize = 16;

/// Why there is no believable header.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    #[error("expected, found something else")]
    Missing,
    #[error("longer than {0} octets")]
    TooLong(usize),
    #[error("cannot be read: {0}")]
    Malformed(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl HeaderError {
    /// The peer went away: a health check, most likely.
    pub(super) fn is_loss(&self) -> bool {
        matches!(self, Self::Io(_))
    }
}

/// Takes the header, and nothing more, off the stream. `None` where the balancer speaks for
/// itself (`LOCAL`, `UNKNOWN`) or for somebody without an IP address.
pub(super) async fn receive(stream: &mut TcpStream) -> Result<Option<SocketAddr>, HeaderError> {
    let mut header = vec![0; LONGEST];
    let mut taken = 0;
    loop {
        let seen = taken + stream.peek(&mut header[taken..]).await?;
        if seen == taken {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        // What is not yet whole is all header: taking it makes room for a wait.
        let end = end(&header[..seen])?;
        let belongs = end.unwrap_or(seen);
        stream.read_exact(&mut header[taken..belongs]).await?;
        taken = belongs;
        if end.is_some() {
            return parse(&header[..taken]);
        }
    }
}

/// Where the header at the beginning of these octets ends; `None` while that is not there.
fn end(seen: &[u8]) -> Result<Option<usize>, HeaderError> {
    let begins = |prefix: &[u8]| seen.iter().zip(prefix).all(|(a, b)| a == b);
    if begins(v2::PROTOCOL_PREFIX) {
        let Some(fixed) = seen.get(..FIXED) else { return Ok(None) };
        let length = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
        if length > LONGEST {
            return Err(HeaderError::TooLong(LONGEST));
        }
        return Ok((seen.len() >= length).then_some(length));
    }
    if !begins(b"PROXY ") {
        return Err(HeaderError::Missing);
    }
    match seen.iter().take(LONGEST_LINE).position(|&octet| octet == b'\n') {
        Some(newline) => Ok(Some(newline + 1)),
        None if seen.len() >= LONGEST_LINE => Err(HeaderError::TooLong(LONGEST_LINE)),
        None => Ok(None),
    }
}

fn parse(header: &[u8]) -> Result<Option<SocketAddr>, HeaderError> {
    let malformed = |error: &dyn std::fmt::Display| HeaderError::Malformed(error.to_string());
    if header.starts_with(v2::PROTOCOL_PREFIX) {
        return source_v2(&v2::Header::try_from(header).map_err(|error| malformed(&error))?);
    }
    let header = v1::Header::try_from(header).map_err(|error| malformed(&error))?;
    Ok(match header.addresses {
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(ip) => Some((ip.source_address, ip.source_port).into()),
        v1::Addresses::Tcp6(ip) => Some((ip.source_address, ip.source_port).into()),
    })
}

/// §2.2: what is not understood of a family or protocol leaves the real peer in place.
fn source_v2(header: &v2::Header<'_>) -> Result<Option<SocketAddr>, HeaderError> {
    match (header.command, header.protocol, &header.addresses) {
        (v2::Command::Local, _, _) => Ok(None),
        (_, v2::Protocol::Datagram, _) => Err(HeaderError::Malformed("datagrams over a stream".to_owned())),
        (_, v2::Protocol::Stream, v2::Addresses::IPv4(ip)) => Ok(Some((ip.source_address, ip.source_port).into())),
        (_, v2::Protocol::Stream, v2::Addresses::IPv6(ip)) => Ok(Some((ip.source_address, ip.source_port).into())),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x34, 0x0A, 0xD7];

    fn v2(version_command: u8, family_protocol: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[version_command, family_protocol], &length, rest].concat()
    }

    /// What comes of these octets, given whole and followed by SMPP.
    fn read(octets: &[u8]) -> Result<Option<String>, String> {
        let followed = [octets, b"\0\0\0\x10"].concat();
        let end = end(&followed).map_err(|error| error.to_string())?.ok_or("incomplete")?;
        assert_eq!(end, octets.len(), "nothing behind the header is taken");
        parse(&followed[..end]).map(|source| source.map(|peer| peer.to_string())).map_err(|error| error.to_string())
    }

    #[test]
    fn both_versions_name_the_source() {
        let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 4660 2775\r\n";
        assert_eq!(read(line), Ok(Some("192.0.2.7:4660".to_owned())));
        assert_eq!(read(b"PROXY TCP6 2001:db8::7 2001:db8::1 1 2\r\n"), Ok(Some("[2001:db8::7]:1".to_owned())));
        assert_eq!(read(&v2(0x21, 0x11, &V4)), Ok(Some("192.0.2.7:4660".to_owned())));
        let mut v6 = [0; 36];
        (v6[0], v6[15], v6[33]) = (0xFD, 9, 80);
        assert_eq!(read(&v2(0x21, 0x21, &v6)), Ok(Some("[fd00::9]:80".to_owned())));
        let with_extensions = [&V4[..], &[0x02, 0, 4], b"host", &[0x04, 0, 0]].concat();
        assert_eq!(read(&v2(0x21, 0x11, &with_extensions)), Ok(Some("192.0.2.7:4660".to_owned())));
    }

    #[test]
    fn a_balancer_that_speaks_for_itself_or_for_no_address_leaves_the_real_peer() {
        for header in [
            &b"PROXY UNKNOWN\r\n"[..],
            b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
            &v2(0x20, 0x00, &[]),
            &v2(0x20, 0x11, &V4),
            &v2(0x21, 0x00, b"whatever"),
            &v2(0x21, 0x31, &[0; 216]),
        ] {
            assert_eq!(read(header), Ok(None), "{header:?}");
        }
    }

    #[test]
    fn every_malformed_header_is_refused() {
        let lines: [&[u8]; 14] = [
            b"PROXY TCP4 192.0.2.7 198.51.100.1 4660 2775\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 4660\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 4660 2775 1\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 2775\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 2775\r\n",
            b"PROXY TCP4 192.0.2.999 198.51.100.1 1 2775\r\n",
            b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
            b"PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
            b"PROXY TCP5 192.0.2.7 198.51.100.1 1 2\r\n",
            b"PROXY tcp4 192.0.2.7 198.51.100.1 1 2\r\n",
            b"PROXY  TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
            b"PROXY TCP4 192.0.2.7\xFF 198.51.100.1 1 2\r\n",
            b"PROXY \r\n",
        ];
        for line in lines {
            assert!(read(line).is_err(), "{:?}", String::from_utf8_lossy(line));
        }
        for header in [
            v2(0x11, 0x11, &V4),
            v2(0x22, 0x11, &V4),
            v2(0x21, 0x41, &V4),
            v2(0x21, 0x13, &V4),
            v2(0x21, 0x12, &V4),
            v2(0x21, 0x11, &V4[..11]),
            v2(0x21, 0x21, &[0; 35]),
            v2(0x21, 0x31, &[0; 215]),
        ] {
            assert!(read(&header).is_err(), "{header:?}");
        }
    }

    #[test]
    fn what_is_no_header_or_a_boundless_one_is_refused_at_once() {
        for octets in [&b"\0\0\0\x2F\0\0\0\x09"[..], b"GET / HTTP/1.1\r\n", b"PROXZ", b"\r\n\r\n\0\r\nQUIZ\n"] {
            assert!(matches!(end(octets), Err(HeaderError::Missing)), "{octets:?}");
        }
        let endless = [&b"PROXY "[..], &[b'1'; LONGEST_LINE]].concat();
        assert!(matches!(end(&endless), Err(HeaderError::TooLong(LONGEST_LINE))));
        let mut huge = v2(0x21, 0x11, &V4);
        huge[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
        assert!(matches!(end(&huge), Err(HeaderError::TooLong(LONGEST))));
    }

    #[test]
    fn a_header_in_pieces_is_waited_for() {
        for header in [b"PROXY TCP4 192.0.2.7 198.51.100.1 4660 2775\r\n".to_vec(), v2(0x21, 0x11, &V4)] {
            for cut in 0..header.len() {
                assert!(matches!(end(&header[..cut]), Ok(None)), "{cut} of {header:?}");
            }
        }
    }
}
