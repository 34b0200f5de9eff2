//! Attachments that no message names, and those that somebody is about to name.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use cccc_core::event::{Attachment, GroupMode};
use cccc_core::{ErrorKind, Group, Home, block_on};

/// Makes a file look as if it had lain there for two days.
#[expect(clippy::disallowed_methods, reason = "the age of files is by the clock of the operating system")]
fn age(path: &Path) {
    let then = SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
    File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

async fn group(dir: &tempfile::TempDir) -> (Home, Group) {
    let home = Home::open(dir.path().join("home")).await.unwrap();
    let user = home.create_group("x").await.unwrap();
    user.add_actor("alice").await.unwrap();
    (home, user)
}

/// Stores something; it is as old as it is wanted.
async fn store(group: &Group, content: &str, old: bool) -> Attachment {
    let stored = group.blobs().put_bytes("f", content.as_bytes().to_vec()).await.unwrap();
    if old {
        age(&group.blobs().path(&stored.sha256).unwrap().unwrap());
    }
    stored
}

fn lies(group: &Group, blob: &Attachment) -> bool {
    group.blobs().open(&blob.sha256).is_ok()
}

#[test]
fn what_nobody_names_and_nobody_touched_goes() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let (_home, user) = group(&dir).await;
        let empty = user.collect_blobs().await.unwrap();
        assert_eq!((empty.removed.len(), empty.young), (0, 0));
        let (forgotten, fresh) = (store(&user, "forgotten", true).await, store(&user, "fresh", false).await);
        let (sent, retracted) = (store(&user, "sent", false).await, store(&user, "retracted", false).await);
        user.send("see").to("alice").attachment(sent.clone()).await.unwrap();
        let message = user.send("see").to("alice").attachment(retracted.clone()).await.unwrap();
        user.retract(&message, "").await.unwrap();
        for blob in [&sent, &retracted] {
            age(&user.blobs().path(&blob.sha256).unwrap().unwrap());
        }
        let blobs = user.blobs().path(&sent.sha256).unwrap().unwrap().parent().unwrap().to_owned();
        // Half a copy of a process that died; and what was never this library's.
        for name in [".abc.tmp", "notes.txt"] {
            std::fs::write(blobs.join(name), "half").unwrap();
            age(&blobs.join(name));
        }
        // Another that was broken off just now, and one that somebody is making.
        std::fs::write(blobs.join(".young.tmp"), "half").unwrap();
        let held = File::create(blobs.join(".held.tmp")).unwrap();
        held.lock().unwrap();
        assert_eq!(user.blobs().broken_off().await.unwrap(), 2);
        let alice = user.bind("alice").await.unwrap();
        assert_eq!(alice.collect_blobs().await.unwrap_err().kind(), ErrorKind::Refused);
        let found = alice.collectable_blobs().await.unwrap();
        assert!(lies(&user, &forgotten), "looking removes nothing");
        let removed = user.collect_blobs().await.unwrap();
        assert_eq!(removed, found);
        assert_eq!(removed.removed, [forgotten.sha256.as_str()]);
        assert_eq!((removed.bytes, removed.broken_off), (9 + 4 + 4, 2));
        assert_eq!((removed.named, removed.young), (2, 2));
        assert!(
            !lies(&user, &forgotten) && lies(&user, &fresh) && lies(&user, &sent) && lies(&user, &retracted)
        );
        assert!(blobs.join("notes.txt").exists() && !blobs.join(".abc.tmp").exists());
        assert!(!blobs.join(".young.tmp").exists() && blobs.join(".held.tmp").exists());
        drop(held);
        assert_eq!(
            (user.collect_blobs().await.unwrap().broken_off, blobs.join(".held.tmp").exists()),
            (1, false)
        );
        // Somebody who had meant to send it is told, and nothing is written.
        let error = user.send("see").to("alice").attachment(forgotten).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let memory = Group::in_memory("m").await.unwrap();
        assert_eq!(memory.collect_blobs().await.unwrap_err().kind(), ErrorKind::Unsupported);
    });
}

#[test]
fn what_a_newer_version_may_mean_stays() {
    use cccc_core::event::Body;
    use cccc_core::ledger::{Draft, Durability, Encoder, Stamp};

    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let (_home, user) = group(&dir).await;
        let blob = store(&user, "picture", true).await;
        let data = format!("{{\"picture\":\"{}\"}}", blob.sha256);
        let body = Body::Unknown {
            kind: "x.gallery".into(),
            data: serde_json::value::RawValue::from_string(data).unwrap(),
        };
        let turn = user.ledger().turn().await.unwrap();
        let mut encoder = Encoder::new(user.id().clone(), turn.tip(), turn.durable().seq);
        let stamp = Stamp {
            ts: cccc_core::Timestamp::from_millis(0),
            by: cccc_core::Principal::User,
            via: None,
            scope_key: "".into(),
        };
        encoder
            .push(vec![Draft { body, must: false }], &stamp, || cccc_core::id::Nonce::from_bits(1))
            .unwrap();
        turn.append(&encoder.finish(), Durability::Durable).await.unwrap();
        assert_eq!(user.collect_blobs().await.unwrap().named, 1);
        assert!(lies(&user, &blob));
    });
}

#[test]
fn what_somebody_is_about_to_send_stays_or_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let (home, user) = group(&dir).await;
        let done = AtomicBool::new(false);
        let (path, id) = (home.path().to_owned(), user.id().clone());
        let (mut sent, mut refused, mut removed) = (Vec::new(), 0, 0);
        std::thread::scope(|threads| {
            // Another process, as far as this one can tell.
            let collector = threads.spawn(|| {
                block_on(async {
                    let user = crate::home::open_apart(&path).await.unwrap().group(&id).await.unwrap();
                    let mut removed = 0;
                    while !done.load(Ordering::SeqCst) {
                        removed += user.collect_blobs().await.unwrap().removed.len();
                    }
                    removed
                })
            });
            block_on(async {
                for n in 0..300 {
                    // Stored long ago; it may go until it is sent.
                    let blob = store(&user, &format!("content {n}"), true).await;
                    match user.send("see").to("alice").attachment(blob.clone()).await {
                        Ok(_) => sent.push(blob),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::NotFound);
                            refused += 1;
                        }
                    }
                }
            });
            done.store(true, Ordering::SeqCst);
            removed = collector.join().unwrap();
        });
        assert!(sent.iter().all(|blob| lies(&user, blob)), "a message names what is not there");
        assert_eq!(sent.len() + refused, 300);
        assert!(removed >= refused);
    });
}

#[test]
fn an_archived_group_keeps_what_it_has_and_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let (_home, user) = group(&dir).await;
        let forgotten = store(&user, "forgotten", true).await;
        user.set_state(GroupMode::Archived, "").await.unwrap();
        assert_eq!(user.collect_blobs().await.unwrap_err().kind(), ErrorKind::Refused);
        assert_eq!(user.collectable_blobs().await.unwrap().removed, [forgotten.sha256.as_str()]);
        assert!(lies(&user, &forgotten));
        // Not even a file is stored for a message that is refused.
        let file = dir.path().join("big.bin");
        std::fs::write(&file, "big").unwrap();
        assert_eq!(user.send("x").to("alice").attach(&file).await.unwrap_err().kind(), ErrorKind::Refused);
        let blobs = user.blobs().path(&forgotten.sha256).unwrap().unwrap();
        let left =
            std::fs::read_dir(blobs.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = left.filter(|name| !name.to_string_lossy().starts_with('.')).collect();
        assert_eq!(left.len(), 1);
    });
}
