//! Mail on its way to somebody: what is taken and not settled, by whoever gives up or dies, is never lost.

use std::fs;
use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::task::{Context, Waker};
use std::time::Duration;

use cccc_core::event::Transport;
use cccc_core::ledger::Durability;
use cccc_core::{Command, DeliveryWord, Group, GroupId, Home, Sent, block_on};

/// `<home> <group> <message's place>`
const DELIVERER: &str = "CCCC_TEST_DELIVERER";
const SERVICE: &str = "svc:hook";

/// A home with a group of `lead` and `alice`, who has a session.
struct Stage {
    dir: tempfile::TempDir,
    user: Group,
    alice: Group,
    session: cccc_core::LiveSession,
}

impl Stage {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let user = home.create_group("g").await.unwrap();
        user.add_actor("lead").await.unwrap();
        let session = user.join().id("alice").session("s").await.unwrap().session;
        Self { alice: session.group().clone(), user, session, dir }
    }

    fn home(&self) -> std::path::PathBuf {
        self.dir.path().join("home")
    }

    /// The same group as another process has it.
    async fn elsewhere(&self, who: &str) -> Group {
        let home = Home::open(self.home()).await.unwrap();
        home.group(self.user.id()).await.unwrap().bind(who).await.unwrap()
    }

    /// What the receipt of a message says.
    async fn word(&self, sent: &Sent) -> DeliveryWord {
        self.user.receipts(sent).await.unwrap()[0].delivery.state
    }

    /// Records of deliverers that were left behind.
    fn left(&self) -> usize {
        let dir = self.home().join("presence").join(self.user.id().as_str());
        let files = fs::read_dir(dir).unwrap().flat_map(|who| fs::read_dir(who.unwrap().path()).unwrap());
        let records = files.filter(|file| file.as_ref().unwrap().path().extension().unwrap() == "json");
        records.count() - 1 // alice's session
    }

    /// What hooks and the inbox find when a deliverer that claimed a message and said nothing more is dead.
    async fn assert_named_again(&self, sent: &Sent) {
        let alice = self.elsewhere("alice").await;
        let handing = alice.hand_over(SERVICE, "s", &[sent.event_id], Transport::Hook).await.unwrap();
        assert!(handing.is_none(), "it may have been handed over");
        assert_eq!(self.word(sent).await, DeliveryWord::Ambiguous, "and that is seen");
        assert_eq!(self.left(), 0);
        let taken = alice.inbox().take().await.unwrap();
        assert_eq!(taken.inbox().messages.len(), 1);
        taken.settle().await.unwrap();
        assert_eq!(self.word(sent).await, DeliveryWord::Accepted);
    }
}

/// As a hook claims a message, without waiting until that is durable.
async fn claim(group: &Group, message: cccc_core::EventRef) {
    let claim = Command::Claim {
        recipient: "alice".parse().unwrap(),
        events: vec![message],
        transport: Transport::Hook,
    };
    let claim = Command::InSession { session: "s".into(), command: Box::new(claim) };
    group.execute_with(claim, Durability::Buffered).await.unwrap();
}

/// What a deliverer wrote last need not be durable when it is seen to be dead.
#[test]
fn a_claim_that_is_not_durable_yet_outlives_its_deliverer() {
    block_on(async {
        let stage = Stage::new().await;
        let sent = stage.user.send("Hello").to("alice").await.unwrap();
        let deliverer = stage.elsewhere(SERVICE).await.serve().unwrap();
        claim(deliverer.group(), sent.event_id.into()).await;
        drop(deliverer);
        assert_eq!(stage.word(&sent).await, DeliveryWord::Pending, "nobody can see it yet");
        stage.assert_named_again(&sent).await;
    });
}

/// The process of a deliverer, if this is one: it claims, and then waits to be killed.
#[test]
#[ignore = "it is started by the other tests"]
fn deliverer() {
    let Ok(order) = std::env::var(DELIVERER) else { return };
    let mut words = order.splitn(3, ' ');
    let (group, seq, home) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    block_on(async {
        let home = Home::open(Path::new(home)).await.unwrap();
        let group = home.group(&GroupId::new(group).unwrap()).await.unwrap();
        let deliverer = group.bind(SERVICE).await.unwrap().serve().unwrap();
        claim(deliverer.group(), seq.parse().unwrap()).await;
        println!("\nclaimed");
        std::io::stdout().flush().unwrap();
        let mut nothing = String::new();
        std::io::stdin().read_line(&mut nothing).unwrap();
    });
}

#[test]
fn mail_that_a_killed_deliverer_had_claimed_is_named_again() {
    block_on(async {
        let stage = Stage::new().await;
        for _ in 0..3 {
            let sent = stage.user.send("Hello").to("alice").await.unwrap();
            let order = format!("{} {} {}", stage.user.id(), sent.seq, stage.home().display());
            let mut child = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact", "handing::deliverer", "--nocapture"])
                .env(DELIVERER, order)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            assert!(lines.any(|line| line.unwrap() == "claimed"));
            child.kill().unwrap();
            child.wait().unwrap();
            stage.assert_named_again(&sent).await;
            stage.alice.read(sent.event_id).await.unwrap();
        }
    });
}

/// A process that is closed for an actor is seen to be dead by the same lock as its claims.
#[test]
fn a_dead_session_is_forgotten_after_what_it_claimed() {
    block_on(async {
        let stage = Stage::new().await;
        let sent = stage.user.send("Hello").to("alice").await.unwrap();
        claim(&stage.alice, sent.event_id.into()).await;
        let Stage { session, user, dir, .. } = stage;
        drop(session);
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let other = home.group(user.id()).await.unwrap();
        other.upkeep().await.unwrap();
        assert_eq!(user.receipts(&sent).await.unwrap()[0].delivery.state, DeliveryWord::Ambiguous);
    });
}

#[test]
fn an_inbox_that_was_taken_is_delivered_when_it_is_settled() {
    block_on(async {
        let stage = Stage::new().await;
        let sent = stage.user.send("Hello").to("alice").await.unwrap();
        let head = async || stage.user.position().await.unwrap().seq.0;
        let before = head().await;
        let taken = stage.alice.inbox().mark_read().take().await.unwrap();
        assert_eq!((taken.inbox().messages.len(), taken.inbox().unread), (1, 1));
        assert_eq!(stage.word(&sent).await, DeliveryWord::Claimed);

        // No other door has it meanwhile, and it is not given up.
        let other = stage.elsewhere("alice").await;
        assert!(other.inbox().take().await.unwrap().inbox().messages.is_empty());
        assert!(other.hand_over(SERVICE, "s", &[sent.event_id], Transport::Hook).await.unwrap().is_none());
        stage.user.upkeep().await.unwrap();
        assert_eq!((stage.word(&sent).await, head().await), (DeliveryWord::Claimed, before + 1));

        taken.settle().await.unwrap();
        let receipt = stage.user.receipts(&sent).await.unwrap().remove(0);
        assert_eq!((receipt.delivery.state, receipt.read), (DeliveryWord::Accepted, true));
        assert_eq!(receipt.delivery.evidence.unwrap(), "inbox");
        assert_eq!(head().await, before + 3, "claimed; delivered and read");
        assert_eq!(stage.left(), 0);

        // Nothing new, nothing written.
        let taken = stage.alice.inbox().mark_read().take().await.unwrap();
        assert!(taken.inbox().messages.is_empty());
        taken.settle().await.unwrap();
        assert_eq!((head().await, stage.left()), (before + 3, 0));
    });
}

#[test]
fn an_inbox_that_is_taken_again_and_again_hands_over_once() {
    block_on(async {
        let stage = Stage::new().await;
        let sent = stage.user.send("Hello").to("alice").await.unwrap();
        stage.alice.inbox().take().await.unwrap().settle().await.unwrap();
        let before = stage.user.position().await.unwrap();
        // It is unread and handed over: shown again, without a word on the ledger.
        let taken = stage.alice.inbox().take().await.unwrap();
        assert_eq!(taken.inbox().messages[0].delivery, DeliveryWord::Accepted);
        taken.settle().await.unwrap();
        let peeked = stage.alice.inbox().peek().take().await.unwrap();
        assert_eq!(peeked.inbox().messages.len(), 1);
        peeked.settle().await.unwrap();
        assert_eq!(stage.user.position().await.unwrap(), before);
        stage.alice.inbox().mark_read().take().await.unwrap().settle().await.unwrap();
        assert!(stage.user.receipts(&sent).await.unwrap()[0].read);
    });
}

#[test]
fn an_inbox_that_was_dropped_is_shown_again() {
    block_on(async {
        let stage = Stage::new().await;
        let sent = stage.user.send("Hello").to("alice").await.unwrap();
        drop(stage.alice.inbox().mark_read().take().await.unwrap());
        assert!(!stage.user.receipts(&sent).await.unwrap()[0].read);
        for look in 0..2 {
            let again = stage.elsewhere("alice").await;
            let inbox = if look == 0 {
                let taken = again.inbox().take().await.unwrap();
                taken.inbox().clone()
            } else {
                again.inbox().await.unwrap()
            };
            assert_eq!(inbox.messages.len(), 1, "{look}");
        }
        assert_eq!(stage.word(&sent).await, DeliveryWord::Accepted);
        stage.user.upkeep().await.unwrap();
        assert_eq!(stage.left(), 0);
    });
}

/// A caller that gives up does not take its claim back; what came of it is put in order all the same.
#[test]
#[expect(clippy::disallowed_methods, reason = "nothing tells when a thread has ended")]
fn an_inbox_that_nobody_waits_for_any_more_is_not_held_up() {
    let (stage, sent) = block_on(async {
        let stage = Stage::new().await;
        let sent = stage.user.send("Hello").to("alice").await.unwrap();
        (stage, sent)
    });
    {
        // Outside of `block_on` the claim is carried out by the group's writer, which has to wait.
        let lock = stage.home().join("groups").join(stage.user.id().as_str()).join("lock");
        let lock = fs::File::open(lock).unwrap();
        lock.lock().unwrap();
        let mut take = pin!(stage.alice.inbox().take());
        // What it looks at first is looked at on other threads; then it holds a lock of its own, and claims.
        let started = std::time::Instant::now();
        while stage.left() == 0 {
            assert!(started.elapsed() < Duration::from_secs(10));
            assert!(take.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            std::thread::yield_now();
        }
    }
    let started = std::time::Instant::now();
    while stage.left() > 0 || block_on(stage.word(&sent)) != DeliveryWord::Ambiguous {
        assert!(started.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(1));
    }
    let taken = block_on(stage.alice.inbox().take()).unwrap();
    assert_eq!(taken.inbox().messages.len(), 1);
    block_on(taken.settle()).unwrap();
}
