//! Gaps: lines that stand where others were lost. `docs/ledger-format.md` describes them for others.
//!
//! The line after a gap follows the chain of the event that was lost, which cannot be computed any more. So a
//! gap *states* that chain in its trailer, instead of one of its own, and everything after it keeps its
//! chain. What ties the gap itself to its place is the last member of its data, the seal:
//!
//! ```text
//! own  = blake3(chain before || bytes before data || blake3(data up to `,"seal":`))[..10]
//! seal = blake3(own || the chain it states)[..10]
//! ```

use super::{CHAIN, Chain, DATA, END, Position, RawLine, next_chain, parse_hex, truncate};
use crate::id::{EventId, GroupId, Nonce};
use crate::time::Timestamp;

/// The version that a gap's line states. A reader that knows only the first must not take it for damage.
pub(crate) const GAP_VERSION: u64 = 2;
pub(super) const GAP_KIND: &str = "ledger.gap";

const SEAL: &[u8] = b",\"seal\":\"";
const SEAL_END: &[u8] = b"\"}";

fn seal(own: Chain, stated: Chain) -> Chain {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&own.0);
    hasher.update(&stated.0);
    truncate(hasher.finalize())
}

/// What a gap states that is followed by a gap, or by nothing of which the chain is known.
pub(crate) fn unknown_chain(previous: Chain) -> Chain {
    next_chain(previous, b"", &[0; 32])
}

impl RawLine<'_> {
    /// Whether the line stands where another was lost.
    #[must_use]
    pub fn is_gap(&self) -> bool {
        let kind = b",\"kind\":\"ledger.gap\",";
        self.line.starts_with(b"{\"v\":2,") && memchr::memmem::find(self.before_data(), kind).is_some()
    }

    /// The data before the seal, and the seal.
    fn sealed(&self) -> Option<(&[u8], Chain)> {
        let (rest, hex) = self.data().strip_suffix(SEAL_END)?.split_last_chunk::<20>()?;
        Some((rest.strip_suffix(SEAL)?, Chain(parse_hex(hex)?)))
    }

    /// Whether this is a gap that was made for this place and for the chain it states.
    pub(super) fn is_gap_after(&self, previous: Chain, stated: Chain) -> bool {
        let Some((data, found)) = self.sealed().filter(|_| self.is_gap()) else { return false };
        seal(next_chain(previous, self.before_data(), blake3::hash(data).as_bytes()), stated) == found
    }

    /// A gap with other bytes before its data, after another line. What it states is followed by nothing yet.
    pub(super) fn gap_moved(&self, before: &[u8], previous: Chain) -> Option<(Vec<u8>, Chain)> {
        let (data, _) = self.sealed()?;
        let own = next_chain(previous, before, blake3::hash(data).as_bytes());
        Some((line(before, data, seal(own, own), own), own))
    }
}

fn line(before: &[u8], data: &[u8], seal: Chain, stated: Chain) -> Vec<u8> {
    let (seal, stated) = (seal.to_string(), stated.to_string());
    [before, DATA, data, SEAL, seal.as_bytes(), SEAL_END, CHAIN, stated.as_bytes(), END].concat()
}

/// What is to stand where events were lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap<'a> {
    /// Time stamp: that of the event before, since when the lost one was written is not known.
    pub(crate) ts: Timestamp,
    /// How many lines of the same command follow.
    pub(crate) following: u64,
    /// What was wrong.
    pub(crate) reason: &'a str,
    /// Where the bytes are: path within the group's directory, offset, length.
    pub(crate) place: (&'a str, u64, u64),
}

impl Gap<'_> {
    /// The line after `previous` that states `chain`.
    pub(crate) fn encode(&self, group_id: &GroupId, previous: Position, chain: Chain) -> Vec<u8> {
        let seq = previous.seq.next();
        // The same each time it is made, so that what a reader shows before the repair has this id, too.
        let bits = previous.chain.0.first_chunk::<8>().map_or(0, |first| u64::from_le_bytes(*first));
        let id = EventId { seq, nonce: Nonce::from_bits(bits) };
        let command = match self.following {
            0 => String::new(),
            more => format!(",\"b\":{more}"),
        };
        let before = format!(
            r#"{{"v":{GAP_VERSION},"seq":{seq},"id":"{id}","ts":"{}","kind":"{GAP_KIND}","group_id":"{group_id}","scope_key":"","by":"system"{command}"#,
            self.ts
        );
        let (file, offset, bytes) = self.place;
        let text = |value: &str| serde_json::Value::from(value).to_string();
        let data = format!(
            r#"{{"reason":{},"file":{},"offset":{offset},"bytes":{bytes}"#,
            text(self.reason),
            text(file)
        );
        let own = next_chain(previous.chain, before.as_bytes(), blake3::hash(data.as_bytes()).as_bytes());
        line(before.as_bytes(), data.as_bytes(), seal(own, chain), chain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Body;
    use crate::id::Seq;

    fn gap() -> (Position, Chain, Vec<u8>) {
        let previous = Position { seq: Seq(6), chain: Chain([3; 10]) };
        let gap = Gap {
            ts: Timestamp::from_millis(1_795_250_301_120),
            following: 1,
            reason: "its \"chain\" does not match",
            place: ("torn/7-1.bin", 12, 340),
        };
        let chain = Chain([9; 10]);
        (previous, chain, gap.encode(&GroupId::new("g").unwrap(), previous, chain))
    }

    #[test]
    fn a_gap_states_what_the_next_line_follows_and_is_held_to_its_place() {
        let (previous, chain, line) = gap();
        let raw = RawLine::split(&line).unwrap();
        assert_eq!(raw.check(previous), Ok(Position { seq: Seq(7), chain }));
        assert_eq!(raw.envelope().unwrap().b, 1);
        let event = raw.parse().unwrap();
        let Body::LedgerGap(data) = &event.body else { panic!("{event:?}") };
        assert_eq!((data.file.as_str(), data.offset, data.bytes), ("torn/7-1.bin", 12, 340));
        assert!(raw.check(Position { chain: Chain([4; 10]), ..previous }).is_err());
        for bit in 0..(line.len() - 1) * 8 {
            let mut bad = line.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let sound = RawLine::split(&bad).and_then(|raw| raw.check(previous));
            assert!(sound.is_err(), "bit {bit}: {}", String::from_utf8_lossy(&bad));
        }
    }

    #[test]
    fn a_gap_moves_to_another_group() {
        let (_, _, line) = gap();
        let raw = RawLine::split(&line).unwrap();
        let to = Position { seq: Seq(6), chain: Chain([5; 10]) };
        let (moved, chain) = raw.moved(&GroupId::new("other").unwrap(), to.chain).unwrap();
        let moved = RawLine::split(&moved).unwrap();
        assert!(moved.is_gap());
        assert_eq!(moved.check(to), Ok(Position { seq: Seq(7), chain }));
    }
}
