//! Reads from the ledger what a rule needs to know beyond the state.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::event::Event;
use crate::id::Seq;
use crate::ledger::{Ledger, Lookup, Page, RawLine, ReadLimit, Turn};
use crate::rule::{Known, Needs, Resolved};

use super::view::View;

/// An event that this turn has decided and not yet appended.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) known: Known,
    /// Length of its line.
    pub(super) len: usize,
}

/// Where single events are read from.
pub(super) enum Source<'a> {
    /// What is durable.
    Durable(&'a dyn Ledger),
    /// Everything written, durable or not, and then the events decided in this turn already.
    Tip(&'a dyn Ledger, &'a mut dyn Turn, &'a [Decided]),
}

impl Source<'_> {
    /// For `find` only: within a turn everything else that a ledger does may wait for that very turn.
    pub(super) fn ledger(&self) -> &dyn Ledger {
        match self {
            Self::Durable(ledger) | Self::Tip(ledger, ..) => *ledger,
        }
    }

    /// Lines that are in the ledger.
    pub(super) async fn read(&mut self, from: Seq, limit: ReadLimit) -> Result<Page> {
        match self {
            Self::Durable(ledger) => ledger.read(from, limit).await,
            Self::Tip(_, turn, _) if from > turn.tip().seq => Ok(Page::default()),
            Self::Tip(_, turn, _) => turn.read(from, limit).await,
        }
    }

    /// Lines that are in the ledger and hold all of these seqs, which ascend.
    async fn read_many(&mut self, seqs: &[Seq]) -> Result<Vec<Page>> {
        match self {
            _ if seqs.is_empty() => Ok(Vec::new()),
            Self::Durable(ledger) => ledger.read_many(seqs).await,
            Self::Tip(_, turn, _) => turn.read_many(seqs).await,
        }
    }

    /// What is to be known of the events at these seqs that there are: from one that is decided, or from a line.
    async fn found<T>(
        &mut self,
        seqs: impl IntoIterator<Item = Seq>,
        of_decided: fn(&Known) -> T,
        of_line: fn(&RawLine<'_>) -> Result<T>,
    ) -> Result<BTreeMap<Seq, T>> {
        let mut found = BTreeMap::new();
        let mut rest: BTreeSet<Seq> = seqs.into_iter().filter(|seq| *seq > Seq(0)).collect();
        if let Self::Tip(_, _, decided) = self {
            let decided = decided.iter().map(|one| &one.known).filter(|one| rest.remove(&one.event.seq));
            found.extend(decided.map(|one| (one.event.seq, of_decided(one))));
        }
        let rest = Vec::from_iter(rest);
        for page in self.read_many(&rest).await? {
            let wanted = |line: &RawLine<'_>| line.seq().filter(|seq| rest.binary_search(seq).is_ok());
            for (seq, line) in page.lines().filter_map(|line| Some((wanted(&line)?, line))) {
                found.insert(seq, of_line(&line)?);
            }
        }
        Ok(found)
    }

    /// The events at these seqs that there are, with the hashes of their data.
    async fn known(&mut self, seqs: impl IntoIterator<Item = Seq>) -> Result<BTreeMap<Seq, Known>> {
        let of_line = |line: &RawLine<'_>| Ok(Known { event: parse(line)?, data_hash: line.data_hash() });
        self.found(seqs, Known::clone, of_line).await
    }

    /// The events at these seqs that there are.
    pub(super) async fn events(
        &mut self,
        seqs: impl IntoIterator<Item = Seq>,
    ) -> Result<BTreeMap<Seq, Event>> {
        self.found(seqs, |known| known.event.clone(), parse).await
    }

    /// The events that say something about the one at `target`, ascending.
    pub(super) async fn facts(&mut self, view: &mut View, target: Seq) -> Result<Vec<Event>> {
        let seqs = view.find(self, &Lookup::Target(target)).await?;
        Ok(self.events(seqs).await?.into_values().collect())
    }

    /// Everything that a rule asked for.
    pub(super) async fn resolve(&mut self, view: &mut View, needs: &Needs) -> Result<Resolved> {
        let events = self.known(needs.events.iter().chain(&needs.facts_of).copied()).await?;
        let mut resolved = Resolved { events, ..Resolved::default() };
        for seq in &needs.facts_of {
            let facts = self.facts(view, *seq).await?;
            resolved.facts.insert(*seq, facts);
        }
        if let Some(key) = needs.key {
            let seqs = view.find(self, &Lookup::Key(key)).await?;
            resolved.keyed = self.events(seqs).await?.into_values().rev().collect();
        }
        Ok(resolved)
    }
}

fn parse(line: &RawLine<'_>) -> Result<Event> {
    line.parse().map_err(|reason| {
        let seq = line.seq().unwrap_or_default();
        Error::unsupported(format!("event {seq} {reason}")).hint("upgrade cccc, then try again")
    })
}
