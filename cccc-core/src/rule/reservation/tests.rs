use proptest::prelude::*;

use super::*;
use crate::command::Command;
use crate::error::ErrorKind;
use crate::event::ActorRemove;
use crate::id::{ActorId, Seq};
use crate::rule::desk::Desk;

fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

fn reserve(globs: &[&str], purpose: &str, lease: Duration) -> Command {
    let globs = globs.iter().map(|glob| (*glob).to_owned()).collect();
    Command::Reserve { globs, purpose: purpose.into(), lease }
}

fn take(desk: &mut Desk, by: &str, glob: &str) -> Result<ReservationId> {
    let done = desk.run(by, reserve(&[glob], "", minutes(30)))?;
    Ok(ReservationId(done.seq()))
}

fn release(reservation: ReservationId) -> Command {
    Command::ReleaseReservation { reservation, reason: "done".into() }
}

fn extend(reservation: ReservationId, lease: Duration) -> Command {
    Command::ExtendReservation { reservation, lease }
}

/// `holder globs` of what has not lapsed.
fn held(desk: &Desk) -> Vec<String> {
    let show = |view: ReservationView| format!("{} {}", view.holder, view.globs.join(" "));
    list(desk.state(), false, desk.now).into_iter().map(show).collect()
}

#[test]
fn a_conflict_names_the_holder_and_the_end() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    desk.run("alice", reserve(&["src/**", "Cargo.toml"], "refactoring", minutes(30))).unwrap();
    let until = desk.now.after(minutes(30)).to_string();
    desk.wait(60);
    let before = desk.state().position();
    let error = take(&mut desk, "bob", "src/a.rs").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    for part in ["src/a.rs overlaps src/**", "alice", until.as_str(), "refactoring", "r5", "--to alice"] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    assert_eq!(error.retry_after_duration(), Some(minutes(29)));
    assert_eq!(desk.state().position(), before, "a refusal writes nothing");
    // All of it or nothing; what is elsewhere is free.
    assert!(desk.run("bob", reserve(&["docs/**", "cargo.toml"], "", minutes(5))).is_err());
    take(&mut desk, "bob", "docs/**").unwrap();
    assert_eq!(held(&desk), ["alice Cargo.toml src/**", "bob docs"].map(|s| s.replace("docs", "docs/**")));
    assert_eq!(holder_of(desk.state(), "src/x/y.rs", desk.now).len(), 1);
    assert!(holder_of(desk.state(), "tests/y.rs", desk.now).is_empty());
}

#[test]
fn a_lease_lapses_and_is_over_for_good_once_somebody_takes_something() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let alice = take(&mut desk, "alice", "src/**").unwrap();
    desk.wait(30 * 60);
    assert!(held(&desk).is_empty());
    assert_eq!(list(desk.state(), true, desk.now).len(), 1);
    // Nobody took it: its holder may go on.
    desk.run("alice", extend(alice, minutes(10))).unwrap();
    assert_eq!(held(&desk), ["alice src/**"]);
    desk.wait(10 * 60);
    let bob = take(&mut desk, "bob", "src/a.rs").unwrap();
    assert_eq!(desk.run("alice", extend(alice, minutes(10))).unwrap_err().kind(), ErrorKind::NotFound);
    // The clock goes back to when alice's still ran.
    desk.now = Timestamp::from_millis(desk.now.as_millis() - 5 * 60 * 1000);
    assert_eq!(held(&desk), ["bob src/a.rs"]);
    assert_eq!(take(&mut desk, "alice", "src/**").unwrap_err().kind(), ErrorKind::Conflict);
    desk.run("bob", release(bob)).unwrap();
    take(&mut desk, "alice", "src/**").unwrap();
    assert_eq!(desk.rebuilt(), *desk.state());
}

#[test]
fn asking_again_makes_it_last_instead_of_doubling_it() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let first = take(&mut desk, "alice", "src/**").unwrap();
    let again = desk.run("alice", reserve(&["./src/**/"], "", minutes(30))).unwrap();
    assert_eq!((again.events.len(), again.seq()), (0, first.seq()));
    desk.wait(60);
    let longer = desk.run("alice", reserve(&["src/**"], "", minutes(30))).unwrap();
    assert_eq!(longer.kinds(), ["reservation.extend"]);
    let shorter = desk.run("alice", reserve(&["src/**"], "", minutes(3))).unwrap();
    assert!(shorter.events.is_empty());
    assert_eq!(held(&desk), ["alice src/**"]);
}

#[test]
fn who_may_end_and_extend() {
    for (by, may_release, may_extend) in [
        ("alice", true, true),
        ("bob", false, false),
        ("lead", true, false),
        ("user", true, false),
        ("svc:bridge", false, false),
    ] {
        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        let id = take(&mut desk, "alice", "src").unwrap();
        assert_eq!(desk.run(by, extend(id, minutes(60))).is_ok(), may_extend, "{by}");
        assert_eq!(desk.run(by, release(id)).is_ok(), may_release, "{by}");
        assert_eq!(held(&desk).is_empty(), may_release, "{by}");
    }
    let mut desk = Desk::with(&["lead"]);
    let id = take(&mut desk, "user", "src").unwrap();
    assert_eq!(desk.run("lead", release(id)).unwrap_err().kind(), ErrorKind::Refused);
}

#[test]
fn what_is_refused() {
    let mut desk = Desk::with(&["lead"]);
    let many: Vec<String> = (0..=MAX_GLOBS).map(|n| format!("f{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (command, kind) in [
        (reserve(&[], "", minutes(1)), ErrorKind::Invalid),
        (reserve(&["../x"], "", minutes(1)), ErrorKind::Invalid),
        (reserve(&["x"], "", Duration::ZERO), ErrorKind::Invalid),
        (reserve(&["x"], "", MAX_LEASE + Duration::from_millis(1)), ErrorKind::Invalid),
        (reserve(&["x"], &"p".repeat(1025), minutes(1)), ErrorKind::TooLarge),
        (reserve(&many, "", minutes(1)), ErrorKind::TooLarge),
        (release(ReservationId(Seq(1))), ErrorKind::NotFound),
        (extend(ReservationId(Seq(99)), minutes(1)), ErrorKind::NotFound),
    ] {
        let error = desk.run("lead", command.clone()).unwrap_err();
        assert_eq!(error.kind(), kind, "{command:?}: {error}");
    }
    for n in 0..MAX_RESERVATIONS {
        take(&mut desk, "lead", &format!("f{n}")).unwrap();
    }
    assert_eq!(take(&mut desk, "lead", "one-more").unwrap_err().kind(), ErrorKind::Refused);
    // Lapsed ones make room.
    desk.wait(30 * 60);
    take(&mut desk, "lead", "one-more").unwrap();
    assert_eq!(desk.state().reservations().len(), 1);
}

#[test]
fn what_a_removed_actor_held_goes_to_its_successor_or_is_free() {
    for successor in [None, Some("bob"), Some("user-of-nothing")] {
        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        take(&mut desk, "alice", "src/**").unwrap();
        take(&mut desk, "bob", "docs").unwrap();
        let successor = successor.map(|id| ActorId::new(id).unwrap());
        let remove = ActorRemove { actor_id: ActorId::new("alice").unwrap(), reason: "".into(), successor };
        let known =
            remove.successor.is_none() || desk.state().actor(remove.successor.as_ref().unwrap()).is_some();
        assert_eq!(desk.run("user", Command::RemoveActor(remove.clone())).is_ok(), known);
        let expected: &[&str] = match (known, &remove.successor) {
            (true, None) => &["bob docs"],
            (true, Some(_)) => &["bob src/**", "bob docs"],
            (false, _) => &["alice src/**", "bob docs"],
        };
        assert_eq!(held(&desk), expected);
    }
}

/// One step of a random history: who does what, after how much time (also backwards).
#[derive(Clone, Debug)]
enum Step {
    Take(&'static str, String, u64),
    Extend(&'static str, usize, u64),
    Release(&'static str, usize),
    Wait(i64),
    Remove(&'static str, Option<&'static str>),
    Add(&'static str),
}

fn step() -> impl Strategy<Value = Step> {
    let actor = || prop_oneof![Just("alice"), Just("bob"), Just("carol")];
    let glob = prop_oneof!["[ab]/[ab*?]", "[ab*?]", Just("a/**".to_owned()), Just("**/b".to_owned())];
    prop_oneof![
        4 => (actor(), glob, 1..40_u64).prop_map(|(by, glob, m)| Step::Take(by, glob, m)),
        2 => (actor(), 0..4_usize, 1..40_u64).prop_map(|(by, n, m)| Step::Extend(by, n, m)),
        1 => (actor(), 0..4_usize).prop_map(|(by, n)| Step::Release(by, n)),
        2 => (-30..40_i64).prop_map(Step::Wait),
        1 => (actor(), prop::option::of(actor())).prop_map(|(who, heir)| Step::Remove(who, heir)),
        1 => actor().prop_map(Step::Add),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// A path never has two holders, whatever happens and however the clock jumps.
    #[test]
    fn a_reservation_never_has_two_holders(steps in prop::collection::vec(step(), 1..60)) {
        let mut desk = Desk::with(&["lead", "alice", "bob", "carol"]);
        for step in steps {
            let nth = |desk: &Desk, n: usize| desk.state().reservations().keys().nth(n).copied();
            let now = desk.now;
            // Refusals are part of it.
            let _ = match &step {
                Step::Take(by, glob, m) => desk.run(by, reserve(&[glob], "", minutes(*m))).is_ok(),
                Step::Extend(by, n, m) => {
                    nth(&desk, *n).is_some_and(|id| desk.run(by, extend(id, minutes(*m))).is_ok())
                }
                Step::Release(by, n) => nth(&desk, *n).is_some_and(|id| desk.run(by, release(id)).is_ok()),
                Step::Wait(m) => {
                    desk.now = Timestamp::from_millis(now.as_millis() + m * 60_000);
                    true
                }
                Step::Remove(who, heir) => {
                    let successor = heir.map(|id| ActorId::new(id).unwrap());
                    let actor_id = ActorId::new(who).unwrap();
                    desk.run("user", Command::RemoveActor(ActorRemove { actor_id, reason: "".into(), successor })).is_ok()
                }
                Step::Add(who) => {
                    let add = crate::command::AddActor::new(ActorId::new(who).unwrap());
                    desk.run("user", Command::AddActor(add)).is_ok()
                }
            };
            let all: Vec<_> = desk.state().reservations().values().cloned().collect();
            for (at, one) in all.iter().enumerate() {
                prop_assert!(desk.state().mailbox(&one.holder).is_some(), "held by nobody: {:?}", one);
                for other in &all[at + 1..] {
                    let overlap = parsed(one).any(|a| parsed(other).any(|b| a.overlaps(&b)));
                    prop_assert!(!overlap || one.holder == other.holder, "{:?} {:?} after {:?}", one, other, step);
                }
            }
        }
        prop_assert_eq!(desk.rebuilt(), desk.state().clone());
    }
}
