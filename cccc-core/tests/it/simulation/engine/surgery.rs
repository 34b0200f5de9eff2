//! What is done to a ledger under its open handles, while nobody writes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cccc_core::disk::{Disk, OpenMode};
use cccc_core::ledger::file::RepairOptions;
use cccc_core::testing::Random;
use cccc_core::testing::sim::SimDisk;
use cccc_core::{Error, Result};

use super::scene::{ACTORS, DIR, Scene, here};
use super::worker::messages;

/// A change of what is durable.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// None.
    Nothing,
    /// A character is spoilt, and the ledger is cut before it.
    Cut,
    /// A character is spoilt, and a repair keeps all that is sound.
    Gap,
    /// An old copy is written over the files that are there.
    Restore,
    /// An old head page is put back, and nothing else.
    OldHead,
}

/// The group's files as they were.
pub(super) struct Backup(Vec<(PathBuf, Vec<u8>)>);

impl Backup {
    pub(super) fn of(scene: &Scene, disk: &SimDisk) -> io::Result<Self> {
        scene.world.note("a copy is made");
        let mut files = Vec::new();
        for dir in [Path::new(DIR).to_owned(), Path::new(DIR).join("ledger")] {
            for name in disk.list(&dir)? {
                let path = dir.join(name);
                // A directory is none, and of the lock there is nothing to keep.
                let Ok(file) = disk.open(&path, OpenMode::Read) else { continue };
                if path.ends_with("lock") {
                    continue;
                }
                let mut bytes = vec![0; usize::try_from(file.stat()?.len).unwrap_or(0)];
                let read = file.read_at(&mut bytes, 0)?;
                bytes.truncate(read);
                files.push((path, bytes));
            }
        }
        Ok(Self(files))
    }

    /// Writes it over what is there, in place, as `tar` and `rsync --inplace` do; what came since is removed.
    fn restore(&self, disk: &SimDisk) -> io::Result<()> {
        for dir in [Path::new(DIR).to_owned(), Path::new(DIR).join("ledger")] {
            for name in disk.list(&dir)? {
                let path = dir.join(name);
                let is_kept = path.ends_with("lock") || self.0.iter().any(|(kept, _)| *kept == path);
                if !is_kept && disk.open(&path, OpenMode::Read).is_ok() {
                    disk.remove(&path)?;
                }
            }
        }
        for (path, bytes) in &self.0 {
            let file = disk.open(path, OpenMode::Create)?;
            file.truncate(0)?;
            file.write_at(bytes, 0)?;
            file.sync()?;
        }
        disk.sync_dir(&Path::new(DIR).join("ledger"))
    }
}

impl Change {
    pub(super) fn pick(random: &mut Random, may_restore: bool) -> Self {
        match random.below(5) {
            0 => Self::Nothing,
            1 => Self::Cut,
            2 => Self::Gap,
            3 => Self::OldHead,
            _ if may_restore => Self::Restore,
            _ => Self::Cut,
        }
    }

    pub(super) fn make(
        self,
        scene: &Scene,
        disk: &SimDisk,
        random: &mut Random,
        copy: Option<&Backup>,
    ) -> Result<()> {
        match (self, copy) {
            (Self::Nothing, _) => return Ok(()),
            (Self::Restore, Some(copy)) => copy.restore(disk).expect("a healthy disk"),
            (Self::Restore, None) => return Ok(()),
            (Self::OldHead, _) => return put_head_back(scene, disk, 1 + random.below(4)),
            (Self::Cut | Self::Gap, _) => {
                flip(disk, random).expect("a healthy disk");
                let cut = matches!(self, Self::Cut);
                let options = RepairOptions { cut, ..RepairOptions::default() };
                let repair = async { scene.ledger(disk)?.repair(options).await };
                let report = here(repair).expect("a repair waits for nobody")?;
                scene.world.note(format!("{report:?}"));
            }
        }
        // What was promised, and is gone with this, is nobody's fault.
        let there = messages(&scene.open(disk, &Arc::default())?)?;
        let mut notes = scene.notes();
        notes.promised.retain(|seq, text| there.get(seq) == Some(text));
        notes.changed = true;
        notes.counts.surgeries += 1;
        Ok(())
    }
}

/// Puts the head page back as it was before so many messages, and looks whether somebody who comes later sees them.
fn put_head_back(scene: &Scene, disk: &SimDisk, messages_since: u64) -> Result<()> {
    let path = Path::new(DIR).join("head");
    let head = disk.open(&path, OpenMode::Write).expect("a healthy disk");
    let mut page = [0; 128];
    head.read_at(&mut page, 0).expect("a healthy disk");
    let group = scene.open(disk, &Arc::default())?;
    for n in 0..messages_since {
        let text = format!("{n} after the old head of round {}", scene.notes().rounds.now);
        let sent = here(group.send(&text).to(ACTORS[0]).into_future()).expect("nobody is at it")?;
        scene.notes().promised.insert(sent.seq, text);
    }
    head.write_at(&page, 0).expect("a healthy disk");
    disk.sleep(Duration::from_secs(2));
    let there = messages(&scene.open(disk, &Arc::default())?)?;
    let mut notes = scene.notes();
    notes.counts.surgeries += 1;
    match notes.promised.iter().find(|(seq, text)| there.get(seq) != Some(text)) {
        Some((seq, _)) => {
            Err(Error::unavailable(format!("message {seq} was acknowledged, and nobody sees it")))
        }
        None => Ok(()),
    }
}

/// Changes one character of a message that somebody wrote, by one bit or by more.
fn flip(disk: &SimDisk, random: &mut Random) -> io::Result<()> {
    let dir = Path::new(DIR).join("ledger");
    let names = disk.list(&dir)?;
    let segments: Vec<&String> = names.iter().filter(|name| name.ends_with(".jsonl")).collect();
    let mut places = Vec::new();
    for name in segments {
        let file = disk.open(&dir.join(name), OpenMode::Write)?;
        let mut bytes = vec![0; usize::try_from(file.stat()?.len).unwrap_or(0)];
        file.read_at(&mut bytes, 0)?;
        let found = bytes.windows(8).enumerate().filter(|(_, window)| *window == b"\"text\":\"");
        places.extend(found.map(|(at, _)| (name, at as u64 + 8)));
    }
    let (name, at) = random.pick(&places);
    let file = disk.open(&dir.join(name), OpenMode::Write)?;
    let mut byte = [0];
    file.read_at(&mut byte, at)?;
    file.write_at(&[byte[0] ^ random.pick(&[1, 3])], at)?;
    file.sync()
}
