//! The ledger's files are away for a moment while somebody follows: moved, restored, or emptied by a copy.

use super::replaced::{Stage, copy, group, stage};
use super::*;
use crate::error::ErrorKind;

impl Stage {
    fn group_dir(&self) -> PathBuf {
        self.dir.path().join("g")
    }

    fn head(&self) -> PathBuf {
        self.group_dir().join("head")
    }

    /// A copy of the files as they are.
    fn live(&self) -> PathBuf {
        self.dir.path().join("live")
    }
}

/// What follows who meets the files away, when they are back and somebody has written an event.
fn met(away: impl FnOnce(&Stage), back: impl FnOnce(&Stage)) -> Result<Event> {
    let stage = stage();
    let group = group(&stage);
    copy(&stage.group_dir(), &stage.live());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let head = group.position().await?;
        let last = group.history().limit(2).await?.events.remove(0);
        let mut watch = group.watch(Position { seq: last.seq, chain: last.chain });
        assert_eq!(watch.next().await?.seq, head.seq);
        away(&stage);
        let mut next = pin!(watch.next());
        let begun = poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await;
        assert!(begun.is_pending(), "{begun:?}");
        back(&stage);
        let other = open(stage.dir.path());
        std::thread::spawn(move || block_on(add(&other, "new"))).join().unwrap()?;
        next.await
    })
}

fn open(dir: &Path) -> Arc<Engine> {
    engine(file_ledger(Arc::new(RealDisk::new()), dir))
}

type Change<'a> = &'a dyn Fn(&Stage);

#[test]
fn who_follows_goes_on_when_the_files_are_back() {
    let remove = |stage: &Stage| std::fs::remove_dir_all(stage.group_dir()).unwrap();
    let moved = |stage: &Stage| stage.dir.path().join("moved");
    let cases: [(&str, Change<'_>, Change<'_>); 6] = [
        ("removed and copied", &remove, &|stage| copy(&stage.live(), &stage.group_dir())),
        ("moved", &|stage| std::fs::rename(stage.group_dir(), moved(stage)).unwrap(), &|stage| {
            std::fs::rename(moved(stage), stage.group_dir()).unwrap();
        }),
        ("the head moved", &|stage| std::fs::rename(stage.head(), moved(stage)).unwrap(), &|stage| {
            std::fs::rename(moved(stage), stage.head()).unwrap();
        }),
        ("the head removed", &|stage| std::fs::remove_file(stage.head()).unwrap(), &|stage| {
            std::fs::copy(stage.live().join("head"), stage.head()).unwrap();
        }),
        ("the head emptied", &|stage| std::fs::write(stage.head(), "").unwrap(), &|stage| {
            std::fs::copy(stage.live().join("head"), stage.head()).unwrap();
        }),
        (
            "the segments come after the head",
            &|stage| {
                remove(stage);
                std::fs::create_dir_all(stage.group_dir().join("ledger")).unwrap();
                std::fs::copy(stage.live().join("head"), stage.head()).unwrap();
            },
            &|stage| copy(&stage.live(), &stage.group_dir()),
        ),
    ];
    for (name, away, back) in cases {
        let next = met(away, back).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(matches!(next.body, crate::Body::ActorAdd(_)), "{name}: {next:?}");
    }
}

#[test]
fn who_follows_is_told_that_an_older_copy_came_back() {
    let remove = |stage: &Stage| std::fs::remove_dir_all(stage.group_dir()).unwrap();
    let error = met(remove, |stage| copy(&stage.saved, &stage.group_dir())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Diverged, "{error}");
}
