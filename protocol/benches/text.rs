//! What reading a message for judging costs.

use divan::{Bencher, black_box};
use portcullis_protocol::field::{DataCoding, EsmClass};
use portcullis_protocol::text::{self, TextSettings, gsm7, ucs2};

const ENGLISH: &str = "[Qinghe Fresh] Members this Saturday: 12 off every 50 in all shops and in the app. \
                       Questions to 400-000-0000. Reply TD to unsubscribe, it costs you nothing.";
const CHINESE: &str = "【青禾鲜生】老会员专享：本周六全场水果满50减12，门店及小程序同享，数量有限，先到先得。客服400-000-0000，拒收请回复R";

fn main() {
    divan::main();
}

fn read(bencher: Bencher, data_coding: u8, octets: &[u8], settings: TextSettings) {
    bencher.bench(|| text::read(DataCoding(data_coding), EsmClass(0), black_box(octets), &settings));
}

#[divan::bench]
fn gsm7_ascii(bencher: Bencher) {
    read(bencher, 0, ENGLISH.replace(['[', ']'], "-").as_bytes(), TextSettings::default());
}

#[divan::bench]
fn gsm7_escaped(bencher: Bencher) {
    read(bencher, 0, &gsm7::encode(ENGLISH).unwrap_or_default(), TextSettings::default());
}

#[divan::bench]
fn gsm7_packed(bencher: Bencher) {
    let octets = gsm7::pack(&gsm7::encode(ENGLISH).unwrap_or_default(), 0);
    read(bencher, 0, &octets, TextSettings { packed_gsm7: true, ..TextSettings::default() });
}

#[divan::bench]
fn ucs2_chinese(bencher: Bencher) {
    read(bencher, 8, &ucs2::encode(CHINESE), TextSettings::default());
}

#[divan::bench]
fn ucs2_misdeclared(bencher: Bencher) {
    read(bencher, 0, &ucs2::encode(CHINESE), TextSettings::default());
}

#[divan::bench]
fn gb18030_chinese(bencher: Bencher) {
    read(bencher, 15, &text::gb18030(CHINESE), TextSettings::default());
}
