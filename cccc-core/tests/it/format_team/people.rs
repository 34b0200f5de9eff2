//! A ledger with several people on it, as they were first written, means what it meant.
//!
//! `tests/fixtures/ledger-v1-people` was written once, by `makes_the_people_fixture`.

use std::fs;
use std::future::IntoFuture;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cccc_core::command::{AddActor, AddPerson, AddTask, SendMessage};
use cccc_core::disk::RealDisk;
use cccc_core::event::{Body, GroupCreate, GroupUpdate, PersonRemove, Priority};
use cccc_core::ledger::file::{FileLedger, Options};
use cccc_core::rule::desk::{event, message, who};
use cccc_core::{
    ApprovalId, Blobs, Command, ErrorKind, Group, GroupId, ManualClock, Timestamp, VoteId, block_on,
};
use serde_json::Value;

use super::script::{Scene, keep};
use super::{events_of, expect_within, fixture_named, now, opened_from, shown};

fn fixture() -> PathBuf {
    fixture_named("ledger-v1-people")
}

#[test]
fn an_old_ledger_with_people_means_what_it_meant() {
    let dir = tempfile::tempdir().unwrap();
    let (user, _) = opened_from(&fixture(), dir.path());
    let events = events_of(&user);
    let unknown = events.iter().find(|event| matches!(event.body, Body::Unknown { .. }));
    assert!(unknown.is_none(), "a kind that was known is known: {unknown:?}");
    let added = events.iter().filter(|event| matches!(event.body, Body::PersonAdd(_)));
    assert!(added.clone().count() > 3 && added.clone().all(|event| event.must));
    let expected: Value =
        serde_json::from_str(&fs::read_to_string(fixture().join("expected.json")).unwrap()).unwrap();
    expect_within(&expected, &shown(&events, now()), "");
    // Who is there goes on, and who is not is nobody.
    let bea = block_on(user.bind("user:bea")).unwrap();
    assert_eq!(block_on(bea.inbox().into_future()).unwrap().messages.len(), 2);
    assert_eq!(block_on(user.bind("user:cal")).unwrap_err().kind(), ErrorKind::NotFound);
    block_on(bea.send("Here").to("@users").to("alice").into_future()).unwrap();
}

/// Everything that a person may do, and what becomes of it when one leaves.
pub(super) fn several_people(scene: &mut Scene) {
    let add = |name: &str, title: Option<&str>| {
        Command::AddPerson(AddPerson { person_id: name.parse().unwrap(), title: title.map(str::to_owned) })
    };
    let remove = |name: &str, successor: Option<&str>| {
        let (person_id, reason) = (name.parse().unwrap(), "moved on".to_owned());
        Command::RemovePerson(PersonRemove { person_id, reason, successor: successor.map(who) })
    };
    for (name, title) in [("bea", Some("Bea, product")), ("cal", None), ("dan", None), ("eve", None)] {
        scene.at("user", add(name, title));
    }
    scene.at("user", add("cal", Some("Cal")));
    let news = scene.send("lead", message("Standup at ten", &["@users"]));
    scene.at("user:bea", Command::MarkRead { events: vec![event(news)] });
    let asks = |to: &[&str]| SendMessage { reply_required: true, ..message("Which colour?", to) };
    let asked =
        scene.send("alice", SendMessage { priority: Priority::Attention, ..asks(&["user:bea", "user:cal"]) });
    scene.at("user:bea", Command::Ack { event: event(asked) });
    scene.send("user:bea", SendMessage { reply_to: Some(event(asked)), ..message("Blue", &[]) });
    let options = vec!["yes".to_owned(), "no".to_owned()];
    let question = scene.send("lead", SendMessage { options, ..message("Ship it?", &["@users"]) });
    let choice = Some("yes".to_owned());
    scene.send("user:cal", SendMessage { reply_to: Some(event(question)), choice, ..message("", &[]) });

    let settings = [("approval.people".to_owned(), true.into())].into();
    scene.at("user", Command::UpdateGroup(GroupUpdate { settings, ..GroupUpdate::default() }));
    let open = || Command::OpenApproval {
        subject: "Run the migration".into(),
        tool: None,
        input: None,
        within: Duration::from_secs(3_600),
        client_id: None,
    };
    let decided = scene.at("alice", open());
    let reason = "fine".to_owned();
    scene.at("user:bea", Command::DecideApproval { approval: ApprovalId(decided), allow: true, reason });
    let voters = ["user:bea", "user:dan", "alice"].map(who).to_vec();
    let vote = Command::OpenVote { subject: "Merge?".into(), voters, within: Duration::from_secs(3_600) };
    let vote = VoteId(scene.at("user:cal", vote));
    let choice = cccc_core::event::Choice::Yes;
    scene.at("user:bea", Command::CastVote { vote, choice, reason: String::new() });

    // One leaves to a successor, one to nobody, and one comes back as somebody else.
    for name in ["dan", "eve"] {
        let me = format!("user:{name}");
        scene.send("alice", asks(&[&me]));
        scene.send(&me, asks(&["lead"]));
        let task = AddTask { title: format!("Of {name}"), owner: Some(me.clone()), ..AddTask::default() };
        scene.at("lead", Command::AddTask(task));
        let globs = vec![format!("{name}/**")];
        let lease = Duration::from_secs(6 * 24 * 3_600);
        scene.at(&me, Command::Reserve { globs, purpose: String::new(), lease });
    }
    scene.at("user", remove("dan", Some("user:bea")));
    scene.at("user:eve", remove("eve", None));
    scene.at("user", add("eve", None));
    scene.send("user", message("Welcome back", &["user:eve"]));
    scene.at("user", remove("cal", Some("user")));
    scene.carry_out();
}

#[test]
#[ignore = "makes the fixture, which otherwise never changes"]
fn makes_the_people_fixture() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("group");
    let id = GroupId::new("gteam").unwrap();
    let ledger =
        FileLedger::create(Arc::new(RealDisk::new()), place.clone(), id, Options::default()).unwrap();
    let at: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    let clock = Arc::new(ManualClock::at(at));
    let user = Group::over(Arc::new(ledger), Blobs::in_directory(place.join("blobs")), clock.clone());
    let mut scene = Scene { user: user.through("rust"), clock, at };
    scene.at("user", Command::CreateGroup(GroupCreate::default()));
    for id in ["lead", "alice"] {
        scene.at("user", Command::AddActor(AddActor::new(id.parse().unwrap())));
    }
    several_people(&mut scene);
    keep(&scene, &place, &fixture());
}
