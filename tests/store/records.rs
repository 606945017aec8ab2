//! Records like the gate's, made from a seed: for the tests and benches of the journal.

use portcullis::store::{Index, Schema};

/// The moment of the first record.
pub(crate) const NOON: i64 = 1_795_492_800_000;

/// Records as lines of text: `moment number source message_id rest`.
pub(crate) struct Text;

fn field(payload: &[u8], at: usize) -> &[u8] {
    payload.split(|octet| *octet == b' ').nth(at).unwrap_or_default()
}

impl Schema for Text {
    fn at_ms(&self, payload: &[u8]) -> i64 {
        std::str::from_utf8(field(payload, 0)).ok().and_then(|at| at.parse().ok()).unwrap_or(NOON)
    }

    fn keys(&self, payload: &[u8], emit: &mut dyn FnMut(Index, &[u8])) {
        let mut fields = payload.split(|octet| *octet == b' ').skip(1);
        for index in [Index::Destination, Index::Source, Index::MessageId] {
            emit(index, fields.next().unwrap_or_default());
        }
    }
}

const TEXTS: [&str; 8] = [
    "【青禾鲜生】会员专享:今日蔬菜满99减{n},电话4008123456,拒收请回复R",
    "【远山书店】新书到店,凭码{n}享八折,咨询02155667788,拒收请回复R",
    "【云栖酒店】您的订单{n}已确认,入住时间14点后,祝旅途愉快",
    "【快捷物流】包裹{n}已到驿站,取件码{m},请于今日取件",
    "【江城银行】验证码{m},5分钟内有效,请勿告诉他人",
    "【晨光教育】暑期班报名立减{n}元,热线01088997766,拒收请回复R",
    "【市应急局】今夜有暴雨,请减少外出,注意安全",
    "【悦动健身】月卡{n}元起,到店领取,详询051288776655,拒收请回复R",
];

/// A seeded stream of records: every `stride`th from `next` on.
pub(crate) struct Records {
    next: u64,
    stride: u64,
}

fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

#[allow(dead_code, reason = "each of the programs that share this uses its own part")]
impl Records {
    pub(crate) fn new(first: u64, stride: u64) -> Self {
        Self { next: first, stride }
    }

    /// The key of the `n`th record of all.
    pub(crate) fn key(&mut self, index: Index, n: u64) -> Vec<u8> {
        match index {
            Index::Destination => format!("86138{:08}", mixed(n) % 100_000_000 / 100).into_bytes(),
            Index::Source => format!("1069000{:04}", mixed(n ^ 5) % 12).into_bytes(),
            _ => format!("{:016x}", mixed(n ^ 7)).into_bytes(),
        }
    }

    /// The `n`th record of all, at a moment.
    pub(crate) fn record(&mut self, n: u64, at_ms: i64) -> Vec<u8> {
        let mut record = format!("{at_ms} ").into_bytes();
        for index in [Index::Destination, Index::Source, Index::MessageId] {
            record.extend(self.key(index, n));
            record.push(b' ');
        }
        let random = mixed(n ^ 9);
        let text = TEXTS[(random % 8) as usize];
        let text = text.replace("{n}", &(random % 900).to_string()).replace("{m}", &(random % 999_983).to_string());
        record.extend(format!("agg{} sub_sm 0 {} fwd R05 R07 {text}", random % 5, n & 0xFFFF).into_bytes());
        record
    }

    /// A record of the day after.
    pub(crate) fn at_later_day(&mut self) -> Vec<u8> {
        self.record(0, NOON + 86_400_000)
    }
}

impl Iterator for Records {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let n = self.next;
        self.next += self.stride;
        Some(self.record(n, NOON + (n / 1_000).cast_signed()))
    }
}
