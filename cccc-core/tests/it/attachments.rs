//! Attachments in whose place something else lies, or nothing: nobody is given them, and they are named.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use cccc_core::{AttachmentState, ErrorKind, Event, Group, Home, Seq, block_on};

struct Place {
    dir: tempfile::TempDir,
    home: Home,
    user: Group,
}

impl Place {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let user = home.create_group("files").await.unwrap();
        user.add_actor("alice").await.unwrap();
        Self { dir, home, user }
    }

    /// A message with a file of these bytes, and where that lies.
    async fn send(&self, bytes: Vec<u8>) -> (Event, PathBuf) {
        let blob = self.user.blobs().put_bytes("file", bytes).await.unwrap();
        let path = self.user.blobs().path(&blob.sha256).unwrap().unwrap();
        let sent = self.user.send("see").to("alice").attachment(blob).await.unwrap();
        (self.user.event(&sent).await.unwrap(), path)
    }

    async fn state(&self, event: &Event) -> AttachmentState {
        self.user.attachment_states(event).await.unwrap().remove(0)
    }
}

fn digest(event: &Event) -> String {
    event.message().unwrap().attachments[0].sha256.clone()
}

/// What comes out of it, unless it is found out before the end.
fn content(group: &Group, event: &Event) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut blob = group.blobs().open(&digest(event)).map_err(|e| format!("{:?}", e.kind()))?;
    blob.read_to_end(&mut bytes).map_err(|e| format!("{:?}", e.kind()))?;
    Ok(bytes)
}

#[test]
fn what_was_changed_is_not_handed_out_whatever_its_size() {
    block_on(async {
        let place = Place::new().await;
        for size in [10, 1 << 20, (1 << 20) + 1, 3 << 20] {
            let bytes = vec![u8::try_from(size % 251).unwrap(); size];
            let (event, path) = place.send(bytes.clone()).await;
            let file = &event.message().unwrap().attachments[0];
            assert_eq!(content(&place.user, &event).unwrap(), bytes);
            assert_eq!(place.user.attachment_path(&event, file).await.unwrap().as_ref(), Some(&path));
            let mut other = bytes.clone();
            *other.last_mut().unwrap() ^= 1;
            for wrong in [other, bytes[1..].to_vec(), [bytes.as_slice(), b"x"].concat(), Vec::new()] {
                fs::write(&path, &wrong).unwrap();
                let found = content(&place.user, &event).unwrap_err();
                assert!(found == "Corrupt" || found == "InvalidData", "{size}: {found}");
                assert!(matches!(place.state(&event).await, AttachmentState::Changed(_)), "{size}");
                let error = place.user.attachment_path(&event, file).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                let send = place.user.send("again").to("alice").attachment(file.clone());
                assert_eq!(send.await.unwrap_err().kind(), ErrorKind::Corrupt, "it is named by nobody");
            }
            // Stored once more, it is whole again.
            place.user.blobs().put_bytes("file", bytes.clone()).await.unwrap();
            assert_eq!(content(&place.user, &event).unwrap(), bytes);
        }
    });
}

#[cfg(unix)]
#[test]
fn links_pipes_and_directories_are_no_attachments() {
    block_on(async {
        let place = Place::new().await;
        let (event, path) = place.send(b"sound".to_vec()).await;
        let elsewhere = place.dir.path().join("elsewhere");
        fs::write(&elsewhere, "sound").unwrap();
        let make: [&dyn Fn(&std::path::Path); 3] = [
            &|path| std::os::unix::fs::symlink(&elsewhere, path).unwrap(),
            &|path| cccc_core::testing::make_pipe(path).unwrap(),
            &|path| fs::create_dir(path).unwrap(),
        ];
        for make in make {
            fs::remove_file(&path).unwrap();
            make(&path);
            assert_eq!(content(&place.user, &event).unwrap_err(), "Corrupt");
            assert!(matches!(place.state(&event).await, AttachmentState::Changed(_)));
            assert!(matches!(
                place.user.blobs().examine(&digest(&event)).await.unwrap(),
                cccc_core::BlobState::Changed(_)
            ));
            let to = fs::File::create(place.dir.path().join("x.tar")).unwrap();
            assert_eq!(place.user.export(to).await.unwrap_err().kind(), ErrorKind::Corrupt);
            if path.is_dir() {
                fs::remove_dir(&path).unwrap();
            }
            let stored = place.user.blobs().put_bytes("file", b"sound".to_vec()).await;
            assert_eq!(stored.unwrap().sha256, digest(&event));
            assert_eq!(content(&place.user, &event).unwrap(), b"sound");
        }
    });
}

#[test]
fn what_is_lost_is_told_from_what_was_redacted() {
    block_on(async {
        let place = Place::new().await;
        let (kept, _) = place.send(b"kept".to_vec()).await;
        let (lost, path) = place.send(b"lost".to_vec()).await;
        let (secret, _) = place.send(b"secret".to_vec()).await;
        let (also, _) = place.send(b"secret".to_vec()).await;
        place.user.redact(&secret, "").await.unwrap();
        fs::remove_file(path).unwrap();
        assert_eq!(place.state(&kept).await, AttachmentState::Sound);
        assert_eq!(place.state(&lost).await, AttachmentState::Lost);
        assert_eq!(place.state(&also).await, AttachmentState::Redacted);
        let report = place.user.check_attachments().await.unwrap();
        assert_eq!((report.sound, report.redacted, report.faults.len()), (1, 1, 1));
        let fault = &report.faults[0];
        assert_eq!((fault.event, &fault.fault), (lost.seq, &AttachmentState::Lost));
        assert_eq!(fault.sha256, digest(&lost));
        let file = &lost.message().unwrap().attachments[0];
        let error = place.user.attachment_path(&lost, file).await.unwrap_err();
        assert!(error.to_string().contains("lost"), "{error}");

        let tar = place.dir.path().join("x.tar");
        let exported = place.user.export(fs::File::create(&tar).unwrap()).await.unwrap();
        assert_eq!((exported.blobs, exported.missing_blobs), (1, 1));
        assert_eq!(exported.lost_blobs, [digest(&lost)]);
        let imported = place.home.import_group(fs::File::open(&tar).unwrap(), "x.tar").await.unwrap();
        assert_eq!((imported.blobs, imported.missing_blobs), (1, 1));
        assert_eq!(imported.lost_blobs, [digest(&lost)]);
        let copy = place.home.group(&imported.group_id).await.unwrap();
        assert_eq!(copy.check_attachments().await.unwrap(), report);

        // Sent again after it was redacted, it is there; if it vanishes then, nobody wanted that.
        let (again, path) = place.send(b"secret".to_vec()).await;
        assert_eq!(place.state(&again).await, AttachmentState::Sound);
        fs::remove_file(path).unwrap();
        assert_eq!(place.state(&again).await, AttachmentState::Lost);
        assert_eq!(place.user.check_attachments().await.unwrap().redacted, 0);
        assert_eq!(again.seq, place.user.position().await.unwrap().seq);
        assert!(again.seq > Seq(1));
    });
}

#[test]
fn a_sent_message_is_the_same_after_a_journey_as_json() {
    block_on(async {
        let place = Place::new().await;
        let sent = place.user.send("see").to("alice").await.unwrap();
        let json = serde_json::to_string(&sent).unwrap();
        let back: cccc_core::Sent = serde_json::from_str(&json).unwrap();
        assert_eq!(back, sent);
        assert_eq!(back.position(), place.user.position().await.unwrap());
        let mut value: serde_json::Value = serde_json::from_str(&json).unwrap();
        value.as_object_mut().unwrap().remove("chain");
        assert!(serde_json::from_value::<cccc_core::Sent>(value).is_err(), "no place is made up");
    });
}
