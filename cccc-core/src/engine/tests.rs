use std::future::{Future, poll_fn};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use super::*;
use crate::blocking::block_on;
use crate::clock::{Clock, ManualClock};
use crate::command::AddActor;
use crate::disk::{Disk, RealDisk};
use crate::event::GroupCreate;
use crate::id::GroupId;
use crate::ledger::file::Options;
use crate::ledger::{FileLedger, MemoryLedger};

mod boots;
mod doubt;
mod moved;
mod panics;
mod replaced;

fn group_id() -> GroupId {
    GroupId::new("g").unwrap()
}

fn file_ledger(disk: Arc<dyn Disk>, dir: &Path) -> Arc<FileLedger> {
    Arc::new(FileLedger::create(disk, dir.join("g"), group_id(), Options::default()).unwrap())
}

fn engine(ledger: Arc<FileLedger>) -> Arc<Engine> {
    Arc::new(Engine::new(ledger, Arc::new(ManualClock::default())))
}

async fn as_user(engine: &Engine, command: Command) -> Result<Executed> {
    engine.execute(Principal::User, None, "".into(), command, Durability::Durable).await
}

async fn create(engine: &Engine) {
    as_user(engine, Command::CreateGroup(GroupCreate::default())).await.unwrap();
}

async fn add(engine: &Engine, name: &str) -> Result<Executed> {
    as_user(engine, Command::AddActor(AddActor::new(name.parse().unwrap()))).await
}

async fn actors(engine: &Engine) -> Result<Vec<String>> {
    engine.query(|state| state.actors().keys().map(ToString::to_string).collect()).await
}

/// Runs `work` on a thread of its own; what hangs fails.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = mpsc::channel();
    let thread = std::thread::spawn(move || done.send(work()));
    match ended.recv_timeout(Duration::from_secs(60)) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().unwrap_err());
        }
    }
}

/// On a thread that may block, a caller carries out its command itself. Where that has to wait and the
/// caller gives up, it is carried out all the same.
#[test]
fn a_turn_that_was_begun_goes_on_without_its_caller() {
    let ledger = Arc::new(MemoryLedger::new(GroupId::new("g").unwrap()));
    let engine = Engine::new(ledger, Arc::new(ManualClock::default()));
    let user = |command| engine.execute(Principal::User, None, "".into(), command, Durability::Durable);
    block_on(async {
        let held = engine.durable.clone().lock_owned().await;
        {
            let mut create = pin!(user(Command::CreateGroup(GroupCreate::default())));
            let begun = poll_fn(|context| Poll::Ready(create.as_mut().poll(context))).await;
            assert!(begun.is_pending(), "it waits for the state");
        }
        drop(held);
        let add = AddActor::new("lead".parse().unwrap());
        let added = user(Command::AddActor(add)).await.unwrap();
        assert_eq!(added.event().map(|event| event.seq), Some(Seq(2)), "the group was made before");
    });
}
