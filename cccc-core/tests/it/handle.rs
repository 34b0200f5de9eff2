//! The handle as a program uses it: the story of the documentation, and what it answers to bad input.

use std::sync::Arc;
use std::time::Duration;

use cccc_core::event::{GroupMode, Priority};
use cccc_core::ledger::{Appended, Draft, Durability, Encoder, Stamp};
use cccc_core::{Body, ErrorKind, Group, GroupId, Home, ManualClock, Principal, Seq, Timestamp, block_on};
use serde_json::value::RawValue;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A group in memory with a foreman `lead` and a peer `alice`, at a time that the test sets.
async fn team() -> (Group, Group, Group, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at("2026-11-21T08:00:00Z".parse().unwrap()));
    let user = Group::in_memory_with_clock("team", clock.clone()).await.unwrap();
    user.add_actor("lead").await.unwrap();
    user.add_actor("alice").label("reviewer").await.unwrap();
    let (lead, alice) = (user.bind("lead").await.unwrap(), user.bind("alice").await.unwrap());
    (user, lead, alice, clock)
}

fn words(receipts: &[cccc_core::Receipt]) -> serde_json::Value {
    let words = |r: &cccc_core::Receipt| {
        let json = serde_json::to_value(r).unwrap();
        let pick = |name: &str| json[name].clone();
        serde_json::json!([
            pick("recipient"),
            pick("delivery"),
            pick("read"),
            pick("ack"),
            pick("reply"),
            pick("overdue")
        ])
    };
    receipts.iter().map(words).collect()
}

#[test]
fn a_message_goes_its_way() {
    block_on(async {
        let (_, lead, alice, _) = team().await;
        let sent = lead
            .send("Review src/auth.rs")
            .to("#reviewer")
            .reply_within(Duration::from_secs(900))
            .priority(Priority::Attention)
            .client_id("review-1")
            .await
            .unwrap();
        assert_eq!(sent.recipients, ["alice".parse::<Principal>().unwrap()]);
        let expect = |line: serde_json::Value| serde_json::json!([line]);
        let now = words(&lead.receipts(&sent).await.unwrap());
        assert_eq!(now, expect(serde_json::json!(["alice", "pending", false, "open", "open", false])));

        let inbox = alice.inbox().limit(20).await.unwrap();
        assert_eq!((inbox.messages.len(), inbox.unread, inbox.next), (1, 1, None));
        let now = words(&lead.receipts(&sent).await.unwrap());
        assert_eq!(now, expect(serde_json::json!(["alice", "accepted", false, "open", "open", false])));

        alice.reply(&inbox.messages[0], "Reading it").progress().await.unwrap();
        let now = words(&lead.receipts(&sent).await.unwrap());
        assert_eq!(now, expect(serde_json::json!(["alice", "accepted", true, "met", "open", false])));
        assert_eq!(alice.obligations().await.unwrap().len(), 1);

        let answer = alice.reply(&inbox.messages[0], "Two findings").await.unwrap();
        assert_eq!(answer.recipients, ["lead".parse::<Principal>().unwrap()]);
        let now = words(&lead.receipts(&sent).await.unwrap());
        assert_eq!(now, expect(serde_json::json!(["alice", "accepted", true, "met", "met", false])));
        assert!(alice.obligations().await.unwrap().is_empty());
        assert!(alice.inbox().await.unwrap().messages.is_empty());
    });
}

#[test]
fn many_tasks_share_one_writer() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let (user, lead, ..) = team().await;
        let tasks: Vec<_> = (0..500)
            .map(|i| {
                let lead = lead.clone();
                tokio::spawn(async move { lead.send(format!("message {i}")).to("alice").await.unwrap().seq })
            })
            .collect();
        let mut seqs = Vec::new();
        for task in tasks {
            seqs.push(task.await.unwrap());
        }
        seqs.sort();
        seqs.dedup();
        assert_eq!(seqs.len(), 500);
        let head = user.position().await.unwrap().seq;
        assert_eq!(head, *seqs.last().unwrap());
    });
}

#[test]
fn a_watch_sees_everything_once_and_resumes() {
    block_on(async {
        let (user, lead, ..) = team().await;
        let start = user.position().await.unwrap();
        let mut news = user.watch(start);
        for i in 0..3 {
            lead.send(format!("{i}")).to("alice").await.unwrap();
        }
        for i in 0..3 {
            assert_eq!(news.next().await.unwrap().message().unwrap().text, format!("{i}"));
        }
        let middle = news.position();
        lead.send("3").to("alice").await.unwrap();
        let mut resumed = user.watch(middle);
        assert_eq!(resumed.next().await.unwrap().message().unwrap().text, "3");

        let mut elsewhere = middle;
        elsewhere.chain.0[0] ^= 1;
        assert_eq!(user.watch(elsewhere).next().await.unwrap_err().kind(), ErrorKind::Diverged);
        elsewhere.seq = Seq(1_000);
        assert_eq!(user.watch(elsewhere).next().await.unwrap_err().kind(), ErrorKind::Diverged);
    });
}

#[test]
fn history_pages_both_ways() {
    block_on(async {
        let (user, ..) = team().await;
        // Of an actor so many would be over its rate, and the user would be told in between.
        for i in 0..120 {
            user.send(format!("{i}")).to("alice").await.unwrap();
        }
        let head = user.position().await.unwrap().seq.0;
        let (mut seqs, mut at) = (Vec::new(), Some(Seq(1)));
        while let Some(from) = at {
            let page = user.history().from(from).limit(50).await.unwrap();
            seqs.extend(page.events.iter().map(|event| event.seq.0));
            at = page.next;
        }
        assert_eq!(seqs, (1..=head).collect::<Vec<_>>());

        let (mut seqs, mut before) = (Vec::new(), None);
        loop {
            let mut request = user.history().limit(50).kind("chat");
            if let Some(seq) = before {
                request = request.before(seq);
            }
            let page = request.await.unwrap();
            assert!(page.events.iter().all(|event| event.body.kind().starts_with("chat.")));
            seqs.splice(0..0, page.events.iter().map(|event| event.seq.0));
            match page.next {
                Some(seq) => before = Some(seq),
                None => break,
            }
        }
        assert_eq!(seqs, (head - 119..=head).collect::<Vec<_>>());

        let own = user.history().involving("alice".parse().unwrap()).limit(200).await.unwrap();
        // Her being added, and every message to her.
        assert_eq!(own.events.len(), 121);
        assert!(own.lines.iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    });
}

#[test]
fn bad_input_is_refused_with_its_reason() {
    block_on(async {
        let (user, lead, alice, _) = team().await;
        let before = user.position().await.unwrap();
        let kind = |error: cccc_core::Error| {
            assert!(error.hint_text().is_some() || error.kind() == ErrorKind::Invalid, "no hint: {error}");
            error.kind()
        };
        assert_eq!(kind(user.bind("nobody").await.unwrap_err()), ErrorKind::NotFound);
        assert!(user.bind("alica").await.unwrap_err().to_string().contains("alice"));
        assert_eq!(kind(user.bind("Not An Id").await.unwrap_err()), ErrorKind::Invalid);
        assert_eq!(kind(lead.send("").to("alice").await.unwrap_err()), ErrorKind::Invalid);
        let long = "x".repeat((1 << 20) + 1);
        let error = lead.send(long).to("alice").await.unwrap_err();
        assert!(error.to_string().contains("attach"), "{error}");
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        for address in ["@nobody", "#nobody", "alica", "A B", "", "@"] {
            let error = lead.send("x").to(address).await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Refused),
                "{address:?}: {error}"
            );
        }
        assert_eq!(kind(lead.ack(999).await.unwrap_err()), ErrorKind::NotFound);
        assert_eq!(kind(lead.receipts("zz").await.unwrap_err()), ErrorKind::Invalid);
        assert_eq!(lead.receipts(1).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(kind(alice.add_actor("eve").await.unwrap_err()), ErrorKind::Refused);
        assert_eq!(kind(user.add_actor("user").await.unwrap_err()), ErrorKind::Invalid);
        assert_eq!(
            kind(lead.send("x").to("alice").attach("/no/such/file").await.unwrap_err()),
            ErrorKind::NotFound
        );
        // A refusal writes nothing.
        assert_eq!(user.position().await.unwrap(), before);
    });
}

#[test]
fn a_key_is_remembered_through_jumps_of_the_clock() {
    block_on(async {
        let (_, lead, _, clock) = team().await;
        let start: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let send = |text: &'static str| lead.send(text).to("alice").client_id("k").into_future();
        let first = send("hello").await.unwrap();
        for now in [start.after(DAY * 400), start, "1999-01-01T00:00:00Z".parse().unwrap()] {
            clock.set(now);
            let again = send("hello").await.unwrap();
            assert!(again.duplicate);
            assert_eq!(again.event_id, first.event_id);
            assert_eq!(send("other").await.unwrap_err().kind(), ErrorKind::Conflict);
        }
    });
}

#[test]
fn overdue_follows_the_clock_and_stands_still_in_a_pause() {
    block_on(async {
        let (user, lead, alice, clock) = team().await;
        let start: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let minutes = |n: u64| start.after(Duration::from_secs(60 * n));
        let sent = lead.send("?").to("alice").reply_within(Duration::from_secs(600)).await.unwrap();
        let overdue = async || lead.receipts(&sent).await.unwrap()[0].overdue;
        assert!(!overdue().await);
        clock.set(minutes(11));
        assert!(overdue().await);
        clock.set(minutes(5));
        assert!(!overdue().await, "the clock went back");
        user.set_state(GroupMode::Paused, "lunch").await.unwrap();
        clock.set(minutes(65));
        assert!(!overdue().await, "paused");
        let error = alice.inbox().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("paused"), "{error}");
        assert_eq!(alice.inbox().peek().await.unwrap().messages.len(), 1);
        lead.send("stored all the same").to("alice").await.unwrap();
        user.set_state(GroupMode::Active, "").await.unwrap();
        clock.set(minutes(69));
        assert!(!overdue().await);
        clock.set(minutes(71));
        assert!(overdue().await);
        assert_eq!(alice.inbox().await.unwrap().messages.len(), 2);
    });
}

/// Appends an event of a kind that this version does not know, as a newer version would.
async fn append_unknown(group: &Group, must: bool) {
    let turn = group.ledger().turn().await.unwrap();
    let mut encoder = Encoder::new(group.id().clone(), turn.tip(), turn.durable().seq);
    let data = RawValue::from_string(r#"{"of":"the future","n":1}"#.into()).unwrap();
    let body = Body::Unknown { kind: "future.thing".into(), data };
    let stamp =
        Stamp { ts: Timestamp::from_millis(0), by: Principal::System, via: None, scope_key: "".into() };
    let nonce = || cccc_core::id::Nonce::from_bits(7);
    encoder.push(vec![Draft { body, must }], &stamp, nonce).unwrap();
    assert_eq!(turn.append(&encoder.finish(), Durability::Durable).await.unwrap(), Appended::New);
}

#[test]
fn events_of_a_newer_version_are_carried_along_unless_they_must_be_known() {
    block_on(async {
        let (user, lead, ..) = team().await;
        append_unknown(&user, false).await;
        let last = user.history().limit(1).await.unwrap();
        assert_eq!(last.events[0].body.kind(), "future.thing");
        assert!(last.lines[0].contains(r#""data":{"of":"the future","n":1}"#));
        lead.send("still works").to("alice").await.unwrap();
        append_unknown(&user, true).await;
        let error = lead.send("no more").to("alice").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("future.thing"), "{error}");
        assert_eq!(user.history().limit(1).await.unwrap().events.len(), 1);
    });
}

#[test]
fn what_is_redacted_is_gone_and_the_ledger_still_verifies() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let user = home.create_group("secrets").await.unwrap();
        user.add_actor("alice").await.unwrap();
        let file = dir.path().join("key.txt");
        std::fs::write(&file, "hunter2 in a file").unwrap();
        let sent =
            user.send("the password is hunter2").to("alice").reply_required().attach(&file).await.unwrap();
        let alice = user.bind("alice").await.unwrap();
        assert_eq!(alice.redact(&sent, "").await.unwrap_err().kind(), ErrorKind::Refused);
        user.redact(&sent, "a password").await.unwrap();
        user.redact(&sent, "again").await.unwrap();
        assert!(alice.inbox().await.unwrap().messages.is_empty());
        assert!(alice.obligations().await.unwrap().is_empty());
        assert!(user.receipts(&sent).await.is_ok());

        let files = walk(&home.group_path(user.id()));
        assert!(files.len() > 3);
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            assert!(!bytes.windows(7).any(|window| window == b"hunter2"), "{}", file.display());
        }
        assert!(matches!(user.ledger().verify().await.unwrap(), cccc_core::ledger::Verdict::Sound { .. }));
        // A process that has to rebuild everything comes to the same conclusions.
        let again = crate::home::open_apart(dir.path().join("home")).await.unwrap();
        let alice = again.group(user.id()).await.unwrap().bind("alice").await.unwrap();
        assert!(alice.inbox().await.unwrap().messages.is_empty());
        assert!(alice.obligations().await.unwrap().is_empty());
    });
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn handles_are_send_and_sync() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Group>();
    check::<Home>();
    check::<cccc_core::Error>();
    check::<GroupId>();
    fn send<T: Send + 'static>() {}
    send::<cccc_core::Watch>();
}
