//! Sending: alone, and from many tasks of one process.

use std::time::{Duration, Instant};

use std::future::IntoFuture;

use cccc_core::{Group, Home, block_on};

use crate::raw::{self, RawFile};
use crate::report::Report;

/// How long a rate is measured.
pub(crate) const RATE_TIME: Duration = Duration::from_secs(3);

/// About as long as people's and agents' short messages are.
pub(crate) const TEXT: &str =
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";

/// A new home in `dir` with a group of a foreman `lead` and a peer `alice`; the handle is lead's.
pub(crate) fn group(dir: &std::path::Path) -> (Home, Group) {
    block_on(async {
        let home = Home::open(dir.join("home")).await.unwrap();
        let user = home.create_group("bench").await.unwrap();
        user.add_actor("lead").await.unwrap();
        user.add_actor("alice").await.unwrap();
        let lead = user.bind("lead").await.unwrap();
        (home, lead)
    })
}

pub(crate) fn run(report: &mut Report) {
    alone(report);
    queued(report);
    disk(report);
}

fn alone(report: &mut Report) {
    let what = "durable send, one sender";
    if !report.wants(what) {
        return;
    }
    let dir = raw::directory();
    let mut file = RawFile::new(dir.path());
    let limit = report.measure("raw append and sync", || file.append()).median();
    let (_home, lead) = group(dir.path());
    let send = || {
        block_on(lead.send(TEXT).to("alice").into_future()).unwrap();
    };
    let ours = report.measure(what, send).median();
    report.time(what, limit, ours, "<= 1.3x", limit.mul_f64(1.3));
}

fn queued(report: &mut Report) {
    for senders in [16, 64] {
        let what = format!("sends/s, {senders} senders in one process");
        if !report.wants(&what) {
            continue;
        }
        let dir = raw::directory();
        let limit = raw::queue_rate(dir.path(), senders, RATE_TIME);
        let (_home, lead) = group(dir.path());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let start = Instant::now();
        let count: u32 = runtime.block_on(async {
            let tasks: Vec<_> = (0..senders)
                .map(|_| {
                    let lead = lead.clone();
                    tokio::spawn(async move {
                        let mut count = 0;
                        while start.elapsed() < RATE_TIME {
                            lead.send(TEXT).to("alice").await.unwrap();
                            count += 1;
                        }
                        count
                    })
                })
                .collect();
            let mut total = 0;
            for task in tasks {
                total += task.await.unwrap();
            }
            total
        });
        let ours = f64::from(count) / start.elapsed().as_secs_f64();
        report.rate(&what, limit, ours, ">= 0.6x", 0.6);
    }
}

/// Bytes on disk for a message, and for the message with its delivery and reading.
fn disk(report: &mut Report) {
    let what = "disk per 100-byte message";
    if !report.wants(what) {
        return;
    }
    let dir = raw::directory();
    let (home, lead) = group(dir.path());
    let lines = dir.path().join("home/groups").join(lead.id().as_str()).join("ledger");
    let size = || -> u64 {
        let files = std::fs::read_dir(&lines).unwrap().map(|entry| entry.unwrap());
        let own = files.filter(|file| file.path().extension().is_some_and(|ending| ending == "jsonl"));
        own.map(|file| file.metadata().unwrap().len()).sum()
    };
    let (count, before) = (100, size());
    block_on(async {
        let alice = home.group(lead.id()).await.unwrap().bind("alice").await.unwrap();
        for _ in 0..count {
            lead.send(TEXT).to("alice").await.unwrap();
        }
        let sent = (size() - before) / count;
        report.fact("disk per 100-byte message, its line", format!("{sent} B"), "<= 420 B", sent <= 420);
        for _ in 0..count {
            alice.inbox().limit(1).mark_read().await.unwrap();
        }
    });
    let all = (size() - before) / count;
    report.fact("disk per 100-byte message, with facts", format!("{all} B"), "<= 1200 B", all <= 1200);
}
