//! Many processes on one group, some of them killed: what was acknowledged is there, once, in one order.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use cccc_core::error::ErrorKind;
use cccc_core::ledger::Verdict;
use cccc_core::{EventId, Group, GroupId, Home, Seq, block_on};

/// What a process started by these tests is to do.
const ROLE: &str = "CCCC_TEST_ROLE";

/// Nobody waits for the dead longer than this: recovery begins after 250 ms.
const PATIENCE: Duration = Duration::from_secs(5);

/// Another process on the same group.
pub(crate) struct Helper {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Helper {
    pub(crate) fn start(group: &Group, home: &Home, role: &str, name: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crowd::helper", "--ignored", "--nocapture", "--test-threads=1", "--quiet"])
            .env(ROLE, role)
            .env("CCCC_TEST_NAME", name)
            .env("CCCC_HOME", home.path())
            .env("CCCC_GROUP_ID", group.id().as_str())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// The next line that the helper said; the test harness's own lines are passed over.
    pub(crate) fn line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some((_, said)) = line.trim_end().split_once("> ") {
                return Some(said.to_owned());
            }
        }
    }

    #[cfg(unix)]
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended, however it does.
    #[cfg(unix)]
    pub(crate) fn wait(&mut self) {
        self.child.wait().unwrap();
    }

    pub(crate) fn rest(mut self) -> Vec<String> {
        let lines = std::iter::from_fn(|| self.line()).collect();
        assert!(self.child.wait().unwrap().success());
        lines
    }
}

fn say(line: impl std::fmt::Display) {
    println!("> {line}");
    std::io::stdout().flush().unwrap();
}

/// Not a test: what the processes started by the tests run.
#[test]
#[ignore = "run by the other tests, as another process"]
fn helper() {
    let (Ok(role), Ok(name)) = (std::env::var(ROLE), std::env::var("CCCC_TEST_NAME")) else { return };
    block_on(async {
        let home = Home::open(Home::default_path().unwrap()).await.unwrap();
        let id = GroupId::new(std::env::var("CCCC_GROUP_ID").unwrap()).unwrap();
        let group = home.group(&id).await.unwrap();
        match role.as_str() {
            "sender" => send_many(&group.bind(&name).await.unwrap(), 200).await,
            "endless" => send_many(&group.bind(&name).await.unwrap(), u64::MAX).await,
            "stubborn" => send_stubbornly(&group.bind(&name).await.unwrap()).await,
            "follower" => follow(&group).await,
            "reader" => read(&group.bind(&name).await.unwrap()).await,
            _ => panic!("unknown role {role}"),
        }
    });
}

/// Sends, and says the id of every message whose send returned.
async fn send_many(group: &Group, count: u64) {
    let run = std::process::id();
    for i in 0..count {
        let text = format!("{} {run} {i}", group.by());
        let sent = group.send(&text).to("@all").client_id(&text).await.unwrap();
        assert!(!sent.duplicate);
        say(format!("{} {text}", sent.event_id));
    }
}

/// Sends, each message until it is acknowledged, and says its id and how many milliseconds that took.
#[expect(clippy::disallowed_methods, reason = "how long real processes make each other wait")]
async fn send_stubbornly(group: &Group) {
    for i in 0.. {
        let (text, begun) = (format!("{} {} {i}", group.by(), std::process::id()), Instant::now());
        loop {
            match group.send(&text).to("reader").client_id(&text).await {
                Ok(sent) => {
                    say(format!("{} {} {text}", sent.event_id, begun.elapsed().as_millis()));
                    break;
                }
                // Somebody else holds the ledger up.
                Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Unknown) => {
                    say("refused for now");
                }
                Err(error) => panic!("{text}: {error}"),
            }
        }
    }
}

/// Says the id of every message from the beginning on, until one says `end`.
async fn follow(group: &Group) {
    let mut news = group.watch(cccc_core::Position::start(group.id()));
    loop {
        let event = news.next().await.unwrap();
        say(event.id);
        if event.message().is_some_and(|message| message.text == "end") {
            return;
        }
    }
}

/// Reads an inbox until it contains `end`, and says how many messages came, each once.
async fn read(group: &Group) {
    let (mut seen, mut after) = (BTreeSet::new(), group.position().await.unwrap());
    loop {
        let inbox = group.inbox().limit(100).mark_read().await.unwrap();
        let ended = inbox.messages.iter().any(|message| message.content.text == "end");
        for message in &inbox.messages {
            assert!(seen.insert(message.seq), "{} came twice", message.seq);
        }
        if ended {
            return say(seen.len());
        }
        if inbox.messages.is_empty() {
            after = group.ledger().wait(after.seq).await.unwrap();
        }
    }
}

/// A group with `count` actors `a0`, `a1`... and `reader`, in a home of its own.
pub(crate) fn group(count: usize) -> (tempfile::TempDir, Home, Group) {
    let dir = tempfile::tempdir().unwrap();
    let (home, group) = block_on(async {
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let group = home.create_group("crowd").await.unwrap();
        group.add_actor("reader").await.unwrap();
        for i in 0..count {
            group.add_actor(format!("a{i}")).await.unwrap();
        }
        (home, group)
    });
    (dir, home, group)
}

/// Everything on the ledger, checked to be sound and dense: text of each message by seq.
pub(crate) fn messages(group: &Group) -> BTreeMap<Seq, (EventId, String)> {
    block_on(async {
        assert!(matches!(group.ledger().verify().await.unwrap(), Verdict::Sound { .. }));
        let (mut found, mut at, mut expected) = (BTreeMap::new(), Some(Seq(1)), 1);
        while let Some(from) = at {
            let history = group.history().from(from).limit(10_000).await.unwrap();
            for event in &history.events {
                assert_eq!(event.seq, Seq(expected), "a gap");
                expected += 1;
                if let Some(message) = event.message() {
                    found.insert(event.seq, (event.id, message.text.clone()));
                }
            }
            at = history.next;
        }
        found
    })
}

#[test]
fn thirty_two_processes_write_one_order() {
    let (_dir, home, user) = group(32);
    let followers: Vec<_> = (0..2).map(|_| Helper::start(&user, &home, "follower", "")).collect();
    let reader = Helper::start(&user, &home, "reader", "reader");
    let senders: Vec<_> = (0..32).map(|i| Helper::start(&user, &home, "sender", &format!("a{i}"))).collect();
    let acknowledged: Vec<String> = senders.into_iter().flat_map(Helper::rest).collect();
    block_on(async { user.send("end").to("@all").await.unwrap() });

    let found = messages(&user);
    assert_eq!(acknowledged.len(), 32 * 200);
    assert_eq!(found.len(), 32 * 200 + 1);
    let texts: BTreeSet<&String> = found.values().map(|(_, text)| text).collect();
    assert_eq!(texts.len(), found.len(), "a message stands there twice");
    for line in acknowledged {
        let (id, text) = line.split_once(' ').unwrap();
        let id: EventId = id.parse().unwrap();
        assert_eq!(found.get(&id.seq), Some(&(id, text.to_owned())));
    }
    let ids: Vec<Vec<String>> = followers.into_iter().map(Helper::rest).collect();
    assert_eq!(ids[0], ids[1], "two followers saw different orders");
    let seen: BTreeSet<EventId> = ids[0].iter().map(|id| id.parse().unwrap()).collect();
    assert!(found.values().all(|(id, _)| seen.contains(id)), "a follower missed a message");
    assert_eq!(reader.rest(), [(32 * 200 + 1).to_string()]);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long real processes make each other wait")]
fn what_was_acknowledged_survives_kills() {
    let (_dir, home, user) = group(6);
    let start = |i: usize| Helper::start(&user, &home, "endless", &format!("a{i}"));
    let mut senders: Vec<Helper> = (0..6).map(start).collect();
    let mut acknowledged: Vec<String> = Vec::new();
    // How far each is let run before it is killed differs, so that it dies in different steps.
    for round in 0..30 {
        let i = round % senders.len();
        for _ in 0..(round * 7) % 23 {
            acknowledged.extend(senders[i].line());
        }
        let mut victim = std::mem::replace(&mut senders[i], start(i));
        victim.child.kill().unwrap();
        victim.child.wait().unwrap();
        acknowledged
            .extend(std::iter::from_fn(|| victim.line()).filter(|line| line.matches(' ').count() == 3));
        let asked = Instant::now();
        block_on(async { user.send(format!("after kill {round}")).to("@all").await.unwrap() });
        assert!(asked.elapsed() < PATIENCE, "a send waited {:?} for the dead", asked.elapsed());
    }
    for mut sender in senders {
        sender.child.kill().unwrap();
        sender.child.wait().unwrap();
        acknowledged
            .extend(std::iter::from_fn(|| sender.line()).filter(|line| line.matches(' ').count() == 3));
    }
    // The last may have died between writing and publishing; one more send settles that.
    block_on(async { user.send("last").to("@all").await.unwrap() });

    let found = messages(&user);
    let texts: BTreeSet<&String> = found.values().map(|(_, text)| text).collect();
    assert_eq!(texts.len(), found.len(), "a message stands there twice");
    assert!(acknowledged.len() > 100, "only {} sends returned", acknowledged.len());
    for line in &acknowledged {
        let (id, text) = line.split_once(' ').unwrap();
        let id: EventId = id.parse().unwrap();
        assert_eq!(found.get(&id.seq), Some(&(id, text.to_owned())), "an acknowledged message is gone");
    }

    // A retry of any of them, from another process (this one), gives the first event again.
    block_on(async {
        for line in acknowledged.iter().step_by(acknowledged.len() / 10) {
            let (id, text) = line.split_once(' ').unwrap();
            let sender = user.bind(text.split_once(' ').unwrap().0).await.unwrap();
            let again = sender.send(text).to("@all").client_id(text).await.unwrap();
            assert!(again.duplicate);
            assert_eq!(again.event_id.to_string(), id);
        }
    });
}
