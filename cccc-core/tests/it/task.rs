//! Tasks through the handle.

use cccc_core::event::{Evidence, EvidenceKind, NotIf};
use cccc_core::{ErrorKind, Group, Home, ObligationKind, TaskStatus, block_on};

async fn team() -> (Group, Group, Group) {
    let user = Group::in_memory("team").await.unwrap();
    user.add_actor("lead").await.unwrap();
    user.add_actor("alice").label("reviewer").await.unwrap();
    let (lead, alice) = (user.bind("lead").await.unwrap(), user.bind("alice").await.unwrap());
    (user, lead, alice)
}

#[test]
fn a_task_goes_its_way() {
    block_on(async {
        let (user, lead, alice) = team().await;
        let before = lead.task_add("Read the report").owner("#reviewer").await.unwrap();
        let tracked = lead
            .tracked_send("The parser drops commas", "Fix the parser")
            .to("alice")
            .outcome("the tests pass")
            .item("find it")
            .requires(EvidenceKind::File)
            .depends_on(&before)
            .client_id("k")
            .await
            .unwrap();
        let id = tracked.task_id;
        let inbox = alice.inbox().await.unwrap();
        assert_eq!(inbox.messages.len(), 1, "notices are never unread");
        assert_eq!(inbox.messages[0].content.task_id, Some(id.to_string()));
        let shown = alice.task(id).await.unwrap();
        assert!(shown.blocked && shown.waits_for == [before.task_id]);
        let owed = alice.obligations().await.unwrap();
        assert!(owed.iter().all(|owed| owed.kind == ObligationKind::Task) && owed.len() == 2);

        let hint =
            lead.send("It is in the lexer").to("alice").not_if(NotIf::TaskClosed { task_id: id.to_string() });
        hint.await.unwrap();
        let error = alice.task_update(id).done("").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        alice.task_update(before.task_id).done("read").await.unwrap();
        let ready = alice.history().kind("system.notify").involving("alice".parse().unwrap()).await.unwrap();
        assert!(ready.lines.last().unwrap().contains("task_ready"), "{:?}", ready.lines);

        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("report.txt");
        std::fs::write(&file, "all pass\n").unwrap();
        let done =
            alice.task_update(id).check(1).evidence_file(&file).evidence_event(&tracked.sent).done("Fixed");
        let done = done.await.unwrap();
        assert_eq!(done.status, TaskStatus::Done);
        // What `sha256sum` says of that file.
        let hash = "7058ca42b073666c02036cc3f6e08f0b123cb1f5ab7d74a885103d1025c684aa";
        assert!(matches!(&done.evidence[0].evidence, Evidence::File { sha256, .. } if sha256 == hash));
        assert_eq!(alice.inbox().await.unwrap().messages.len(), 1, "the hint came too late");
        let owed = lead.obligations().await.unwrap();
        assert!(owed.iter().all(|owed| owed.kind == ObligationKind::Acceptance) && owed.len() == 2);
        let accepted = lead.task_update(&done).base_version(done.version).accept("thanks").await.unwrap();
        assert_eq!(accepted.state_word(), "accepted");
        assert_eq!(lead.tasks().await.unwrap().len(), 1);
        assert_eq!(user.tasks().settled().owner("alice").await.unwrap().len(), 2);
        let stale = lead.task_update(&done).base_version(done.version).reopen("").await.unwrap_err();
        assert!(
            stale.kind() == ErrorKind::Conflict && stale.to_string().contains("accept by lead"),
            "{stale}"
        );
        for missing in ["t1", "t999"] {
            assert_eq!(user.task(missing).await.unwrap_err().kind(), ErrorKind::NotFound);
        }
        assert_eq!(user.task("x").await.unwrap_err().kind(), ErrorKind::Invalid);
    });
}

#[test]
fn another_process_finds_the_same_tasks() {
    block_on(async {
        let place = tempfile::tempdir().unwrap();
        let (path, work) = (place.path().join("home"), place.path().join("work"));
        std::fs::create_dir(&work).unwrap();
        let shown = {
            let user = Home::open(&path).await.unwrap().attach(&work).await.unwrap();
            user.add_actor("alice").await.unwrap();
            let task = user.task_add("x").owner("alice").item("a step").await.unwrap();
            user.task_update(&task).note("hm").await.unwrap()
        };
        let user = Home::open(&path).await.unwrap().attach(&work).await.unwrap();
        assert_eq!(user.task(&shown).await.unwrap(), shown);
        assert_eq!(user.obligations().await.unwrap().len(), 1);
    });
}
