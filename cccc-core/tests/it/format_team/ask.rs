//! A ledger with questions, requests for approval and pins, as they were first written, means what it meant.
//!
//! `tests/fixtures/ledger-v1-ask` was written once, by `makes_the_ask_fixture`.

use std::fs;
use std::future::IntoFuture;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cccc_core::command::{AddActor, SendMessage};
use cccc_core::disk::RealDisk;
use cccc_core::event::{Body, GroupCreate};
use cccc_core::ledger::file::{FileLedger, Options};
use cccc_core::rule::desk::{event, message};
use cccc_core::{ApprovalId, Blobs, Command, Group, GroupId, ManualClock, Seq, Timestamp, block_on};
use serde_json::Value;

use super::script::{Scene, keep};
use super::{events_of, expect_within, fixture_named, now, opened_from, shown};

fn fixture() -> PathBuf {
    fixture_named("ledger-v1-ask")
}

#[test]
fn an_old_ledger_with_questions_and_approvals_means_what_it_meant() {
    let dir = tempfile::tempdir().unwrap();
    let (user, _) = opened_from(&fixture(), dir.path());
    let events = events_of(&user);
    let unknown = events.iter().find(|event| matches!(event.body, Body::Unknown { .. }));
    assert!(unknown.is_none(), "a kind that was known is known: {unknown:?}");
    let expected: Value =
        serde_json::from_str(&fs::read_to_string(fixture().join("expected.json")).unwrap()).unwrap();
    expect_within(&expected, &shown(&events, now()), "");
    // What is over is written down, and what is open goes on.
    block_on(user.carry_out_due()).unwrap();
    let open = block_on(user.questions()).unwrap();
    assert_eq!(open.len(), 1);
    block_on(user.answer(&open[0], "1").into_future()).unwrap();
    assert!(block_on(user.obligations().all().into_future()).unwrap().is_empty());
}

/// Everything that can become of a question, of a request and of a pin.
pub(super) fn ask(scene: &mut Scene) {
    let asking = |to: &[&str], minutes: u64| SendMessage {
        options: vec!["yes".into(), "no".into()],
        reply_within: (minutes > 0).then(|| Duration::from_secs(minutes * 60)),
        ..message("Deploy?", to)
    };
    let choosing = |question: Seq, choice: &str| SendMessage {
        reply_to: Some(event(question)),
        choice: Some(choice.into()),
        ..message("", &[])
    };
    let answered = scene.send("alice", asking(&["user", "lead"], 10));
    scene.send("lead", SendMessage { progress: true, reply_to: Some(event(answered)), ..message("hm", &[]) });
    scene.send("user", choosing(answered, "2"));
    let redacted = scene.send("alice", asking(&["lead"], 0));
    let reply = scene.send("lead", choosing(redacted, "yes"));
    scene.wait(1);
    block_on(scene.user.redact(reply, "secret")).unwrap();
    let in_words = scene.send("lead", asking(&["alice"], 0));
    scene.send("alice", SendMessage { reply_to: Some(event(in_words)), ..message("neither", &[]) });
    let called_off = scene.send("lead", asking(&["alice", "user"], 0));
    let reason = "settled".to_owned();
    scene.at("lead", Command::Cancel { event: event(called_off), recipients: vec![], reason });
    let retracted = scene.send("lead", asking(&["alice"], 0));
    scene.at("lead", Command::Retract { event: event(retracted), reason: String::new() });
    scene.send("alice", asking(&["user", "lead"], 1));
    scene.wait(61);
    scene.carry_out();

    let open = |minutes: u64| Command::OpenApproval {
        subject: "Run the migration".into(),
        tool: Some("Bash".into()),
        input: Some("make migrate".into()),
        within: Duration::from_secs(minutes * 60),
        client_id: None,
    };
    let decide = |approval: Seq, allow: bool| Command::DecideApproval {
        approval: ApprovalId(approval),
        allow,
        reason: "because".into(),
    };
    let settings = [("approval.foreman".to_owned(), true.into())].into();
    let by_foreman = cccc_core::event::GroupUpdate { settings, ..Default::default() };
    scene.at("user", Command::UpdateGroup(by_foreman));
    let allowed = scene.at("alice", open(10));
    scene.at("lead", decide(allowed, true));
    let denied = scene.at("lead", open(10));
    scene.at("user", decide(denied, false));
    let withdrawn = scene.at("alice", open(10));
    scene.at("alice", Command::CloseApproval { approval: ApprovalId(withdrawn), reason: "done".into() });
    scene.at("alice", open(1));
    scene.wait(61);
    scene.carry_out();
    // One that is over, and nobody has written that down.
    scene.at("alice", open(2));

    let plan = scene.send("lead", message("The plan", &["@all"]));
    scene.at("alice", Command::Pin { event: event(plan), note: "what we do".into() });
    let old = scene.send("lead", message("The old plan", &["@all"]));
    scene.at("lead", Command::Pin { event: event(old), note: String::new() });
    scene.at("user", Command::Unpin { event: event(old), reason: "over".into() });
    // One that is open.
    scene.send("alice", asking(&["user"], 0));
}

#[test]
#[ignore = "makes the fixture, which otherwise never changes"]
fn makes_the_ask_fixture() {
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
    ask(&mut scene);
    keep(&scene, &place, &fixture());
}
