use super::*;
use crate::command::Command;
use crate::error::ErrorKind;
use crate::event::{Body, GroupMode};
use crate::id::{ActorId, Seq};
use crate::rule::desk::{Desk, Done, who};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn tell(to: &str) -> ScheduleAction {
    ScheduleAction::Notify { to: vec![to.into()], text: "stand up".into() }
}

fn add(desk: &mut Desk, by: &str, when: When, action: ScheduleAction) -> Result<Done> {
    desk.run(by, Command::AddSchedule(AddSchedule { schedule_id: None, when, action }))
}

fn every(minutes: u64) -> When {
    When::Every(Duration::from_secs(minutes * 60))
}

/// Carries out what is due; answers the kinds of the events.
fn fire(desk: &mut Desk) -> Vec<String> {
    let mut kinds = Vec::new();
    for Firing { schedule_id, scheduled_at, .. } in due(desk.state(), desk.now) {
        let done = desk.run("system", Command::FireSchedule { schedule_id, scheduled_at }).unwrap();
        kinds.extend(done.kinds().into_iter().map(str::to_owned));
    }
    kinds
}

/// The times of an expression within a while, in UTC without the seconds.
fn times(expr: &str, tz: &str, after: &str, count: usize) -> Vec<String> {
    let cron = cron::Cron::new(expr, tz).unwrap();
    let next = |last: &Timestamp| cron.next_after(*last);
    let all = std::iter::successors(cron.next_after(at(after)), next);
    all.take(count).map(|time| time.to_string()[..16].to_owned()).collect()
}

#[test]
fn cron_follows_the_clocks_of_its_zone() {
    // In Paris clocks go from 2:00 to 3:00 on 2026-03-29 and from 3:00 back to 2:00 on 2026-10-25.
    for (expr, tz, after, expected) in [
        ("0 9 * * 1-5", "Europe/Paris", "2026-11-20T07:59:59Z", vec!["2026-11-20T08:00", "2026-11-23T08:00"]),
        ("0 9 * * *", "Europe/Paris", "2026-03-27T12:00:00Z", vec!["2026-03-28T08:00", "2026-03-29T07:00"]),
        ("0 9 * * *", "UTC", "2026-03-27T12:00:00Z", vec!["2026-03-28T09:00", "2026-03-29T09:00"]),
        // What is skipped happens as much later, also if asked in between; the next day as ever.
        ("30 2 * * *", "Europe/Paris", "2026-03-28T12:00:00Z", vec!["2026-03-29T01:30", "2026-03-30T00:30"]),
        ("30 2 * * *", "Europe/Paris", "2026-03-29T01:29:00Z", vec!["2026-03-29T01:30", "2026-03-30T00:30"]),
        // Two faces that come to the same time are one.
        (
            "30 2,3 * * *",
            "Europe/Paris",
            "2026-03-28T12:00:00Z",
            vec!["2026-03-29T01:30", "2026-03-30T00:30"],
        ),
        // What is skipped does not push aside what comes before it.
        (
            "15,45 2,3 29 3 *",
            "Europe/Paris",
            "2026-03-29T00:00:00Z",
            vec!["2026-03-29T01:15", "2026-03-29T01:45"],
        ),
        // What is shown twice happens at its first.
        ("30 2 * * *", "Europe/Paris", "2026-10-24T12:00:00Z", vec!["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("30 2 * * *", "Europe/Paris", "2026-10-25T00:45:00Z", vec!["2026-10-26T01:30"]),
        // Open hours follow real time, through both.
        (
            "30 * * * *",
            "Europe/Paris",
            "2026-03-29T00:00:00Z",
            vec!["2026-03-29T00:30", "2026-03-29T01:30", "2026-03-29T02:30"],
        ),
        (
            "*/30 * * * *",
            "Europe/Paris",
            "2026-10-24T23:30:00Z",
            vec![
                "2026-10-25T00:00",
                "2026-10-25T00:30",
                "2026-10-25T01:00",
                "2026-10-25T01:30",
                "2026-10-25T02:00",
            ],
        ),
        ("0 */2 * * *", "Europe/Paris", "2026-03-28T23:30:00Z", vec!["2026-03-29T02:00", "2026-03-29T04:00"]),
        // Half an hour is turned on Lord Howe, and there the offset is odd.
        (
            "10 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-02T20:00:00Z",
            vec!["2026-10-03T15:40", "2026-10-04T15:10"],
        ),
        ("0 12 29 2 *", "UTC", "2026-01-01T00:00:00Z", vec!["2028-02-29T12:00"]),
    ] {
        assert_eq!(times(expr, tz, after, expected.len()), expected, "{expr} in {tz} after {after}");
    }
}

#[test]
fn a_time_of_day_is_the_next_one_of_the_zone() {
    for (time, tz, now, expected) in [
        ("17:00", "UTC", "2026-11-21T16:59:59Z", "2026-11-21T17:00:00.000Z"),
        ("17:00", "UTC", "2026-11-21T17:00:00Z", "2026-11-22T17:00:00.000Z"),
        ("17:00", "Europe/Paris", "2026-11-21T12:00:00Z", "2026-11-21T16:00:00.000Z"),
        ("02:30", "Europe/Paris", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00.000Z"),
        ("09:00", "Pacific/Auckland", "2026-11-21T12:00:00Z", "2026-11-21T20:00:00.000Z"),
    ] {
        assert_eq!(cron::next_time_of_day(time, tz, at(now)).unwrap(), at(expected), "{time} {tz}");
    }
}

#[test]
fn what_cannot_be_scheduled_is_refused_by_name() {
    let mut desk = Desk::with(&["lead", "alice", "bob", "c", "d", "e"]);
    let cron = |expr: &str, tz: &str| When::Cron { expr: expr.into(), tz: Some(tz.into()) };
    let time = |time: &str| When::AtTime { time: time.into(), tz: None };
    let now = desk.now;
    let soon = || When::At(now.after(Duration::from_secs(60)));
    let pause = || ScheduleAction::SetState { state: GroupMode::Paused };
    let start = |id: &str| ScheduleAction::Control { actor_id: id.parse().unwrap(), wish: Wish::Start };
    let many = ScheduleAction::Notify {
        to: ["alice", "bob", "c", "d", "e"].map(Into::into).into(),
        text: "x".into(),
    };
    let text = |text: &str| ScheduleAction::Notify { to: vec!["alice".into()], text: text.into() };
    use ErrorKind::{Invalid, NotFound, Refused, TooLarge};
    let cases = [
        ("alice", When::Every(Duration::from_secs(59)), tell("alice"), Invalid, "a minute"),
        ("alice", When::Every(MAX_AHEAD * 2), tell("alice"), Invalid, "a year"),
        ("alice", cron("0 9 * *", "UTC"), tell("alice"), Invalid, "4 fields"),
        ("alice", cron("0 9 * * 1 Europe/Paris", "UTC"), tell("alice"), Invalid, "6 fields"),
        ("alice", cron("61 9 * * 1", "UTC"), tell("alice"), Invalid, "cannot be read"),
        ("alice", cron("0 9 31 2 *", "UTC"), tell("alice"), Invalid, "never happens"),
        ("alice", cron("0 9 * * *", "Europe/Atlantis"), tell("alice"), Invalid, "no time zone"),
        ("alice", cron(&"*".repeat(300), "UTC"), tell("alice"), TooLarge, "256"),
        ("alice", time("25:00"), tell("alice"), Invalid, "17:00"),
        ("alice", When::At(desk.now), tell("alice"), Invalid, "is over"),
        ("alice", When::At(desk.now.after(MAX_AHEAD * 2)), tell("alice"), Invalid, "a year"),
        ("alice", every(15), text(" "), Invalid, "empty"),
        ("alice", every(15), text(&"x".repeat(MAX_TEXT_BYTES + 1)), TooLarge, "4096"),
        ("alice", every(15), ScheduleAction::Notify { to: Vec::new(), text: "x".into() }, Invalid, "--to"),
        ("alice", every(15), tell("alise"), NotFound, "alice"),
        ("alice", every(15), tell("@all"), Refused, "by name"),
        ("alice", every(15), many, Refused, "by name"),
        ("alice", soon(), pause(), Refused, "foreman"),
        ("alice", soon(), start("bob"), Refused, "foreman"),
        ("lead", soon(), ScheduleAction::SetState { state: GroupMode::Archived }, Refused, "the user"),
        ("lead", soon(), start("nobody"), NotFound, "nobody"),
        ("user", every(15), pause(), Refused, "--at"),
        ("user", cron("0 9 * * *", "UTC"), start("bob"), Refused, "--at"),
    ];
    for (by, when, action, kind, word) in cases {
        let shown = format!("{when:?} {action:?}");
        let error = add(&mut desk, by, when, action).expect_err(&shown);
        assert_eq!(error.kind(), kind, "{shown}: {error}");
        assert!(error.to_string().contains(word), "{shown}: {error}");
    }
    for (by, when, action) in [
        ("alice", every(1), tell("alice")),
        ("alice", time("17:00"), tell("bob")),
        ("lead", soon(), start("bob")),
        ("lead", every(15), tell("@all")),
        ("user", soon(), ScheduleAction::SetState { state: GroupMode::Archived }),
    ] {
        add(&mut desk, by, when, action).unwrap();
    }
    for _ in desk.state().schedules().len()..MAX_SCHEDULES {
        add(&mut desk, "user", every(15), tell("alice")).unwrap();
    }
    let full = add(&mut desk, "user", every(15), tell("alice")).unwrap_err();
    assert_eq!(full.kind(), Refused);
    assert!(full.to_string().contains("clear"), "{full}");
}

#[test]
fn an_interval_comes_on_its_grid_and_misses_are_not_made_up_for() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let start = desk.now;
    add(&mut desk, "alice", every(15), tell("alice")).unwrap();
    let quarter = Duration::from_secs(900);
    assert_eq!(next_deadline(desk.state(), desk.now), Some(start.after(quarter)));
    assert_eq!(fire(&mut desk), [""; 0]);
    desk.now = start.after(quarter);
    assert_eq!(fire(&mut desk), ["schedule.fired", "system.notify"]);
    assert_eq!(fire(&mut desk), [""; 0], "once");
    // Somewhat late is in time; the grid stays.
    desk.now = start.after(quarter * 2 + GRACE);
    assert_eq!(fire(&mut desk), ["schedule.fired", "system.notify"]);
    assert_eq!(next_deadline(desk.state(), desk.now), Some(start.after(quarter * 3)));
    // Nobody looked for a long time.
    desk.now = start.after(quarter * 40 + GRACE * 2);
    assert_eq!(fire(&mut desk), [""; 0]);
    assert_eq!(next_deadline(desk.state(), desk.now), Some(start.after(quarter * 41)));
    // A clock that was set back repeats nothing.
    desk.now = start.after(quarter);
    assert_eq!(fire(&mut desk), [""; 0]);
}

#[test]
fn what_is_once_completes_and_can_be_cleared() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let hour = Duration::from_secs(3600);
    let begin = desk.now;
    let once = |desk: &mut Desk, hours: u32, action| {
        let when = When::At(begin.after(hour * hours));
        add(desk, "user", when, action).unwrap()
    };
    let control = |wish| ScheduleAction::Control { actor_id: "alice".parse().unwrap(), wish };
    once(&mut desk, 1, tell("alice"));
    once(&mut desk, 2, control(Wish::Restart));
    once(&mut desk, 3, tell("lead"));
    once(&mut desk, 4, ScheduleAction::SetState { state: GroupMode::Paused });
    desk.now = begin.after(hour);
    assert_eq!(fire(&mut desk), ["schedule.fired", "system.notify"]);
    desk.now = begin.after(hour * 2);
    assert_eq!(fire(&mut desk), ["schedule.fired", "actor.restart"]);
    // The third is missed.
    desk.now = begin.after(hour * 4);
    assert_eq!(fire(&mut desk), ["schedule.fired", "schedule.fired", "group.set_state"]);
    let results: Vec<_> =
        desk.state().schedules().values().map(|s| (s.completed, s.result.clone())).collect();
    let (done, missed) = (Some(FiredResult::Done), Some(FiredResult::Missed));
    assert_eq!(results, [(true, done.clone()), (true, done.clone()), (true, missed), (true, done)]);
    assert_eq!(next_deadline(desk.state(), desk.now), None);
    let first: ScheduleId = desk.state().schedules().keys().next().unwrap().clone();
    let again = Command::EnableSchedule { schedule_id: first, enabled: false };
    assert_eq!(desk.run("user", again).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(desk.run("alice", Command::ClearSchedules).unwrap().kinds(), [""; 0]);
    assert_eq!(desk.run("user", Command::ClearSchedules).unwrap().kinds(), ["schedule.remove"; 4]);
    assert!(desk.state().schedules().is_empty());
}

#[test]
fn schedules_run_in_active_and_idle_groups() {
    for (mode, runs) in [
        (GroupMode::Active, true),
        (GroupMode::Idle, true),
        (GroupMode::Paused, false),
        (GroupMode::Stopped, false),
        (GroupMode::Archived, false),
    ] {
        let mut desk = Desk::with(&["lead", "alice"]);
        add(&mut desk, "user", every(15), tell("alice")).unwrap();
        desk.mode(mode);
        desk.wait(900);
        assert_eq!(next_deadline(desk.state(), desk.now).is_some(), runs, "{mode:?}");
        assert_eq!(fire(&mut desk).is_empty(), !runs, "{mode:?}");
        if !runs {
            desk.wait(900 * 3 + 200);
            desk.mode(GroupMode::Active);
            assert_eq!(fire(&mut desk), [""; 0], "{mode:?}: not made up for");
        }
    }
}

#[test]
fn schedules_belong_to_who_made_them() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let made = add(&mut desk, "alice", every(15), tell("alice")).unwrap();
    assert_eq!(made.seq(), Seq(5));
    let id: ScheduleId = "s5".parse().unwrap();
    let enable = |enabled| Command::EnableSchedule { schedule_id: id.clone(), enabled };
    let remove = || Command::RemoveSchedule { schedule_id: id.clone() };
    for command in [enable(false), remove()] {
        assert_eq!(desk.run("bob", command).unwrap_err().kind(), ErrorKind::Refused);
    }
    assert_eq!(desk.run("lead", enable(false)).unwrap().kinds(), ["schedule.set"]);
    assert_eq!(desk.run("lead", enable(false)).unwrap().kinds(), [""; 0]);
    desk.wait(900);
    assert_eq!(fire(&mut desk), [""; 0], "it rests");
    desk.run("alice", enable(true)).unwrap();
    assert_eq!(fire(&mut desk), [""; 0], "what passed while it rested is not made up for");
    assert_eq!(desk.state().schedules()[&id].author, who("alice"));
    let twice = AddSchedule { schedule_id: Some(id.clone()), when: every(5), action: tell("bob") };
    assert_eq!(desk.run("bob", Command::AddSchedule(twice)).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(desk.run("alice", remove()).unwrap().kinds(), ["schedule.remove"]);
    assert_eq!(desk.run("alice", remove()).unwrap_err().kind(), ErrorKind::NotFound);
    let scheduled_at = desk.now;
    let peer = desk.run("alice", Command::FireSchedule { schedule_id: id, scheduled_at });
    assert_eq!(peer.unwrap_err().kind(), ErrorKind::Refused);
}

#[test]
fn what_cannot_be_done_any_more_is_said() {
    let mut desk = Desk::with(&["lead", "alice"]);
    add(&mut desk, "user", every(15), tell("alice")).unwrap();
    let actor_id: ActorId = "alice".parse().unwrap();
    let remove = crate::event::ActorRemove { actor_id, reason: String::new(), successor: None };
    desk.run("user", Command::RemoveActor(remove)).unwrap();
    desk.wait(900);
    assert_eq!(fire(&mut desk), ["schedule.fired"]);
    let Some(Body::ScheduleFired(fired)) = desk.events().last().map(|event| &event.body) else { panic!() };
    let FiredResult::Failed { reason } = &fired.result else { panic!("{fired:?}") };
    assert!(reason.contains("alice"), "{reason}");
    assert_eq!(desk.state(), &GroupState::from_bytes(&desk.state().to_bytes().unwrap()).unwrap());
    assert_eq!(desk.state(), &desk.rebuilt());
}
