//! The pages `head` and `tip`: how far the ledger is durable, and how far it is written.
//!
//! A page is rewritten in place and, but for a repair, not synced, so a reader may meet half of two versions, and a power
//! cut may bring an old one back. It says what it is by a checksum, and from when by the boot id; what
//! follows from that is decided elsewhere.

use crate::id::Seq;
use crate::ledger::{Chain, Position};

/// Bytes of a page.
pub(super) const PAGE_BYTES: usize = 128;
/// Where the checksum stands: 16 bytes of BLAKE3 over everything before it.
const SUM_AT: usize = PAGE_BYTES - 16;
const VERSION: u64 = 1;

/// A failed sync, or a recovery that has not ended: nobody may append before one has.
pub(super) const FENCED: u64 = 1;
/// In `tip` only: its writer was about to begin a new segment.
pub(super) const SEALING: u64 = 2;
/// In `tip` only: its writer was about to redact an event. Versions wrote it whose redactions held the ledger's
/// lock; a recovery finishes what they left.
pub(super) const REDACTING: u64 = 4;

/// Which of the two pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Head,
    Tip,
}

impl Role {
    /// Different for each, so that one file copied over the other is noticed.
    fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Head => b"CCCChead",
            Self::Tip => b"CCCCtip\0",
        }
    }
}

/// The end of some lines: in which segment, at which byte, after which event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// First seq of the segment, which is its name.
    pub(super) segment: u64,
    /// Bytes of the segment before this place.
    pub(super) len: u64,
    /// The last event before this place.
    pub(super) at: Position,
}

/// What a page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The machine's boot during which it was written.
    pub(super) boot: [u8; 16],
    /// Raised by every recovery.
    pub(super) epoch: u64,
    pub(super) flags: u64,
    pub(super) mark: Mark,
}

impl State {
    /// The bytes of the page.
    pub(super) fn encode(&self, role: Role) -> [u8; PAGE_BYTES] {
        let mut fields = Vec::with_capacity(PAGE_BYTES);
        fields.extend_from_slice(role.magic());
        fields.extend_from_slice(&VERSION.to_le_bytes());
        fields.extend_from_slice(&self.boot);
        let Mark { segment, len, at } = self.mark;
        for number in [self.epoch, self.flags, segment, len, at.seq.0] {
            fields.extend_from_slice(&number.to_le_bytes());
        }
        fields.extend_from_slice(&at.chain.0);
        fields.resize(SUM_AT, 0);
        let sum = blake3::hash(&fields);
        fields.extend_from_slice(sum.as_bytes().split_at(16).0);
        let mut page = [0; PAGE_BYTES];
        page.copy_from_slice(&fields);
        page
    }

    /// Reads a page; `None` if it is torn, of the other role, or not a page at all.
    pub(super) fn decode(role: Role, page: &[u8]) -> Option<Self> {
        let (fields, sum) = page.split_at_checked(SUM_AT)?;
        if sum.len() != 16 || !blake3::hash(fields).as_bytes().starts_with(sum) {
            return None;
        }
        let rest = fields.strip_prefix(role.magic())?;
        let (version, rest) = number(rest)?;
        let (boot, rest) = rest.split_first_chunk::<16>()?;
        let (epoch, rest) = number(rest)?;
        let (flags, rest) = number(rest)?;
        let (segment, rest) = number(rest)?;
        let (len, rest) = number(rest)?;
        let (seq, rest) = number(rest)?;
        let (chain, _) = rest.split_first_chunk::<10>()?;
        let at = Position { seq: Seq(seq), chain: Chain(*chain) };
        (version == VERSION && segment > 0).then_some(Self {
            boot: *boot,
            epoch,
            flags,
            mark: Mark { segment, len, at },
        })
    }
}

/// Splits a little-endian number off.
pub(super) fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*first), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let at = Position { seq: Seq(41), chain: Chain([3; 10]) };
        State { boot: [7; 16], epoch: 5, flags: FENCED, mark: Mark { segment: 9, len: 1234, at } }
    }

    #[test]
    fn a_page_reads_back_and_knows_its_role() {
        let page = state().encode(Role::Head);
        assert_eq!(State::decode(Role::Head, &page), Some(state()));
        assert_eq!(State::decode(Role::Tip, &page), None);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let page = state().encode(Role::Tip);
        for bit in 0..PAGE_BYTES * 8 {
            let mut bad = page;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(State::decode(Role::Tip, &bad), None, "bit {bit}");
        }
        for len in 0..PAGE_BYTES {
            assert_eq!(State::decode(Role::Tip, &page[..len]), None, "{len} bytes");
        }
    }
}
