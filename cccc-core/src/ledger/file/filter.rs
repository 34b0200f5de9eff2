//! Which keys an index file surely does not hold: nearly every key that is looked up is new, and to find that out from
//! the sorted pairs would cost one block of them a file.
//!
//! A Bloom filter over hashes that are uniform already, so that their halves serve as two hash functions.

/// Bits for each key. With [`PROBES`], about one new key in 200 is not told from a known one.
const BITS_PER_KEY: usize = 12;
/// Bits set for each key.
const PROBES: u32 = 5;

/// The filter of some keys, as it stands in an index file.
#[derive(Debug)]
pub(super) struct Filter(Vec<u8>);

impl Filter {
    pub(super) fn of(keys: impl ExactSizeIterator<Item = u64>) -> Self {
        let mut filter = Self(vec![0; (keys.len() * BITS_PER_KEY).div_ceil(8)]);
        for key in keys {
            for (byte, bit) in places(key, filter.0.len()) {
                if let Some(byte) = filter.0.get_mut(byte) {
                    *byte |= bit;
                }
            }
        }
        filter
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the key may be one of them. If not, it is none.
    pub(super) fn may_hold(&self, key: u64) -> bool {
        places(key, self.0.len()).all(|(byte, bit)| self.0.get(byte).is_some_and(|byte| byte & bit != 0))
    }
}

/// The bits of a key, each by its byte and its place there.
fn places(key: u64, len: usize) -> impl Iterator<Item = (usize, u8)> {
    let bits = (len as u64 * 8).max(1);
    // An odd step keeps the bits of one key apart.
    let step = (key >> 32) | 1;
    let places = (0..PROBES).map(move |probe| key.wrapping_add(step.wrapping_mul(u64::from(probe))) % bits);
    places.map(|bit| (usize::try_from(bit / 8).unwrap_or(usize::MAX), 1 << (bit % 8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(from: u64, count: u64) -> Vec<u64> {
        let hash = |n: u64| {
            let hash = blake3::hash(&n.to_le_bytes());
            u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap())
        };
        (from..from + count).map(hash).collect()
    }

    #[test]
    fn no_key_is_missed_and_few_others_are_taken_for_one() {
        for count in [0, 1, 7, 100, 20_000] {
            let keys = hashes(0, count);
            let filter = Filter::of(keys.iter().copied());
            assert!(keys.iter().all(|key| filter.may_hold(*key)));
            let wrong = hashes(1 << 40, 20_000).iter().filter(|key| filter.may_hold(**key)).count();
            assert!(wrong < 400, "{wrong} of 20,000 with {count} keys");
        }
    }
}
