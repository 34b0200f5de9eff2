//! `setup` and `runtime list`: every agent's own files before and after, and agents' own commands.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Place, refusal, succeeded};

/// A person with a home, a search path of their own, and no agent installed.
pub(crate) struct Person {
    pub(crate) place: Place,
}

impl Person {
    pub(crate) fn new() -> Self {
        let place = Place::bare();
        fs::create_dir(place.path().join("bin")).unwrap();
        Self { place }
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let mut command = self.place.command(args);
        command.env("PATH", format!("{}:/usr/bin:/bin", self.place.path().join("bin").display()));
        // The usual home, so that no entry needs to name it.
        command.env("CCCC_HOME", self.place.path().join(".cccc"));
        command.output().unwrap()
    }

    pub(crate) fn ok(&self, args: &[&str]) -> String {
        succeeded(&self.run(args), args)
    }

    /// The reports on `--json`, and the exit code.
    pub(crate) fn reports(&self, args: &[&str]) -> (Vec<Value>, Option<i32>) {
        let output = self.run(&[args, &["--json"]].concat());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let text = String::from_utf8(output.stdout).unwrap();
        (text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), output.status.code())
    }

    pub(crate) fn report(&self, args: &[&str]) -> (Value, Option<i32>) {
        let (reports, code) = self.reports(args);
        assert_eq!(reports.len(), 1, "{reports:?}");
        (reports[0].clone(), code)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// An agent's program: a script that notes down its arguments and then does `body`.
    pub(crate) fn install(&self, name: &str, body: &str) {
        let log = self.path(&format!("{name}.log"));
        let script = format!(
            "#!/bin/sh\nif [ \"$1\" = --version ]; then echo '{name} v1.2.3 (test)'; exit 0; fi\n\
             printf '%s\\n' \"$@\" >> '{}'\n{body}\n",
            log.display()
        );
        let path = self.write(&format!("bin/{name}"), &script);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

const SETUP: [&str; 5] = ["setup", "--command", "/opt/cccc", "--runtime", "claude"];

/// Arguments that set an agent up with a program whose path is the same on every machine.
fn setup<'a>(runtime: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["setup", "--command", "/opt/cccc", "--runtime", runtime], more].concat()
}

/// Files as people have them, with what they hold after `setup`.
struct Case {
    runtime: &'static str,
    file: &'static str,
    before: &'static str,
    after: &'static str,
}

const CASES: &[Case] = &[
    Case {
        runtime: "claude",
        file: ".claude.json",
        before: "{\n  \"numStartups\": 7,\n  \"mcpServers\": {\n    \"other\": {\n      \"command\": \"x\"\n    }\n  },\n  \"projects\": {\"/w\": {\"allowedTools\": []}}\n}\n",
        after: "{\n  \"numStartups\": 7,\n  \"mcpServers\": {\n    \"other\": {\n      \"command\": \"x\"\n    },\n    \"cccc\": {\n      \"type\": \"stdio\",\n      \"command\": \"/opt/cccc\",\n      \"args\": [\"mcp\"]\n    }\n  },\n  \"projects\": {\"/w\": {\"allowedTools\": []}}\n}\n",
    },
    Case {
        runtime: "opencode",
        file: ".config/opencode/opencode.jsonc",
        before: "{\n  // my model\n  \"model\": \"m\", // the good one\n  \"mcp\": {\n    /* off */\n    \"other\": {\"type\": \"remote\", \"url\": \"u\", \"enabled\": false}, // later\n  },\n}\n",
        after: "{\n  // my model\n  \"model\": \"m\", // the good one\n  \"mcp\": {\n    /* off */\n    \"other\": {\"type\": \"remote\", \"url\": \"u\", \"enabled\": false}, // later\n    \"cccc\": {\n      \"enabled\": true,\n      \"type\": \"local\",\n      \"command\": [\"/opt/cccc\", \"mcp\"],\n    },\n  },\n}\n",
    },
    Case {
        runtime: "gemini",
        file: ".gemini/settings.json",
        before: "{\n\t\"theme\": \"dark\" // tabs\n}\n",
        after: "{\n\t\"theme\": \"dark\", // tabs\n\t\"mcpServers\": {\n\t\t\"cccc\": {\n\t\t\t\"command\": \"/opt/cccc\",\n\t\t\t\"args\": [\"mcp\"]\n\t\t}\n\t}\n}\n",
    },
    Case {
        runtime: "amp",
        file: ".config/amp/settings.json",
        before: "{\n  \"amp.notifications.enabled\": true\n}",
        after: "{\n  \"amp.notifications.enabled\": true,\n  \"amp.mcpServers\": {\n    \"cccc\": {\n      \"command\": \"/opt/cccc\",\n      \"args\": [\"mcp\"]\n    }\n  }\n}",
    },
    Case {
        runtime: "codex",
        file: ".codex/config.toml",
        before: "# mine\nmodel = \"m\" # good\n\n[mcp_servers.other]\ncommand = \"x\"\nargs = [ \"a\",\n  \"b\" ] # odd\n\n[profiles.z]\nmodel = \"n\"\n",
        after: "# mine\nmodel = \"m\" # good\n\n[mcp_servers.other]\ncommand = \"x\"\nargs = [ \"a\",\n  \"b\" ] # odd\n\n[mcp_servers.cccc]\ncommand = \"/opt/cccc\"\nargs = [\"mcp\"]\n\n[profiles.z]\nmodel = \"n\"\n",
    },
    Case {
        runtime: "hermes",
        file: ".hermes/config.yaml",
        before: "# mine\nmodel: m  # good\nmcp_servers:\n  # kept\n  other:\n    command: x\n    args: [a, 'b']\nlast: 1\n",
        after: "# mine\nmodel: m  # good\nmcp_servers:\n  # kept\n  other:\n    command: x\n    args: [a, 'b']\n  cccc:\n    args:\n      - mcp\n    command: /opt/cccc\n    env:\n      CCCC_RUNTIME: hermes\nlast: 1\n",
    },
    Case {
        runtime: "hermes",
        file: ".hermes/config.yaml",
        before: "# mine\nmodel: m\n",
        after: "# mine\nmodel: m\nmcp_servers:\n  cccc:\n    args:\n      - mcp\n    command: /opt/cccc\n    env:\n      CCCC_RUNTIME: hermes\n",
    },
    Case {
        runtime: "kimi",
        file: ".kimi-code/mcp.json",
        before: "\u{feff}{\n  \"a\": 12345678901234567890123\n}\n",
        after: "\u{feff}{\n  \"a\": 12345678901234567890123,\n  \"mcpServers\": {\n    \"cccc\": {\n      \"command\": \"/opt/cccc\",\n      \"args\": [\"mcp\"]\n    }\n  }\n}\n",
    },
    Case {
        runtime: "copilot",
        file: ".copilot/mcp-config.json",
        before: "{\r\n  \"mcpServers\": {}\r\n}\r\n",
        after: "{\r\n  \"mcpServers\": {\r\n    \"cccc\": {\r\n      \"tools\": [\"*\"],\r\n      \"type\": \"local\",\r\n      \"command\": \"/opt/cccc\",\r\n      \"args\": [\"mcp\"]\r\n    }\r\n  }\r\n}\r\n",
    },
];

#[test]
fn setup_adds_its_entry_and_changes_nothing_else() {
    for case in CASES {
        let person = Person::new();
        let path = person.write(case.file, case.before);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let args = setup(case.runtime, &[]);
        let (report, code) = person.report(&args);
        assert_eq!((&report["result"], &report["changed"], code), (&json!("set_up"), &json!(true), Some(0)));
        assert_eq!(person.read(case.file), case.after, "{}", case.runtime);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);

        let (report, code) = person.report(&args);
        assert_eq!((&report["result"], &report["changed"], code), (&json!("set_up"), &json!(false), Some(0)));
        assert!(person.ok(&args).contains("already set up"));
        assert_eq!(person.read(case.file), case.after, "{}: a second time", case.runtime);

        person.ok(&setup(case.runtime, &["--remove"]));
        // A table of servers that is empty without ours goes along.
        let before = if case.runtime == "copilot" { "{}\r\n" } else { case.before };
        assert_eq!(person.read(case.file), before, "{}: taken out", case.runtime);
        let left: Vec<_> =
            fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".cccc-setup")), "{left:?}");
    }
}

#[test]
fn every_agent_with_a_file_is_set_up_where_there_is_nothing_yet() {
    let person = Person::new();
    for scope in ["user", "project"] {
        let all = ["setup", "--all", "--scope", scope];
        let (reports, code) = person.reports(&all);
        assert_eq!((reports.len(), code), (18, Some(0)));
        for report in &reports {
            let expected = if report["file"].is_null() { "manual" } else { "set_up" };
            assert_eq!(report["result"], expected, "{report}");
            assert_eq!(report["paste"].is_string(), expected == "manual", "{report}");
        }
        let with_file: Vec<&Value> = reports.iter().filter(|report| report["file"].is_string()).collect();
        assert!(with_file.len() >= 10, "{reports:?}");
        let before: Vec<_> =
            with_file.iter().map(|r| fs::read(r["file"].as_str().unwrap()).unwrap()).collect();
        let (again, _) = person.reports(&all);
        assert!(again.iter().all(|report| report["changed"] == false), "{again:?}");
        let after: Vec<_> =
            with_file.iter().map(|r| fs::read(r["file"].as_str().unwrap()).unwrap()).collect();
        assert_eq!(before, after);
    }
    assert!(person.read("project/.mcp.json").contains("cccc"));
    let grok: Value = serde_json::from_str(&person.read("project/.grok/settings.json")).unwrap();
    assert_eq!(grok["mcpServers"]["cccc"]["transport"]["args"], json!(["mcp"]));
}

#[test]
fn an_outdated_entry_is_corrected_and_keeps_what_a_person_added() {
    let person = Person::new();
    let before = "{\n  \"mcpServers\": {\n    \"cccc\": {\n      \"command\": \"/old/cccc\", // where it was\n      \"args\": [\"mcp\"],\n      \"timeout\": 5,\n      \"env\": {\"X\": \"1\"}\n    }\n  }\n}\n";
    person.write(".claude.json", before);
    let (report, code) = person.report(&setup("claude", &["--check"]));
    assert_eq!((&report["result"], code), (&json!("stale"), Some(1)));
    let (report, code) = person.report(&setup("claude", &["--actor", "alice"]));
    assert_eq!((&report["result"], &report["changed"], code), (&json!("set_up"), &json!(true), Some(0)));
    let after = person.read(".claude.json");
    assert!(after.contains("\"/opt/cccc\", // where it was") && after.contains("\"timeout\": 5"), "{after}");
    assert!(after.contains("\"X\": \"1\"") && after.contains("\"CCCC_ACTOR_ID\": \"alice\""), "{after}");
    let (report, _) = person.report(&setup("claude", &["--check"]));
    assert_eq!(report["result"], "set_up", "who it is was given before and stays: {report}");

    let toml = "[mcp_servers]\ncccc = { command = \"/old/cccc\", args = [\"mcp\"] } # mine\n";
    person.write(".codex/config.toml", toml);
    person.ok(&setup("codex", &["--actor", "bob"]));
    let after = person.read(".codex/config.toml");
    assert_eq!(
        after,
        "[mcp_servers]\ncccc = { command = \"/opt/cccc\", args = [\"mcp\"] , env = { CCCC_ACTOR_ID = \"bob\" } } # mine\n"
    );
}

#[test]
fn another_server_of_that_name_is_left_alone() {
    let person = Person::new();
    let before = "{\"mcpServers\": {\"cccc\": {\"command\": \"/usr/bin/other\", \"args\": [\"serve\"]}}}";
    person.write(".claude.json", before);
    let (report, code) = person.report(&SETUP);
    assert_eq!((&report["result"], code), (&json!("failed"), Some(1)));
    assert!(report["detail"].as_str().unwrap().contains("/usr/bin/other"), "{report}");
    person.report(&setup("claude", &["--remove"]));
    assert_eq!(person.read(".claude.json"), before);
}

#[test]
fn a_dry_run_shows_a_diff_and_changes_nothing() {
    let person = Person::new();
    person.install("codex", "exit 9");
    let before = "model = \"m\"\n";
    person.write(".codex/config.toml", before);
    let text = person.ok(&setup("codex", &["--dry-run"]));
    let config = person.path(".codex/config.toml");
    for line in
        [&format!("--- {}", config.display()), "@@ -1 +1,5 @@", " model = \"m\"", "+[mcp_servers.cccc]"]
    {
        assert!(text.lines().any(|l| l == line), "{line} is missing in {text}");
    }
    assert!(text.contains("its own command"), "{text}");
    assert_eq!(person.read(".codex/config.toml"), before);
    assert!(!person.path("codex.log").exists(), "the agent's command was run");
    person.ok(&setup("claude", &["--dry-run"]));
    assert!(!person.path(".claude.json").exists());
    assert_eq!(person.report(&setup("codex", &["--dry-run"])).0["result"], "not_set_up");
}

#[test]
fn a_file_that_cannot_be_parsed_is_not_touched() {
    for (runtime, file, text, place) in [
        ("claude", ".claude.json", "{\n  \"a\": 1,\n  oops\n}", "line 3"),
        ("claude", ".claude.json", "[1]", "not a table"),
        ("claude", ".claude.json", "{\"mcpServers\": {}, \"mcpServers\": {}}", "twice"),
        ("claude", ".claude.json", "{\"mcpServers\": []}", "`mcpServers` is not a table"),
        ("codex", ".codex/config.toml", "a = 1\na = 2\n", "line 2"),
        ("codex", ".codex/config.toml", "mcp_servers = 3\n", "`mcp_servers` is not a table"),
        ("hermes", ".hermes/config.yaml", "a: [1\nb: }\n", "line 2"),
        ("hermes", ".hermes/config.yaml", "mcp_servers: text\n", "`mcp_servers` is not a table"),
        ("hermes", ".hermes/config.yaml", "a: 1\n---\nb: 2\n", "several documents"),
    ] {
        let person = Person::new();
        person.install(runtime, "exit 9");
        person.write(file, text);
        let (report, code) = person.report(&setup(runtime, &[]));
        assert_eq!((&report["result"], &report["changed"], code), (&json!("failed"), &json!(false), Some(1)));
        let detail = report["detail"].as_str().unwrap();
        assert!(detail.contains(place), "{text}: {detail}");
        assert!(report["paste"].as_str().unwrap().contains("/opt/cccc"), "{report}");
        assert_eq!(person.read(file), text);
        assert!(!person.path(&format!("{runtime}.log")).exists(), "the agent's command was run");
    }
    let person = Person::new();
    let path = person.path(".claude.json");
    fs::write(&path, b"{\"a\": \"\xff\"}").unwrap();
    let (report, _) = person.report(&SETUP);
    assert!(report["detail"].as_str().unwrap().contains("UTF-8"), "{report}");
    assert_eq!(fs::read(&path).unwrap(), b"{\"a\": \"\xff\"}");
}

#[test]
fn a_link_stays_a_link_and_a_read_only_file_as_it_is() {
    let person = Person::new();
    let real = person.write("dotfiles/claude.json", "{}\n");
    symlink("dotfiles/claude.json", person.path(".claude.json")).unwrap();
    person.ok(&SETUP);
    assert_eq!(fs::read_link(person.path(".claude.json")).unwrap(), Path::new("dotfiles/claude.json"));
    assert!(fs::read_to_string(real).unwrap().contains("/opt/cccc"));

    // To a file that is not there yet.
    fs::create_dir(person.path(".codex")).unwrap();
    symlink("../dotfiles/codex.toml", person.path(".codex/config.toml")).unwrap();
    person.ok(&setup("codex", &[]));
    assert!(person.path(".codex/config.toml").is_symlink());
    assert!(person.read("dotfiles/codex.toml").contains("/opt/cccc"));

    symlink(".cursor", person.path(".cursor")).unwrap();
    assert_eq!(person.report(&setup("cursor", &[])).0["result"], "failed");

    let path = person.write(".kimi-code/mcp.json", "{}\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let (report, code) = person.report(&setup("kimi", &[]));
    assert_eq!((&report["result"], code), (&json!("failed"), Some(1)));
    assert!(report["detail"].as_str().unwrap().contains("read-only"), "{report}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "{}\n");
}

#[test]
fn the_agents_own_command_is_used_and_its_work_looked_at() {
    let entry = r#"{"mcpServers": {"cccc": {"command": "/opt/cccc", "args": ["mcp"], "env": {"CCCC_ACTOR_ID": "al"}}}, "own": 1}"#;
    let person = Person::new();
    person.install("claude", &format!("echo '{entry}' > \"$HOME/.claude.json\""));
    let args = setup("claude", &["--actor", "al"]);
    let (report, code) = person.report(&args);
    assert_eq!((&report["how"], &report["result"], code), (&json!("command"), &json!("set_up"), Some(0)));
    let said = "mcp\nadd\ncccc\n-s\nuser\n-e\nCCCC_ACTOR_ID=al\n--\n/opt/cccc\nmcp\n";
    assert_eq!(person.read("claude.log"), said);
    assert_eq!(person.report(&args).0["changed"], false);
    assert_eq!(person.read("claude.log"), said, "the command was run a second time");
}

#[test]
fn where_the_own_command_fails_or_does_harm_the_file_is_edited() {
    let before = "{\n  \"a\": 1\n}\n";
    let good = r#""mcpServers": {"cccc": {"command": "/opt/cccc", "args": ["mcp"]}}"#;
    for (body, why) in [
        ("echo 'no such option' >&2; exit 1".to_owned(), "no such option"),
        ("exit 0".to_owned(), "the entry is not there"),
        (format!("echo '{{\"b\": 2, {good}}}' > \"$HOME/.claude.json\""), "put back"),
    ] {
        let person = Person::new();
        person.install("claude", &body);
        person.write(".claude.json", before);
        let (report, code) = person.report(&SETUP);
        assert_eq!((&report["how"], &report["result"], code), (&json!("file"), &json!("set_up"), Some(0)));
        assert!(report["detail"].as_str().unwrap().contains(why), "{body}: {report}");
        let after = person.read(".claude.json");
        assert!(after.starts_with("{\n  \"a\": 1,\n  \"mcpServers\""), "{body}: {after}");
    }
    // Some put comments elsewhere, so a file with comments is not given to them.
    let person = Person::new();
    person.install("claude", "exit 9");
    person.write(".claude.json", "{\n  \"a\": 1 // mine\n}\n");
    let (report, code) = person.report(&SETUP);
    assert_eq!((&report["how"], &report["detail"], code), (&json!("file"), &Value::Null, Some(0)));
    assert!(person.read(".claude.json").contains("\"a\": 1, // mine"));
    assert!(!person.path("claude.log").exists());
}

#[test]
fn without_a_name_it_is_every_installed_agent() {
    let person = Person::new();
    let args = ["setup", "--command", "/opt/cccc"];
    let error = refusal(&person.run(&[&args[..], &["--json"]].concat()), &args);
    assert_eq!(error["kind"], "not_found");
    person.install("kimi", "");
    person.install("cursor-agent", "");
    let names = |reports: &[Value]| reports.iter().map(|r| r["runtime"].clone()).collect::<Vec<_>>();
    let (reports, code) = person.reports(&[&args[..], &["--check"]].concat());
    assert_eq!((names(&reports), code), (vec![json!("cursor"), json!("kimi")], Some(1)));
    person.ok(&args);
    assert_eq!(person.reports(&[&args[..], &["--check"]].concat()).1, Some(0));
    let error = refusal(&person.run(&["setup", "-r", "clod", "--json"]), &args);
    assert!(error["hint"].as_str().unwrap().contains("claude"), "{error}");
}

#[test]
fn the_homes_file_can_describe_an_agent() {
    let person = Person::new();
    person.write(
        ".cccc/runtimes.toml",
        "[mine]\ntitle = \"My agent\"\nprograms = [\"mine\"]\n[mine.user]\ndir = [\"~/.mine\"]\n\
         file = [\"servers.toml\"]\nformat = \"toml\"\nkey = [\"a\", \"b\"]\nfixed = { on = true }\n",
    );
    person.ok(&setup("mine", &[]));
    let written = "[a.b.cccc]\non = true\ncommand = \"/opt/cccc\"\nargs = [\"mcp\"]\n";
    assert_eq!(person.read(".mine/servers.toml"), written);
    person.write(".cccc/runtimes.toml", "[mine]\ncolour = 1\n");
    let error = refusal(&person.run(&["runtime", "list", "--json"]), &["runtime", "list"]);
    assert!(error["message"].as_str().unwrap().contains("[mine]"), "{error}");
}

#[test]
fn this_program_is_registered_with_the_home_it_was_told() {
    let person = Person::new();
    person.place.ok(&["setup", "-r", "claude"]);
    let file: Value = serde_json::from_str(&person.read(".claude.json")).unwrap();
    let entry = &file["mcpServers"]["cccc"];
    assert_eq!(entry["command"], env!("CARGO_BIN_EXE_cccc"));
    assert_eq!(entry["env"]["CCCC_HOME"], person.place.home().to_str().unwrap());

    // By its name on the search path, where that is this program.
    symlink(env!("CARGO_BIN_EXE_cccc"), person.path("bin/cccc")).unwrap();
    person.ok(&["setup", "-r", "kimi"]);
    let file: Value = serde_json::from_str(&person.read(".kimi-code/mcp.json")).unwrap();
    let command = person.path("bin/cccc");
    assert_eq!(file["mcpServers"]["cccc"], json!({"command": command, "args": ["mcp"]}));
    person.ok(&["setup", "-r", "kiro", "--scope", "project"]);
    let file: Value = serde_json::from_str(&person.read("project/.kiro/settings/mcp.json")).unwrap();
    assert_eq!(file["mcpServers"]["cccc"]["command"], "cccc");
}

#[test]
fn runtimes_are_listed_with_version_and_state() {
    let person = Person::new();
    assert!(person.ok(&["runtime", "list"]).contains("--all"));
    person.install("kimi", "");
    person.ok(&["setup"]);
    let (lines, code) = person.reports(&["runtime", "list"]);
    assert_eq!((lines.len(), code), (1, Some(0)));
    let kimi = &lines[0];
    assert_eq!(
        (&kimi["runtime"], &kimi["version"], &kimi["user"]),
        (&json!("kimi"), &json!("1.2.3"), &json!("set_up"))
    );
    person.write(".claude.json", "{");
    let (lines, _) = person.reports(&["runtime", "list", "--all"]);
    assert_eq!(lines.len(), 18);
    let claude = lines.iter().find(|line| line["runtime"] == "claude").unwrap();
    assert_eq!((&claude["installed"], &claude["user"]), (&json!(false), &json!("failed")));
    assert!(claude["detail"].as_str().unwrap().contains(".claude.json"), "{claude}");
    let text = person.ok(&["runtime", "list", "--all"]);
    assert!(text.contains("not installed") && text.contains("unreadable"), "{text}");
}
