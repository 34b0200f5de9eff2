//! Reading events here and there with few reads: what is near is read together with what lies in between.

use super::{Page, ReadLimit};
use crate::error::{ErrorKind, Result};
use crate::id::Seq;

/// So near to each other, events are read together with those in between, which costs less than a read of its own for
/// each.
const NEAR: u64 = 8;

/// A plan for reading events at seqs that ascend. It says what to read next, and is told what came of it.
#[derive(Debug)]
pub(super) struct Many<'a> {
    /// What is not read yet.
    rest: &'a [Seq],
    /// How many of `rest` are read one by one, because something near them is damaged.
    singly: usize,
    pages: Vec<Page>,
}

impl<'a> Many<'a> {
    /// A plan for these.
    pub(super) fn new(seqs: &'a [Seq]) -> Self {
        Self { rest: seqs, singly: 0, pages: Vec::new() }
    }

    /// What to read next; `None` when everything was read.
    pub(super) fn wanted(&self) -> Option<(Seq, ReadLimit)> {
        let run = self.run();
        let (first, last) = (*run.first()?, *run.last()?);
        let events = usize::try_from(last.0.saturating_sub(first.0) + 1).unwrap_or(usize::MAX);
        Some((first, ReadLimit { events, ..ReadLimit::CHUNK }))
    }

    /// Takes what was read where [`wanted`](Self::wanted) said. Fewer events than that are right, and none beyond the
    /// ledger's head.
    ///
    /// # Errors
    /// What the read failed with, unless that may have been another event's damage.
    pub(super) fn take(&mut self, read: Result<Page>) -> Result<()> {
        let run = self.run().len();
        match read {
            Err(error) if error.kind() == ErrorKind::Corrupt && run > 1 => self.singly = run,
            Err(error) => return Err(error),
            Ok(page) => {
                let end = page.end().map_or(Seq(u64::MAX), |end| end.seq);
                let done = self.rest.iter().take(run).take_while(|seq| **seq <= end).count();
                self.rest = self.rest.get(done..).unwrap_or_default();
                self.singly = self.singly.saturating_sub(done);
                self.pages.push(page);
            }
        }
        Ok(())
    }

    /// What was read, ascending.
    pub(super) fn into_pages(self) -> Vec<Page> {
        self.pages
    }

    /// The seqs that are read in one go.
    fn run(&self) -> &'a [Seq] {
        let apart = |pair: &[Seq; 2]| pair[1].0.saturating_sub(pair[0].0) > NEAR;
        let end = match self.singly {
            0 => self.rest.array_windows().position(apart).map_or(self.rest.len(), |at| at + 1),
            _ => 1,
        };
        self.rest.get(..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Group;
    use crate::blocking::block_on;
    use crate::error::{Damage, Error};

    /// The first seq of each read with its number of events, and the seqs that came of all.
    type Done = (Vec<(u64, usize)>, Vec<u64>);

    /// What a plan reads of a group with 60 events, some of which are damaged.
    async fn carried_out(group: &Group, seqs: &[u64], damaged: &[u64]) -> Result<Done> {
        let seqs: Vec<Seq> = seqs.iter().copied().map(Seq).collect();
        let (mut many, mut reads) = (Many::new(&seqs), Vec::new());
        while let Some((from, limit)) = many.wanted() {
            reads.push((from.0, limit.events));
            let page = group.ledger().read(from, limit).await?;
            let end = page.end().map_or(0, |end| end.seq.0);
            let bad = damaged.iter().find(|bad| (from.0..=end).contains(bad));
            many.take(bad.map_or(Ok(page), |bad| Err(damage(*bad))))?;
        }
        let came = many.into_pages();
        let seqs =
            came.iter().flat_map(|page| page.lines().filter_map(|line| line.seq()).collect::<Vec<_>>());
        Ok((reads, seqs.map(|seq| seq.0).collect()))
    }

    fn damage(seq: u64) -> Error {
        Error::corrupt(Damage { file: "x".into(), offset: 0, seq: Seq(seq), reason: "test".into() })
    }

    async fn group() -> Group {
        let group = Group::in_memory("many").await.unwrap();
        group.add_actor("lead").await.unwrap();
        while group.position().await.unwrap().seq < Seq(60) {
            group.send("Hello").to("lead").await.unwrap();
        }
        group
    }

    #[test]
    fn what_is_near_is_read_in_one_go() {
        block_on(async {
            let group = group().await;
            let table = [
                (vec![], vec![]),
                (vec![7], vec![(7, 1)]),
                (vec![7, 8, 9], vec![(7, 3)]),
                (vec![7, 15, 16], vec![(7, 10)]),
                (vec![7, 16, 40], vec![(7, 1), (16, 1), (40, 1)]),
                // A read may end early for other reasons than the ledger's end.
                (vec![59, 61, 62, 100], vec![(59, 4), (61, 2), (100, 1)]),
            ];
            for (seqs, reads) in table {
                let (made, came) = carried_out(&group, &seqs, &[]).await.unwrap();
                assert_eq!(made, reads, "{seqs:?}");
                assert!(
                    came.is_sorted() && seqs.iter().all(|seq| *seq > 60 || came.contains(seq)),
                    "{seqs:?}"
                );
            }
        });
    }

    #[test]
    fn damage_nearby_keeps_nothing_that_is_sound_from_being_read() {
        block_on(async {
            let group = group().await;
            let (_, came) = carried_out(&group, &[3, 5, 7, 20, 21], &[4]).await.unwrap();
            assert_eq!(came, [3, 5, 7, 20, 21]);
            let error = carried_out(&group, &[3, 4, 7], &[4]).await.unwrap_err();
            assert_eq!(error.damage().map(|damage| damage.seq), Some(Seq(4)));
        });
    }
}
