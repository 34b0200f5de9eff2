//! Reads from the ledger what a rule needs to know beyond the state.

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

    /// The event at a seq, if there is one, with the hash of its data.
    pub(super) async fn known(&mut self, seq: Seq) -> Result<Option<Known>> {
        if let Self::Tip(_, _, decided) = self
            && let Some(one) = decided.iter().find(|one| one.known.event.seq == seq)
        {
            return Ok(Some(one.known.clone()));
        }
        let page = self.page(seq).await?;
        let known =
            page.lines().next().map(|line| Ok(Known { event: parse(&line)?, data_hash: line.data_hash() }));
        known.transpose()
    }

    /// The event at a seq, if there is one.
    pub(super) async fn event(&mut self, seq: Seq) -> Result<Option<Event>> {
        if let Self::Tip(_, _, decided) = self
            && let Some(one) = decided.iter().find(|one| one.known.event.seq == seq)
        {
            return Ok(Some(one.known.event.clone()));
        }
        self.page(seq).await?.lines().next().map(|line| parse(&line)).transpose()
    }

    /// The line at a seq, or nothing.
    async fn page(&mut self, seq: Seq) -> Result<Page> {
        if seq == Seq(0) { Ok(Page::default()) } else { self.read(seq, ReadLimit::ONE).await }
    }

    async fn events(&mut self, seqs: &[Seq]) -> Result<Vec<Event>> {
        let mut events = Vec::with_capacity(seqs.len());
        for seq in seqs {
            events.extend(self.event(*seq).await?);
        }
        Ok(events)
    }

    /// The events that say something about the one at `target`, ascending.
    pub(super) async fn facts(&mut self, view: &mut View, target: Seq) -> Result<Vec<Event>> {
        let seqs = view.find(self, &Lookup::Target(target)).await?;
        self.events(&seqs).await
    }

    /// Everything that a rule asked for.
    pub(super) async fn resolve(&mut self, view: &mut View, needs: &Needs) -> Result<Resolved> {
        let mut resolved = Resolved::default();
        for seq in needs.events.iter().chain(&needs.facts_of) {
            if let Some(known) = self.known(*seq).await? {
                resolved.events.insert(*seq, known);
            }
        }
        for seq in &needs.facts_of {
            let facts = self.facts(view, *seq).await?;
            resolved.facts.insert(*seq, facts);
        }
        if let Some(key) = needs.key {
            let seqs = view.find(self, &Lookup::Key(key)).await?;
            resolved.keyed = self.events(&seqs).await?;
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
