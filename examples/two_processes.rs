//! Two processes and one group: this one asks, the other follows and answers. No server stands between them.
//!
//!     cargo run -p cccc-examples --bin two_processes
#![expect(clippy::print_stdout, reason = "a program that shows what it does")]

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use cccc_core::{Group, Home, Position, Result};

const QUESTIONS: u32 = 20;

/// Nothing here takes longer, unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<()> {
    match std::env::args().collect::<Vec<_>>().as_slice() {
        [_, home, project, from] => answer(home, project, from.parse()?).await,
        _ => ask().await,
    }
}

/// The process that asks.
async fn ask() -> Result<()> {
    let place = tempfile::tempdir().expect("a temporary directory");
    let (home_path, project) = (place.path().join("home"), place.path());
    let user = Home::open(&home_path).await?.attach(project).await?;
    user.add_actor("lead").await?;
    user.add_actor("alice").await?;
    let lead = user.bind("lead").await?;

    let other = Other::start(&home_path, project, user.position().await?);
    let mut asked = Vec::new();
    let mut times = Vec::new();
    for n in 1..=QUESTIONS {
        let begun = Instant::now();
        let question = lead.send(format!("What is {n} squared?")).to("alice").reply_required().await?;
        let reply = next_reply(&lead, &question).await?;
        times.push(begun.elapsed());
        assert_eq!(reply, (n * n).to_string());
        asked.push(question);
    }
    drop(other);

    for question in &asked {
        for receipt in lead.receipts(question).await? {
            assert!(receipt.read, "answered, so read: {receipt}");
        }
    }
    assert!(lead.obligations().all().await?.is_empty(), "every question was answered");
    times.sort();
    let median = times.get(times.len() / 2).expect("there were questions");
    println!(
        "{QUESTIONS} questions answered by another process; question to durable answer: {median:.1?} (median)"
    );
    Ok(())
}

/// Follows from the question on until its answer is there.
async fn next_reply(group: &Group, question: &cccc_core::Sent) -> Result<String> {
    let mut events = group.watch(question.position());
    let find = async {
        loop {
            let event = events.next().await?;
            match event.message() {
                Some(m) if m.reply_to == Some(question.event_id) => return Ok(m.text.clone()),
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, find).await.expect("an answer in time")
}

/// The process that answers: alice, who follows from where she was told.
async fn answer(home: &str, project: &str, from: Position) -> Result<()> {
    let alice = Home::open(home).await?.attach(project).await?.bind("alice").await?;
    let mut events = alice.watch(from);
    loop {
        let event = events.next().await?;
        if event.by == *alice.by() || event.message().is_none() {
            continue;
        }
        // What is followed is everyone's. What is for alice comes from her inbox, which records that it
        // was delivered.
        for m in alice.inbox().await?.messages {
            let number: u32 = m.content.text.split(' ').nth(2).and_then(|n| n.parse().ok()).unwrap_or(0);
            alice.reply(&m, (number * number).to_string()).await?;
        }
    }
}

/// The other process, ended when this one is done with it, in whatever way.
struct Other(Child);

impl Other {
    fn start(home: &Path, project: &Path, from: Position) -> Self {
        let child = Command::new(std::env::current_exe().expect("the path of this program"))
            .args([home, project])
            .arg(from.to_string())
            .spawn();
        Self(child.expect("another process"))
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It may be killed at any moment: what it was told is durable is on disk.
        self.0.kill().and_then(|()| self.0.wait()).expect("the other process was still there");
    }
}
