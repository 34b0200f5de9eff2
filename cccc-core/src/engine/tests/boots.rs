//! The boot id changes under a ledger, or cannot be read at all: first reads and first writes go on.

use std::sync::Mutex as StdMutex;

use super::*;
use crate::testing::DiskLayer;

/// A disk of another boot.
#[derive(Debug)]
struct Booted(RealDisk, StdMutex<[u8; 16]>);

impl Booted {
    fn as_of(boot: [u8; 16]) -> Arc<Self> {
        Arc::new(Self(RealDisk::new(), StdMutex::new(boot)))
    }
}

impl DiskLayer for Booted {
    fn below(&self) -> &dyn Disk {
        &self.0
    }

    fn boot_id(&self) -> [u8; 16] {
        *self.1.lock().unwrap()
    }
}

/// First reads and first writes of one group, at once.
async fn first_of_each(engine: Arc<Engine>, round: usize) {
    let tasks: Vec<_> = (0..8)
        .map(|i| {
            let engine = engine.clone();
            tokio::spawn(async move {
                if i % 2 == 0 {
                    actors(&engine).await.unwrap();
                } else {
                    add(&engine, &format!("a{round}-{i}")).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Opens the group again and again, under the boot id that `boot` says.
fn rounds(runtime: &tokio::runtime::Runtime, boot: impl Fn(usize) -> [u8; 16]) {
    let dir = tempfile::tempdir().unwrap();
    runtime.block_on(create(&engine(file_ledger(Booted::as_of(boot(0)), dir.path()))));
    for round in 1..=40 {
        let ledger = file_ledger(Booted::as_of(boot(round)), dir.path());
        runtime.block_on(first_of_each(engine(ledger), round));
    }
    let last = engine(file_ledger(Booted::as_of(boot(41)), dir.path()));
    assert_eq!(runtime.block_on(actors(&last)).unwrap().len(), 40 * 4);
}

fn runtimes() -> [fn() -> tokio::runtime::Runtime; 2] {
    [
        || tokio::runtime::Builder::new_current_thread().build().unwrap(),
        || tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap(),
    ]
}

#[test]
fn after_a_change_of_the_boot_id_first_reads_and_writes_do_not_wait_for_each_other() {
    for runtime in runtimes() {
        in_time(move || rounds(&runtime(), |round| [u8::try_from(round + 1).unwrap(); 16]));
    }
}

#[test]
fn where_boots_cannot_be_told_apart_groups_are_read_and_written() {
    for runtime in runtimes() {
        in_time(move || rounds(&runtime(), |_| [0; 16]));
    }
}

#[test]
fn where_boots_cannot_be_told_apart_a_caller_that_may_block_does_its_work_itself() {
    in_time(|| {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine(file_ledger(Booted::as_of([0; 16]), dir.path()));
        block_on(create(&engine));
        block_on(add(&engine, "lead")).unwrap();
        assert_eq!(block_on(actors(&engine)).unwrap(), ["lead"]);
    });
}

/// A reboot seen from handles that stay open, as on a machine that was restored from a snapshot.
#[test]
fn handles_that_stay_open_live_through_a_change_of_the_boot_id() {
    in_time(|| {
        let dir = tempfile::tempdir().unwrap();
        let disk = Booted::as_of([1; 16]);
        let engine = engine(file_ledger(disk.clone(), dir.path()));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
        runtime.block_on(async {
            create(&engine).await;
            for round in 0..40 {
                *disk.1.lock().unwrap() = [u8::try_from(round + 2).unwrap(); 16];
                first_of_each(engine.clone(), round).await;
            }
            assert_eq!(actors(&engine).await.unwrap().len(), 40 * 4);
        });
    });
}

/// The order of waiting: whoever has the view may wait for the turn, so a writer has no turn while it waits for a view.
#[test]
fn a_writer_that_waits_for_the_view_has_no_turn() {
    in_time(|| {
        let ledger = Arc::new(MemoryLedger::new(group_id()));
        let over = || Engine::new(ledger.clone(), Arc::new(ManualClock::default()));
        block_on(async {
            create(&over()).await;
            let engine = over();
            let view = engine.durable.clone().lock_owned().await;
            let mut adding = pin!(add(&engine, "lead"));
            let begun = poll_fn(|context| Poll::Ready(adding.as_mut().poll(context))).await;
            assert!(begun.is_pending(), "it waits for the view");
            drop(engine.ledger().turn().await.unwrap());
            drop(view);
            adding.await.unwrap();
        });
    });
}
