//! A group of a million messages: opening, listing, looking up.

use std::fs;
use std::future::IntoFuture;
use std::path::Path;
use std::time::{Duration, Instant};

use cccc_core::{Group, Home, Seq, block_on};

use crate::many::{Helper, own_group, say};
use crate::raw;
use crate::report::{Report, Samples};
use crate::send::{self, TEXT};

/// Messages of the large group.
const MANY: u64 = 1_000_000;

/// Messages that ask for a reply and never get one.
const OWED: u64 = 1_000;

/// Sends a million messages of today, each with a client_id: `alice` reads all but the last twenty, and
/// `bob` never reads.
fn fill(lead: &Group, alice: &Group, count: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let start = Instant::now();
    runtime.block_on(async {
        let queue = 256;
        for chunk in 0..count.div_ceil(queue) {
            let tasks: Vec<_> = (0..queue.min(count - chunk * queue))
                .map(|i| {
                    let (lead, number) = (lead.clone(), chunk * queue + i);
                    tokio::spawn(async move {
                        let mut message =
                            lead.send(TEXT).to("alice").to("bob").client_id(format!("k{number}"));
                        if number < OWED {
                            message = message.reply_required();
                        }
                        message.await.unwrap()
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        }
        let last = lead.position().await.unwrap().seq;
        alice.read_through(Seq(last.0 - 20)).await.unwrap();
    });
    let rate = f64::from(u32::try_from(count).unwrap()) / start.elapsed().as_secs_f64();
    println!("filled a group with {count} messages at {rate:.0}/s");
}

pub(crate) fn run(report: &mut Report) {
    inbox_small(report);
    if report.wants("1 M") {
        million(report);
    }
    rotation(report);
}

/// What a helper of this module does.
pub(crate) fn child(role: &str) -> Option<()> {
    (role == "opener").then(|| {
        block_on(async {
            let start = Instant::now();
            let alice = own_group("alice").await;
            let inbox = alice.inbox().peek().await.unwrap();
            assert_eq!(inbox.messages.len(), 20);
            let time = start.elapsed();
            say("ready");
            say(format!("{} {}", time.as_micros(), resident_kib()));
        });
    })
}

/// Memory of this process that is in use, in KiB.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// Opens the group in a fresh process and lists twenty messages: the time, and the memory after it.
fn open_once(home: &Home, group: &Group) -> (Duration, u64) {
    let mut helper = Helper::start("opener", home, group.id());
    let line = helper.line();
    helper.end();
    let (micros, kib) = line.split_once(' ').unwrap();
    (Duration::from_micros(micros.parse().unwrap()), kib.parse().unwrap())
}

fn inbox_time(report: &mut Report, name: &str, alice: &Group) -> Duration {
    let list = || assert_eq!(block_on(alice.inbox().into_future()).unwrap().messages.len(), 20);
    report.measure(name, list).median()
}

fn inbox_small(report: &mut Report) {
    let what = "inbox of 20 unread, 1 k of history";
    if !report.wants(what) {
        return;
    }
    let dir = raw::directory();
    let (_home, lead, alice) = filled(dir.path(), 1_000);
    let ours = inbox_time(report, what, &alice);
    report.fact(what, format!("{ours:.1?}"), "<= 50 us", ours.as_micros() <= 50);
    drop(lead);
}

fn filled(dir: &Path, count: u64) -> (Home, Group, Group) {
    let (home, lead) = send::group(dir);
    let alice = block_on(async {
        let user = lead.bind("user").await.unwrap();
        user.add_actor("bob").await.unwrap();
        user.bind("alice").await.unwrap()
    });
    fill(&lead, &alice, count);
    (home, lead, alice)
}

fn million(report: &mut Report) {
    let dir = raw::directory();
    let (home, lead, alice) = filled(dir.path(), MANY);

    let opened: Vec<_> = (0..10).map(|_| open_once(&home, &lead)).collect();
    let memory = opened.iter().map(|(_, kib)| *kib).max().unwrap() / 1024;
    let time = Samples::new(opened.into_iter().map(|(time, _)| time).collect()).median();
    report.fact("reopen 1 M, list 20", format!("{time:.1?}"), "<= 10 ms", time.as_millis() < 10);
    report.fact("memory after opening 1 M", format!("{memory} MB"), "<= 40 MB", memory <= 40);

    let what = "inbox of 20 unread, 1 M of history";
    let ours = inbox_time(report, what, &alice);
    report.fact(what, format!("{ours:.1?}"), "<= 50 us", ours.as_micros() <= 50);

    let mut seq = MANY / 2;
    let page = || {
        let history = block_on(lead.history().from(Seq(seq)).limit(50).into_future()).unwrap();
        assert_eq!(history.events.len(), 50);
        seq = MANY / 3 + (seq * 7919) % (MANY / 3);
    };
    let ours = report.measure("a page of 50 from the middle of 1 M", page).median();
    report.fact(
        "a page of 50 from the middle of 1 M",
        format!("{ours:.1?}"),
        "<= 200 us",
        ours.as_micros() <= 200,
    );
    let mut seq = 1;
    let by_id = || {
        block_on(lead.event(seq)).unwrap();
        seq = 1 + (seq * 7919) % MANY;
    };
    let ours = report.measure("an event of 1 M by its number", by_id).median();
    report.fact("an event of 1 M by its number", format!("{ours:.1?}"), "<= 20 us", ours.as_micros() <= 20);

    let group_dir = home.group_path(lead.id());
    remove_checkpoints(&group_dir);
    let (limit, bytes) = parse_everything(&group_dir.join("ledger"));
    let (ours, _) = open_once(&home, &lead);
    let megabytes = |time: Duration| bytes / 1e6 / time.as_secs_f64();
    report.rate(
        "open 1 M without a checkpoint, MB",
        megabytes(limit),
        megabytes(ours),
        ">= 0.5x of serde_json",
        0.5,
    );
}

fn remove_checkpoints(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("checkpoint.") {
            fs::remove_file(path).unwrap();
        }
    }
}

/// Has serde_json read every line into an owned struct, on one thread: the limit for a rebuild.
fn parse_everything(dir: &Path) -> (Duration, f64) {
    #[derive(serde::Deserialize)]
    #[expect(dead_code, reason = "read for the time it takes")]
    struct Line {
        seq: u64,
        id: String,
        ts: String,
        kind: String,
        group_id: String,
        scope_key: String,
        by: String,
        data: Message,
        chain: String,
    }
    #[derive(serde::Deserialize)]
    #[expect(dead_code, reason = "read for the time it takes")]
    struct Message {
        text: Option<String>,
        to: Option<Vec<String>>,
        recipients: Option<Vec<String>>,
        priority: Option<String>,
        client_id: Option<String>,
    }
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    files.sort();
    let (start, mut bytes, mut sum) = (Instant::now(), 0.0, 0);
    for path in files {
        let content = fs::read(path).unwrap();
        bytes += content.len() as f64;
        for line in content.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            sum += serde_json::from_slice::<Line>(line).unwrap().seq;
        }
    }
    assert!(sum > 0);
    (start.elapsed(), bytes)
}

/// Many groups in one home, read in turn by one process.
fn rotation(report: &mut Report) {
    let what = "50 groups of 2,500, read in rotation";
    if !report.wants(what) {
        return;
    }
    let dir = raw::directory();
    let home = block_on(Home::open(dir.path().join("home"))).unwrap();
    let groups: Vec<_> = (0..50)
        .map(|i| {
            let (lead, alice) = block_on(async {
                let user = home.create_group(format!("group {i}")).await.unwrap();
                for actor in ["lead", "alice", "bob"] {
                    user.add_actor(actor).await.unwrap();
                }
                (user.bind("lead").await.unwrap(), user.bind("alice").await.unwrap())
            });
            fill(&lead, &alice, 2_500);
            alice
        })
        .collect();
    let mut turn = 0;
    let ours = report.measure(what, || {
        turn = (turn + 1) % groups.len();
        block_on(groups[turn].inbox().into_future()).unwrap();
    });
    let ours = ours.median();
    report.fact(what, format!("{ours:.1?}"), "<= 100 us", ours.as_micros() <= 100);
}
