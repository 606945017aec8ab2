#![no_main]
//! Splitting any byte stream, in any segmentation, never panics and loses no byte.

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use portcullis_protocol::frame;

fuzz_target!(|data: &[u8]| {
    let mut buffer = BytesMut::from(data);
    let mut consumed = 0;
    while let Ok(Some(frame)) = frame::split(&mut buffer, frame::DEFAULT_LIMIT) {
        assert_eq!(frame.as_bytes(), &data[consumed..consumed + frame.as_bytes().len()]);
        consumed += frame.as_bytes().len();
    }
    assert_eq!(consumed + buffer.len(), data.len());
});
