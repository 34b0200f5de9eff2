//! Context, agent states, reservations, votes, questions, approvals, pins and labels as a program uses them.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use cccc_core::event::{Choice, Service};
use cccc_core::{
    ApprovalStanding, ErrorKind, Group, Home, ManualClock, QuestionStanding, Seq, Timestamp, VoteStanding,
    block_on,
};

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

#[test]
fn a_question_is_asked_answered_and_ends() {
    block_on(async {
        let (user, alice, bob, clock) = team().await;
        let asked = alice.send("Tabs?").to("user").to("bob").option("yes").option("no").await.unwrap();
        let open = &user.questions().await.unwrap()[0];
        assert_eq!(
            (open.event_id, open.standing, open.waiting.len()),
            (asked.event_id, QuestionStanding::Open, 2)
        );
        assert!(bob.obligations().await.unwrap()[0].choice);
        let answered = bob.answer(open, "2").await.unwrap();
        assert_eq!(bob.answer(&asked, "no").await.unwrap().event_id, answered.event_id, "again is the first");
        let late = user.answer(&asked, "yes").await.unwrap_err();
        assert!(late.kind() == ErrorKind::Conflict && late.to_string().starts_with("bob answered"), "{late}");
        let answer = alice.question(&asked).await.unwrap().answer.unwrap();
        assert_eq!((answer.event_id, answer.choice.as_str()), (answered.event_id, "no"));
        assert_eq!(alice.inbox().await.unwrap().messages[0].content.choice.as_deref(), Some("no"));

        let hurry =
            alice.send("Now?").to("user").option("yes").option("no").reply_within(MINUTE).await.unwrap();
        clock.set(at("2026-11-21T08:02:00Z"));
        assert_eq!(user.question(&hurry).await.unwrap().standing, QuestionStanding::Over);
        assert_eq!(user.carry_out_due().await.unwrap().len(), 1);
        assert!(user.carry_out_due().await.unwrap().is_empty(), "once");
        assert_eq!(user.question(&hurry).await.unwrap().standing, QuestionStanding::Expired);
        assert!(user.obligations().all().await.unwrap().is_empty());
        assert!(alice.close_question(&hurry).await.unwrap().events.is_empty());
        assert_eq!(user.question(1).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(user.question(99).await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

/// Each has the group's files open for itself, as processes have.
#[test]
fn of_many_who_answer_at_once_one_is_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let open = || block_on(Home::open(dir.path().join("home"))).unwrap();
    let user = block_on(open().create_group("team")).unwrap();
    let names: Vec<String> = (0..6).map(|n| format!("a{n}")).collect();
    for name in &names {
        block_on(user.add_actor(name.as_str())).unwrap();
    }
    for round in 0..5 {
        let mut request = user.send(format!("Round {round}?"));
        for name in &names {
            request = request.to(name.as_str()).option(name.as_str());
        }
        let asked = block_on(request.into_future()).unwrap();
        let answers: Vec<_> = std::thread::scope(|scope| {
            let answering = names.iter().map(|name| {
                let (home, id) = (open(), user.id().clone());
                scope.spawn(move || {
                    block_on(async {
                        let own = home.group(&id).await?.bind(name).await?;
                        own.answer(asked.event_id, name.as_str()).await
                    })
                })
            });
            let answering: Vec<_> = answering.collect();
            answering.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let answer = block_on(user.question(asked.event_id)).unwrap().answer.unwrap();
        for (name, answered) in names.iter().zip(answers) {
            match answered {
                Ok(sent) => {
                    assert_eq!((sent.event_id, answer.choice.as_str()), (answer.event_id, name.as_str()))
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                    assert!(error.to_string().contains(&answer.event_id.to_string()), "{error}");
                }
            }
        }
        assert!(block_on(user.obligations().all().into_future()).unwrap().is_empty());
    }
}

#[test]
fn what_an_agent_may_do_is_decided_once() {
    block_on(async {
        let (user, alice, _, clock) = team().await;
        let request =
            alice.request_approval("Push").tool("Bash").input("git push").client_id("c1").await.unwrap();
        let again =
            alice.request_approval("Push").tool("Bash").input("git push").client_id("c1").await.unwrap();
        assert_eq!(again, request);
        assert_eq!(user.approvals().await.unwrap(), std::slice::from_ref(&request));
        assert_eq!(alice.decide_approval(&request, true, "").await.unwrap_err().kind(), ErrorKind::Refused);
        let decided = user.decide_approval(&request, true, "go on").await.unwrap();
        assert_eq!((decided.standing, decided.reason.as_str()), (ApprovalStanding::Allowed, "go on"));
        let other = user.decide_approval(&request, false, "").await.unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Conflict);
        assert_eq!(alice.notices().await.unwrap()[0].notice, "approval_decided");

        let slow = alice.request_approval("Sleep").within(MINUTE).await.unwrap();
        clock.set(at("2026-11-21T08:02:00Z"));
        user.carry_out_due().await.unwrap();
        assert_eq!(alice.approval("a1").await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(alice.approval("a99").await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(alice.approval(&slow).await.unwrap().standing, ApprovalStanding::Expired);
        let gone = alice.request_approval("Never mind").await.unwrap();
        alice.close_approval(&gone, "done").await.unwrap();
        let all: Vec<_> = user.all_approvals().await.unwrap().iter().map(|one| one.standing).collect();
        use ApprovalStanding::{Allowed, Expired, Withdrawn};
        assert_eq!(all, [Allowed, Expired, Withdrawn]);
        assert!(user.obligations().all().await.unwrap().is_empty());
    });
}

#[test]
fn messages_are_pinned_with_who_and_why() {
    block_on(async {
        let (user, alice, bob, _) = team().await;
        let plan = user.send("The plan").to("@all").await.unwrap();
        alice.pin(&plan, "what we do").await.unwrap();
        assert!(bob.pin(&plan, "mine").await.unwrap().events.is_empty());
        let pin = &bob.pins().await.unwrap()[0];
        assert_eq!((pin.text.as_str(), pin.note.as_str()), ("The plan", "what we do"));
        assert_eq!((pin.pinned_by.to_string(), pin.by.to_string()), ("alice".into(), "user".into()));
        assert_eq!(bob.unpin(pin, "").await.unwrap_err().kind(), ErrorKind::Refused);
        alice.unpin(pin, "done").await.unwrap();
        assert!(bob.pins().await.unwrap().is_empty());
    });
}
