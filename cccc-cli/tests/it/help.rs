//! The help of every command, as committed in `help.txt`.
//!
//! After a wanted change: `CCCC_REFRESH=1 cargo test -p cccc-cli help`.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::support::Place;

/// The names under `Commands:` in a help text.
fn subcommands(help: &str) -> Vec<String> {
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    commands
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn collect(place: &Place, command: &[String], into: &mut String) {
    let mut args: Vec<&str> = command.iter().map(String::as_str).collect();
    args.push("--help");
    let help = place.ok(&args);
    let name = [&["cccc".to_owned()], command].concat().join(" ");
    writeln!(into, "$ {name} --help\n{help}").unwrap();
    let commands = subcommands(&help);
    assert!(!commands.is_empty() || help.contains("Examples:"), "{name} shows no example");
    for sub in commands {
        collect(place, &[command, &[sub]].concat(), into);
    }
}

#[test]
fn help_is_as_committed() {
    let place = Place::bare();
    let mut all = String::new();
    collect(&place, &[], &mut all);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/help.txt");
    if std::env::var_os("CCCC_REFRESH").is_some() {
        fs::write(&path, &all).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == all, "the help has changed; see the head of this file for how to refresh it");
}
