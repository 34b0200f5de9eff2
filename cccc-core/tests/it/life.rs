//! Comings and goings through the handle: what leaves with an actor and what stays, what is told, what is put in
//! order.

use std::sync::Arc;
use std::time::Duration;

use cccc_core::event::{Choice, Evidence, EvidenceKind};
use cccc_core::{
    Body, Effect, ErrorKind, Group, GroupEntry, Home, HomeOptions, ManualClock, ObligationWord, Upkeep,
    block_on,
};

const MINUTE: Duration = Duration::from_secs(60);

async fn team() -> (Group, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at("2026-11-21T08:00:00Z".parse().unwrap()));
    let user = Group::in_memory_with_clock("team", clock.clone()).await.unwrap();
    for id in ["lead", "alice", "bob"] {
        user.add_actor(id).await.unwrap();
    }
    (user, clock)
}

async fn words(group: &Group) -> Vec<String> {
    group.inbox().await.unwrap().notices.into_iter().map(|notice| notice.words).collect()
}

#[test]
fn whoever_succeeds_an_actor_has_all_of_it() {
    block_on(async {
        let (user, _) = team().await;
        let (lead, alice, bob) = (
            user.bind("lead").await.unwrap(),
            user.bind("alice").await.unwrap(),
            user.bind("bob").await.unwrap(),
        );
        let asked = lead.send("Ready?").to("alice").reply_required().await.unwrap();
        let told = user.send("By the way").to("alice").await.unwrap();
        let task = lead.task_add("Fix it").owner("alice").await.unwrap();
        let reserved = alice.reserve(["src/**"]).await.unwrap();
        alice.leave("").await.unwrap_err();
        user.remove_actor("alice").successor("bob").reason("holidays").await.unwrap();

        let inbox = bob.inbox().await.unwrap();
        assert_eq!(inbox.messages.iter().map(|m| m.seq).collect::<Vec<_>>(), [asked.seq, told.seq]);
        assert_eq!(inbox.notices.iter().map(|n| n.notice.as_str()).collect::<Vec<_>>(), ["task_assigned"]);
        assert_eq!(bob.obligations().mine().await.unwrap().len(), 2);
        assert_eq!(bob.task(task.task_id).await.unwrap().owner, Some(bob.by().clone()));
        let reservations = bob.reservations().await.unwrap();
        assert_eq!(
            (reservations[0].reservation_id, &reservations[0].holder),
            (reserved.reservation_id, bob.by())
        );
        bob.reply(&asked, "Yes").await.unwrap();
        let receipt = lead.receipts(&asked).await.unwrap().remove(0);
        assert_eq!(
            (receipt.moved_to.as_ref(), receipt.read, receipt.reply),
            (Some(bob.by()), true, ObligationWord::Met)
        );

        // Without one, all of it comes back, and is said once to each.
        user.remove_actor("bob").await.unwrap();
        let left: Vec<String> = words(&lead).await;
        assert_eq!(
            left,
            [format!("task {0} has come back, its owner has left: `cccc task show {0}`", task.task_id)]
        );
        assert!(
            lead.reservations().await.unwrap().is_empty()
                && lead.obligations().all().await.unwrap().is_empty()
        );
        assert!(user.receipts(&told).await.unwrap()[0].to_string().contains("bob was removed"));
        // Whoever comes under the name is somebody else.
        user.add_actor("alice").await.unwrap();
        let alice = user.bind("alice").await.unwrap();
        assert_eq!(alice.inbox().await.unwrap().unread, 0);
        assert!(alice.obligations().await.unwrap().is_empty());
    });
}

#[test]
fn notices_are_shown_once_and_are_not_mail() {
    block_on(async {
        let (user, clock) = team().await;
        let (lead, alice) = (user.bind("lead").await.unwrap(), user.bind("alice").await.unwrap());
        let vote = lead.open_vote("Merge now?").within(MINUTE).await.unwrap();
        let peeked = alice.inbox().peek().await.unwrap();
        assert_eq!((peeked.unread, peeked.notices.len()), (0, 1));
        assert!(alice.inbox().without_notices().await.unwrap().notices.is_empty());
        assert_eq!(alice.notices().peek().await.unwrap().len(), 1);
        assert_eq!(
            words(&alice).await,
            [format!("your vote is asked for: `cccc vote show {}`", vote.vote_id)]
        );
        let events = user.summary().await.unwrap().events;
        assert!(words(&alice).await.is_empty() && alice.notices().await.unwrap().is_empty());
        assert_eq!(user.summary().await.unwrap().events, events, "looking again writes nothing");
        // Nobody else votes; the end is written down by whoever keeps the group, and the asker told.
        alice.cast_vote(vote.vote_id, Choice::Yes, "").await.unwrap();
        clock.set(user.next_deadline().await.unwrap().unwrap());
        let host = user.bind("svc:host").await.unwrap();
        let done = host.carry_out_due().await.unwrap();
        assert!(
            matches!(done.as_slice(), [Effect::Keep(keeping)] if matches!(keeping.upkeep, Upkeep::EndVote { .. }))
        );
        assert!(host.carry_out_due().await.unwrap().is_empty());
        assert_eq!(words(&lead).await.len(), 1);
        assert!(user.votes().await.unwrap().is_empty());
        let all = user.all_votes().await.unwrap();
        assert_eq!((all.len(), all[0].standing.as_str(), all[0].count(Choice::Yes)), (1, "expired", 1));
        assert_eq!(alice.carry_out_due().await.unwrap().len(), 0, "nothing is due, so nothing is refused");
    });
}

#[test]
fn evidence_is_checked_from_outside_and_the_policies_are_set_by_name() {
    block_on(async {
        let (user, _) = team().await;
        let (lead, alice) = (user.bind("lead").await.unwrap(), user.bind("alice").await.unwrap());
        let task =
            lead.task_add("Fix it").owner("alice").requires(EvidenceKind::Commit).await.unwrap().task_id;
        alice.task_update(task).evidence(Evidence::Commit { commit: "1a2b3c4".into() }).await.unwrap();
        let check = user.checks().await.unwrap().remove(0);
        assert_eq!((check.task_id, check.kind), (task, EvidenceKind::Commit));
        let Body::TaskUpdate(given) = user.event(check.evidence.0).await.unwrap().body else { panic!() };
        assert_eq!(given.task_id, task, "what is to be looked at is found there");
        let refused = alice.task_update(task).checked(check.evidence, true, "").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Refused);
        let shown = user.task_update(task).checked(check.evidence, false, "no such commit").await.unwrap();
        assert_eq!(
            (shown.missing.as_slice(), shown.evidence[0].holds),
            (&[EvidenceKind::Commit][..], Some(false))
        );
        assert!(user.checks().await.unwrap().is_empty());
        assert!(words(&alice).await.iter().any(|words| words.contains("does not hold")));

        lead.set_policy("silence", Some(MINUTE)).await.unwrap();
        lead.set_policy("unread", Some(Duration::ZERO)).await.unwrap();
        let after = |policies: Vec<cccc_core::PolicyView>, name: &str| {
            policies.into_iter().find(|policy| policy.policy == name).unwrap().after_ms
        };
        assert_eq!(after(user.policies().await.unwrap(), "silence"), Some(60_000));
        assert_eq!(after(user.policies().await.unwrap(), "unread"), None);
        lead.set_policy("unread", None).await.unwrap();
        assert_eq!(after(user.policies().await.unwrap(), "unread"), Some(900_000));
        assert_eq!(lead.set_policy("unred", None).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(alice.set_policy("unread", None).await.unwrap_err().kind(), ErrorKind::Refused);
    });
}

#[test]
fn what_died_is_due_to_be_put_in_order() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at("2026-11-21T08:00:00Z".parse().unwrap()));
        let mut options = HomeOptions::default();
        options.clock = clock.clone();
        let home = Home::open_with(dir.path().join("home"), options).await.unwrap();
        let user = home.create_group("g").await.unwrap();
        user.add_actor("lead").await.unwrap();
        let guest = user.join().await.unwrap();
        let id = guest.actor_id.to_string();
        guest.session.group().set_agent_state().focus("the lexer").await.unwrap();
        let seen =
            user.who().await.unwrap().into_iter().find(|member| member.actor.actor_id == guest.actor_id);
        assert_eq!(seen.unwrap().summary.as_deref(), Some("the lexer"));
        user.send("?").to(id.as_str()).await.unwrap();
        drop(guest.session);
        clock.set("2026-11-21T09:00:00Z".parse().unwrap());
        // The message has waited for long, but nobody is there to be reminded.
        let due = user.due().await.unwrap();
        assert!(matches!(due.as_slice(), [Effect::Keep(_)]), "{due:?}");
        let lead = user.bind("lead").await.unwrap();
        assert_eq!(lead.carry_out(&due[0]).await.unwrap_err().kind(), ErrorKind::Refused);
        assert_eq!(user.carry_out_due().await.unwrap().len(), 1);
        clock.set(user.next_deadline().await.unwrap().unwrap());
        let retired = user.carry_out_due().await.unwrap();
        assert!(matches!(retired.as_slice(), [Effect::Keep(k)] if matches!(k.upkeep, Upkeep::Retire { .. })));
        assert_eq!(user.next_deadline().await.unwrap(), None);
        let groups: Vec<GroupEntry> = home.groups().await.unwrap();
        assert_eq!(groups.len(), 1);
    });
}
