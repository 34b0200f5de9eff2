//! Groups that go from one home to another, or are copied within one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use cccc_core::event::{GroupMode, Priority};
use cccc_core::{ErrorKind, Exported, Group, GroupId, Home, Imported, block_on};
use proptest::prelude::*;

/// Two homes and a place for files.
struct Place {
    dir: tempfile::TempDir,
    here: Home,
    there: Home,
}

impl Place {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let here = Home::open(dir.path().join("here")).await.unwrap();
        let there = Home::open(dir.path().join("there")).await.unwrap();
        Self { dir, here, there }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("group.tar")
    }

    async fn export(&self, group: &Group) -> Exported {
        group.export(File::create(self.file()).unwrap()).await.unwrap()
    }

    async fn import(&self, home: &Home) -> Imported {
        home.import_group(File::open(self.file()).unwrap(), "group.tar").await.unwrap()
    }
}

/// The lines of a group, up to an event, without what depends on its id.
async fn story(group: &Group, events: u64) -> Vec<String> {
    let id = format!("\"group_id\":\"{}\"", group.id());
    let mut story = Vec::new();
    let page = group.history().from(cccc_core::Seq(1)).limit(1000).await.unwrap();
    for line in page.lines {
        story.push(line.split(",\"chain\"").next().unwrap().replace(&id, ""));
    }
    assert!(story.len() >= usize::try_from(events).unwrap());
    story.truncate(usize::try_from(events).unwrap());
    story
}

async fn team(home: &Home) -> Group {
    let user = home.create_group("team").await.unwrap();
    for id in ["lead", "alice", "bob"] {
        user.add_actor(id).await.unwrap();
    }
    user
}

#[test]
fn a_group_goes_to_another_home_and_back_as_a_copy() {
    block_on(async {
        let place = Place::new().await;
        let user = team(&place.here).await;
        let (lead, alice) = (user.bind("lead").await.unwrap(), user.bind("alice").await.unwrap());
        let asked = lead.send("Which one?").to("alice").reply_required().await.unwrap();
        let secret = lead.send("the password is swordfish, to be redacted at once").to("bob").await.unwrap();
        user.redact(&secret, "secret").await.unwrap();
        let file = user.blobs().put_bytes("plan.md", b"# Plan".to_vec()).await.unwrap();
        let gone = user.blobs().put_bytes("keys", b"0xdead".to_vec()).await.unwrap();
        lead.send("see").to("bob").attachment(file.clone()).await.unwrap();
        let with_keys = lead.send("keys").to("bob").attachment(gone.clone()).await.unwrap();
        user.redact(&with_keys, "").await.unwrap();
        let waiting = lead.send("and then?").to("alice").priority(Priority::Attention).await.unwrap();
        alice.reply(&asked, "This one").await.unwrap();
        let exported = place.export(&user).await;
        assert_eq!((exported.blobs, exported.missing_blobs), (1, 0));

        let imported = place.import(&place.there).await;
        assert_eq!((imported.group_id.clone(), imported.was.clone()), (user.id().clone(), None));
        assert_eq!((imported.head, imported.events), (exported.head, exported.events));
        let copy = place.there.group(user.id()).await.unwrap();
        assert_eq!(story(&copy, exported.events).await, story(&user, exported.events).await);
        let summary = copy.summary().await.unwrap();
        assert_eq!((summary.state, summary.title.as_str()), (GroupMode::Idle, "team"));
        assert!(matches!(copy.ledger().verify().await.unwrap(), cccc_core::ledger::Verdict::Sound { .. }));
        copy.check_position(exported.head).await.unwrap();
        let bob = copy.bind("bob").await.unwrap();
        let inbox = bob.inbox().peek().await.unwrap();
        assert_eq!(inbox.messages.len(), 1, "what was redacted stays so");
        let mut bytes = Vec::new();
        let mut blob = copy.blobs().open(&file.sha256).unwrap();
        std::io::Read::read_to_end(&mut blob, &mut bytes).unwrap();
        assert_eq!(bytes, b"# Plan");
        // It goes on there: what was owed is, and is answered.
        let alice = copy.bind("alice").await.unwrap();
        assert_eq!(alice.obligations().mine().await.unwrap().len(), 1);
        alice.ack(waiting.event_id).await.unwrap();

        // Once more, where there is one of that id: the copy has its own.
        let again = place.import(&place.there).await;
        assert_eq!(again.was.as_ref(), Some(user.id()));
        assert_ne!(again.group_id, *user.id());
        let second = place.there.group(&again.group_id).await.unwrap();
        assert_eq!(story(&second, exported.events).await, story(&user, exported.events).await);
        assert!(matches!(second.ledger().verify().await.unwrap(), cccc_core::ledger::Verdict::Sound { .. }));
        let receipts = second.bind("lead").await.unwrap().receipts(asked.event_id).await.unwrap();
        assert_eq!(receipts, lead.receipts(&asked).await.unwrap());
        second.send("on").to("alice").await.unwrap();
        assert_eq!(place.there.groups().await.unwrap().len(), 2);
    });
}

#[test]
fn directories_stay_where_they_are_free() {
    block_on(async {
        let place = Place::new().await;
        let (one, two) = (place.dir.path().join("one"), place.dir.path().join("two"));
        fs::create_dir_all(&one).unwrap();
        fs::create_dir_all(&two).unwrap();
        let group = place.here.attach(&one).await.unwrap();
        place.here.add_scope(&group, &two).await.unwrap();
        place.export(&group).await;
        let other = place.there.attach(&two).await.unwrap();
        let imported = place.import(&place.there).await;
        assert_eq!(imported.scopes, [fs::canonicalize(&one).unwrap()]);
        assert_eq!(imported.detached.len(), 1);
        let found = place.there.find(&one).await.unwrap().unwrap();
        assert_eq!(found.id(), group.id());
        assert_eq!(found.summary().await.unwrap().scopes.len(), 1);
        assert_eq!(place.there.find(&two).await.unwrap().unwrap().id(), other.id());
        // As a copy of a group that is here it has none.
        let copy = place.import(&place.here).await;
        assert_eq!((copy.scopes.len(), copy.detached.len()), (0, 2));
    });
}

#[test]
fn a_copy_does_not_relay_again_what_the_original_relays() {
    block_on(async {
        let place = Place::new().await;
        let (app, infra) = (team(&place.here).await, place.here.create_group("infra").await.unwrap());
        infra.add_actor("ops").await.unwrap();
        app.set_state(GroupMode::Paused, "").await.unwrap();
        app.send("x").to("ops@infra").await.unwrap();
        place.export(&app).await;
        let copy = place.import(&place.here).await;
        let copy = place.here.group(&copy.group_id).await.unwrap();
        assert!(copy.relays().await.unwrap().is_empty());
        app.set_state(GroupMode::Active, "").await.unwrap();
        assert!(app.retry_relays(None).await.unwrap().is_empty());
        assert_eq!(infra.summary().await.unwrap().actors[0].unread, 1);
    });
}

#[test]
fn an_archived_group_can_be_taken_along() {
    block_on(async {
        let place = Place::new().await;
        let group = team(&place.here).await;
        group.set_state(GroupMode::Archived, "done").await.unwrap();
        place.export(&group).await;
        place.here.delete_group(group.id()).await.unwrap();
        let imported = place.import(&place.here).await;
        assert_eq!(imported.group_id, *group.id());
        drop(group);
        let back = Home::open(place.here.path()).await.unwrap().group(&imported.group_id).await.unwrap();
        assert_eq!(back.summary().await.unwrap().state, GroupMode::Idle);
    });
}

/// What is in a directory of groups.
fn names(home: &Home) -> Vec<String> {
    let entries =
        fs::read_dir(home.path().join("groups")).map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    let mut names: Vec<String> =
        entries.into_iter().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_import_that_fails_or_dies_leaves_nothing() {
    block_on(async {
        let place = Place::new().await;
        let group = team(&place.here).await;
        group.send("x").to("alice").await.unwrap();
        place.export(&group).await;
        let mut bytes = fs::read(place.file()).unwrap();
        let at = bytes.windows(9).position(|window| window == b"\"text\":\"x").unwrap() + 8;
        bytes[at] = b'y';
        let damaged = std::io::Cursor::new(bytes);
        let error = place.there.import_group(damaged, "bad.tar").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let text = error.to_string();
        assert!(
            text.contains("bad.tar") && text.contains("event 5") && text.contains("nothing was imported"),
            "{text}"
        );
        assert_eq!(names(&place.there), [""; 0]);

        // As a process leaves it that dies: half of a group, and a lock that nobody holds.
        let groups = place.there.path().join("groups");
        fs::create_dir_all(groups.join(".import-dead/ledger")).unwrap();
        fs::write(groups.join(".import-dead.lock"), "").unwrap();
        // And one that is being made right now.
        fs::create_dir_all(groups.join(".import-live/ledger")).unwrap();
        let live = File::create(groups.join(".import-live.lock")).unwrap();
        live.lock().unwrap();
        assert!(place.there.groups().await.unwrap().is_empty(), "neither is a group");
        place.import(&place.there).await;
        assert_eq!(names(&place.there), [".import-live", ".import-live.lock", group.id().as_str()]);
    });
}

#[test]
fn an_export_is_whole_while_others_write() {
    block_on(async {
        let place = Place::new().await;
        let group = team(&place.here).await;
        let (path, id) = (place.here.path().to_owned(), group.id().clone());
        std::thread::scope(|threads| {
            let writer = threads.spawn(|| {
                block_on(async {
                    let group = crate::home::open_apart(&path).await.unwrap().group(&id).await.unwrap();
                    for _ in 0..300 {
                        let file = group.blobs().put_bytes("f", vec![7; 100]).await.unwrap();
                        group.send("x").to("alice").attachment(file).await.unwrap();
                    }
                });
            });
            block_on(async {
                let mut last = 0;
                while !writer.is_finished() {
                    let exported = place.export(&group).await;
                    assert!(exported.events >= last);
                    last = exported.events;
                    let imported = place.import(&place.there).await;
                    assert_eq!(imported.events, exported.events);
                }
            });
        });
    });
}

/// What somebody does in a random history.
#[derive(Clone, Debug)]
enum Act {
    Send { by: usize, to: usize, text: String, asks: bool, file: Option<u8> },
    Reply { by: usize, to: usize },
    Read { by: usize },
    Redact { which: usize },
    Note { by: usize, text: String },
}

fn act() -> impl Strategy<Value = Act> {
    let who = 0..3_usize;
    prop_oneof![
        4 => (who.clone(), who.clone(), "[ -~äöü\"\\\\,:{}]{1,80}", any::<bool>(), proptest::option::of(any::<u8>()))
            .prop_map(|(by, to, text, asks, file)| Act::Send { by, to, text, asks, file }),
        2 => (who.clone(), 0..40_usize).prop_map(|(by, to)| Act::Reply { by, to }),
        1 => who.clone().prop_map(|by| Act::Read { by }),
        1 => (0..40_usize).prop_map(|which| Act::Redact { which }),
        1 => (who, "[a-z ]{1,20}").prop_map(|(by, text)| Act::Note { by, text }),
    ]
}

const NAMES: [&str; 3] = ["lead", "alice", "bob"];

/// Does it, if it can be done.
async fn carry_out(user: &Group, act: &Act, sent: &mut Vec<cccc_core::EventId>) {
    match act {
        Act::Send { by, to, text, asks, file } => {
            let by = user.bind(NAMES[*by]).await.unwrap();
            let mut request = by.send(text.clone()).to(NAMES[*to]);
            if *asks {
                request = request.reply_required();
            }
            if let Some(byte) = file {
                request = request.attachment(user.blobs().put_bytes("f", vec![*byte; 10]).await.unwrap());
            }
            sent.extend(request.await.map(|sent| sent.event_id));
        }
        Act::Reply { by, to } => {
            if let Some(id) = sent.get(*to) {
                let by = user.bind(NAMES[*by]).await.unwrap();
                sent.extend(by.reply(*id, "re").await.map(|sent| sent.event_id));
            }
        }
        Act::Read { by } => {
            user.bind(NAMES[*by]).await.unwrap().inbox().mark_read().await.unwrap();
        }
        Act::Redact { which } => {
            if let Some(id) = sent.get(*which) {
                let _ = user.redact(*id, "").await;
            }
        }
        Act::Note { by, text } => {
            let _ = user.bind(NAMES[*by]).await.unwrap().note(text.clone()).await;
        }
    }
}

/// All that can be seen of a group and does not depend on its id.
async fn seen(group: &Group, sent: &[cccc_core::EventId]) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    for name in NAMES {
        let actor = group.bind(name).await.unwrap();
        let inbox = actor.inbox().limit(1000).peek().await.unwrap();
        seen.insert(format!("inbox {name}"), format!("{:?}", inbox.messages));
    }
    seen.insert("owed".into(), format!("{:?}", group.obligations().all().await.unwrap()));
    for id in sent {
        seen.insert(format!("receipts {id}"), format!("{:?}", group.receipts(*id).await.unwrap()));
    }
    seen
}

fn blobs(home: &Home, id: &GroupId) -> BTreeMap<String, Vec<u8>> {
    let dir = home.group_path(id).join("blobs");
    let read =
        |path: &Path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap());
    let files = fs::read_dir(dir).into_iter().flatten().map(|entry| read(&entry.unwrap().path()));
    // The lock beside them says who had it last.
    files.filter(|(name, _)| name != ".lock").collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happened_in_a_group_is_the_same_after_a_journey(acts in prop::collection::vec(act(), 0..40)) {
        block_on(async {
            let place = Place::new().await;
            let user = team(&place.here).await;
            let mut sent = Vec::new();
            for act in &acts {
                carry_out(&user, act, &mut sent).await;
            }
            let exported = place.export(&user).await;
            let expected = seen(&user, &sent).await;
            let kept = blobs(&place.here, user.id());
            // First under its own id, then under another.
            for renamed in [false, true] {
                let imported = place.import(&place.there).await;
                assert_eq!(imported.was.is_some(), renamed);
                let copy = place.there.group(&imported.group_id).await.unwrap();
                assert_eq!(story(&copy, exported.events).await, story(&user, exported.events).await);
                assert_eq!(seen(&copy, &sent).await, expected);
                for (name, content) in blobs(&place.there, copy.id()) {
                    assert_eq!(kept.get(&name), Some(&content));
                }
            }
        });
    }
}
