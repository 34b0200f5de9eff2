//! A ledger with gaps means what is left of it: whichever events are missing, it is read, and the work goes on.

use super::*;
use cccc_core::ledger::file::RepairOptions;

/// Spoils lines so that no repair can restore them; returns how many.
fn spoil(dir: &Path, lost: impl Fn(u64) -> bool) -> u64 {
    let mut count = 0;
    for entry in fs::read_dir(dir.join("group/ledger")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "jsonl") {
            continue;
        }
        let mut all = Vec::new();
        let first: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        for (seq, line) in (first..).zip(fs::read(&path).unwrap().split_inclusive(|byte| *byte == b'\n')) {
            let mut line = line.to_vec();
            if lost(seq) {
                let at = line.len() - 40;
                line[at..at + 5].copy_from_slice(b"#####");
                count += 1;
            }
            all.extend(line);
        }
        fs::write(&path, all).unwrap();
    }
    count
}

fn files(dir: &Path) -> FileLedger {
    let id = GroupId::new("gteam").unwrap();
    FileLedger::open(Arc::new(RealDisk::new()), dir.join("group"), id, Options::default()).unwrap()
}

#[test]
fn whichever_events_are_lost_the_rest_has_a_meaning_and_the_work_goes_on() {
    let end = u64::try_from(events_of(&opened(tempfile::tempdir().unwrap().path()).0).len()).unwrap();
    for seed in 0..24_u64 {
        let dir = tempfile::tempdir().unwrap();
        opened(dir.path());
        let one_in = [2, 3, 5, 12][usize::try_from(seed % 4).unwrap()];
        let mix = |seq: u64| (seq ^ (seed << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let lost = spoil(dir.path(), |seq| mix(seq) % one_in == 0);
        let report = block_on(files(dir.path()).repair(RepairOptions::default())).unwrap();
        assert_eq!(report.broken.iter().map(|one| one.lost).sum::<u64>(), lost);

        let clock = Arc::new(ManualClock::at(now()));
        let blobs = Blobs::in_directory(dir.path().join("group/blobs"));
        let user = Group::over(Arc::new(files(dir.path())), blobs, clock);
        let verdict = block_on(user.ledger().verify()).unwrap();
        assert!(matches!(verdict, Verdict::Sound { head, gaps, .. } if head.seq.0 == end && gaps == lost));
        let events = events_of(&user);
        assert_eq!(u64::try_from(events.len()).unwrap(), end);
        shown(&events, now());
        let mut state = GroupState::new(user.id());
        for event in &events {
            state.apply(event);
            assert_eq!(GroupState::from_bytes(&state.to_bytes().unwrap()).unwrap(), state);
        }

        // It may be refused, by a rule and with a reason; it is never a panic and never damage.
        for effect in block_on(user.due()).unwrap_or_default() {
            let _ = block_on(user.carry_out(&effect));
        }
        for task in block_on(user.tasks()).unwrap() {
            let _ = block_on(user.task_update(task.task_id).cancel("no longer needed"));
        }
        let message = block_on(user.send("Who is here?").to("user").reply_required());
        let said = message.is_ok();
        for id in state.actors().keys() {
            let actor = block_on(user.bind(id.as_str())).unwrap();
            block_on(actor.inbox().peek()).unwrap();
            block_on(actor.obligations().mine()).unwrap();
            let _ = block_on(actor.read_through(end));
            block_on(actor.send("Here").to("user")).unwrap();
        }
        for event in events.iter().filter(|event| event.message().is_some()) {
            block_on(user.receipts(event)).unwrap();
        }
        assert!(said || !state.actors().is_empty() || lost > 0);
        let fresh = Group::over(
            Arc::new(files(dir.path())),
            Blobs::in_directory(dir.path().join("group/blobs")),
            Arc::new(ManualClock::at(now())),
        );
        assert_eq!(block_on(fresh.position()).unwrap(), block_on(user.position()).unwrap());
        block_on(fresh.summary()).unwrap();
    }
}
