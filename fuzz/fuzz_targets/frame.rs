#![no_main]
//! Splitting any stream, in any segmentation and under any limit: no panic, no octet lost,
//! and the same frames and faults wherever the segments end.

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::checks;
use portcullis_fuzz::values::Octets;
use portcullis_protocol::frame;

fuzz_target!(|data: &[u8]| {
    let mut control = Octets(data);
    let lengths: [u8; 6] = std::array::from_fn(|_| control.octet());
    let limit = 16 + usize::from(control.octet()) * 8;
    let stream = control.0;

    let mut buffer = BytesMut::from(stream);
    let mut consumed = 0;
    while let Ok(Some(frame)) = frame::split(&mut buffer, limit) {
        let length = frame.as_bytes().len();
        assert!((16..=limit).contains(&length));
        assert_eq!(frame.as_bytes(), &stream[consumed..consumed + length]);
        consumed += length;
    }
    assert_eq!(&buffer[..], &stream[consumed..]);

    let mut lengths = lengths.into_iter().map(usize::from).cycle();
    checks::segments(stream, limit, || lengths.next().unwrap_or(1));
});
