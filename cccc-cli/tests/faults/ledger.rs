//! The ledger is repaired, and a segment of it is sealed.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use cccc_core::disk::RealDisk;
use cccc_core::event::Body;
use cccc_core::id::Nonce;
use cccc_core::ledger::file::Options;
use cccc_core::ledger::{Appended, Draft, Durability, Encoder, FileLedger, Ledger, Stamp};
use cccc_core::{GroupId, Principal, Timestamp, block_on};
use serde_json::value::RawValue;

use crate::fault::{Fault, calls};
use crate::matrix::Case;
use crate::place::{Place, Running};

/// The directory of the project's group.
fn directory(place: &Place) -> PathBuf {
    place.home().join("groups").join(place.group_id())
}

fn segment(place: &Place) -> PathBuf {
    directory(place).join("ledger/00000000000000000001.jsonl")
}

/// A group whose last writer was killed within the append of `unfinished`, and which lost its offsets.
fn interrupted() -> Place {
    let place = Place::with_group();
    place.user(&["send", "first", "--to", "alice"]);
    place.keep();
    let log = place.path().join("calls");
    let send = || place.command(&["--as", "lead", "send", "unfinished", "--to", "alice"]);
    let mut whole = send();
    Fault::arm(&mut whole, None, 0, &place.home(), &log);
    Running::start(whole, b"").end();
    let write = calls(&log).into_iter().find(|call| call.name == "pwrite64").unwrap().at;
    place.put_back();
    let mut half = send();
    Fault::arm(&mut half, Some(Fault::Half), write, &place.home(), &log);
    Running::start(half, b"").end();
    fs::remove_dir_all(place.path().join("kept")).unwrap();
    fs::remove_file(segment(&place).with_extension("off")).unwrap();
    place
}

/// What was acknowledged is there, and what was not is not.
fn first_alone(place: &Place) {
    let inbox = place.lines(&["--as", "alice", "inbox", "--peek"]);
    assert_eq!((inbox.len(), &inbox[0]["text"]), (1, &"first".into()), "{inbox:?}");
}

#[test]
fn repair() {
    let place = interrupted();
    let command = || (place.command(&["--as", "user", "--json", "ledger", "repair"]), vec![]);
    Case { name: "repair", place: &place, command: &command, check: &|_| first_alone(&place) }.run();
}

#[test]
fn repair_dry_run() {
    let place = interrupted();
    let command = || (place.command(&["--as", "user", "--json", "ledger", "repair", "--dry-run"]), vec![]);
    Case { name: "repair_dry_run", place: &place, command: &command, check: &|_| first_alone(&place) }.run();
}

#[test]
fn repair_cut() {
    let place = Place::with_group();
    let dir = directory(&place);
    for text in ["first", "damaged", "after"] {
        place.user(&["send", text, "--to", "alice"]);
    }
    let segment = segment(&place);
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(7).position(|window| window == b"damaged").unwrap();
    bytes[at] = b'D';
    fs::write(segment, bytes).unwrap();
    for name in fs::read_dir(&dir).unwrap() {
        let path = name.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("checkpoint") {
            fs::remove_file(path).unwrap();
        }
    }
    let command = || (place.command(&["--as", "user", "--json", "ledger", "repair", "--cut"]), vec![]);
    Case {
        name: "repair_cut",
        place: &place,
        command: &command,
        check: &|ended| {
            if !ended.done {
                place.user(&["ledger", "repair", "--cut"]);
            }
            let inbox = place.lines(&["--as", "alice", "inbox", "--peek"]);
            assert_eq!(inbox[0]["text"], "first");
            assert!(inbox.iter().all(|message| message["text"] != "Damaged"), "{inbox:?}");
            // What was set aside is kept.
            let torn: Vec<u8> = fs::read_dir(dir.join("torn"))
                .unwrap()
                .flat_map(|entry| fs::read(entry.unwrap().path()).unwrap())
                .collect();
            assert!(torn.windows(7).any(|window| window == b"Damaged"));
        },
    }
    .run();
}

/// `<directory of the group>`: what this test is as another process, an append that seals a segment.
const SEALER: &str = "CCCC_TEST_SEALER";

#[test]
#[ignore = "run by the other test, as another process"]
fn sealer() {
    let Some(dir) = std::env::var_os(SEALER).map(PathBuf::from) else { return };
    let id = GroupId::new(dir.file_name().unwrap().to_str().unwrap()).unwrap();
    let options = Options::default().segment_bytes(1);
    let sealed = (|| {
        let ledger = FileLedger::open(Arc::new(RealDisk::new()), &dir, id.clone(), options)?;
        let turn = block_on(ledger.turn())?;
        let mut encoder = Encoder::new(id.clone(), turn.tip(), turn.durable().seq);
        let stamp =
            Stamp { ts: Timestamp::from_millis(0), by: Principal::System, via: None, scope_key: "".into() };
        let data = RawValue::from_string(r#"{"sealed":true}"#.into()).unwrap();
        let draft = Draft::from(Body::Unknown { kind: "x.sealed".into(), data });
        encoder.push(vec![draft], &stamp, || Nonce::from_bits(7))?;
        block_on(turn.append(&encoder.finish(), Durability::Durable))
    })();
    match sealed {
        Ok(Appended::New) => println!("sealed"),
        Ok(Appended::Lost | Appended::Already) => println!("not sealed"),
        Err(error) => {
            eprintln!("{}", serde_json::json!({"error": {"message": error.to_string()}}));
            std::process::exit(1);
        }
    }
}

#[test]
fn seal() {
    let place = Place::with_group();
    place.user(&["send", "first", "--to", "alice"]);
    let dir = directory(&place);
    let sealed = || {
        place
            .lines(&["--as", "user", "tail", "-n", "1000"])
            .iter()
            .filter(|event| event["kind"] == "x.sealed")
            .count()
    };
    let command = || {
        let mut command: Command = place.program(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "ledger::sealer",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
            "--quiet",
        ]);
        command.env(SEALER, &dir);
        (command, vec![])
    };
    Case {
        name: "seal",
        place: &place,
        command: &command,
        check: &|ended| {
            // What the last writer left is recovered by the next.
            place.user(&["actor", "add", "witness"]);
            let there = sealed();
            let said =
                ended.done && ended.printed.contains("sealed\n") && !ended.printed.contains("not sealed");
            assert!(if said { there == 1 } else { there <= 1 }, "{there}: {ended:?}");
            assert!(!ended.refused() || there == 0, "refused, and there: {ended:?}");
            first_alone(&place);
        },
    }
    .run();
}
