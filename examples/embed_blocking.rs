//! A program of plain threads with a group inside: no async runtime, no files, no other process.
//!
//!     cargo run -p cccc-examples --bin embed_blocking
#![expect(clippy::print_stdout, reason = "a program that shows what it does")]

use std::thread;

use cccc_core::{Group, Result, block_on};

const WORKERS: usize = 4;
const JOBS: u64 = 40;

fn main() -> Result<()> {
    let user = block_on(Group::in_memory("primes"))?;
    block_on(user.add_actor("lead"))?;
    let names: Vec<String> = (1..=WORKERS).map(|n| format!("worker-{n}")).collect();
    for name in &names {
        block_on(user.add_actor(name).label("worker"))?;
    }
    let lead = block_on(user.bind("lead"))?;
    for (job, name) in (1..=JOBS).zip(names.iter().cycle()) {
        let request = lead.send(format!("{}", job * 1000)).to(name).intent("task").reply_required();
        block_on(request)?;
    }

    // A handle is cheap to clone, and may be used from any thread.
    let workers: Vec<_> = names.iter().map(|name| block_on(user.bind(name))).collect::<Result<_>>()?;
    let threads: Vec<_> = workers.into_iter().map(|worker| thread::spawn(move || work(&worker))).collect();
    for thread in threads {
        thread.join().expect("a worker that does not panic")?;
    }

    assert!(block_on(lead.obligations().all())?.is_empty(), "every job was answered");
    let replies = block_on(lead.inbox().limit(1000))?;
    assert_eq!(u64::try_from(replies.messages.len()).ok(), Some(JOBS), "once each");
    let total: u64 = replies.messages.iter().filter_map(|m| m.content.text.parse::<u64>().ok()).sum();
    let expected: u64 = (1..=JOBS).map(|job| primes_below(job * 1000)).sum();
    assert_eq!(total, expected);
    println!("{JOBS} jobs by {WORKERS} threads, each answered once; {total} primes in all");
    Ok(())
}

/// Answers everything in the inbox.
fn work(worker: &Group) -> Result<()> {
    loop {
        let inbox = block_on(worker.inbox().limit(1))?;
        let Some(job) = inbox.messages.first() else { return Ok(()) };
        let limit = job.content.text.parse().unwrap_or(0);
        let reply = worker.reply(job, primes_below(limit).to_string()).intent("result");
        block_on(reply)?;
    }
}

fn primes_below(limit: u64) -> u64 {
    let is_prime = |n: &u64| (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    u64::try_from((2..limit).filter(is_prime).count()).unwrap_or(0)
}
