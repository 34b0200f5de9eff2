//! The ledger's history changes under open handles: cut by a repair, or restored in place.

use super::*;
use crate::blobs::Blobs;
use crate::error::ErrorKind;
use crate::group::Group;

/// A copy of a directory's files, put over those that are there, as `cp -r` does.
pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::write(to, std::fs::read(from).unwrap()).unwrap();
        }
    }
}

fn open(dir: &Path) -> Arc<Engine> {
    engine(file_ledger(Arc::new(RealDisk::new()), dir))
}

pub(super) struct Stage {
    pub(super) dir: tempfile::TempDir,
    pub(super) saved: PathBuf,
    /// A handle that was open before.
    pub(super) old: Arc<Engine>,
}

/// A group with the actors a0 to a9, of which the copy in `saved` has those up to a4.
pub(super) fn stage() -> Stage {
    let dir = tempfile::tempdir().unwrap();
    let saved = dir.path().join("saved");
    let old = open(dir.path());
    block_on(async {
        create(&old).await;
        for i in 0..10 {
            if i == 5 {
                copy(&dir.path().join("g"), &saved);
            }
            add(&old, &format!("a{i}")).await.unwrap();
        }
        assert_eq!(actors(&old).await.unwrap().len(), 10);
    });
    Stage { dir, saved, old }
}

impl Stage {
    /// Puts the copy back, and has another process add so many others.
    fn restore(&self, others: usize) {
        copy(&self.saved, &self.dir.path().join("g"));
        let other = open(self.dir.path());
        for i in 0..others {
            block_on(add(&other, &format!("b{i}"))).unwrap();
        }
    }
}

#[test]
fn a_view_of_another_history_is_made_anew() {
    // Behind what the old handle knows, as far, and beyond.
    for others in [0, 2, 5, 8] {
        let stage = stage();
        stage.restore(others);
        let now = block_on(actors(&stage.old)).unwrap();
        assert_eq!(now.len(), 5 + others, "{now:?}");
    }
}

#[test]
fn a_writer_decides_on_the_history_that_is_there() {
    for others in [0, 2, 5, 8] {
        let stage = stage();
        stage.restore(others);
        // It was there in the other history.
        block_on(add(&stage.old, "a7")).unwrap();
        let now = block_on(actors(&stage.old)).unwrap();
        assert_eq!(now.len(), 6 + others, "{now:?}");
        assert_eq!(now, block_on(actors(&open(stage.dir.path()))).unwrap());
    }
}

/// A lost event leaves a gap, and the chain is as it was; but nobody else knows any more what the event said.
#[test]
fn what_a_handle_knew_before_a_repair_is_not_what_it_goes_on_with() {
    for cut in [false, true] {
        let Stage { dir, old, .. } = stage();
        let path = dir.path().join("g/ledger/00000000000000000001.jsonl");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"a7\"", "\"XX\"")).unwrap();
        let other = file_ledger(Arc::new(RealDisk::new()), dir.path());
        let options = crate::ledger::file::RepairOptions { cut, ..Default::default() };
        assert_eq!(block_on(other.repair(options)).unwrap().broken.len(), 1);
        let left = if cut { 7 } else { 9 };
        assert_eq!(block_on(actors(&open(dir.path()))).unwrap().len(), left);
        assert_eq!(block_on(actors(&old)).unwrap().len(), left);
        // Both are free to have what was lost anew.
        block_on(add(&old, "a7")).unwrap();
        assert_eq!(block_on(actors(&open(dir.path()))).unwrap().len(), left + 1);
    }
}

pub(super) fn group(stage: &Stage) -> Group {
    Group::over(stage.old.ledger().clone(), Blobs::in_memory(), Arc::new(ManualClock::default()))
}

#[test]
fn a_watch_says_that_its_history_is_gone_and_goes_on_saying_so() {
    in_time(|| {
        for others in [0, 2, 5, 8] {
            let stage = stage();
            let group = group(&stage);
            block_on(async {
                let mut watch = group.watch(group.position().await.unwrap());
                {
                    let mut next = pin!(watch.next());
                    let begun = poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await;
                    assert!(begun.is_pending(), "it waits");
                    stage.restore(others);
                    assert_eq!(next.await.unwrap_err().kind(), ErrorKind::Diverged, "{others}");
                }
                assert_eq!(watch.next().await.unwrap_err().kind(), ErrorKind::Diverged, "it stays");
                let mut anew = group.watch(group.position().await.unwrap());
                add(&stage.old, "new").await.unwrap();
                assert_eq!(anew.next().await.unwrap().body.kind(), "actor.add");
            });
        }
    });
}

#[test]
fn a_watch_that_is_behind_does_not_go_on_from_mixed_history() {
    in_time(|| {
        let stage = stage();
        let group = group(&stage);
        block_on(async {
            let mut watch = group.watch(Position::start(group.id()));
            for _ in 0..8 {
                watch.next().await.unwrap();
            }
            let resumed = watch.position();
            stage.restore(8);
            // What it has read already may come; then it says so.
            let error = loop {
                if let Err(error) = watch.next().await {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::Diverged);
            assert_eq!(group.watch(resumed).next().await.unwrap_err().kind(), ErrorKind::Diverged);
        });
    });
}

/// Writing the head page failed: what was acknowledged is there all the same.
#[test]
fn a_head_that_lags_behind_is_no_other_history() {
    in_time(|| {
        let stage = stage();
        let group = group(&stage);
        let head = stage.dir.path().join("g").join("head");
        let before = std::fs::read(&head).unwrap();
        let added = block_on(add(&stage.old, "late")).unwrap();
        let late = added.event().map(|event| Position { seq: event.seq, chain: event.chain }).unwrap();
        for _ in 0..2 {
            std::fs::write(&head, &before).unwrap();
            block_on(async {
                assert_eq!(actors(&stage.old).await.unwrap().len(), 11);
                assert_eq!(group.position().await.unwrap(), late, "it is made good");
            });
        }
        std::fs::write(&head, &before).unwrap();
        block_on(async {
            group.check_position(late).await.unwrap();
            add(&stage.old, "later").await.unwrap();
            assert_eq!(group.watch(late).next().await.unwrap().body.kind(), "actor.add");
        });
    });
}

/// A repair in another process marks with a gap what was lost: who was told of that is told of this.
#[test]
fn a_watch_tells_of_what_is_lost_after_it_was_told_of() {
    in_time(|| {
        let stage = stage();
        let group = group(&stage);
        block_on(async {
            let before = group.position().await.unwrap();
            let mut watches = [
                group.watch(before).told_from(Seq(6)),
                group.watch(Position::start(group.id())),
                group.watch(before),
            ];
            for _ in 0..before.seq.0 {
                watches[1].next().await.unwrap();
            }
            for watch in &mut watches {
                let mut next = pin!(watch.next());
                let begun = poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await;
                assert!(begun.is_pending(), "it waits");
            }
            let path = stage.dir.path().join("g/ledger/00000000000000000001.jsonl");
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, text.replace("\"a2\"", "\"XX\"").replace("\"a7\"", "\"XX\"")).unwrap();
            let other = file_ledger(Arc::new(RealDisk::new()), stage.dir.path());
            assert_eq!(
                other.repair(crate::ledger::file::RepairOptions::default()).await.unwrap().broken.len(),
                2
            );
            let lost = |event: &Event| matches!(event.body, crate::Body::LedgerGap(_)).then_some(event.seq.0);
            // Event 1 made the group, so a2 is the fourth and a7 the ninth.
            for (watch, expected) in watches.iter_mut().zip([&[9][..], &[4, 9], &[]]) {
                for seq in expected {
                    assert_eq!(lost(&watch.next().await.unwrap()), Some(*seq));
                    assert_eq!(watch.position(), before, "it goes on where it was");
                }
            }
            add(&stage.old, "new").await.unwrap();
            for watch in &mut watches {
                assert_eq!(watch.next().await.unwrap().seq, before.seq.next(), "and no gap is told of twice");
            }
        });
    });
}
