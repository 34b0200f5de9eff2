//! Messages through a runtime: what it says stands on the ledger, and no more than it has seen.

mod seeded;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use cccc_core::command::Outcome;
use cccc_core::runtime::{Launch, Manner, Runtime};
use cccc_core::testing::runtime::{AGAIN, SimRuntime, Way, check};
use cccc_core::{DeliveryWord, Group, Home, LiveSession, Receipt, Sent, block_on};

const SERVICE: &str = "svc:host";

#[test]
fn the_simulated_runtime_keeps_the_contract() {
    block_on(check(|| Arc::new(SimRuntime::default())));
}

/// A group of `lead` and `alice`, whose sessions a simulated runtime runs.
struct Stage {
    _dir: tempfile::TempDir,
    user: Group,
    host: Group,
    runtime: SimRuntime,
    /// Alice's session.
    session: LiveSession,
}

impl Stage {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let user = home.create_group("g").await.unwrap();
        user.add_actor("lead").await.unwrap();
        let runtime = SimRuntime::default();
        let session = begin(&user, &runtime, "s1").await;
        let host = user.bind(SERVICE).await.unwrap();
        Self { _dir: dir, user, host, runtime, session }
    }

    async fn send(&self, text: &str) -> Sent {
        self.user.send(text).to("alice").await.unwrap()
    }

    async fn push(&self, sent: &Sent) -> Option<cccc_core::Pushed> {
        let (alice, name, events) = (self.session.group(), self.session.id(), [sent.event_id]);
        alice.push(SERVICE, &self.runtime, name, &events, Manner::WhenIdle).await.unwrap()
    }

    /// Begins to push, to a runtime that does not answer, and gives up.
    async fn give_up(&self, sent: &Sent) {
        let (alice, name, events) = (self.session.group(), self.session.id(), [sent.event_id]);
        let mut pushing = pin!(alice.push(SERVICE, &self.runtime, name, &events, Manner::WhenIdle));
        let claimed = || async {
            let receipt = self.receipt(sent).await;
            receipt.delivery.state == DeliveryWord::Claimed
        };
        loop {
            let polled = poll_fn(|context| Poll::Ready(pushing.as_mut().poll(context))).await;
            assert!(polled.is_pending(), "{polled:?}");
            if claimed().await {
                // One more look, so that the runtime has been asked.
                let _ = poll_fn(|context| Poll::Ready(pushing.as_mut().poll(context))).await;
                return;
            }
            std::thread::yield_now();
        }
    }

    async fn receipt(&self, sent: &Sent) -> Receipt {
        self.user.receipts(sent).await.unwrap().remove(0)
    }

    /// Writes down all that has been seen up to the end of the session.
    async fn end(&self) {
        self.runtime.crash(self.session.id());
        self.host.record_evidence(&self.runtime, self.session.id()).await.unwrap();
    }
}

/// A new session of alice, which the runtime runs.
async fn begin(user: &Group, runtime: &SimRuntime, name: &str) -> LiveSession {
    let session = user.join().id("alice").session(name).await.unwrap().session;
    let launch = Launch::new(user.id().clone(), "alice".parse().unwrap(), name, ".");
    runtime.start(launch).await.unwrap();
    session
}

#[test]
fn a_receipt_says_what_the_runtime_has_seen_and_then_what_it_sees_later() {
    for (way, at_first, in_the_end) in [
        (Way::Queues, "queued through push", "answered by transcript, through push"),
        (Way::Hands, "handed through push", "answered by transcript, through push"),
        (Way::Accepts, "accepted by runtime, through push", "answered by transcript, through push"),
        (Way::Refuses, "refused through push (it is in a mode", "refused through push"),
        (Way::Fails, "failed through push (the pipe is closed)", "failed through push"),
        (Way::Holds, "held through push (its user has to", "withdrawn through push (the agent crashed"),
    ] {
        block_on(async {
            let stage = Stage::new().await;
            let sent = stage.send("Look at this").await;
            stage.runtime.set_way("s1", way);
            let pushed = stage.push(&sent).await.unwrap();
            assert_eq!(pushed.taken, [sent.event_id]);
            let line = stage.receipt(&sent).await.to_string();
            assert!(line.starts_with(&format!("alice: {at_first}")), "{way:?}: {line}");
            stage.runtime.take_turn("s1");
            stage.end().await;
            let line = stage.receipt(&sent).await.to_string();
            assert!(line.starts_with(&format!("alice: {in_the_end}")), "{way:?}: {line}");
        });
    }
}

#[test]
fn what_nobody_answered_is_ambiguous_until_the_runtime_settles_it() {
    for (way, settled, heard) in
        [(Way::StallsAfter, DeliveryWord::Queued, 1), (Way::StallsBefore, DeliveryWord::Failed, 0)]
    {
        block_on(async {
            let stage = Stage::new().await;
            let sent = stage.send("Look at this").await;
            stage.runtime.set_way("s1", way);
            stage.give_up(&sent).await;
            // The claim is settled when its deliverer is dropped, by whoever looks next at the latest.
            stage.user.upkeep().await.unwrap();
            let receipt = stage.receipt(&sent).await;
            assert_eq!(receipt.delivery.state, DeliveryWord::Ambiguous, "{way:?}");
            assert!(stage.push(&sent).await.is_none(), "nobody tries again by himself");
            let claims = stage.user.history().limit(20).await.unwrap().events;
            let claim = claims
                .iter()
                .rev()
                .find(|event| event.body.kind() == "runtime.delivery" && event.by.to_string() == SERVICE);
            let delivery = claim.unwrap().id;
            stage.host.settle_with(&stage.runtime, "s1", delivery).await.unwrap();
            assert_eq!(stage.receipt(&sent).await.delivery.state, settled, "{way:?}");
            stage.runtime.set_way("s1", Way::Queues);
            stage.runtime.take_turn("s1");
            assert_eq!(stage.runtime.heard_by("s1").len(), heard, "{way:?}");
        });
    }
}

#[test]
fn what_was_taken_back_is_pushed_once_more_and_marked() {
    block_on(async {
        let stage = Stage::new().await;
        let sent = stage.send("Look at this").await;
        let first = stage.push(&sent).await.unwrap();
        assert!(stage.push(&sent).await.is_none(), "it is on its way");
        stage.runtime.clear_queue("s1");
        stage.host.report(first.delivery, Outcome::Withdrawn("cleared".into())).await.unwrap();
        let second = stage.push(&sent).await.unwrap();
        assert_ne!(first.delivery, second.delivery);
        stage.runtime.take_turn("s1");
        assert_eq!(stage.runtime.heard_by("s1"), [format!("{AGAIN}Look at this")]);
        stage.end().await;
        assert_eq!(stage.receipt(&sent).await.delivery.state, DeliveryWord::Answered);
    });
}
