use super::*;
use crate::command::{Command, RemoteAudience};
use crate::event::{ActorRemove, Priority};
use crate::rule::desk::{Desk, event, who};

fn group() -> GroupId {
    GroupId::new("other").unwrap()
}

/// A message of `lead` to these of the other group.
fn away(to: &[&str]) -> SendMessage {
    let address = |who: &str| format!("{who}@other");
    let remote = to.iter().map(|name| RemoteAudience {
        address: address(name),
        group_id: group(),
        seq: Seq(7),
        found: Ok(vec![who(&address(name))]),
    });
    SendMessage {
        text: "please".into(),
        to: to.iter().map(|name| address(name)).collect(),
        reply_required: true,
        priority: Priority::Attention,
        remote: remote.collect(),
        ..SendMessage::default()
    }
}

fn settle(desk: &mut Desk, seq: Seq, outcome: RelayOutcome) -> Vec<String> {
    let settle = Command::SettleRelay { event: event(seq), group: group(), outcome };
    desk.run("system", settle).unwrap().kinds().into_iter().map(str::to_owned).collect()
}

/// A copy of the message at `seq` of some other group's desk.
fn copy_of(desk: &Desk, seq: Seq, to: &[&str], at: Seq) -> Command {
    let event = desk.event(seq).unwrap();
    Command::Relay(Box::new(RelayCopy {
        src_group_id: group(),
        src_group_title: "Other".into(),
        src_event_id: event.id,
        message: event.message().unwrap().clone(),
        to: to.iter().map(|name| (*name).to_owned()).collect(),
        recipients: to.iter().map(|name| who(name)).collect(),
        seq: at,
        reply_to: None,
        supersedes: None,
    }))
}

#[test]
fn each_way_a_passage_ends() {
    let copied = |missed: &[&str]| RelayOutcome::Copied {
        event_id: "9-bcdfghjk".parse().unwrap(),
        missed: missed.iter().map(|name| who(name)).collect(),
    };
    let open = "unread, ack open, reply open";
    for (outcome, alice, bob, left) in [
        (copied(&[]), format!("accepted by ledger, through relay, {open}"), format!("accepted by ledger, through relay, {open}"), 0),
        (
            copied(&["bob@other"]),
            format!("accepted by ledger, through relay, {open}"),
            "bounced through relay (left the group before it came), unread, ack returned (left the group before it \
             came), reply returned (left the group before it came)"
                .into(),
            0,
        ),
        (
            RelayOutcome::Failed("no".into()),
            format!("failed through relay (no), {open}"),
            format!("failed through relay (no), {open}"),
            1,
        ),
        (
            RelayOutcome::Withheld(WithholdReason::Expired),
            "withheld (expired), unread, ack cancelled (expired), reply cancelled (expired)".into(),
            "withheld (expired), unread, ack cancelled (expired), reply cancelled (expired)".into(),
            0,
        ),
    ] {
        let mut desk = Desk::with(&["lead"]);
        let sent = desk.send("lead", away(&["alice", "bob"]));
        assert!(desk.owed().is_empty(), "it is owed where it goes");
        assert_eq!(desk.receipt(sent, "alice@other"), format!("alice@other: pending, {open}"));
        let said = settle(&mut desk, sent, outcome.clone());
        assert_eq!(said, ["runtime.delivery"; 2]);
        let clean = |text: String| text.replace("withheld through relay", "withheld");
        assert_eq!(clean(desk.receipt(sent, "alice@other")), format!("alice@other: {alice}"));
        assert_eq!(clean(desk.receipt(sent, "bob@other")), format!("bob@other: {bob}"));
        assert_eq!(list(desk.state()).len(), left);
        // What has ended is not said again.
        let again = settle(&mut desk, sent, copied(&[]));
        assert_eq!(again.len(), 2 * left, "{outcome:?}");
        assert_eq!(&desk.rebuilt(), desk.state());
        assert!(desk.state().relays().is_empty());
    }
}

#[test]
fn tries_become_rare_and_end() {
    let mut desk = Desk::with(&["lead"]);
    let sent = desk.send("lead", away(&["alice"]));
    let mut waits = Vec::new();
    while let Some(next) = due(desk.state()).first().map(|due| due.due_at) {
        waits.push(next.since(desk.now).as_secs());
        desk.now = next;
        settle(&mut desk, sent, RelayOutcome::Failed("x".repeat(5000)));
    }
    assert_eq!(waits, [10, 60, 240, 960, 3840, 15360, 61440, 86400]);
    let view = list(desk.state()).remove(0);
    assert_eq!((view.tries, view.next_at, view.reason.unwrap().len()), (MAX_TRIES, None, MAX_REASON_BYTES));
    // On request it may still arrive; and retracted it is of no interest any more.
    desk.run("lead", Command::Retract { event: event(sent), reason: String::new() }).unwrap();
    assert!(list(desk.state()).is_empty());
    assert!(desk.receipt(sent, "alice@other").starts_with("alice@other: withheld"));
    assert_eq!(&desk.rebuilt(), desk.state());
}

#[test]
fn a_copy_is_taken_once_whatever_became_of_it() {
    let mut there = Desk::with(&["lead"]);
    let sent = there.send("lead", away(&["alice", "bob"]));
    let mut desk = Desk::with(&["alice", "bob", "carol"]);
    let at = desk.state().position().seq;
    let copy = copy_of(&there, sent, &["alice", "bob"], at);
    let first = desk.run("lead@other", copy.clone()).unwrap();
    let seq = first.seq();
    assert_eq!(desk.owed().len(), 4);
    let taken = |desk: &mut Desk| desk.run("lead@other", copy.clone()).unwrap().duplicate.unwrap().seq;
    assert_eq!(taken(&mut desk), seq);
    // Another sender's event of the same number is something else.
    assert!(desk.run("chief@other", copy.clone()).unwrap().duplicate.is_none());
    // Nor is it forgotten when it was long ago, or redacted.
    desk.wait(400 * 24 * 60 * 60);
    assert_eq!(taken(&mut desk), seq);
    desk.run("user", Command::Redact { event: event(seq), reason: String::new() }).unwrap();
    assert_eq!(taken(&mut desk), seq);
    desk.forget(seq);
    assert_eq!(taken(&mut desk), seq);
    assert_eq!(&desk.rebuilt(), desk.state());
}

#[test]
fn a_copy_is_for_those_who_were_there() {
    let mut there = Desk::with(&["lead"]);
    let sent = there.send("lead", away(&["alice", "bob"]));
    let mut desk = Desk::with(&["alice", "bob"]);
    let at = desk.state().position().seq;
    let remove = |desk: &mut Desk, id: &str| {
        let actor_id = id.parse().unwrap();
        let remove = ActorRemove { actor_id, reason: String::new(), successor: None };
        desk.run("user", Command::RemoveActor(remove)).unwrap();
    };
    remove(&mut desk, "bob");
    desk.run("user", Command::AddActor(crate::command::AddActor::new("bob".parse().unwrap()))).unwrap();
    let copy = copy_of(&there, sent, &["alice", "bob"], at);
    let done = desk.run("lead@other", copy).unwrap();
    assert_eq!(done.events[0].message().unwrap().recipients, [who("alice")]);
    let nobody = desk.run("lead@other", copy_of(&there, sent, &["bob"], at));
    assert_eq!(nobody.unwrap().duplicate, Some(done.events[0].id), "it was copied before");
    let later = there.send("lead", away(&["bob"]));
    let error = desk.run("lead@other", copy_of(&there, later, &["bob"], at)).unwrap_err();
    assert_eq!(outcome_of(&error), RelayOutcome::Bounced(error.to_string()));
    desk.mode(GroupMode::Archived);
    let error = desk.run("lead@other", copy_of(&there, later, &["alice"], at)).unwrap_err();
    assert_eq!(outcome_of(&error), RelayOutcome::Failed(error.to_string()));
}

#[test]
fn only_the_relay_gives_its_commands() {
    let mut there = Desk::with(&["lead"]);
    let sent = there.send("lead", away(&["alice"]));
    let mut desk = Desk::with(&["alice", "bob"]);
    let at = desk.state().position().seq;
    for by in ["user", "alice", "system", "svc:x", "lead@third"] {
        let error = desk.run(by, copy_of(&there, sent, &["alice"], at)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{by}");
    }
    // And whoever is elsewhere does nothing here but that, and taking back its own.
    let copy = desk.run("lead@other", copy_of(&there, sent, &["alice"], at)).unwrap().seq();
    let own = desk.send("alice", crate::rule::desk::message("x", &["bob"]));
    for command in [
        Command::Send(crate::rule::desk::message("x", &["alice"])),
        Command::Ack { event: event(copy) },
        Command::Retract { event: event(own), reason: String::new() },
        Command::SetState(crate::event::GroupSetState { state: GroupMode::Paused, reason: String::new() }),
    ] {
        let error = desk.run("lead@other", command).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
    }
    let theirs = Command::Retract { event: event(copy), reason: String::new() };
    assert_eq!(desk.run("lead@other", theirs).unwrap().kinds(), ["chat.retract"]);
}

#[test]
fn who_is_asked_there_is_looked_up_as_here() {
    let desk = Desk::with(&["lead", "alice"]);
    let from = Remote::new(who("lead"), group()).unwrap();
    let found = |address: &str| look_up(desk.state(), &from, address);
    // Who speaks from there is nobody here, also under the same name.
    assert_eq!(found("@all").unwrap(), [who("alice"), who("lead")]);
    assert_eq!(found("@foreman").unwrap(), [who("lead")]);
    assert_eq!(found("user").unwrap(), [Principal::User]);
    assert_eq!(found("alcie").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(found("alice@third").unwrap_err().kind(), ErrorKind::Unsupported);
}
