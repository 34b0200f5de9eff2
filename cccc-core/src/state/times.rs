//! When messages were sent, without keeping a time for each.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::Seq;
use crate::time::Timestamp;

/// The newest so many messages are known exactly.
const EXACT: usize = 1024;

/// Of older ones one in this time is kept...
const STEP: Duration = Duration::from_secs(60);

/// ... and so many of them: at least 34 hours.
const COARSE: usize = 2048;

/// See the [module](self). At most 3,072 entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Times {
    exact: VecDeque<(Seq, Timestamp)>,
    coarse: VecDeque<(Seq, Timestamp)>,
}

impl Times {
    /// A message was sent. They come in order of seq.
    pub(super) fn note(&mut self, seq: Seq, at: Timestamp) {
        self.exact.push_back((seq, at));
        if self.exact.len() <= EXACT {
            return;
        }
        let Some(oldest) = self.exact.pop_front() else { return };
        // A clock that was set back starts a new step as well.
        let kept = |(_, last): &(Seq, Timestamp)| oldest.1.since(*last) < STEP && oldest.1 >= *last;
        if self.coarse.back().is_some_and(kept) {
            return;
        }
        self.coarse.push_back(oldest);
        if self.coarse.len() > COARSE {
            self.coarse.pop_front();
        }
    }

    /// When the message at `seq` was sent; for old ones a little later than it was, never earlier.
    pub(crate) fn at(&self, seq: Seq) -> Timestamp {
        let first = |marks: &VecDeque<(Seq, Timestamp)>| {
            marks.get(marks.partition_point(|(at, _)| *at < seq)).map(|(_, at)| *at)
        };
        let known = self.exact.front().is_some_and(|(oldest, _)| *oldest <= seq);
        let coarse = if known { None } else { first(&self.coarse) };
        let last = self.exact.back().map(|(_, at)| *at);
        coarse.or_else(|| first(&self.exact)).or(last).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_messages_are_known_exactly_and_old_ones_never_too_early() {
        let mut times = Times::default();
        let at = |seq: u64| Timestamp::from_millis(i64::try_from(seq * 700).unwrap());
        let end = 200_000;
        for seq in 1..=end {
            times.note(Seq(seq), at(seq));
        }
        assert!(times.exact.len() == EXACT && times.coarse.len() <= COARSE);
        for seq in [end, end - 1, end - 1023] {
            assert_eq!(times.at(Seq(seq)), at(seq));
        }
        for seq in [1, 5_000, 100_000, end - 1024] {
            let found = times.at(Seq(seq));
            assert!(found >= at(seq), "{seq}");
        }
        let found = times.at(Seq(end - 2000));
        assert!(found.since(at(end - 2000)) <= STEP * 2, "{found:?}");
        assert_eq!(times.at(Seq(end + 5)), at(end));
    }
}
