//! Context, agent states, reservations, votes and labels as a program uses them.

use std::sync::Arc;
use std::time::Duration;

use cccc_core::event::{Choice, Service};
use cccc_core::{ErrorKind, Group, ManualClock, Seq, Timestamp, VoteStanding, block_on};

const MINUTE: Duration = Duration::from_secs(60);

async fn team() -> (Group, Group, Group, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at("2026-11-21T08:00:00Z".parse().unwrap()));
    let user = Group::in_memory_with_clock("team", clock.clone()).await.unwrap();
    for id in ["lead", "alice", "bob"] {
        user.add_actor(id).await.unwrap();
    }
    (user.clone(), user.bind("alice").await.unwrap(), user.bind("bob").await.unwrap(), clock)
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

#[test]
fn paths_are_reserved_by_one_at_a_time() {
    block_on(async {
        let (user, alice, bob, clock) = team().await;
        let held = alice.reserve(["src/**"]).purpose("parser").lasting(10 * MINUTE).await.unwrap();
        assert_eq!(held.until, at("2026-11-21T08:10:00Z"));
        let error = bob.reserve(["src/lib.rs"]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("alice has reserved until 2026-11-21T08:10:00.000Z"), "{error}");
        assert_eq!(error.retry_after_duration(), Some(10 * MINUTE));
        assert_eq!(bob.reservations_of("src/lib.rs").await.unwrap(), std::slice::from_ref(&held));
        let longer = alice.extend_reservation(&held, 20 * MINUTE).await.unwrap();
        assert_eq!(longer.until, at("2026-11-21T08:20:00Z"));
        clock.set(at("2026-11-21T08:20:00Z"));
        assert!(user.reservations().await.unwrap().is_empty());
        let next = bob.reserve(["src/lib.rs"]).await.unwrap();
        assert_eq!(next.until, at("2026-11-21T08:50:00Z"));
        assert_eq!(alice.release(&next, "").await.unwrap_err().kind(), ErrorKind::Refused);
        user.release(next.reservation_id.to_string().as_str(), "needed").await.unwrap();
        assert!(user.reservations().await.unwrap().is_empty());
    });
}

#[test]
fn a_vote_releases_a_peer() {
    block_on(async {
        let (user, alice, bob, _) = team().await;
        let lead = user.bind("lead").await.unwrap();
        alice.send("done yet?").to("bob").reply_required().await.unwrap();
        bob.reserve(["docs"]).await.unwrap();
        let vote = alice.open_vote("release bob").within(5 * MINUTE).await.unwrap();
        assert_eq!((vote.threshold, vote.standing), (2, VoteStanding::Open));
        let owed = lead.obligations().await.unwrap();
        assert_eq!(
            (owed.len(), owed[0].kind.as_str(), owed[0].creditor.to_string()),
            (1, "vote", "alice".into())
        );
        alice.cast_vote(&vote, Choice::Yes, "silent for hours").await.unwrap();
        let vote = lead.cast_vote(&vote, Choice::Yes, "").await.unwrap();
        assert_eq!(vote.standing, VoteStanding::Accepted);
        assert_eq!(bob.send("wait").to("alice").await.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(user.obligations().all().await.unwrap().is_empty());
        assert!(user.votes().await.unwrap().is_empty());
        assert!(user.reservations().await.unwrap().is_empty());
        assert_eq!(user.vote(&vote).await.unwrap(), vote);
        assert_eq!(user.vote("v1").await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(user.vote("v99").await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(user.vote("vote").await.unwrap_err().kind(), ErrorKind::Invalid);
    });
}

#[test]
fn a_vote_after_an_expired_one_is_found_by_its_own_id() {
    block_on(async {
        let (_, alice, bob, clock) = team().await;
        let first = alice.open_vote("one?").voter("alice").voter("bob").within(MINUTE).await.unwrap();
        clock.set(at("2026-11-21T08:02:00Z"));
        let second = alice.open_vote("two?").await.unwrap();
        assert_eq!(second.subject, "two?");
        assert_eq!(alice.open_vote("two?").await.unwrap(), second);
        assert_eq!(bob.vote(&first).await.unwrap().standing, VoteStanding::Expired);
        bob.cast_vote(&second, Choice::No, "").await.unwrap();
        alice.close_vote(&second, "asked too early").await.unwrap();
        let closed = bob.vote(&second).await.unwrap();
        assert_eq!((closed.standing, closed.reason.as_str()), (VoteStanding::Cancelled, "asked too early"));
        assert_eq!(closed.count(Choice::No), 1);
    });
}

#[test]
fn the_context_is_shared_and_nobody_overwrites_blindly() {
    block_on(async {
        let (user, alice, bob, _) = team().await;
        user.set_context("brief", "Ship it.").await.unwrap();
        let brief = alice.context_of("brief").await.unwrap().remove(0);
        alice.set_context("brief", "Ship it soon.").base(brief.version).await.unwrap();
        let error = bob.set_context("brief", "Ship it now.").base(brief.version).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("new is \"Ship it soon.\""), "{error}");
        alice.decide("tabs").await.unwrap();
        alice.note("CI is slow").await.unwrap();
        let api = Service { kind: "http".into(), address: "http://localhost:1".into(), owner: None };
        bob.set_service("api", api).await.unwrap();
        bob.set_agent_state().focus("docs").lasting(MINUTE).await.unwrap();
        assert_eq!(user.context().await.unwrap().len(), 4);
        assert_eq!(user.agent_states().await.unwrap()[0].until, Some(at("2026-11-21T08:01:00Z")));
        let digest = user.context_digest(4000).await.unwrap();
        for part in ["Ship it soon.", "- tabs (alice", "CI is slow", "api: http at", "- bob: docs"] {
            assert!(digest.contains(part), "{part}: {digest}");
        }
        bob.remove_context("services/api").await.unwrap();
        assert_eq!(user.context_of("services").await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(user.context_of("A B").await.unwrap_err().kind(), ErrorKind::Invalid);
        let stale = alice.set_agent_state().of("bob").focus("x").base(Seq(1)).await.unwrap_err();
        assert_eq!(stale.kind(), ErrorKind::Refused);
    });
}

#[test]
fn a_label_taken_is_an_address() {
    block_on(async {
        let (user, alice, bob, _) = team().await;
        alice.add_labels(["#docs", "ui"]).await.unwrap();
        user.add_labels(["docs"]).of("bob").await.unwrap();
        alice.remove_labels(["ui"]).await.unwrap();
        let labels = bob.labels().await.unwrap();
        assert_eq!((labels.len(), labels[0].label.as_str(), labels[0].count), (1, "docs", 2));
        assert_eq!(user.send("hi").to("#docs").await.unwrap().recipients.len(), 2);
        assert_eq!(alice.add_labels(["x"]).of("bob").await.unwrap_err().kind(), ErrorKind::Refused);
        assert_eq!(alice.add_labels(["not a label"]).await.unwrap_err().kind(), ErrorKind::Invalid);
    });
}
