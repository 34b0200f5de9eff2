//! `setup --hooks`: agents' own files of hooks before and after.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::setup::Person;

/// Agents that have hooks, and the file that holds them in a fresh home.
const FILES: [(&str, &str); 10] = [
    ("auggie", ".augment/settings.json"),
    ("claude", ".claude/settings.json"),
    ("codex", ".codex/hooks.json"),
    ("copilot", ".copilot/hooks/cccc.json"),
    ("cursor", ".cursor/hooks.json"),
    ("devin", ".config/devin/config.json"),
    ("droid", ".factory/hooks.json"),
    ("gemini", ".gemini/settings.json"),
    ("kimi", ".kimi-code/config.toml"),
    ("qwen", ".qwen/settings.json"),
];

/// Arguments that enter hooks which run a program whose path is the same on every machine.
fn hooks<'a>(runtime: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["setup", "--hooks", "--command", "/opt/cccc", "--runtime", runtime], more].concat()
}

/// How the hooks of a report stand.
fn stand(report: &Value) -> (&str, bool) {
    (report["hooks"]["result"].as_str().unwrap(), report["hooks"]["changed"].as_bool().unwrap())
}

#[test]
fn hooks_are_entered_once_follow_the_options_and_go_again() {
    for (runtime, file) in FILES {
        let person = Person::new();
        assert_eq!(
            stand(&person.report(&hooks(runtime, &["--check"])).0),
            ("not_set_up", false),
            "{runtime}"
        );
        assert_eq!(stand(&person.report(&hooks(runtime, &[])).0), ("set_up", true), "{runtime}");
        let plain = person.read(file);
        let form = |event: &str| format!("/opt/cccc hook {event} --runtime {runtime}");
        let args = |event: &str| plain.contains(&format!("\"hook\", \"{event}\""));
        for event in ["start", "stop", "end"] {
            assert!(plain.contains(&form(event)) || args(event), "{runtime} {event}: {plain}");
        }
        assert!(!plain.contains("before-tool"), "{runtime}: {plain}");
        assert_eq!(stand(&person.report(&hooks(runtime, &[])).0), ("set_up", false), "{runtime}");
        assert_eq!(person.read(file), plain, "{runtime}");
        let (report, code) = person.report(&hooks(runtime, &["--check"]));
        assert_eq!((stand(&report), code), (("set_up", false), Some(0)), "{report}");

        let (report, code) = person.report(&hooks(runtime, &["--strict", "--guard", "--check"]));
        assert_eq!((stand(&report), code), (("stale", false), Some(1)), "{report}");
        person.ok(&hooks(runtime, &["--strict", "--guard"]));
        let full = person.read(file);
        assert!(
            full.contains("--strict") && full.contains("--guard") && full.contains("before-tool"),
            "{full}"
        );
        let (report, code) = person.report(&hooks(runtime, &["--check"]));
        assert_eq!(code, Some(0), "whatever was chosen is good where nothing is said: {report}");
        assert_eq!(report["hooks"]["choices"], json!({"strict": true, "guard": true}), "{report}");
        person.ok(&hooks(runtime, &["--guard"]));
        let guarded = person.read(file);
        assert!(!guarded.contains("--strict") && guarded.contains("--guard"), "{guarded}");
        person.ok(&hooks(runtime, &[]));
        assert_eq!(person.read(file), plain, "{runtime}");

        person.ok(&["setup", "--remove", "--runtime", runtime]);
        let left = fs::read_to_string(person.path(file)).unwrap_or_default();
        assert!(!left.contains("cccc"), "{runtime}: {left}");
        assert_eq!(
            stand(&person.report(&hooks(runtime, &["--remove"])).0),
            ("not_set_up", false),
            "{runtime}"
        );
    }
}

/// Files as people have them, with what they hold after `setup --hooks --guard`.
struct Case {
    runtime: &'static str,
    file: &'static str,
    before: &'static str,
    after: &'static str,
}

const CASES: &[Case] = &[
    Case {
        runtime: "claude",
        file: ".claude/settings.json",
        before: r#"{
  // mine
  "model": "opus",
  "hooks": {
    "Stop": [
      // a bell
      { "hooks": [{ "type": "command", "command": "bell hook stop" }] },
      {
        "hooks": [
          { "type": "command", "command": "'/old place/cccc' hook stop --runtime claude", "timeout": 3, "async": false }
        ]
      }
    ],
    "PreToolUse": [
      {
        "matcher": "Bash",
        "hooks": [
          { "type": "command", "command": "check" }, // kept
          { "type": "command", "command": "/opt/cccc hook before-tool --runtime claude --strict" }
        ]
      }
    ]
  }
}
"#,
        after: r#"{
  // mine
  "model": "opus",
  "hooks": {
    "Stop": [
      // a bell
      { "hooks": [{ "type": "command", "command": "bell hook stop" }] },
      {
        "hooks": [
          { "type": "command", "command": "/opt/cccc hook stop --runtime claude", "timeout": 10, "async": false }
        ]
      }
    ],
    "PreToolUse": [
      {
        "matcher": "Bash",
        "hooks": [
          { "type": "command", "command": "check" } // kept
        ]
      },
      {
        "matcher": "*",
        "hooks": [
          {
            "type": "command",
            "command": "/opt/cccc hook before-tool --runtime claude --guard",
            "timeout": 10
          }
        ]
      }
    ],
    "SessionStart": [
      {
        "hooks": [
          {
            "type": "command",
            "command": "/opt/cccc hook start --runtime claude",
            "timeout": 10
          }
        ]
      }
    ],
    "UserPromptSubmit": [
      {
        "hooks": [
          {
            "type": "command",
            "command": "/opt/cccc hook prompt --runtime claude",
            "timeout": 10
          }
        ]
      }
    ],
    "PostToolUse": [
      {
        "matcher": "*",
        "hooks": [
          {
            "type": "command",
            "command": "/opt/cccc hook tool --runtime claude",
            "timeout": 10
          }
        ]
      }
    ],
    "SessionEnd": [
      {
        "hooks": [
          {
            "type": "command",
            "command": "/opt/cccc hook end --runtime claude",
            "timeout": 10
          }
        ]
      }
    ]
  }
}
"#,
    },
    Case {
        runtime: "kimi",
        file: ".kimi-code/config.toml",
        before: "# mine\ndefault_model = \"k\" # good\n\n[[hooks]] # a bell\nevent = \"Stop\"\ncommand = \"bell\"\n\n[[hooks]]\nevent = \"SessionEnd\"\ncommand = \"/old/cccc hook end --runtime kimi\" # ours\n\n[providers.x]\ntype = \"kimi\"\n",
        after: "# mine\ndefault_model = \"k\" # good\n\n[[hooks]] # a bell\nevent = \"Stop\"\ncommand = \"bell\"\n\n[[hooks]]\nevent = \"SessionEnd\"\ncommand = \"/opt/cccc hook end --runtime kimi --form kimi\" # ours\ntimeout = 10\n",
    },
];

#[test]
fn hooks_of_a_person_and_all_else_stay() {
    for case in CASES {
        let person = Person::new();
        person.write(case.file, case.before);
        person.ok(&hooks(case.runtime, &["--guard"]));
        let after = person.read(case.file);
        assert!(after.starts_with(case.after) || after == case.after, "{}\n{after}", case.runtime);
        person.ok(&["setup", "--remove", "--hooks", "--runtime", case.runtime]);
        let left = person.read(case.file);
        assert!(left.contains("bell") && left.contains("mine") && !left.contains("cccc"), "{left}");
    }
}

#[test]
fn the_server_stays_where_only_hooks_are_taken_out() {
    let person = Person::new();
    person.ok(&hooks("gemini", &[]));
    assert!(person.read(".gemini/settings.json").contains("\"timeout\": 10000"));
    person.ok(&["setup", "--remove", "--hooks", "--runtime", "gemini"]);
    let left: Value = serde_json::from_str(&person.read(".gemini/settings.json")).unwrap();
    assert_eq!(left, json!({"mcpServers": {"cccc": {"command": "/opt/cccc", "args": ["mcp"]}}}));
}

#[test]
fn a_file_that_only_held_our_hooks_goes_and_another_is_not_made_in_its_way() {
    let person = Person::new();
    person.write(
        ".factory/settings.json",
        "{\"hooks\": {\"Stop\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"bell\"}]}]}}",
    );
    person.ok(&hooks("droid", &[]));
    assert!(!person.path(".factory/hooks.json").exists(), "it would hide the hooks in settings.json");
    assert!(person.read(".factory/settings.json").contains("hook stop --runtime droid"));
    person.ok(&hooks("copilot", &[]));
    assert_eq!(
        serde_json::from_str::<Value>(&person.read(".copilot/hooks/cccc.json")).unwrap()["version"],
        1
    );
    person.ok(&["setup", "--remove", "--runtime", "copilot"]);
    assert!(!person.path(".copilot/hooks/cccc.json").exists());
}

#[test]
fn a_dry_run_shows_the_hooks_and_changes_nothing() {
    let person = Person::new();
    let (report, code) = person.report(&hooks("cursor", &["--dry-run"]));
    assert_eq!((stand(&report), code), (("not_set_up", false), Some(0)));
    let diff = report["hooks"]["diff"].as_str().unwrap();
    assert!(
        diff.contains("+        \"command\": \"/opt/cccc hook stop --runtime cursor --form cursor\""),
        "{diff}"
    );
    assert!(!person.path(".cursor").exists());
}

#[test]
fn hooks_that_cannot_be_read_for_sure_are_left_alone() {
    for (text, why) in [
        ("{\"hooks\": {", "left as it is"),
        ("{\"hooks\": []}", "`hooks` is not a table"),
        ("{\"hooks\": {\"Stop\": {}}}", "`Stop` is not a list"),
        ("{\"hooks\": 1, \"hooks\": 2}", "there twice"),
    ] {
        let person = Person::new();
        let path = person.write(".codex/hooks.json", text);
        let (report, code) = person.report(&hooks("codex", &[]));
        assert_eq!((stand(&report), code), (("failed", false), Some(1)), "{report}");
        assert!(report["hooks"]["detail"].as_str().unwrap().contains(why), "{report}");
        let paste: Value = serde_json::from_str(report["hooks"]["paste"].as_str().unwrap()).unwrap();
        assert!(paste["hooks"]["Stop"][0]["hooks"][0]["command"].is_string(), "{paste}");
        assert_eq!(fs::read_to_string(path).unwrap(), text);
        assert_eq!(report["result"], "set_up", "the server has a file of its own");
    }
}

/// A program that answers as Codex's server does, with what its person has trusted in a file.
fn codex(person: &Person) {
    let script = r#"#!/bin/sh
cd "${0%/*}"
[ "$1" = --version ] && echo 'codex 0.169.0'
[ "$1" = app-server ] || exit 1
while read -r line; do
  id=${line#*\"id\":}; id=${id%%,*}
  trust=untrusted; [ -f trusted ] && trust=trusted
  case "$line" in
  *'"initialize"'*) answer='{}' ;;
  *'"config/batchWrite"'*) printf '%s\n' "$line" >> written; touch trusted; answer='{}' ;;
  *'"hooks/list"'*)
    ours='{"key":"/h.json:stop:1:0","currentHash":"sha256:1","trustStatus":"'$trust'","command":"/opt/cccc hook stop --runtime codex"}'
    other='{"key":"/h.json:stop:0:0","currentHash":"sha256:2","trustStatus":"untrusted","command":"bell"}'
    answer='{"data":[{"hooks":['$other','$ours']}]}' ;;
  *) continue ;;
  esac
  printf '{"id":%s,"result":%s}\n' "$id" "$answer"
done
"#;
    let path = person.write("bin/codex", script);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn codex_is_asked_to_trust_what_is_ours_and_nothing_else() {
    let person = Person::new();
    let (report, _) = person.report(&hooks("codex", &[]));
    assert_eq!(report["hooks"]["trusted"], Value::Null, "nobody could be asked");
    assert!(report["hooks"]["detail"].as_str().unwrap().contains("/hooks"), "{report}");
    codex(&person);
    let (report, code) = person.report(&hooks("codex", &["--check"]));
    assert_eq!((report["hooks"]["trusted"].clone(), code), (json!(false), Some(1)), "{report}");
    let (report, code) = person.report(&hooks("codex", &[]));
    assert_eq!((report["hooks"]["trusted"].clone(), code), (json!(true), Some(0)), "{report}");
    let written: Value = serde_json::from_str(&person.read("bin/written")).unwrap();
    let edit = json!({
        "keyPath": "hooks.state.\"/h.json:stop:1:0\"",
        "value": {"trusted_hash": "sha256:1"},
        "mergeStrategy": "replace",
    });
    assert_eq!(written["params"]["edits"], json!([edit]));
    assert_eq!(person.report(&hooks("codex", &["--check"])).1, Some(0));
}

#[test]
fn what_has_no_hooks_is_said_and_is_no_failure() {
    let person = Person::new();
    let (report, code) = person.report(&hooks("opencode", &[]));
    assert_eq!((stand(&report), code), (("manual", false), Some(0)));
    assert_eq!(person.report(&hooks("opencode", &["--check"])).1, Some(0));
    assert!(person.ok(&hooks("opencode", &[])).contains("OpenCode, hooks: none"));
    let custom = person.ok(&hooks("custom", &["--scope", "project"]));
    assert!(custom.contains("/opt/cccc hook before-tool --runtime NAME"), "{custom}");
    let output = person.run(&["setup", "--strict", "--runtime", "claude"]);
    assert_eq!(output.status.code(), Some(2), "--strict says nothing without --hooks");
}

#[test]
fn hooks_are_told_of_the_home_and_the_actor_and_may_be_a_projects() {
    let person = Person::new();
    let mut command = person.place.command(&hooks("cursor", &["--actor", "alice"]));
    assert!(command.output().unwrap().status.success());
    let said = format!("/opt/cccc --home {} --as alice hook stop", person.place.home().display());
    assert!(person.read(".cursor/hooks.json").contains(&said), "{}", person.read(".cursor/hooks.json"));
    assert_eq!(stand(&person.report(&hooks("cursor", &[])).0), ("set_up", true), "corrected, not doubled");
    assert_eq!(person.read(".cursor/hooks.json").matches("hook stop").count(), 1);
    person.ok(&hooks("devin", &["--scope", "project"]));
    let file = person.read("project/.devin/hooks.v1.json");
    let file: Value = serde_json::from_str(&file).unwrap();
    assert_eq!(file["Stop"][0]["hooks"][0]["command"], "/opt/cccc hook stop --runtime devin");
}

#[test]
fn hooks_in_yaml_are_entered_corrected_and_taken_out() {
    let person = Person::new();
    let mine = "[mine]\ntitle = \"Mine\"\nprompt = \"-\"\n[mine.hooks]\nuser = { dir = [\"~\"], file = [\"m.yaml\"] }\n\
        format = \"yaml\"\nshape = \"flat\"\nevents = { stop = \"on_stop\", tool = \"after\" }\n";
    person.write(".cccc/runtimes.toml", mine);
    let before = "# mine\nmodel: m\nhooks:\n  # a bell\n  on_stop:\n    - command: bell\n      timeout: 3 # s\nlast: 1\n";
    person.write("m.yaml", before);
    person.ok(&hooks("mine", &[]));
    let after = before.replace(
        "last",
        "    - command: /opt/cccc hook stop --runtime mine\n      timeout: 10\n\
         \u{20} after:\n    - command: /opt/cccc hook tool --runtime mine\n      timeout: 10\nlast",
    );
    assert_eq!(person.read("m.yaml"), after);
    person.ok(&["setup", "--hooks", "--runtime", "mine", "--command", "/new/cccc"]);
    assert_eq!(person.read("m.yaml"), after.replace("/opt", "/new"));
    person.ok(&["setup", "--remove", "--runtime", "mine"]);
    assert_eq!(person.read("m.yaml"), before);
}

#[test]
fn the_homes_file_can_describe_hooks_and_a_wrong_one_is_refused() {
    let person = Person::new();
    let mine = "[mine]\ntitle = \"Mine\"\n[mine.user]\ndir = [\"~\"]\nfile = [\"m.json\"]\nformat = \"json\"\nkey = [\"s\"]\n\
        [mine.hooks]\nuser = { dir = [\"~\"], file = [\"m.json\"] }\nkey = [\"on\", \"event\"]\nshape = \"listed\"\n\
        events = { stop = \"Done\" }\n";
    person.write(".cccc/runtimes.toml", mine);
    person.ok(&hooks("mine", &["--guard"]));
    let file: Value = serde_json::from_str(&person.read("m.json")).unwrap();
    let entry = json!({"event": "Done", "command": "/opt/cccc hook stop --runtime mine", "timeout": 10});
    assert_eq!(file["on"], json!({"event": [entry]}));
    for (wrong, why) in [
        ("events = { halt = \"X\" }", "`halt` is no event"),
        ("timeout = 0", "at least 1"),
        ("form = \"x\"", "`x` is no form"),
    ] {
        person.write(".cccc/runtimes.toml", &format!("[claude.hooks]\n{wrong}"));
        let output = person.run(&hooks("claude", &[]));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.contains("[claude.hooks]") && errors.contains(why), "{errors}");
    }
}
