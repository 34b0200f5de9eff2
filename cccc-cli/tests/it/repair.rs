//! The ways out after damage: what `ledger verify` and `ledger repair` say, and whether what they say works.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Place, refusal};

fn directory(place: &Place) -> PathBuf {
    PathBuf::from(place.json(&["ledger", "path"])["path"].as_str().unwrap())
}

fn segment(dir: &Path) -> PathBuf {
    dir.join("ledger/00000000000000000001.jsonl")
}

/// Three messages after the five events of a group with actors.
fn filled() -> (Place, PathBuf) {
    let place = Place::with_actors();
    for text in ["one", "two", "three"] {
        place.ok(&["send", text, "--to", "bob"]);
    }
    let dir = directory(&place);
    (place, dir)
}

fn edit(dir: &Path, change: impl FnOnce(Vec<&str>) -> Vec<String>) {
    let text = fs::read_to_string(segment(dir)).unwrap();
    fs::write(segment(dir), change(text.split_inclusive('\n').collect()).concat()).unwrap();
}

/// Changes a line, counted from 1, so that nobody can tell what it was.
fn spoil(dir: &Path, line: usize) {
    edit(dir, |lines| {
        let all = lines.into_iter().zip(1..).map(|(text, n)| match n == line {
            true => text.replace("\"by\":\"user\"", "\"by\":\"USER\""),
            false => text.to_owned(),
        });
        all.collect()
    });
}

fn said(place: &Place, args: &[&str], code: i32) -> String {
    let output = place.run(args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_repair_that_can_keep_nothing_is_refused_without_cut() {
    let (place, dir) = filled();
    fs::write(segment(&dir), "").unwrap();
    let dry = said(&place, &["ledger", "repair", "--dry-run"], 1);
    assert!(dry.contains("begin anew: cccc ledger repair --cut"), "{dry}");
    let error = place.refused(&["ledger", "repair"]);
    assert_eq!(error["kind"], "refused", "{error}");
    assert!(error["message"].as_str().unwrap().contains("all 8 events"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("`cccc ledger repair --cut`"), "{error}");
    assert_eq!((fs::read(segment(&dir)).unwrap().len(), dir.join("torn").exists()), (0, false));
    let report = place.json(&["ledger", "repair", "--cut"]);
    assert_eq!((&report["ok"], &report["head"].as_str().unwrap()[..2]), (&json!(true), "0:"));
}

/// Each way out is tried in the words in which it is said.
#[test]
fn a_group_that_was_cut_at_its_beginning_is_set_up_again() {
    for way in ["attach", "update"] {
        let (place, dir) = filled();
        let id = place.json(&["attach"])["group_id"].clone();
        spoil(&dir, 1);
        let text = said(&place, &["ledger", "repair", "--cut"], 0);
        let names_it = |text: &str| {
            assert!(text.contains("`cccc attach`"), "{text}");
            assert!(text.contains("`cccc group update --title TITLE`"), "{text}");
        };
        names_it(&text);
        names_it(&place.ok(&["status"]));
        for args in [&["actor", "add", "lead"][..], &["send", "x", "--to", "lead"], &["group", "archive"]] {
            let error = place.refused(args);
            names_it(error["hint"].as_str().unwrap());
        }
        // Whoever is not the user cannot.
        assert_eq!(place.refused(&["--as", "bob", "group", "update", "--title", "T"])["kind"], "not_found");
        match way {
            "attach" => {
                let attached = place.json(&["attach"]);
                assert_eq!((&attached["group_id"], &attached["created"]), (&id, &json!(true)));
                assert_eq!(place.json(&["attach"])["created"], false);
                assert_eq!(place.json(&["status"])["scopes"].as_array().unwrap().len(), 1);
            }
            _ => drop(place.ok(&["group", "update", "--title", "Again"])),
        }
        place.ok(&["actor", "add", "lead"]);
        place.ok(&["send", "goes on", "--to", "lead"]);
        assert_ne!(place.json(&["status"])["title"], "");
        assert_eq!(place.json(&["ledger", "verify"])["ok"], true);
    }
}

#[test]
fn a_group_of_which_only_set_aside_bytes_are_left_is_not_deleted_unasked() {
    let (place, dir) = filled();
    let id = dir.file_name().unwrap().to_str().unwrap().to_owned();
    spoil(&dir, 1);
    place.ok(&["ledger", "repair", "--cut"]);
    let error = place.refused(&["group", "delete", &id]);
    assert_eq!(error["kind"], "refused", "{error}");
    assert!(error["message"].as_str().unwrap().contains(dir.join("torn").to_str().unwrap()), "{error}");
    assert_eq!(fs::read_dir(dir.join("torn")).unwrap().count(), 1);
    // One way that the hint names, then the other.
    place.ok(&["--group", &id, "group", "update", "--title", "T"]);
    assert_eq!(place.refused(&["group", "delete", &id])["kind"], "refused");
    place.ok(&["--group", &id, "group", "archive"]);
    place.ok(&["group", "delete", &id]);
    let (place, dir) = filled();
    let id = dir.file_name().unwrap().to_str().unwrap().to_owned();
    spoil(&dir, 1);
    place.ok(&["ledger", "repair", "--cut"]);
    fs::rename(dir.join("torn"), place.path().join("torn")).unwrap();
    place.ok(&["group", "delete", &id]);
    assert!(!dir.exists());
}

#[test]
fn an_actor_whose_adding_is_lost_is_named_to_whoever_repairs() {
    let (place, dir) = filled();
    let added = fs::read_to_string(segment(&dir)).unwrap();
    let line = added.lines().position(|line| line.contains("\"actor_id\":\"bob\"")).unwrap() + 1;
    spoil(&dir, line);
    let text = said(&place, &["ledger", "repair"], 0);
    assert!(text.contains("bob is not in the group any more"), "{text}");
    assert!(
        text.contains("`cccc actor add bob` brings it back, without what it owed; 3 messages to it"),
        "{text}"
    );
    let report = place.json(&["ledger", "repair"]);
    assert_eq!(report["forgotten"], json!([{"principal": "bob", "messages": 3}]));
    let error = place.refused(&["--as", "bob", "inbox"]);
    assert!(error["hint"].as_str().unwrap().contains("`cccc actor add bob`"), "{error}");
    place.ok(&["actor", "add", "bob"]);
    place.ok(&["send", "four", "--to", "bob"]);
    assert_eq!(place.lines(&["--as", "bob", "inbox"]).len(), 1);
    assert_eq!(place.json(&["ledger", "repair"])["forgotten"], json!([]));
}

#[test]
fn everybody_names_the_same_first_damage_and_verify_says_how_much_there_is() {
    let (place, dir) = filled();
    for line in [3, 6] {
        spoil(&dir, line);
    }
    edit(&dir, |lines| {
        let (last, rest) = lines.split_last().unwrap();
        let end = last.replace("\"chain\":\"", "\"chain\":\"zz");
        rest.iter().map(|line| (*line).to_owned()).chain([end]).collect()
    });
    let text = said(&place, &["ledger", "verify"], 1);
    assert!(text.starts_with("damaged: event 3 "), "{text}");
    assert!(text.contains("in all 3 places are damaged, and 3 events are lost"), "{text}");
    let output = place.run(&["ledger", "verify", "--json"]);
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&verdict["seq"], &verdict["places"], &verdict["lost"]), (&json!(3), &json!(3), &json!(3)));
    assert!(place.refused(&["status"])["message"].as_str().unwrap().starts_with("event 3 is damaged"));
    for args in [&["doctor", "--json"][..], &["doctor", "--quick", "--json"]] {
        let answer: Value = serde_json::from_slice(&place.run(args).stdout).unwrap();
        let detail = answer["groups"][0]["detail"].as_str().unwrap();
        assert!(detail.starts_with("event 3 is damaged"), "{detail}");
    }
}

#[test]
fn without_its_head_a_ledger_is_not_said_to_be_sound_where_the_tip_knows_more() {
    let (place, dir) = filled();
    edit(&dir, |lines| lines[..7].iter().map(|line| (*line).to_owned()).collect());
    fs::remove_file(dir.join("head")).unwrap();
    for args in [&["ledger", "verify"][..], &["ledger", "repair", "--dry-run"]] {
        let text = said(&place, args, 1);
        assert!(text.starts_with("damaged: event 8 "), "{text}");
    }
    assert!(place.refused(&["send", "x", "--to", "bob"])["message"].as_str().unwrap().contains("`tip` says"));
    assert_eq!(place.lines(&["tail", "-n", "100"]).len(), 8);
    assert!(said(&place, &["ledger", "repair"], 0).contains("but for 1 event that is lost"));
    place.ok(&["send", "x", "--to", "bob"]);
}

#[test]
fn a_repair_says_what_it_moved_and_what_it_finished() {
    let (place, dir) = filled();
    edit(&dir, |lines| lines.iter().map(|line| (*line).to_owned()).chain(["garbage\n".into()]).collect());
    let text = said(&place, &["ledger", "repair"], 0);
    assert!(text.contains("finished what a process had left half done\nset aside: "), "{text}");
    // Lines that changed places lose nothing.
    let before = fs::read_to_string(segment(&dir)).unwrap();
    edit(&dir, |mut lines| {
        lines.swap(5, 6);
        lines.into_iter().map(ToOwned::to_owned).collect()
    });
    let report = place.json(&["ledger", "repair"]);
    assert!(report["broken"].as_array().unwrap().iter().all(|one| one["lost"] == 0), "{report}");
    assert_eq!(fs::read_to_string(segment(&dir)).unwrap(), before);
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_named_with_its_path() {
    for name in ["head", "tip", "ledger/00000000000000000001.jsonl"] {
        let (place, dir) = filled();
        let path = dir.join(name);
        let kept = place.path().join("kept");
        fs::rename(&path, &kept).unwrap();
        // It leads into a directory that is there, where a file could be made.
        let target = place.path().join("elsewhere");
        std::os::unix::fs::symlink(&target, &path).unwrap();
        for args in [
            &["ledger", "verify"][..],
            &["ledger", "repair"],
            &["ledger", "repair", "--cut"],
            &["send", "x", "--to", "bob"],
        ] {
            let output = place.run(&[args, &["--json"]].concat());
            if name == "tip" && args == ["ledger", "verify"] && output.status.success() {
                continue;
            }
            let error = refusal(&output, args);
            let (text, hint) = (error["message"].as_str().unwrap(), error["hint"].as_str().unwrap());
            assert!(
                text.contains(path.to_str().unwrap()) && text.contains("leads nowhere"),
                "{args:?}: {error}"
            );
            assert!(hint.contains("move it away"), "{args:?}: {error}");
            assert!(!target.exists(), "{args:?}: nothing is made where it leads");
        }
        fs::remove_file(&path).unwrap();
        fs::rename(&kept, &path).unwrap();
        place.ok(&["send", "x", "--to", "bob"]);
    }
}
