//! A reader of ledgers made by `docs/ledger-format.md` alone. It uses nothing of the library.

use serde_json::Value;

/// A line that fits.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) json: Value,
}

impl Line {
    pub(super) fn data(&self) -> &Value {
        &self.json["data"]
    }
}

/// Reads lines that begin with event `first` and of which nothing came before, up to the end of the last
/// whole command; or the offset and the seq of the line that does not fit.
pub(super) fn read(group_id: &str, first: u64, bytes: &[u8]) -> Result<Vec<Line>, (usize, u64)> {
    let mut chain = blake3::hash(group_id.as_bytes()).as_bytes()[..10].to_vec();
    let (mut lines, mut whole, mut at) = (Vec::new(), 0, 0);
    for (seq, line) in (first..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        let read = check(&chain, seq, line).ok_or((at, seq))?;
        chain = read.1;
        lines.push(Line { json: read.0 });
        if lines.last().is_some_and(|line| line.json.get("b").is_none()) {
            whole = lines.len();
        }
        at += line.len();
    }
    lines.truncate(whole);
    Ok(lines)
}

/// The line as JSON, and the chain after it.
fn check(previous: &[u8], seq: u64, line: &[u8]) -> Option<(Value, Vec<u8>)> {
    let json: Value = serde_json::from_slice(line.strip_suffix(b"\n")?).ok()?;
    let text = std::str::from_utf8(line).ok()?;
    let (before, rest) = text.split_once(",\"data\":")?;
    let (data, trailer) = rest.split_at_checked(rest.len().checked_sub(33)?)?;
    let data_hash = match json["data"]["redacted"].as_str() {
        Some(hash) if data.trim_end_matches(' ') == format!("{{\"redacted\":\"{hash}\"}}") => unhex(hash)?,
        _ => blake3::hash(data.as_bytes()).as_bytes().to_vec(),
    };
    let stated = unhex(trailer.strip_prefix(",\"chain\":\"")?.strip_suffix("\"}\n")?)?;
    let fits = if json["v"] == 2 && json["kind"] == "ledger.gap" {
        let (data, seal) = data.strip_suffix("\"}")?.split_once(",\"seal\":\"")?;
        let own = short(&[previous, before.as_bytes(), blake3::hash(data.as_bytes()).as_bytes()].concat());
        unhex(seal)? == short(&[own, stated.clone()].concat())
    } else {
        json["v"] == 1 && short(&[previous, before.as_bytes(), &data_hash].concat()) == stated
    };
    (fits && json["seq"] == seq).then_some((json, stated))
}

/// The first 10 bytes of a hash.
fn short(bytes: &[u8]) -> Vec<u8> {
    blake3::hash(bytes).as_bytes()[..10].to_vec()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = (0..text.len()).step_by(2);
    pairs.map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect()
}

/// The page `head`.
pub(super) struct Head {
    pub(super) boot: [u8; 16],
    pub(super) epoch: u64,
    pub(super) flags: u64,
    pub(super) segment: u64,
    pub(super) len: u64,
    pub(super) seq: u64,
    pub(super) chain: [u8; 10],
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut page = b"CCCChead".to_vec();
        page.extend(1_u64.to_le_bytes());
        page.extend(self.boot);
        for number in [self.epoch, self.flags, self.segment, self.len, self.seq] {
            page.extend(number.to_le_bytes());
        }
        page.extend(self.chain);
        page.resize(112, 0);
        let sum = blake3::hash(&page);
        page.extend(&sum.as_bytes()[..16]);
        page
    }

    pub(super) fn decode(page: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(page.get(at..at + 8)?.try_into().ok()?));
        let head = Self {
            boot: page.get(16..32)?.try_into().ok()?,
            epoch: number(32)?,
            flags: number(40)?,
            segment: number(48)?,
            len: number(56)?,
            seq: number(64)?,
            chain: page.get(72..82)?.try_into().ok()?,
        };
        (head.encode() == page).then_some(head)
    }
}
