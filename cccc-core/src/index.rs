//! Index entries of events that the ledger's own index does not cover yet.

use std::collections::{BTreeMap, HashMap};

use roaring::RoaringTreemap;

use crate::event::Event;
use crate::id::{Principal, Seq};
use crate::ledger::Lookup;

/// What an index holds of a run of consecutive events. Owned by whoever derives state from the ledger,
/// because it must roll back with that state; handed to the ledger now and then to be made durable.
#[derive(Clone, Debug, Default)]
pub struct TailIndex {
    /// Target to facts, both as seqs, facts ascending.
    pub(crate) targets: BTreeMap<u64, Vec<u64>>,
    /// Key hash to seqs, ascending.
    pub(crate) keys: HashMap<u64, Vec<u64>>,
    /// Principal to the events that involve it.
    pub(crate) involved: BTreeMap<Principal, RoaringTreemap>,
    /// First and last of the consecutive events that were added, as far as they were not trimmed.
    pub(crate) range: Option<(u64, u64)>,
}

impl TailIndex {
    /// Adds an event. Events come in order.
    pub fn add(&mut self, event: &Event) {
        let terms = event.index_terms();
        let seq = event.seq.0;
        self.range = match self.range {
            Some((first, last)) if last + 1 == seq => Some((first, seq)),
            _ => Some((seq, seq)),
        };
        for target in terms.targets {
            self.targets.entry(target.0).or_default().push(seq);
        }
        if let Some(key) = terms.key {
            self.keys.entry(key).or_default().push(seq);
        }
        for principal in terms.involved {
            self.involved.entry(principal).or_default().insert(seq);
        }
    }

    /// Takes over the entries of `later`, whose events all come after this one's.
    pub fn append(&mut self, later: Self) {
        self.range = match (self.range, later.range) {
            (Some((first, _)), Some((_, last))) => Some((first, last)),
            (own, other) => own.or(other),
        };
        for (target, seqs) in later.targets {
            self.targets.entry(target).or_default().extend(seqs);
        }
        for (key, seqs) in later.keys {
            self.keys.entry(key).or_default().extend(seqs);
        }
        for (principal, seqs) in later.involved {
            *self.involved.entry(principal).or_default() |= seqs;
        }
    }

    /// Drops the entries of events up to `covered`.
    pub fn trim(&mut self, covered: Seq) {
        self.range = self
            .range
            .filter(|(_, last)| *last > covered.0)
            .map(|(first, last)| (first.max(covered.0 + 1), last));
        let keep = |seqs: &mut Vec<u64>| {
            seqs.retain(|seq| *seq > covered.0);
            !seqs.is_empty()
        };
        self.targets.retain(|_, seqs| keep(seqs));
        self.keys.retain(|_, seqs| keep(seqs));
        self.involved.retain(|_, seqs| {
            seqs.remove_range(..=covered.0);
            !seqs.is_empty()
        });
    }

    /// The events that answer a lookup, in the order that [`Lookup`] says.
    #[must_use]
    pub fn find(&self, lookup: &Lookup) -> Vec<Seq> {
        let newest_first = |seqs: &mut dyn DoubleEndedIterator<Item = u64>| seqs.rev().map(Seq).collect();
        match lookup {
            Lookup::Target(target) => {
                self.targets.get(&target.0).into_iter().flatten().copied().map(Seq).collect()
            }
            Lookup::Key(hash) => newest_first(&mut self.keys.get(hash).into_iter().flatten().copied()),
            Lookup::Involving { principal, before, limit } => {
                let Some(seqs) = self.involved.get(principal) else { return Vec::new() };
                let end = seqs.rank(before.0.saturating_sub(1));
                let start = end.saturating_sub(u64::try_from(*limit).unwrap_or(u64::MAX));
                (start..end).rev().filter_map(|rank| seqs.select(rank)).map(Seq).collect()
            }
        }
    }
}
