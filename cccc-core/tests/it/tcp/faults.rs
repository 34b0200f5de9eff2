//! Several programs send through a server that cuts connections and kills itself between what it does and its answer.
#![expect(clippy::disallowed_methods, reason = "a real server takes real time to come back")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cccc_core::disk::RealDisk;
use cccc_core::event::{Body, GroupCreate};
use cccc_core::ledger::file::Options;
use cccc_core::ledger::{FileLedger, Ledger, ReadLimit, Verdict};
use cccc_core::{
    Blobs, Command, DeliveryWord, Error, ErrorKind, Event, EventId, Group, GroupId, Seq, SystemClock,
    block_on,
};
use serde::{Deserialize, Serialize};

use super::client::TcpLedger;
use super::keeper::Keeper;

/// What a program is told, in JSON.
const PROGRAM: &str = "CCCC_TEST_TCP_PROGRAM";
/// How a line begins in which a program says what it was told.
const TOLD: &str = "told ";
const SENDERS: usize = 3;
const MESSAGES: usize = 12;
/// How long a program goes on asking a server that fails.
const TRIES: usize = 400;

#[derive(Serialize, Deserialize)]
struct Order {
    server: PathBuf,
    name: String,
}

/// What a sender knows of one of its messages: its event, or that it may be there.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Told {
    text: String,
    event: Option<EventId>,
}

fn group_id() -> GroupId {
    GroupId::new("g").unwrap()
}

fn open(server: &Path) -> Group {
    let ledger = TcpLedger::open(server, group_id()).unwrap();
    Group::over(Arc::new(ledger), Blobs::in_memory(), Arc::new(SystemClock))
}

/// Does again what failed, for as long as it may have been the server's fault and doing it again is safe.
async fn insist<T, F: IntoFuture<Output = Result<T, Error>>>(work: impl Fn() -> F) -> T {
    for _ in 0..TRIES {
        match work().await {
            Ok(done) => return done,
            Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Unknown) => {
                pause(error.retry_after_duration().unwrap_or(Duration::from_millis(5))).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the server did not come back");
}

/// Where there is a runtime or not.
async fn pause(time: Duration) {
    match tokio::runtime::Handle::try_current() {
        Ok(_) => tokio::time::sleep(time).await,
        Err(_) => std::thread::sleep(time),
    }
}

/// Sends one message after the other. Every other sender has no key to send again under, and leaves what is unknown.
async fn send(user: Group, name: String, sender: usize) -> Vec<Told> {
    let mut told = Vec::new();
    for n in 0..MESSAGES {
        let text = format!("{name}.{sender}.{n}");
        let event = if sender.is_multiple_of(2) {
            Some(insist(|| user.send(&text).to("lead").client_id(&text)).await.event_id)
        } else {
            let sent = insist(async || match user.send(&text).to("lead").await {
                Err(error) if error.kind() == ErrorKind::Unknown => Ok(None),
                sent => sent.map(Some),
            });
            sent.await.map(|sent| sent.event_id)
        };
        told.push(Told { text, event });
    }
    told
}

/// A program, if this process was started as one. It has no runtime, and a thread for each sender.
#[test]
#[ignore = "it is started by another test"]
fn program() {
    let Ok(order) = std::env::var(PROGRAM) else { return };
    let order: Order = serde_json::from_str(&order).unwrap();
    let user = open(&order.server);
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (user, name) = (user.clone(), order.name.clone());
            scope.spawn(move || {
                for told in block_on(send(user, name, sender)) {
                    println!("\n{TOLD}{}", serde_json::to_string(&told).unwrap());
                }
            });
        }
    });
}

/// Starts one; gives what it was told when it has ended.
fn start(server: &Path, name: &str) -> std::thread::JoinHandle<Vec<Told>> {
    let order = Order { server: server.into(), name: name.into() };
    let child = Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "tcp::faults::program", "--ignored", "--nocapture", "--test-threads=1"])
        .env(PROGRAM, serde_json::to_string(&order).unwrap())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::spawn(move || {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}");
        said.lines()
            .filter_map(|line| line.strip_prefix(TOLD))
            .map(|told| serde_json::from_str(told).unwrap())
            .collect()
    })
}

/// Two programs of their own and two in this process. Gives how often the server died and how much stayed unknown.
async fn run(seed: u64) -> (u64, usize) {
    let keeper = Keeper::start_faulty(Duration::from_millis(5), seed, 40_000, 25_000);
    insist(async || {
        match TcpLedger::open(keeper.dir(), group_id())?.create().await {
            // It was made, and the answer was lost.
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
            made => made,
        }
    })
    .await;
    let user = open(keeper.dir());
    insist(async || match user.execute(Command::CreateGroup(GroupCreate::default())).await {
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
        made => made.map(drop),
    })
    .await;
    insist(async || match user.add_actor("lead").await {
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
        added => added.map(drop),
    })
    .await;

    let elsewhere = ["p", "q"].map(|name| start(keeper.dir(), name));
    let here: Vec<_> = (0..2 * SENDERS)
        .map(|i| {
            let group = if i < SENDERS { user.clone() } else { open(keeper.dir()) };
            tokio::spawn(send(group, format!("here{}", i / SENDERS), i % SENDERS))
        })
        .collect();
    let mut told = Vec::new();
    for one in here {
        told.extend(one.await.unwrap());
    }
    for one in elsewhere {
        told.extend(tokio::task::spawn_blocking(|| one.join().unwrap()).await.unwrap());
    }
    assert_eq!(told.len(), 4 * SENDERS * MESSAGES);

    // Its recipient has them all, once; and its receipts say so, far away and at the files.
    let lead = insist(|| user.bind("lead")).await;
    let mut read = Vec::new();
    while let inbox = insist(|| lead.inbox().limit(50).mark_read()).await
        && !inbox.messages.is_empty()
    {
        read.extend(inbox.messages.into_iter().map(|message| message.event_id));
    }
    let (dir, options) = (keeper.dir().join("g"), Options::default());
    let ledger = Arc::new(FileLedger::open(Arc::new(RealDisk::new()), dir, group_id(), options).unwrap());
    assert!(matches!(ledger.verify().await.unwrap(), Verdict::Sound { .. }));
    let messages = messages(ledger.as_ref()).await;
    check(&told, &messages, seed);
    let files = Group::over(ledger, Blobs::in_memory(), Arc::new(SystemClock));
    for event in messages.iter().step_by(7) {
        let receipts = insist(|| user.receipts(event)).await;
        assert!(
            receipts.iter().all(|one| one.delivery.state == DeliveryWord::Accepted && one.read),
            "{receipts:?}"
        );
        assert_eq!(format!("{receipts:?}"), format!("{:?}", files.receipts(event).await.unwrap()));
    }
    let all: Vec<EventId> = messages.iter().map(|event| event.id).collect();
    // What was marked as read by a call whose answer was lost is not shown again.
    assert!(read.iter().all(|id| all.contains(id)), "seed {seed}");
    assert!(read.is_sorted_by(|a, b| a.seq < b.seq), "seed {seed}: nothing is shown twice");
    (keeper.deaths(), told.iter().filter(|one| one.event.is_none()).count())
}

async fn messages(ledger: &FileLedger) -> Vec<Event> {
    let (mut events, mut next) = (Vec::new(), Seq(1));
    while let page = ledger.read(next, ReadLimit::CHUNK).await.unwrap()
        && let Some(end) = page.end()
    {
        events.extend(page.events().map(Result::unwrap).filter(|event| event.message().is_some()));
        next = end.seq.next();
    }
    events
}

/// Each message that a sender was told of is there once, and was told of rightly; each that may be there is there once
/// at most; and each sender's stand in the order in which it sent them.
fn check(told: &[Told], messages: &[Event], seed: u64) {
    let mut there: BTreeMap<&str, Vec<EventId>> = BTreeMap::new();
    for event in messages {
        let Body::ChatMessage(message) = &event.body else { continue };
        there.entry(&message.text).or_default().push(event.id);
    }
    let mut last: BTreeMap<&str, Seq> = BTreeMap::new();
    for Told { text, event } in told {
        let ids = there.remove(text.as_str()).unwrap_or_default();
        match event {
            Some(id) => assert_eq!(ids, [*id], "seed {seed}: {text} was sent"),
            None => assert!(ids.len() <= 1, "seed {seed}: {text} is there {} times", ids.len()),
        }
        let sender = text.rsplit_once('.').unwrap().0;
        for id in ids {
            assert!(last.insert(sender, id.seq) < Some(id.seq), "seed {seed}: {text} is out of order");
        }
    }
    assert!(there.is_empty(), "seed {seed}: nobody sent {there:?}");
}

#[test]
fn what_was_said_is_so_when_the_server_dies_and_connections_are_cut() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut deaths = 0;
    for seed in 1..=3 {
        let (died, unknown) = runtime.block_on(run(seed * 1000));
        println!("seed {seed}: the server died {died} times; {unknown} messages stayed unknown");
        deaths += died;
    }
    assert!(deaths > 0, "the server never died");
}
