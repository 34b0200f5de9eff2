//! Who has lately sent how much to whom: what the limits of [`rate`](crate::rule::rate) are counted on.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{Principal, Seq};
use crate::time::Timestamp;

/// How many messages of one sender to one recipient are pushed within [`RATE_WINDOW`].
pub const RATE: usize = 30;

/// The time in which [`RATE`] counts.
pub const RATE_WINDOW: Duration = Duration::from_secs(10 * 60);

/// Most pairs that are counted at a time; beyond it the half that has been silent for longest is
/// forgotten, so that only a group that talks very much among very many is limited less.
const MAX_PAIRS: usize = 2048;

/// Most senders of whom anything else is remembered; beyond it the oldest memory goes.
const MAX_SENDERS: usize = 2048;

/// See the [module](self).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rates {
    /// Per (sender, recipient): the newest messages that were not held back, oldest first, at most [`RATE`].
    pairs: BTreeMap<(Principal, Principal), VecDeque<(Timestamp, Seq)>>,
    senders: BTreeMap<Principal, Sender>,
    /// The newest message of a person.
    person_spoke: Seq,
}

/// What else is remembered of a sender; 0 for what never happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sender {
    /// When the user was told of its being over a limit.
    told: Seq,
    /// When it last got on with a task, or gave evidence.
    moved: Seq,
}

impl Rates {
    /// A message was sent that may be pushed.
    pub(super) fn count(&mut self, by: &Principal, to: &Principal, at: Timestamp, seq: Seq) {
        let sent = self.pairs.entry((by.clone(), to.clone())).or_default();
        sent.retain(|(earlier, _)| at.since(*earlier) < RATE_WINDOW);
        sent.push_back((at, seq));
        if sent.len() > RATE {
            sent.pop_front();
        }
        if self.pairs.len() > MAX_PAIRS {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        let newest = |sent: &VecDeque<(Timestamp, Seq)>| sent.back().map_or(Seq(0), |(_, seq)| *seq);
        let mut ages: Vec<Seq> = self.pairs.values().map(newest).collect();
        ages.sort_unstable();
        let middle = ages.get(ages.len() / 2).copied().unwrap_or_default();
        self.pairs.retain(|_, sent| newest(sent) > middle);
    }

    pub(super) fn person_spoke(&mut self, seq: Seq) {
        self.person_spoke = seq;
    }

    /// A principal got on with a task, or gave evidence: it does more than talk.
    pub(super) fn moved(&mut self, who: &Principal, seq: Seq) {
        self.sender(who).moved = seq;
    }

    /// The user was told that a sender is over a limit.
    pub(super) fn told(&mut self, who: &Principal, seq: Seq) {
        self.sender(who).told = seq;
    }

    fn sender(&mut self, who: &Principal) -> &mut Sender {
        if self.senders.len() >= MAX_SENDERS && !self.senders.contains_key(who) {
            let oldest = self.senders.iter().min_by_key(|(_, sender)| sender.told.max(sender.moved));
            if let Some(oldest) = oldest.map(|(who, _)| who.clone()) {
                self.senders.remove(&oldest);
            }
        }
        self.senders.entry(who.clone()).or_default()
    }

    /// A principal left; one of the same name later is another.
    pub(super) fn forget(&mut self, who: &Principal) {
        self.pairs.retain(|(by, to), _| by != who && to != who);
        self.senders.remove(who);
    }

    /// An event can no longer be read, so it no longer counts either: all counting begins anew. What else it had
    /// pushed out of the window, and what the clock said then, is not known to whoever reads the ledger from its
    /// beginning, and both must come to the same.
    pub(super) fn redacted(&mut self) {
        self.pairs.clear();
    }

    /// Since when counting begins anew for a principal: a person spoke, or it got on with its work.
    pub(crate) fn since(&self, who: &Principal) -> Seq {
        self.senders.get(who).map_or(self.person_spoke, |sender| sender.moved.max(self.person_spoke))
    }

    /// How many messages of the last [`RATE_WINDOW`] count, at most [`RATE`].
    pub(crate) fn recent(&self, by: &Principal, to: &Principal, now: Timestamp) -> usize {
        let since = self.since(by).max(self.since(to));
        let Some(sent) = self.pairs.get(&(by.clone(), to.clone())) else { return 0 };
        // What lies far ahead was written before the clock was set back, and says nothing any more.
        let counts = |(at, seq): &&(Timestamp, Seq)| {
            *seq > since && now.since(*at) < RATE_WINDOW && at.since(now) < RATE_WINDOW
        };
        sent.iter().filter(counts).count()
    }

    /// Whether the user has been told of this sender since counting began anew for it.
    pub(crate) fn was_told(&self, who: &Principal) -> bool {
        self.senders.get(who).is_some_and(|sender| sender.told > self.since(who))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(text: &str) -> Principal {
        text.parse().unwrap()
    }

    #[test]
    fn getting_on_with_work_lets_one_talk_again() {
        let (mut rates, now) = (Rates::default(), Timestamp::from_millis(0));
        let (alice, bob, carol) = (who("alice"), who("bob"), who("carol"));
        for seq in 1..=40 {
            rates.count(&alice, &bob, now, Seq(seq));
            rates.count(&carol, &bob, now, Seq(seq));
        }
        rates.told(&alice, Seq(41));
        assert_eq!((rates.recent(&alice, &bob, now), rates.was_told(&alice)), (RATE, true));
        rates.moved(&alice, Seq(42));
        assert_eq!((rates.recent(&alice, &bob, now), rates.was_told(&alice)), (0, false));
        assert_eq!(rates.recent(&carol, &bob, now), RATE, "the others have not got on");
        rates.moved(&bob, Seq(43));
        assert_eq!(rates.recent(&carol, &bob, now), 0, "whoever works is not only talked at");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut rates = Rates::default();
        let names: Vec<Principal> = (0..100).map(|n| who(&format!("a{n}"))).collect();
        let mut seq = 0;
        for by in &names {
            for to in &names {
                seq += 1;
                rates.count(by, to, Timestamp::from_millis(0), Seq(seq));
            }
        }
        assert!(rates.pairs.len() <= MAX_PAIRS);
        assert_eq!(rates.recent(&names[99], &names[99], Timestamp::from_millis(0)), 1, "the newest are kept");
        for n in 0..MAX_SENDERS + 10 {
            rates.told(&who(&format!("svc:s{n}")), Seq(u64::try_from(n).unwrap() + 1));
        }
        assert_eq!(rates.senders.len(), MAX_SENDERS);
    }
}
