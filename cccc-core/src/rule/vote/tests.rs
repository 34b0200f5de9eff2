use proptest::prelude::*;

use super::*;
use crate::command::{AddActor, Command};
use crate::error::ErrorKind;
use crate::event::GroupMode;
use crate::rule::desk::{Desk, Done, who};

const HOUR: Duration = Duration::from_secs(3600);

fn question(subject: &str, voters: &[&str]) -> Command {
    Command::OpenVote {
        subject: subject.into(),
        voters: voters.iter().map(|v| who(v)).collect(),
        within: HOUR,
    }
}

fn ask(desk: &mut Desk, by: &str, subject: &str) -> VoteId {
    let done = desk.run(by, question(subject, &[])).expect("to be allowed");
    let opened = done.events.iter().find_map(|event| match &event.body {
        Body::VoteOpen(open) => Some((event.seq, open.vote_id)),
        _ => None,
    });
    let (seq, id) = opened.expect("a vote.open");
    assert_eq!(seq, id.seq());
    id
}

fn cast(desk: &mut Desk, by: &str, vote: VoteId, choice: Choice) -> Result<Done> {
    desk.run(by, Command::CastVote { vote, choice, reason: String::new() })
}

fn close(desk: &mut Desk, by: &str, vote: VoteId) -> Result<Done> {
    desk.run(by, Command::CloseVote { vote, reason: "never mind".into() })
}

fn remove(desk: &mut Desk, id: &str, successor: Option<&str>) -> Done {
    let of = |id: &str| ActorId::new(id).unwrap();
    let removal = ActorRemove { actor_id: of(id), reason: "left".into(), successor: successor.map(of) };
    desk.run("user", Command::RemoveActor(removal)).unwrap()
}

fn standing(desk: &Desk, id: VoteId) -> VoteStanding {
    show(desk.state(), desk.event(id.seq()).unwrap(), &desk.facts(id.seq()), desk.now).unwrap().standing
}

#[test]
fn how_many_must_agree() {
    for (voters, needed) in [(2, 2), (3, 2), (4, 3), (5, 3), (256, 129)] {
        assert_eq!(threshold(voters), needed, "{voters}");
    }
}

#[test]
fn votes_end_as_soon_as_they_can() {
    use Choice::{Abstain, No, Yes};
    use VoteStanding::{Accepted, Open, Rejected};
    for (actors, choices, expected) in [
        (2, &[Yes][..], Open),
        (2, &[Yes, Yes], Accepted),
        (2, &[No], Rejected),
        (2, &[Abstain], Rejected),
        (3, &[Yes, No], Open),
        (3, &[Yes, Yes], Accepted),
        (3, &[No, No], Rejected),
        (3, &[Yes, No, Abstain], Rejected),
        (4, &[Yes, Yes], Open),
        (4, &[Yes, Yes, Yes], Accepted),
        (4, &[Yes, No, No], Rejected),
        (5, &[Yes, No, No, Yes], Open),
        (5, &[Yes, No, No, Yes, Yes], Accepted),
    ] {
        let names = ["a1", "a2", "a3", "a4", "a5"];
        let mut desk = Desk::with(&names[..actors]);
        let id = ask(&mut desk, "user", "merge?");
        assert_eq!(desk.owed().len(), actors);
        for (by, choice) in names.iter().zip(choices) {
            assert_eq!(standing(&desk, id), Open);
            cast(&mut desk, by, id, *choice).unwrap();
        }
        assert_eq!(standing(&desk, id), expected, "{actors} {choices:?}");
        let owed = if expected == Open { actors - choices.len() } else { 0 };
        assert_eq!(desk.owed().len(), owed, "{actors} {choices:?}");
        assert_eq!(desk.rebuilt(), *desk.state());
    }
}

#[test]
fn a_voice_is_given_once_and_a_vote_decided_once() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let id = ask(&mut desk, "alice", "tabs?");
    let first = cast(&mut desk, "alice", id, Choice::Yes).unwrap();
    let again = cast(&mut desk, "alice", id, Choice::Yes).unwrap();
    assert_eq!((again.events.len(), again.seq()), (0, first.seq()));
    assert_eq!(cast(&mut desk, "alice", id, Choice::No).unwrap_err().kind(), ErrorKind::Conflict);
    for (by, kind) in [("user", ErrorKind::Refused), ("svc:x", ErrorKind::Refused)] {
        assert_eq!(cast(&mut desk, by, id, Choice::Yes).unwrap_err().kind(), kind, "{by}");
    }
    let deciding = cast(&mut desk, "bob", id, Choice::Yes).unwrap();
    assert_eq!(deciding.kinds(), ["vote.cast", "vote.close", "system.notify"], "whoever asked is told");
    let late = cast(&mut desk, "lead", id, Choice::No).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict);
    assert!(late.to_string().contains("accepted before"), "{late}");
    // A retry of the deciding voice gets its first answer.
    let again = cast(&mut desk, "bob", id, Choice::Yes).unwrap();
    assert_eq!((again.events.len(), again.seq()), (0, deciding.seq()));
    assert_eq!(close(&mut desk, "user", id).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(cast(&mut desk, "lead", VoteId(Seq(99)), Choice::No).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(cast(&mut desk, "lead", VoteId(Seq(1)), Choice::No).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_released_peer_is_removed_in_the_append_that_decides() {
    let mut desk = Desk::with(&["lead", "alice", "bob", "carol"]);
    let id = ask(&mut desk, "alice", "release bob");
    assert_eq!(
        desk.owed(),
        ["alice vote 6", "carol vote 6", "lead vote 6"],
        "whom it is about does not vote"
    );
    assert_eq!(cast(&mut desk, "bob", id, Choice::No).unwrap_err().kind(), ErrorKind::Refused);
    cast(&mut desk, "alice", id, Choice::Yes).unwrap();
    let about_bob = ask(&mut desk, "bob", "more coffee?");
    let done = cast(&mut desk, "carol", id, Choice::Yes).unwrap();
    assert_eq!(done.kinds(), ["vote.cast", "vote.close", "actor.remove", "vote.close", "system.notify"]);
    assert!(desk.state().actor(&ActorId::new("bob").unwrap()).is_none());
    assert_eq!(standing(&desk, id), VoteStanding::Accepted);
    assert_eq!(standing(&desk, about_bob), VoteStanding::Cancelled);
    assert!(desk.owed().is_empty());
    assert_eq!(desk.state().tombstones()[0].reason, format!("released by vote {id}"));
    assert_eq!(desk.rebuilt(), *desk.state());
}

#[test]
fn who_cannot_be_released_and_what_is_no_vote() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let long = "x".repeat(MAX_SUBJECT_BYTES + 1);
    for (by, command, kind) in [
        ("alice", question("release lead", &[]), ErrorKind::Refused),
        ("bob", question("release bob", &[]), ErrorKind::Refused),
        ("alice", question("release bbo", &[]), ErrorKind::NotFound),
        ("alice", question("release bob", &["alice", "lead"]), ErrorKind::Refused),
        ("alice", question("?", &["alice"]), ErrorKind::Refused),
        ("alice", question("?", &["alice", "carol"]), ErrorKind::NotFound),
        ("alice", question("?", &["alice", "system"]), ErrorKind::Invalid),
        ("alice", question(" ", &[]), ErrorKind::Invalid),
        ("alice", question(&long, &[]), ErrorKind::TooLarge),
        ("svc:x", question("?", &[]), ErrorKind::Refused),
        (
            "alice",
            Command::OpenVote { subject: "?".into(), voters: vec![], within: Duration::ZERO },
            ErrorKind::Invalid,
        ),
        (
            "alice",
            Command::OpenVote { subject: "?".into(), voters: vec![], within: MAX_OPEN * 2 },
            ErrorKind::Invalid,
        ),
    ] {
        let error = desk.run(by, command.clone()).unwrap_err();
        assert_eq!(error.kind(), kind, "{command:?}: {error}");
    }
    // In a pair nobody is outvoted.
    let mut desk = Desk::with(&["lead", "alice"]);
    assert_eq!(desk.run("lead", question("release alice", &[])).unwrap_err().kind(), ErrorKind::Refused);
    // Who became the foreman meanwhile stays.
    let mut desk = Desk::with(&["lead", "alice", "bob", "carol"]);
    let id = ask(&mut desk, "alice", "release bob");
    let promote = crate::event::ActorUpdate {
        role: Some(Role::Foreman),
        ..crate::event::ActorUpdate::of(ActorId::new("bob").unwrap())
    };
    desk.run("user", Command::UpdateActor(promote)).unwrap();
    cast(&mut desk, "alice", id, Choice::Yes).unwrap();
    cast(&mut desk, "carol", id, Choice::Yes).unwrap();
    assert_eq!(standing(&desk, id), VoteStanding::Cancelled);
    assert!(desk.state().actor(&ActorId::new("bob").unwrap()).is_some());
}

#[test]
fn the_same_question_is_asked_once() {
    let mut desk = Desk::with(&["lead", "alice", "bob", "carol"]);
    let id = ask(&mut desk, "alice", "release bob");
    let again = desk.run("alice", question(" release bob ", &[])).unwrap();
    assert_eq!((again.events.len(), again.seq()), (0, id.seq()));
    let other = desk.run("carol", question("release bob", &[])).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Conflict);
    assert!(other.to_string().contains(&format!("vote cast {id} yes")), "{other}");
}

#[test]
fn time_ends_a_vote_and_pauses_do_not() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let id = ask(&mut desk, "alice", "now?");
    desk.wait(1800);
    desk.mode(GroupMode::Paused);
    desk.wait(7200);
    desk.mode(GroupMode::Active);
    desk.wait(1800);
    assert_eq!(standing(&desk, id), VoteStanding::Open);
    cast(&mut desk, "alice", id, Choice::Yes).unwrap();
    desk.wait(1);
    assert_eq!(standing(&desk, id), VoteStanding::Over);
    let overdue = crate::rule::obligation::list(desk.state(), &Default::default(), desk.now);
    assert!(overdue.iter().all(|view| view.overdue) && overdue.len() == 2);
    assert_eq!(cast(&mut desk, "bob", id, Choice::Yes).unwrap_err().kind(), ErrorKind::Refused);
    // Whoever asks the next question, or says so, ends it.
    let mut other = desk.clone();
    let done = other.run("bob", question("and now?", &[])).unwrap();
    // Two voters are asked, and whoever asked before is told of the end.
    assert_eq!(done.kinds()[..3], ["vote.close", "vote.open", "system.notify"]);
    assert_eq!(done.events.len(), 5);
    let new = other.state().votes().keys().next().copied().unwrap();
    assert_eq!(new.seq(), done.events[1].seq);
    close(&mut desk, "bob", id).unwrap();
    for desk in [&mut desk, &mut other] {
        assert_eq!(standing(desk, id), VoteStanding::Expired);
        desk.now = Timestamp::from_millis(desk.now.as_millis() - 3_600_000);
        assert_eq!(cast(desk, "bob", id, Choice::Yes).unwrap_err().kind(), ErrorKind::Conflict);
        assert!(close(desk, "lead", id).unwrap().events.is_empty());
    }
    assert!(desk.owed().is_empty());
}

#[test]
fn who_may_call_a_vote_off() {
    for (by, may) in [("alice", true), ("lead", true), ("user", true), ("bob", false), ("svc:x", false)] {
        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        let id = ask(&mut desk, "alice", "now?");
        assert_eq!(close(&mut desk, by, id).is_ok(), may, "{by}");
        assert_eq!(desk.owed().is_empty(), may, "{by}");
    }
}

#[test]
fn removals_end_what_they_must_and_nothing_else() {
    use VoteStanding::{Cancelled, Open, Rejected};
    for (gone, successor, asked, of_release, of_two) in [
        ("alice", None, Cancelled, Open, Rejected),
        ("alice", Some("lead"), Cancelled, Open, Rejected),
        ("bob", None, Open, Cancelled, Open),
        ("carol", None, Open, Open, Rejected),
    ] {
        let mut desk = Desk::with(&["lead", "alice", "bob", "carol", "dave"]);
        let question_of_alice = ask(&mut desk, "alice", "now?");
        let release = ask(&mut desk, "lead", "release bob");
        let pair = VoteId(desk.run("user", question("you two?", &["alice", "carol"])).unwrap().seq());
        remove(&mut desk, gone, successor);
        assert_eq!(standing(&desk, question_of_alice), asked, "{gone}");
        assert_eq!(standing(&desk, release), of_release, "{gone}");
        assert_eq!(standing(&desk, pair), of_two, "{gone}");
        assert!(desk.owed().iter().all(|owed| !owed.starts_with(gone)), "{gone}");
        assert!(!desk.owed().iter().any(|owed| owed.matches("vote").count() > 1));
        assert_eq!(desk.rebuilt(), *desk.state());
    }
}

#[test]
fn a_new_bearer_of_the_name_is_no_voter() {
    let mut desk = Desk::with(&["lead", "alice", "bob", "carol", "dave"]);
    let id = ask(&mut desk, "lead", "now?");
    remove(&mut desk, "alice", None);
    desk.run("user", Command::AddActor(AddActor::new(ActorId::new("alice").unwrap()))).unwrap();
    assert_eq!(cast(&mut desk, "alice", id, Choice::Yes).unwrap_err().kind(), ErrorKind::Refused);
}

#[test]
fn there_are_not_too_many() {
    let mut desk = Desk::with(&["lead", "alice"]);
    for n in 0..MAX_VOTES_OF_PEER {
        ask(&mut desk, "alice", &format!("{n}?"));
    }
    assert_eq!(desk.run("alice", question("more?", &[])).unwrap_err().kind(), ErrorKind::Refused);
    for n in MAX_VOTES_OF_PEER..MAX_VOTES {
        ask(&mut desk, "lead", &format!("{n}?"));
    }
    assert_eq!(desk.run("user", question("more?", &[])).unwrap_err().kind(), ErrorKind::Refused);
    desk.wait(3601);
    ask(&mut desk, "alice", "more?");
    assert_eq!(desk.state().votes().len(), 1);
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Ask(&'static str, &'static str),
    Cast(&'static str, usize, Choice),
    Close(&'static str, usize),
    Remove(&'static str),
    Add(&'static str),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let actor = || prop_oneof![Just("lead"), Just("alice"), Just("bob"), Just("carol")];
    let subject = prop_oneof![Just("now?"), Just("later?"), Just("release bob"), Just("release carol")];
    let choice = prop_oneof![3 => Just(Choice::Yes), 1 => Just(Choice::No), 1 => Just(Choice::Abstain)];
    prop_oneof![
        3 => (actor(), subject).prop_map(|(by, subject)| Step::Ask(by, subject)),
        8 => (actor(), 0..6_usize, choice).prop_map(|(by, n, choice)| Step::Cast(by, n, choice)),
        1 => (actor(), 0..6_usize).prop_map(|(by, n)| Step::Close(by, n)),
        1 => actor().prop_map(Step::Remove),
        1 => actor().prop_map(Step::Add),
        1 => (-40..70_i64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens, a vote is closed at most once, by the voices that were given; and who still owes
    /// a voice is a voter of an open vote who has not voted.
    #[test]
    fn a_vote_decides_exactly_once(steps in prop::collection::vec(step(), 1..80)) {
        let mut desk = Desk::with(&["lead", "alice", "bob", "carol"]);
        let mut votes: Vec<VoteId> = Vec::new();
        for step in steps {
            let nth = |n: usize| votes.get(votes.len().wrapping_sub(n + 1)).copied();
            let done = match step {
                Step::Ask(by, subject) => desk.run(by, question(subject, &[])),
                Step::Cast(by, n, choice) => nth(n).map_or_else(|| Ok(Done { events: vec![], duplicate: None }), |id| cast(&mut desk, by, id, choice)),
                Step::Close(by, n) => nth(n).map_or_else(|| Ok(Done { events: vec![], duplicate: None }), |id| close(&mut desk, by, id)),
                Step::Remove(id) => {
                    let removal = ActorRemove { actor_id: ActorId::new(id).unwrap(), reason: "".into(), successor: None };
                    desk.run("user", Command::RemoveActor(removal))
                }
                Step::Add(id) => desk.run("user", Command::AddActor(AddActor::new(ActorId::new(id).unwrap()))),
                Step::Wait(minutes) => {
                    desk.now = Timestamp::from_millis(desk.now.as_millis() + minutes * 60_000);
                    continue;
                }
            };
            for event in done.map(|done| done.events).unwrap_or_default() {
                if let Body::VoteOpen(open) = event.body {
                    votes.push(open.vote_id);
                }
            }
            for id in &votes {
                let facts = desk.facts(id.seq());
                let closes: Vec<&VoteClose> = facts.iter().filter_map(|fact| match &fact.body {
                    Body::VoteClose(close) => Some(close),
                    _ => None,
                }).collect();
                prop_assert!(closes.len() <= 1);
                prop_assert_eq!(closes.is_empty(), desk.state().votes().contains_key(id));
                let view = show(desk.state(), desk.event(id.seq()).unwrap(), &facts, desk.now).unwrap();
                let yes = u32::try_from(view.count(Choice::Yes)).unwrap();
                match view.standing {
                    VoteStanding::Accepted => prop_assert!(yes == view.threshold),
                    VoteStanding::Cancelled => {}
                    _ => prop_assert!(yes < view.threshold),
                }
            }
            let mut owing: Vec<String> = Vec::new();
            for vote in desk.state().votes().values() {
                for (voter, said) in &vote.voters {
                    if said.is_none() && desk.state().present_since(voter, vote.id().seq()) {
                        owing.push(format!("{voter} vote {}", vote.id().seq()));
                    }
                }
            }
            let mut owed = desk.owed();
            owed.sort();
            owing.sort();
            prop_assert_eq!(owed, owing);
        }
        prop_assert_eq!(desk.rebuilt(), desk.state().clone());
    }
}
