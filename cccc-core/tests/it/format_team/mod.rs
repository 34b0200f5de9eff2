//! A ledger of a team at work, with every kind of event of version 0.1.0, opens for ever and means what it meant.
//!
//! `tests/fixtures/ledger-v1-team` was written once, by `makes_the_team_fixture` (see `script.rs`), together with
//! `expected.json`: what was owed, held and known at its end. Members may be added to what is shown; what is in
//! that file stays as it is. What the library makes of it (who is reminded, who waits for whom) may change.

mod ask;
mod gaps;
mod people;
mod script;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cccc_core::disk::RealDisk;
use cccc_core::event::{Body, Event};
use cccc_core::ledger::Verdict;
use cccc_core::ledger::file::{FileLedger, Options};
use cccc_core::rule::task::view::{self, TaskFilter};
use cccc_core::rule::{approval, context, label, obligation, question, reading, receipt, reservation, vote};
use cccc_core::state::GroupState;
use cccc_core::{Blobs, Group, GroupId, ManualClock, Position, Seq, Timestamp, block_on};
use serde_json::{Value, json};

/// What time it is when the fixture is looked at.
const NOW: &str = "2026-11-22T09:00:00Z";

fn fixture() -> PathBuf {
    fixture_named("ledger-v1-team")
}

fn fixture_named(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// The fixture, copied, as a group whose clock stands.
fn opened(dir: &Path) -> (Group, Arc<ManualClock>) {
    opened_from(&fixture(), dir)
}

fn opened_from(fixture: &Path, dir: &Path) -> (Group, Arc<ManualClock>) {
    let place = dir.join("group");
    for part in ["", "ledger"] {
        fs::create_dir_all(place.join(part)).unwrap();
        for entry in fs::read_dir(fixture.join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, place.join(part).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    let id = GroupId::new("gteam").unwrap();
    let ledger = FileLedger::open(Arc::new(RealDisk::new()), place.clone(), id, Options::default()).unwrap();
    let clock = Arc::new(ManualClock::at(now()));
    (Group::over(Arc::new(ledger), Blobs::in_directory(place.join("blobs")), clock.clone()), clock)
}

fn events_of(group: &Group) -> Vec<Event> {
    block_on(group.history().from(Seq(1)).limit(1_000)).unwrap().events
}

/// What the events of a group mean, as it is shown at a time.
fn shown(events: &[Event], now: Timestamp) -> Value {
    let mut state = GroupState::new(&GroupId::new("gteam").unwrap());
    events.iter().for_each(|event| state.apply(event));
    let facts = |seq: Seq| -> Vec<Event> {
        events.iter().filter(|event| event.index_terms().targets.contains(&seq)).cloned().collect()
    };
    let members = state.actors().iter().map(|(id, actor)| {
        json!({
            "id": id, "role": state.role(id), "labels": actor.labels, "ephemeral": actor.ephemeral,
            "session": actor.session.as_ref().map(|s| json!([s.session, s.generation, s.open])),
            "unread": reading::unread(&state, &id.clone().into(), Seq(1), 1_000, now),
        })
    });
    let people = state.people().iter().map(|(name, person)| {
        let unread = reading::unread(&state, &name.clone().into(), Seq(1), 1_000, now);
        json!({"name": name, "title": person.title, "unread": unread})
    });
    let receipts = events
        .iter()
        .filter(|event| event.message().is_some())
        .map(|event| json!([event.seq, receipt::receipts(&state, event, &facts(event.seq), now)]));
    let votes = events.iter().filter(|event| matches!(event.body, Body::VoteOpen(_)));
    let questions = events.iter().filter(|event| event.message().is_some_and(|m| !m.options.is_empty()));
    let approvals = events.iter().filter(|event| matches!(event.body, Body::ApprovalOpen(_)));
    let pins = state.pins().values().map(|pin| json!([pin.event_id, pin.pinned_by_event, pin.by, pin.note]));
    let tasks = view::list(&state, &TaskFilter { settled: true, ..TaskFilter::default() }, now);
    let tasks = tasks.iter().filter_map(|task| {
        let made = events.iter().find(|event| event.seq == task.task_id.seq())?;
        view::show(&state, made, &facts(made.seq), now)
    });
    let schedules = state.schedules().iter().map(|(id, one)| {
        json!({
            "id": id, "enabled": one.enabled, "completed": one.completed, "fired_at": one.fired_at,
            "next_at": one.next_at(now),
        })
    });
    json!({
        "title": state.title(), "mode": state.mode(), "join": state.join(), "scopes": state.scopes(),
        "settings": state.settings(), "foreman": state.foreman(),
        "members": members.collect::<Vec<_>>(),
        "people": people.collect::<Vec<_>>(),
        "unread_of_user": reading::unread(&state, &cccc_core::Principal::User, Seq(1), 1_000, now),
        "receipts": receipts.collect::<Vec<_>>(),
        "obligations": obligation::list(&state, &obligation::Filter::default(), now),
        "tasks": tasks.collect::<Vec<_>>(),
        "votes": votes.map(|event| vote::show(&state, event, &facts(event.seq), now).unwrap()).collect::<Vec<_>>(),
        "questions": questions
            .map(|event| question::show(&state, event, &facts(event.seq), now).unwrap())
            .collect::<Vec<_>>(),
        "approvals": approvals
            .map(|event| approval::show(&state, event, &facts(event.seq), now).unwrap())
            .collect::<Vec<_>>(),
        "pins": pins.collect::<Vec<_>>(),
        "reservations": reservation::list(&state, true, now),
        "context": context::list(&state, None),
        "agents": context::agents(&state, now),
        "labels": label::list(&state),
        "schedules": schedules.collect::<Vec<_>>(),
    })
}

/// Whether everything that is expected is there; objects may have more members.
fn expect_within(expected: &Value, found: &Value, at: &str) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (name, value) in expected {
                let member = found.get(name).unwrap_or_else(|| panic!("{at}.{name} is gone"));
                expect_within(value, member, &format!("{at}.{name}"));
            }
        }
        (Value::Array(expected), Value::Array(found)) => {
            assert_eq!(expected.len(), found.len(), "{at}: {expected:?} {found:?}");
            for (n, (expected, found)) in expected.iter().zip(found).enumerate() {
                expect_within(expected, found, &format!("{at}[{n}]"));
            }
        }
        _ => assert_eq!(expected, found, "{at}"),
    }
}

#[test]
fn an_old_ledger_of_a_team_opens_and_means_what_it_meant() {
    let dir = tempfile::tempdir().unwrap();
    let (user, clock) = opened(dir.path());
    let position: Position = fs::read_to_string(fixture().join("position")).unwrap().trim().parse().unwrap();
    let verdict = block_on(user.ledger().verify()).unwrap();
    assert!(matches!(verdict, Verdict::Sound { head, .. } if head == position), "{verdict:?}");

    let events = events_of(&user);
    assert_eq!(u64::try_from(events.len()).unwrap(), position.seq.0);
    let unknown = events.iter().find(|event| matches!(event.body, Body::Unknown { .. }));
    assert!(unknown.is_none(), "a kind that was known is known: {unknown:?}");
    let expected = fs::read_to_string(fixture().join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    expect_within(&expected, &shown(&events, now()), "");

    // What the handle says is the same, and the work goes on.
    let tasks = block_on(user.tasks()).unwrap();
    assert!(!tasks.is_empty());
    for effect in block_on(user.due()).unwrap() {
        block_on(user.carry_out(&effect)).unwrap();
    }
    clock.set(now().after(std::time::Duration::from_secs(1)));
    assert!(block_on(user.due()).unwrap().is_empty());
    let lead = block_on(user.bind("lead")).unwrap();
    block_on(lead.send("Good morning").to("@all")).unwrap();
    let (first, open) = (&tasks[0], block_on(user.tasks()).unwrap().len());
    block_on(user.task_update(first.task_id).cancel("no longer needed")).unwrap();
    assert_eq!(block_on(user.tasks()).unwrap().len(), open - 1);
}
