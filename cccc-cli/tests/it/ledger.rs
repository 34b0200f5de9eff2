//! `ledger`, `tail` and `schema`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use cccc_core::testing;
use serde_json::{Value, json};

use crate::support::{Place, fields, has, refusal};

fn segment(place: &Place) -> PathBuf {
    let path = place.json(&["ledger", "path"])["path"].as_str().unwrap().to_owned();
    let mut files: Vec<PathBuf> = fs::read_dir(PathBuf::from(path).join("ledger"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    assert_eq!(files.len(), 1);
    files.remove(0)
}

#[test]
fn a_sound_ledger_verifies_and_keeps_its_heads() {
    let place = Place::with_actors();
    let early = place.json(&["ledger", "verify"]);
    has(&early, &["ok", "events", "head"]);
    assert_eq!((&early["ok"], &early["events"]), (&json!(true), &json!(5)));
    place.ok(&["send", "hi", "--to", "bob"]);
    let head = early["head"].as_str().unwrap();
    assert_eq!(place.json(&["ledger", "verify", "--expect", head])["events"], 6);
    let other = format!("5:{}", "0".repeat(20));
    let output = place.run(&["ledger", "verify", "--expect", &other, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&verdict["ok"], &verdict["seq"]), (&json!(false), &json!(5)));
}

#[test]
fn damage_is_named() {
    let place = Place::with_actors();
    place.ok(&["send", "the right words", "--to", "bob"]);
    place.ok(&["send", "more", "--to", "bob"]);
    let file = segment(&place);
    let bytes = fs::read(&file).unwrap();
    let at = bytes.windows(15).position(|window| window == b"the right words").unwrap();
    let mut damaged = bytes.clone();
    damaged[at] = b'T';
    fs::write(&file, &damaged).unwrap();
    let output = place.run(&["ledger", "verify", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    has(&verdict, &["ok", "file", "offset", "seq", "reason"]);
    assert_eq!((&verdict["ok"], &verdict["seq"]), (&json!(false), &json!(6)));
    assert!(verdict["file"].as_str().unwrap().ends_with(file.file_name().unwrap().to_str().unwrap()));
    let offset = bytes[..at].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    assert_eq!(verdict["offset"], json!(offset));
    let text = place.run(&["ledger", "verify"]);
    assert_eq!(text.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&text.stdout).starts_with("damaged: "));
}

/// A ledger of events 1 to 8, of which 7 is damaged.
pub(crate) fn damaged() -> (Place, PathBuf) {
    let place = Place::with_actors();
    for text in ["kept", "damaged", "after"] {
        place.ok(&["send", text, "--to", "bob"]);
    }
    assert_eq!(place.json(&["ledger", "repair"])["ok"], true);
    let file = segment(&place);
    let stored = fs::read_to_string(&file).unwrap();
    fs::write(&file, stored.replace("\"damaged\"", "\"DAMAGED\"")).unwrap();
    (place, file)
}

#[test]
fn a_damaged_ledger_is_cut_when_asked() {
    let (place, _) = damaged();
    let output = place.run(&["ledger", "repair", "--dry-run", "--cut", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let dry: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&dry["ok"], &dry["damage"]["seq"]), (&json!(false), &json!(7)));
    assert_eq!((&dry["cut"]["first"], &dry["cut"]["last"]), (&json!(7), &json!(8)));
    let text = place.run(&["ledger", "repair", "--dry-run", "--cut"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains(&format!("would be cut off: events 7 to 8, {} bytes", dry["cut"]["bytes"])),
        "{text}"
    );
    assert!(text.contains("end the ledger at event 6, which costs 1 sound event as well"), "{text}");
    assert_eq!(place.refused(&["--as", "alice", "ledger", "repair", "--cut"])["kind"], "refused");
    let report = place.json(&["ledger", "repair", "--cut"]);
    assert_eq!((&report["ok"], report["set_aside"].as_array().unwrap().len()), (&json!(true), 1));
    assert_eq!(report["cut"], dry["cut"]);
    let aside = fs::read_to_string(report["set_aside"][0].as_str().unwrap()).unwrap();
    assert!(aside.contains("DAMAGED") && aside.contains("after"), "{aside}");
    let stats = place.json(&["ledger", "stats"]);
    assert_eq!((&stats["events"], &stats["torn_files"]), (&json!(6), &json!(1)));
    assert_eq!(place.json(&["ledger", "verify"])["events"], 6);
    let text = place.ok(&["ledger", "stats"]);
    assert!(text.starts_with("6 events in 1 files"), "{text}");
    assert!(text.contains("1 files with") && text.contains("what repairs took out"), "{text}");
    place.ok(&["send", "goes on", "--to", "bob"]);
}

#[test]
fn a_damaged_event_is_shown_as_one_and_a_repair_keeps_all_others() {
    let (place, file) = damaged();
    let shown = place.ok(&["tail", "-n", "3"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].contains("kept") && lines[2].contains("after"), "{shown}");
    assert!(
        lines[1].contains("ledger.gap: lost; not repaired yet: its chain does not match its content"),
        "{shown}"
    );
    let gap = place.lines(&["tail", "-n", "2"]).remove(0);
    assert_eq!((&gap["kind"], &gap["seq"]), (&json!("ledger.gap"), &json!(7)));
    let name = file.file_name().unwrap().to_str().unwrap();
    assert_eq!(gap["data"]["file"], json!(format!("ledger/{name}")));
    for refused in [&["send", "more", "--to", "bob"][..], &["redact", "7"]] {
        let error = place.refused(refused);
        assert_eq!(error["kind"], "corrupt", "{error}");
        assert!(error["hint"].as_str().unwrap().contains("cccc ledger repair"), "{error}");
    }
    let before = place.lines(&["tail", "-n", "100"]);
    let output = place.run(&["ledger", "repair", "--dry-run"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("damaged: event 7 (lost), "), "{text}");
    assert!(text.contains("keep the other 7, with a gap in the place of each that is lost"), "{text}");
    assert_eq!(place.refused(&["--as", "alice", "ledger", "repair"])["kind"], "refused");
    let report = place.json(&["ledger", "repair"]);
    assert_eq!((&report["ok"], &report["broken"][0]["lost"]), (&json!(true), &json!(1)));
    let aside = fs::read_to_string(report["set_aside"][0].as_str().unwrap()).unwrap();
    assert!(aside.contains("DAMAGED") && aside.lines().count() == 1, "{aside}");
    let verdict = place.json(&["ledger", "verify"]);
    assert_eq!((&verdict["events"], &verdict["gaps"]), (&json!(8), &json!(1)));
    assert!(place.ok(&["ledger", "verify"]).starts_with("sound, with 1 gap: 8 events"));
    let after = place.lines(&["tail", "-n", "100"]);
    for (was, is) in before.iter().zip(&after) {
        assert_eq!((&was["id"], &was["chain"]), (&is["id"], &is["chain"]));
    }
    let error = place.refused(&["redact", "7"]);
    assert!(error["hint"].as_str().unwrap().contains("torn/7-"), "{error}");
    place.ok(&["send", "goes on", "--to", "bob"]);
    assert_eq!(place.lines(&["--as", "bob", "inbox"]).len(), 3);
}

#[test]
fn gaps_are_counted_where_the_group_is_looked_at() {
    let (place, _) = damaged();
    for args in [&["doctor", "--json"][..], &["doctor", "--quick", "--json"]] {
        let answer: Value = serde_json::from_slice(&place.run(args).stdout).unwrap();
        let group = &answer["groups"][0];
        assert_eq!(
            (&group["ok"], &group["events"], &group["gaps"]),
            (&json!(false), &Value::Null, &Value::Null)
        );
    }
    let text = String::from_utf8(place.run(&["doctor", "--quick"]).stdout).unwrap();
    assert!(text.contains("unknown"), "{text}");
    place.ok(&["ledger", "repair"]);
    let group = &place.json(&["doctor", "--quick"])["groups"][0];
    assert_eq!((&group["ok"], &group["events"], &group["gaps"]), (&json!(true), &json!(8), &json!(1)));
    assert!(place.ok(&["doctor"]).contains("1 event is lost, a gap"));
    assert_eq!(place.json(&["status"])["gaps"], 1);
    assert!(place.ok(&["status"]).contains("8 events (1 lost, a gap), "));
    let sound = Place::with_actors();
    assert_eq!(sound.json(&["status"])["gaps"], 0);
    assert!(sound.ok(&["status"]).contains("5 events, ") && !sound.ok(&["doctor"]).contains("gap"));
}

#[test]
fn a_repair_says_of_attachments_what_verify_says() {
    let place = Place::with_actors();
    place.file("notes.md", "what was found");
    place.ok(&["send", "look", "--to", "bob", "--file", "notes.md"]);
    assert!(place.ok(&["ledger", "repair"]).ends_with(&format!(
        "sound: head {}\n",
        place.json(&["ledger", "verify"])["head"].as_str().unwrap()
    )));
    let path = PathBuf::from(place.json(&["ledger", "path"])["path"].as_str().unwrap());
    let shown = place.lines(&["tail", "-n", "1"]).remove(0);
    let digest = shown["data"]["attachments"][0]["sha256"].as_str().unwrap().to_owned();
    let blob = blob(&path, &digest);
    fs::remove_file(blob).unwrap();
    let verified = place.run(&["ledger", "verify"]);
    assert_eq!(verified.status.code(), Some(1));
    let verified = String::from_utf8(verified.stdout).unwrap();
    let (first, fault) = verified.trim_end().split_once('\n').unwrap();
    assert!(first.starts_with("events sound: 6 events") && fault.contains("LOST"), "{verified}");
    for args in [&["ledger", "repair", "--dry-run"][..], &["ledger", "repair"]] {
        let text = place.ok(args);
        assert!(text.contains("events sound: head ") && text.contains(fault), "{text}");
        assert!(text.contains("cannot restore"), "{text}");
        let answer = place.json(args);
        assert_eq!(answer["attachments"]["faults"][0]["sha256"], json!(digest), "{answer}");
    }
}

/// Where the bytes of an attachment lie.
fn blob(dir: &std::path::Path, digest: &str) -> PathBuf {
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => left.push(path),
                false
                    if path.file_name().is_some_and(|name| name.to_string_lossy().contains(&digest[2..])) =>
                {
                    return path;
                }
                false => {}
            }
        }
    }
    panic!("there is no {digest}");
}

#[test]
fn a_follower_says_what_is_lost_of_what_it_showed() {
    for json in [false, true] {
        let (place, file) = damaged();
        place.ok(&["ledger", "repair"]);
        place.ok(&["send", "soon lost", "--to", "bob"]);
        let mut args = vec!["tail", "-f", "-n", "3", "--kind", "chat"];
        args.extend(json.then_some("--json"));
        let mut following = place.command(&args).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
        let mut next = || lines.next().unwrap().unwrap();
        assert!(next().contains("kept") && next().contains("after") && next().contains("soon lost"));
        place.ok(&["send", "as well", "--to", "bob"]);
        assert!(next().contains("as well"), "it follows");
        let stored = fs::read_to_string(&file).unwrap();
        fs::write(&file, stored.replace("soon lost", "SOON LOST").replace("as well", "AS WELL")).unwrap();
        place.ok(&["ledger", "repair"]);
        for seq in [9, 10] {
            let line = next();
            match json {
                false => {
                    assert!(
                        line.starts_with(&format!(
                            "event {seq} has been lost: ledger.gap: lost and repaired away: "
                        )),
                        "{line}"
                    )
                }
                true => {
                    let gap: Value = serde_json::from_str(&line).unwrap();
                    assert_eq!((&gap["kind"], &gap["seq"]), (&json!("ledger.gap"), &json!(seq)));
                }
            }
        }
        place.ok(&["send", "and on", "--to", "bob"]);
        assert!(next().contains("and on"));
        following.kill().unwrap();
        following.wait().unwrap();
    }
}

#[test]
fn a_follower_goes_on_when_the_files_were_moved_and_copied_back() {
    let place = Place::with_actors();
    let path = PathBuf::from(place.json(&["ledger", "path"])["path"].as_str().unwrap());
    let mut following = place.command(&["tail", "-f", "-n", "1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    for n in 0..3 {
        let aside = place.path().join(format!("aside-{n}"));
        fs::rename(&path, &aside).unwrap();
        fs::create_dir(&path).unwrap();
        testing::save(&aside, &path).unwrap();
        place.ok(&["send", &format!("message {n}"), "--to", "bob"]);
        assert!(lines.next().unwrap().unwrap().contains(&format!("message {n}")));
    }
    following.kill().unwrap();
    following.wait().unwrap();
}

#[test]
fn a_dry_run_says_what_a_missing_file_costs_and_what_a_repair_would_do() {
    let (place, file) = damaged();
    fs::remove_file(&file).unwrap();
    let run = |args: &[&str]| {
        let output = place.run(&[&["ledger", "repair", "--dry-run"], args].concat());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = run(&[]);
    let missing = format!("damaged: events 1 to 8 (lost), {}: the segment file is missing\n", file.display());
    assert!(text.starts_with(&missing), "{text}");
    assert!(text.contains("from a copy; no event is left that a repair could keep"), "{text}");
    let text = run(&["--cut"]);
    assert!(text.contains("would be cut off: events 1 to 8, 0 bytes"), "{text}");
    assert!(text.ends_with("or end the ledger at event 0: cccc ledger repair --cut\n"), "{text}");
    let json: Value = serde_json::from_str(&run(&["--json"])).unwrap();
    assert_eq!((&json["last"], &json["broken"][0]["lost"]), (&json!(8), &json!(8)));
    assert!(!file.exists(), "a dry run makes nothing");
}

#[test]
fn what_a_repair_restores_is_said_to_be_restored() {
    let (place, file) = damaged();
    place.ok(&["ledger", "repair"]);
    place.ok(&["send", "bit", "--to", "bob"]);
    let stored = fs::read_to_string(&file).unwrap();
    // One bit of a character.
    fs::write(&file, stored.replace("\"bit\"", "\"cit\"")).unwrap();
    let dry = place.run(&["ledger", "repair", "--dry-run"]);
    let dry = String::from_utf8_lossy(&dry.stdout).into_owned();
    assert!(dry.starts_with("damaged: event 9 (can be restored), "), "{dry}");
    let done = place.ok(&["ledger", "repair"]);
    assert!(done.starts_with("damaged: event 9 (restored), "), "{done}");
    assert_eq!(fs::read_to_string(&file).unwrap(), stored);
}

#[test]
fn an_export_that_meets_damage_leaves_no_file() {
    let (place, _) = damaged();
    let error = place.refused(&["ledger", "export", "--output", "copy.jsonl"]);
    assert_eq!(error["kind"], "corrupt", "{error}");
    assert!(!place.project().join("copy.jsonl").exists());
    place.ok(&["ledger", "repair"]);
    place.ok(&["ledger", "export", "--output", "copy.jsonl"]);
}

#[test]
fn an_export_is_the_ledger_as_it_is_stored() {
    let place = Place::with_actors();
    place.ok(&["send", "hi", "--to", "bob"]);
    let stored = fs::read_to_string(segment(&place)).unwrap();
    assert_eq!(place.ok(&["ledger", "export"]), stored);
    assert_eq!(place.ok(&["ledger", "export", "--output", "-"]), stored);
    let answer = place.json(&["ledger", "export", "--output", "copy.jsonl"]);
    assert_eq!(answer["events"], 6);
    assert_eq!(fs::read_to_string(place.project().join("copy.jsonl")).unwrap(), stored);
    let error = place.refused(&["ledger", "export", "--output", "copy.jsonl"]);
    assert!(error["message"].as_str().unwrap().contains("copy.jsonl"), "what is there is not overwritten");
    let tail = place.ok(&["tail", "-n", "100", "--json"]);
    assert_eq!(tail, stored, "tail prints events as stored");
}

#[test]
fn tail_shows_the_latest_of_the_wanted_kinds() {
    let place = Place::with_actors();
    for n in 0..5 {
        place.ok(&["send", &format!("m{n}"), "--to", "bob"]);
        place.ok(&["--as", "bob", "inbox"]);
    }
    let kinds = |args: &[&str]| -> Vec<String> {
        let lines = place.lines(&[&["tail"], args].concat());
        lines.iter().map(|line| line["kind"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&["-n", "3"]), ["chat.message", "runtime.delivery", "runtime.delivery"]);
    assert_eq!(kinds(&["-n", "2", "--kind", "actor"]), ["actor.add", "actor.add"]);
    assert_eq!(kinds(&["-n", "0"]), Vec::<String>::new());
    assert_eq!(kinds(&["-n", "100"]).len(), 20);
    assert_eq!(kinds(&["--kind", "chat.message", "--kind", "group"]).len(), 7);
    assert_eq!(place.ok(&["tail", "-n", "3"]).lines().count(), 3);
}

#[test]
fn the_schemas_describe_what_is_printed() {
    let place = Place::with_actors();
    let schema: Value = serde_json::from_str(&place.ok(&["schema"])).unwrap();
    assert_eq!(schema, place.json(&["schema"]));
    let described = |answer: &str, value: &Value| {
        let properties = &schema["answers"][answer]["schema"]["properties"];
        assert!(properties.is_object(), "{answer} is not described");
        for field in fields(value) {
            assert!(properties.get(field).is_some(), "{field} of {answer} is not described");
        }
    };
    let seq = place.json(&["send", "?", "--to", "bob", "--reply-within", "1h", "--attention"]);
    described("send", &seq);
    let seq = seq["seq"].to_string();
    described("inbox", &place.json(&["--as", "bob", "inbox"]));
    described("receipts", &place.json(&["receipts", &seq]));
    described("obligations", &place.lines(&["obligations", "--all"])[0]);
    described("ack", &place.json(&["--as", "bob", "ack", &seq]));
    described("attach", &place.json(&["attach"]));
    described("status", &place.json(&["status"]));
    described("who", &place.lines(&["who"])[0]);
    described("whoami", &place.json(&["whoami"]));
    described("version", &place.json(&["version"]));
    described("groups", &place.json(&["groups"]));
    described("ledger verify", &place.json(&["ledger", "verify"]));
    described("ledger stats", &place.json(&["ledger", "stats"]));
    described("ledger repair", &place.json(&["ledger", "repair"]));
    described("ledger path", &place.json(&["ledger", "path"]));
    described("doctor", &place.json(&["doctor"]));
    for line in place.lines(&["tail", "-n", "100"]) {
        for field in fields(&line) {
            assert!(schema["envelope"]["properties"].get(field).is_some(), "{field} is not described");
        }
        let data = &schema["events"][line["kind"].as_str().unwrap()]["properties"];
        for field in fields(&line["data"]) {
            // A delivery's state is one of several shapes, each with fields of its own.
            let flattened = line["kind"] == "runtime.delivery";
            assert!(flattened || data.get(field).is_some(), "{field} of {} is not described", line["kind"]);
        }
    }
}

#[test]
fn a_follower_says_that_the_ledger_was_replaced_and_stops() {
    let place = Place::with_actors();
    let path = PathBuf::from(place.json(&["ledger", "path"])["path"].as_str().unwrap());
    let saved = place.path().join("saved");
    testing::save(&path, &saved).unwrap();
    place.ok(&["send", "soon gone", "--to", "bob"]);
    let mut command = place.command(&["tail", "-f", "-n", "1", "--json"]);
    let mut following = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("soon gone"));
    place.ok(&["send", "as well", "--to", "bob"]);
    assert!(lines.next().unwrap().unwrap().contains("as well"), "it follows");
    testing::restore(&saved, &path).unwrap();
    let output = following.wait_with_output().unwrap();
    assert_eq!(refusal(&output, &["tail"])["kind"], "diverged");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_old_head_page_that_was_put_back_hides_nothing_for_long() {
    let place = Place::with_actors();
    let head = PathBuf::from(place.json(&["ledger", "path"])["path"].as_str().unwrap()).join("head");
    let old = fs::read(&head).unwrap();
    place.ok(&["send", "acknowledged", "--to", "bob"]);
    fs::write(&head, &old).unwrap();
    // Nobody writes. It is put right as soon as nobody can be about to publish what is there.
    let begun = Instant::now();
    while !place.ok(&["tail", "-n", "1"]).contains("acknowledged") {
        assert!(begun.elapsed() < Duration::from_secs(60), "it stays hidden");
    }
    assert_eq!(place.json(&["ledger", "verify"])["events"], 6);
}
