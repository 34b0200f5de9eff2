//! `doctor` and `runtime list --check`: whether what agents have registered starts.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::setup::Person;

/// A server that does this; its path.
fn server(person: &Person, name: &str, body: &str) -> String {
    let path = person.write(&format!("servers/{name}"), &format!("#!/bin/sh\n{body}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// What is said of an agent.
fn of<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    lines.iter().find(|line| line["runtime"] == name).unwrap()
}

#[test]
fn a_server_that_does_not_start_is_found_whatever_it_does() {
    let person = Person::new();
    person.ok(&["attach"]);
    let servers = [
        ("gemini", "exec sleep 600".to_owned()),
        ("qwen", "echo hello; echo '{\"id\":7}'; cat > /dev/null".to_owned()),
        ("droid", "echo 'no such flag' >&2; exit 3".to_owned()),
        (
            "cursor",
            "read -r x; echo '{\"id\":1,\"result\":{\"serverInfo\":{\"name\":\"other\"}}}'; cat".to_owned(),
        ),
        ("kimi", "read -r x; echo '{\"id\":1,\"error\":{\"code\":-1,\"message\":\"not today\"}}'".to_owned()),
    ];
    for (name, body) in &servers {
        // Without its own command, which these scripts do not have.
        let path = server(&person, name, body);
        person.ok(&["setup", "--runtime", name, "--command", &path]);
    }
    person.ok(&["setup", "--runtime", "auggie", "--command", "/nowhere/cccc", "--hooks"]);
    person.ok(&["setup", "--runtime", "claude", "--runtime", "copilot"]);
    for name in ["gemini", "qwen", "droid", "cursor-agent", "kimi", "auggie", "claude", "copilot"] {
        person.install(name, "exit 1");
    }
    let (lines, code) = person.reports(&["runtime", "list", "--check"]);
    assert_eq!(code, Some(1));
    for (name, why) in [
        ("gemini", "did not answer `initialize` within 5 s"),
        ("qwen", "without answering `initialize`, but said `hello`"),
        ("droid", "ended (exit status: 3) without answering"),
        ("droid", "its last words were `no such flag`"),
        ("cursor", "it is another server, `other`"),
        ("kimi", "it refuses `initialize`: not today"),
        ("auggie", "/nowhere/cccc is not there"),
        ("auggie", "hooks run /nowhere/cccc, which is not there"),
    ] {
        let line = of(&lines, name);
        assert_eq!((&line["ok"], &line["version"]), (&json!(false), &json!("1.2.3")), "{line}");
        let said = line["detail"].as_str().unwrap();
        // A server that closes nothing is as one that hangs.
        let hung = name == "qwen" && said.contains("did not answer") && said.contains("said `hello`");
        assert!(said.contains(why) || hung, "{name}: {said}");
    }
    for name in ["claude", "copilot"] {
        let line = of(&lines, name);
        assert_eq!((&line["ok"], &line["user"]), (&json!(true), &json!("set_up")), "{line}");
        assert_eq!(line["starts"][0]["version"], env!("CARGO_PKG_VERSION"), "{line}");
    }
    let who = person.ok(&["who", "--json"]);
    assert_eq!(who.lines().count(), 0, "a look joins nobody: {who}");

    let output = person.run(&["doctor", "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &answer["ok"]), (Some(1), &json!(false)));
    assert_eq!(answer["agents"].as_array().unwrap().len(), lines.len());
}

#[test]
fn what_is_registered_is_started_with_its_own_arguments_and_variables() {
    let person = Person::new();
    let path = server(
        &person,
        "careful",
        "[ \"$1 $2 $KEY\" = 'mcp --pack v' ] || exit 9\nread -r x\n\
         echo '{\"id\":1,\"result\":{\"serverInfo\":{\"name\":\"cccc\",\"version\":\"9\"}}}'\ncat > /dev/null",
    );
    let entry = json!({"command": path, "args": ["mcp", "--pack"], "env": {"KEY": "v"}});
    person.write(".cursor/mcp.json", &json!({"mcpServers": {"cccc": entry}}).to_string());
    person.install("cursor-agent", "exit 1");
    let (lines, code) = person.reports(&["runtime", "list", "--check"]);
    let line = of(&lines, "cursor");
    assert_eq!((code, &line["user"], &line["ok"]), (Some(0), &json!("stale"), &json!(true)), "{line}");
    assert_eq!(
        line["starts"],
        json!([{"scope": "user", "ok": true, "version": "9", "detail": null,
        "ms": line["starts"][0]["ms"]}])
    );
    assert!(person.ok(&["doctor"]).contains(" ms"));
}
