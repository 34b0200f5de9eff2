use super::*;
use crate::command::{AddActor, Command, OpenSession, Outcome, SendMessage};
use crate::error::ErrorKind;
use crate::event::{ActorRemove, Priority, Transport};
use crate::rule::desk::{Desk, Done, event, message, who};

fn remove(desk: &mut Desk, by: &str, id: &str, successor: Option<&str>) -> Done {
    let remove = ActorRemove {
        actor_id: id.parse().unwrap(),
        reason: "moved on".into(),
        successor: successor.map(|id| id.parse().unwrap()),
    };
    desk.run(by, Command::RemoveActor(remove)).unwrap()
}

/// Who is told of which messages, as `target: messages`.
fn returned(done: &Done) -> Vec<String> {
    let notices = done.events.iter().filter_map(|event| match &event.body {
        Body::SystemNotify(notice) if notice.notice == "returned" => Some(notice),
        _ => None,
    });
    notices
        .map(|notice| {
            assert_eq!(notice.text, None);
            format!(
                "{}: {:?}",
                notice.target.as_ref().unwrap(),
                notice.related.iter().map(|s| s.0).collect::<Vec<_>>()
            )
        })
        .collect()
}

#[test]
fn unread_mail_is_unread_with_the_successor_and_the_receipts_say_so() {
    let mut desk = Desk::with(&["lead", "alice", "bob", "carol"]);
    let asks = SendMessage { priority: Priority::Attention, ..message("look", &["alice"]) };
    let asked = desk.send("lead", asks);
    let plain = desk.send("carol", message("fyi", &["alice"]));
    let seen = desk.send("lead", message("read this", &["alice"]));
    desk.run("alice", Command::MarkRead { events: vec![event(seen)] }).unwrap();
    let done = remove(&mut desk, "user", "alice", Some("bob"));
    assert_eq!(done.kinds(), ["chat.move", "actor.remove"], "nobody has to be told: nothing came back");
    assert_eq!(desk.unread("bob"), [asked.0, plain.0]);
    assert_eq!(desk.owed(), [format!("bob ack {asked}")]);
    assert_eq!(
        desk.receipt(asked, "alice"),
        "alice: moved to bob, pending, unread, ack open, reply none, owed by bob"
    );
    desk.pull("bob", false).unwrap();
    assert!(desk.receipt(plain, "alice").starts_with("alice: moved to bob, accepted by pull, unread"));
    desk.run("bob", Command::Ack { event: event(plain) }).unwrap();
    desk.reply("bob", asked, false);
    for _ in 0..2 {
        desk.run("bob", Command::MarkRead { events: vec![event(plain)] }).unwrap();
    }
    assert!(
        desk.receipt(asked, "alice")
            .starts_with("alice: moved to bob, accepted by pull, read, ack met, reply met")
    );
    assert!(desk.receipt(plain, "alice").starts_with("alice: moved to bob, accepted by pull, read, ack met"));
    assert!(
        desk.receipt(seen, "alice").starts_with("alice: accepted, read"),
        "{}",
        desk.receipt(seen, "alice")
    );
    assert!(desk.unread("bob").is_empty() && desk.owed().is_empty());
    // Whoever comes under the name later inherits nothing of it.
    desk.run("user", Command::AddActor(AddActor::new("alice".parse().unwrap()))).unwrap();
    assert!(desk.unread("alice").is_empty());
    let error = desk.run("alice", Command::MarkRead { events: vec![event(plain)] }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(&desk.rebuilt(), desk.state());
}

#[test]
fn what_the_successor_wrote_or_has_had_does_not_come_again() {
    let mut desk = Desk::with(&["lead", "alice", "bob", "carol"]);
    let own = desk.send("bob", message("from bob", &["alice"]));
    let both = desk.send("lead", message("to both", &["alice", "bob"]));
    let three = desk.send("lead", message("to two", &["alice", "carol"]));
    let answered = desk.send("lead", message("to alice", &["alice"]));
    let answer = desk.reply("bob", answered, false);
    desk.run("bob", Command::MarkReadThrough { event: event(three) }).unwrap();
    let done = remove(&mut desk, "user", "alice", Some("bob"));
    assert_eq!(returned(&done), [format!("bob: [{own}]")]);
    assert_eq!(desk.unread("bob"), [three.0]);
    assert!(desk.receipt(own, "alice").starts_with("alice: bounced (alice was removed: moved on)"));
    assert!(desk.receipt(both, "alice").starts_with("alice: bounced"));
    assert!(desk.receipt(both, "bob").starts_with("bob: accepted, read"));
    desk.run("bob", Command::MarkReadThrough { event: event(three) }).unwrap();
    // He has had that of Alice; it does not come a second time from Carol.
    let done = remove(&mut desk, "user", "carol", Some("bob"));
    assert_eq!(done.kinds(), ["actor.remove"]);
    assert!(desk.receipt(three, "alice").starts_with("alice: moved to bob, accepted, read"));
    assert!(desk.receipt(three, "carol").starts_with("carol: bounced"));
    assert!(desk.unread("bob").is_empty());
    assert!(desk.receipt(answered, "alice").starts_with("alice: bounced"));
    desk.run("user", Command::Redact { event: event(answer), reason: String::new() }).unwrap();
    desk.forget(answer);
    assert_eq!(&desk.rebuilt(), desk.state());
}

#[test]
fn mail_passes_on_from_successor_to_successor_until_it_bounces() {
    let mut desk = Desk::with(&["lead", "alice", "bob", "carol"]);
    let sent = desk.send("lead", SendMessage { reply_required: true, ..message("x", &["alice"]) });
    let claim =
        Command::Claim { recipient: who("alice"), events: vec![event(sent)], transport: Transport::Push };
    let claim = desk.run("svc:host", claim).unwrap().events[0].id;
    remove(&mut desk, "alice", "alice", Some("bob"));
    let doubt = "alice: moved to bob, pending (somebody who left may have got it before bob), unread";
    assert!(desk.receipt(sent, "alice").starts_with(doubt), "{}", desk.receipt(sent, "alice"));
    // What becomes of the claim after all changes nothing for Bob.
    let late = Command::Settle { delivery: claim, outcome: Outcome::Failed("gone".into()) };
    desk.run("svc:host", late).unwrap();
    assert_eq!(desk.unread("bob"), [sent.0]);
    remove(&mut desk, "user", "bob", Some("carol"));
    assert!(desk.receipt(sent, "alice").contains("moved to carol"));
    assert_eq!((desk.unread("carol"), desk.owed()), (vec![sent.0], vec![format!("carol reply {sent}")]));
    let done = remove(&mut desk, "user", "carol", None);
    assert_eq!(returned(&done), [format!("lead: [{sent}]")], "once, for mail and reply together");
    assert_eq!(
        desk.receipt(sent, "alice"),
        "alice: moved to carol, bounced (carol was removed: moved on), unread, ack none, \
         reply returned (carol was removed: moved on)"
    );
    assert_eq!(&desk.rebuilt(), desk.state());
}

#[test]
fn without_a_successor_each_sender_is_told_once_and_who_did_it_is_not() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let sent: Vec<Seq> = (0..20).map(|_| desk.send("lead", message("x", &["alice"]))).collect();
    let bobs = desk.send("bob", SendMessage { reply_required: true, ..message("x", &["alice"]) });
    desk.run("alice", Command::MarkRead { events: vec![event(bobs)] }).unwrap();
    desk.send("user", message("x", &["alice"]));
    desk.send("svc:ci", message("x", &["alice"]));
    let done = remove(&mut desk.clone(), "user", "alice", None);
    let newest: Vec<u64> = sent[4..].iter().map(|seq| seq.0).collect();
    assert_eq!(returned(&done), [format!("bob: [{bobs}]"), format!("lead: {newest:?}")]);
    let done = remove(&mut desk, "lead", "alice", None);
    assert_eq!(returned(&done).iter().map(|line| &line[..4]).collect::<Vec<_>>(), ["user", "bob:"]);
    assert!(desk.unread("bob").is_empty(), "a notice is not mail");
}

#[test]
fn whoever_is_retired_or_voted_out_leaves_the_same_way() {
    let mut desk = Desk::with(&["lead", "alice", "bob", "carol"]);
    let sent = desk.send("carol", message("x", &["bob"]));
    let open = Command::OpenVote {
        subject: "release bob".into(),
        voters: vec![],
        within: std::time::Duration::from_secs(60),
    };
    let opened = desk.run("alice", open).unwrap().events.iter().find_map(|event| match &event.body {
        Body::VoteOpen(open) => Some(open.vote_id),
        _ => None,
    });
    let vote = opened.unwrap();
    let yes = || Command::CastVote { vote, choice: crate::event::Choice::Yes, reason: String::new() };
    desk.run("alice", yes()).unwrap();
    let done = desk.run("lead", yes()).unwrap();
    assert_eq!(returned(&done), [format!("carol: [{sent}]")]);

    let join = crate::command::JoinGroup {
        session: OpenSession { session: "s".into(), ..OpenSession::default() },
        ..crate::command::JoinGroup::default()
    };
    desk.run("guest", Command::Join(join)).unwrap();
    let sent = desk.send("carol", message("x", &["guest"]));
    desk.run("guest", Command::CloseSession { session: "s".into(), reason: None }).unwrap();
    desk.wait(24 * 60 * 60);
    let done = desk.run("system", Command::RetireActor { actor_id: "guest".parse().unwrap() }).unwrap();
    assert_eq!(returned(&done), [format!("carol: [{sent}]")]);
}

#[test]
fn a_vote_may_name_the_successor() {
    let mut desk = Desk::with(&["lead", "alice", "bob", "carol"]);
    let sent = desk.send("carol", SendMessage { reply_required: true, ..message("x", &["bob"]) });
    let within = std::time::Duration::from_secs(60);
    let open = |subject: &str| Command::OpenVote { subject: subject.into(), voters: vec![], within };
    for wrong in ["release bob to bob", "release bob to nobody"] {
        assert!(desk.run("lead", open(wrong)).is_err(), "{wrong}");
    }
    let vote = crate::id::VoteId(desk.run("lead", open("release bob to alice")).unwrap().seq());
    for by in ["lead", "carol"] {
        let choice = crate::event::Choice::Yes;
        desk.run(by, Command::CastVote { vote, choice, reason: String::new() }).unwrap();
    }
    assert_eq!((desk.unread("alice"), desk.owed()), (vec![sent.0], vec![format!("alice reply {sent}")]));
    assert!(desk.receipt(sent, "bob").starts_with("bob: moved to alice"));
}

#[test]
fn the_newest_thousand_pass_and_the_others_bounce() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let sent: Vec<Seq> = (0..MAX_MOVED + 3).map(|_| desk.send("lead", message("x", &["alice"]))).collect();
    remove(&mut desk, "user", "alice", Some("bob"));
    assert_eq!(desk.unread("bob").len(), MAX_MOVED);
    assert!(desk.receipt(sent[2], "alice").starts_with("alice: bounced"));
    assert!(desk.receipt(sent[3], "alice").starts_with("alice: moved to bob, pending"));
}

#[test]
fn conditions_and_silence_go_along() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let expires_at = Some(desk.now.after(std::time::Duration::from_secs(10)));
    let fleeting = desk.send("lead", SendMessage { expires_at, ..message("x", &["alice"]) });
    let low = desk.send("lead", SendMessage { priority: Priority::Low, ..message("x", &["alice"]) });
    remove(&mut desk, "user", "alice", Some("bob"));
    let mailbox = desk.state().mailbox(&who("bob")).unwrap();
    assert!(mailbox.waiting.contains_key(&fleeting) && mailbox.quiet.contains(low.0));
    desk.wait(11);
    assert_eq!(desk.unread("bob"), [low.0]);
    desk.pull("bob", true).unwrap();
    assert!(desk.receipt(fleeting, "alice").starts_with("alice: moved to bob, withheld (expired), unread"));
    assert_eq!(&desk.rebuilt(), desk.state());
}

/// What somebody owes, as who asked, where, for what.
fn owes(desk: &Desk, name: &str) -> BTreeSet<(Principal, Seq, ObligationKind)> {
    let mailbox = desk.state().mailbox(&who(name));
    let owed = mailbox.into_iter().flat_map(|mailbox| &mailbox.owed);
    owed.map(|((source, kind), owed)| (owed.creditor.clone(), *source, *kind)).collect()
}

proptest::proptest! {
    /// Of all that an actor had not read and owed before it left nothing is lost, and nothing is doubled.
    #[test]
    fn nothing_vanishes(
        steps in proptest::collection::vec((0..4_usize, 0..4_usize, 0..8_u8, 0..4_u8), 1..40),
        successor in proptest::bool::ANY,
    ) {
        const NAMES: [&str; 4] = ["lead", "alice", "bob", "user"];
        let mut desk = Desk::with(&NAMES[..3]);
        for (by, to, asks, then) in steps {
            if by == to {
                continue;
            }
            let priority = if asks & 1 == 1 { Priority::Attention } else { Priority::Normal };
            let asks = SendMessage { priority, reply_required: asks & 2 == 2, ..message("x", &[NAMES[to]]) };
            let sent = desk.send(NAMES[by], asks);
            match then {
                0 => drop(desk.run(NAMES[to], Command::MarkRead { events: vec![event(sent)] }).unwrap()),
                1 => drop(desk.reply("bob", sent, false)),
                2 => drop(desk.pull(NAMES[to], false).unwrap()),
                _ => {}
            }
        }
        let (unread, owed) = (desk.unread("alice"), owes(&desk, "alice"));
        let (unread_of_bob, owed_by_bob) = (desk.unread("bob"), owes(&desk, "bob"));
        remove(&mut desk, "user", "alice", successor.then_some("bob"));
        let mut with_bob = unread_of_bob;
        for seq in unread.into_iter().map(Seq) {
            let receipt = desk.receipts(seq).into_iter().find(|r| r.recipient == who("alice")).unwrap();
            match receipt.moved_to {
                Some(holder) => {
                    proptest::prop_assert_eq!(&holder, &who("bob"));
                    with_bob.push(seq.0);
                }
                None => {
                    let returned = desk.receipt(seq, "alice").contains("moved on");
                    proptest::prop_assert!(returned, "{}", desk.receipt(seq, "alice"));
                }
            }
        }
        with_bob.sort_unstable();
        proptest::prop_assert_eq!(desk.unread("bob"), with_bob);
        // What was owed to her is over.
        let mut then_owed: BTreeSet<_> = owed_by_bob.into_iter().filter(|(to, ..)| *to != who("alice")).collect();
        for (creditor, source, kind) in owed {
            if successor && creditor != who("bob") {
                then_owed.insert((creditor, source, kind));
            } else {
                let receipt = desk.receipt(source, "alice");
                let expected = format!("{} returned (alice was removed: moved on)", kind.as_str());
                proptest::prop_assert!(receipt.contains(&expected), "{}", receipt);
            }
        }
        proptest::prop_assert_eq!(owes(&desk, "bob"), then_owed);
        proptest::prop_assert_eq!(desk.owed().iter().filter(|line| line.starts_with("alice")).count(), 0);
        proptest::prop_assert_eq!(&desk.rebuilt(), desk.state());
    }
}
