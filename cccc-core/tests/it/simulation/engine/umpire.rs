//! Who ends a round: waits for all, lets nothing fail any more, compares what the handles know, and changes the
//! ledger under them before the next.

use std::sync::Arc;
use std::time::Duration;

use cccc_core::command::Outcome;
use cccc_core::disk::Disk;
use cccc_core::event::Transport;
use cccc_core::testing::Random;
use cccc_core::testing::sim::{Faults, SimDisk};
use cccc_core::{Error, Result, Seq};

use super::scene::{ACTORS, Scene, faults, here};
use super::surgery::{Backup, Change};
use super::worker::{knowledge, wait};

/// Presides over the rounds up to `last`.
pub(super) fn preside(scene: &Scene, disk: &SimDisk, seed: u64, last: u64) {
    let mut random = Random::new(seed);
    let mut copy = None;
    for round in 0..=last {
        wait(disk, || scene.notes().rounds.busy == 0);
        scene.world.set_faults(Faults::default());
        if let Err(error) = settle(scene, disk) {
            return scene.violation(format!("nobody can write any more: {error}"));
        }
        let alive = {
            let mut notes = scene.notes();
            notes.known.clear();
            notes.rounds.calm = true;
            notes.rounds.alive
        };
        wait(disk, || {
            let notes = scene.notes();
            notes.known.len() as u64 >= alive.min(notes.rounds.alive)
        });
        compare(scene, disk);
        let over = {
            let notes = scene.notes();
            round == last || notes.rounds.alive == 0 || !notes.violations.is_empty()
        };
        if over {
            let mut notes = scene.notes();
            notes.rounds = super::scene::Rounds { now: round + 1, last: true, ..notes.rounds };
            return;
        }
        let change = Change::pick(&mut random, copy.is_some());
        scene.world.note(format!("under the open handles: {change:?}"));
        match change.make(scene, disk, &mut random, copy.as_ref()) {
            Ok(()) => {}
            Err(error) => scene.violation(format!("{change:?} failed: {error}")),
        }
        if random.chance(700_000) {
            copy = Backup::of(scene, disk).ok();
        }
        scene.world.set_faults(faults(&mut random));
        let mut notes = scene.notes();
        notes.rounds.now = round + 1;
        notes.rounds.last = round + 1 == last;
        notes.rounds.busy = notes.rounds.alive;
        notes.rounds.calm = false;
    }
}

/// Writes something, so that what the dead left is recovered, and hands over for all, so that what they had
/// claimed is told.
fn settle(scene: &Scene, disk: &SimDisk) -> Result<()> {
    let group = scene.open(disk, &Arc::default())?;
    let hangs = || Error::unavailable("it hangs");
    for actor in ACTORS {
        let session = format!("umpire-{actor}-{}", scene.notes().rounds.now);
        let joined = here(group.join().id(actor).session(&session).into_future()).ok_or_else(hangs)??;
        let text = format!("{session} is here");
        let sent = here(group.send(&text).to(actor).into_future()).ok_or_else(hangs)??;
        scene.notes().promised.insert(sent.seq, text);
        let own = joined.session.group();
        let events = [sent.event_id];
        let hand = own.hand_over("svc:hook", &session, &events, Transport::Hook);
        if let Some(handing) = here(hand).ok_or_else(hangs)?? {
            let outcome = Outcome::accepted(serde_json::json!({"hook": "umpire"}));
            here(handing.settle(outcome)).ok_or_else(hangs)??;
        }
        here(joined.session.close("")).ok_or_else(hangs)??;
    }
    // What was claimed by somebody who is dead is not left claimed.
    let end = here(group.position()).ok_or_else(hangs)??.seq;
    for seq in (1..=end.0).map(Seq) {
        if here(group.event(seq)).ok_or_else(hangs)??.message().is_none() {
            continue;
        }
        let receipts = format!("{:?}", here(group.receipts(seq)).ok_or_else(hangs)??);
        if receipts.contains("Claimed") {
            scene.violation(format!("message {seq} is claimed, and by nobody who lives: {receipts}"));
        }
    }
    Ok(())
}

/// What the handles say is what a new one finds.
fn compare(scene: &Scene, disk: &SimDisk) {
    let fresh = match scene.open(disk, &Arc::default()).and_then(|group| knowledge(&group)) {
        Ok(fresh) => fresh,
        Err(error) => return scene.violation(format!("the ledger cannot be read: {error}")),
    };
    let known = std::mem::take(&mut scene.notes().known);
    for (name, known) in known {
        if known != fresh {
            let differs = known.lines().zip(fresh.lines()).find(|(a, b)| a != b);
            scene.violation(format!("{name} knows otherwise: {differs:?}"));
        }
    }
    disk.sleep(Duration::from_millis(1));
    scene.notes().changed = false;
}
