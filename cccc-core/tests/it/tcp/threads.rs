//! Commands that wait for a store cost no threads.
#![expect(clippy::disallowed_methods, reason = "threads are counted now and then")]

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use cccc_core::event::GroupCreate;
use cccc_core::{Blobs, Command, Group, GroupId, SystemClock, block_on};

use super::client::TcpLedger;
use super::keeper::Keeper;

const ROLE: &str = "CCCC_TEST_TCP_THREADS";
/// Groups, each with a store of its own, and commands in each.
const GROUPS: usize = 40;
const COMMANDS: usize = 5;
/// Two are libtest's, one watches, one may be the reactor's; the others are those that may work at once.
const THREADS: usize = 12;

/// Runs a test below in a process of its own, so that no other test's threads are counted.
fn alone(test: &str) {
    let output = Process::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("tcp::threads::{test}"), "--ignored", "--nocapture", "--test-threads=1"])
        .env(ROLE, "x")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn two_hundred_commands_on_their_way_take_no_threads() {
    alone("commands_in_tokio");
}

#[test]
fn nor_where_the_program_has_no_runtime() {
    alone("commands_without_a_runtime");
}

fn threads() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap().trim().parse().unwrap()
}

/// The most threads there were while `work` was done.
fn most_threads_during(work: impl FnOnce()) -> usize {
    let (most, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                most.fetch_max(threads(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        work();
        is_over.store(true, Ordering::Relaxed);
    });
    most.into_inner()
}

fn ledger(server: &Path, n: usize) -> TcpLedger {
    TcpLedger::open(server, GroupId::new(format!("g{n}")).unwrap()).unwrap()
}

fn over(ledger: TcpLedger) -> Group {
    Group::over(Arc::new(ledger), Blobs::in_memory(), Arc::new(SystemClock))
}

/// Makes a group, sends to it, looks, and opens it once more.
async fn use_one(server: PathBuf, n: usize) {
    let store = ledger(&server, n);
    store.create().await.unwrap();
    let group = over(store);
    group.execute(Command::CreateGroup(GroupCreate::default())).await.unwrap();
    group.add_actor("lead").await.unwrap();
    let sends: Vec<_> = (0..COMMANDS).map(|n| group.send(format!("{n}")).to("lead")).map(boxed).collect();
    all(sends).await;
    assert_eq!(group.bind("lead").await.unwrap().inbox().await.unwrap().messages.len(), COMMANDS);
    let again = over(ledger(&server, n));
    assert_eq!(again.bind("lead").await.unwrap().inbox().peek().await.unwrap().messages.len(), COMMANDS);
}

fn boxed<'a, F: IntoFuture<IntoFuture: Send + 'a, Output: std::fmt::Debug>>(
    work: F,
) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
    let work = work.into_future();
    Box::pin(async move {
        let done = work.await;
        assert!(!format!("{done:?}").starts_with("Err"), "{done:?}");
    })
}

/// Polls them side by side until all are done.
async fn all(work: Vec<Pin<Box<dyn Future<Output = ()> + Send + '_>>>) {
    let mut work = work;
    poll_fn(|context| {
        work.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if work.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn commands_in_tokio() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let keeper = Keeper::start(Duration::from_millis(5));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let most = most_threads_during(|| {
        runtime.block_on(async {
            let one = |n| tokio::spawn(use_one(keeper.dir().into(), n));
            for one in (0..GROUPS).map(one).collect::<Vec<_>>() {
                one.await.unwrap();
            }
        });
    });
    println!("{most} threads");
    assert!(most <= THREADS, "{most} threads");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn commands_without_a_runtime() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let keeper = Keeper::start(Duration::from_millis(5));
    let one = |n| Box::pin(use_one(keeper.dir().into(), n)) as Pin<Box<dyn Future<Output = ()> + Send>>;
    let most = most_threads_during(|| block_on(all((0..GROUPS).map(one).collect())));
    println!("{most} threads");
    assert!(most <= THREADS, "{most} threads");
}
