//! `doctor`, `version`, `completions`.

use serde_json::{Value, json};

use crate::support::{Place, has};

#[test]
fn a_sound_home_is_found_sound() {
    let place = Place::with_actors();
    let answer = place.json(&["doctor"]);
    has(&answer, &["ok", "version", "home", "checks", "groups", "agents"]);
    assert_eq!(answer["ok"], true, "{answer}");
    let names: Vec<&str> =
        answer["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["home", "file system", "locks", "notification", "registry", "hooks"]);
    assert_eq!((&answer["groups"][0]["events"], &answer["groups"][0]["segments"]), (&json!(5), &json!(1)));
    assert!(place.ok(&["doctor"]).contains("locks"));
    let left: Vec<_> = std::fs::read_dir(place.home()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".doctor")), "{left:?}");
}

#[test]
fn what_is_wrong_is_named_and_the_exit_code_says_so() {
    let place = Place::with_actors();
    std::fs::write(place.home().join("registry.json"), "not json").unwrap();
    let output = place.run(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["ok"], false);
    let registry =
        answer["checks"].as_array().unwrap().iter().find(|check| check["name"] == "registry").unwrap();
    assert_eq!(registry["ok"], false);
    assert!(registry["detail"].as_str().unwrap().contains("registry.json"), "{registry}");
}

#[test]
fn version_and_completions_need_no_home() {
    let place = Place::bare();
    assert_eq!(place.json(&["version"])["version"], env!("CARGO_PKG_VERSION"));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.ok(&["completions", shell]);
        assert!(script.contains("reply-within"), "{shell}");
        assert!(!script.contains("demo-actor: "), "{shell}");
    }
    assert!(!place.home().exists());
}
