//! The page about scenarios says what is so.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use cccc_core::testing::scenario::{Answer, Scenario, VERBS};

use super::door::LibraryDoor;

const PAGE: &str = include_str!("../../../../docs/scenarios.md");
const HEAD: &str = "| operation | arguments | answer |\n|---|---|---|\n";

/// A row for each operation.
fn rows() -> String {
    let mut rows = String::new();
    for verb in VERBS {
        let arguments: Vec<String> = verb
            .arguments
            .iter()
            .map(|argument| format!("`{}` {}", argument.name, argument.shape.as_str()))
            .collect();
        let answer = match verb.answer {
            Answer::One => "one",
            Answer::List => "list",
        };
        writeln!(rows, "| `{}` | {} | {answer} |", verb.name, arguments.join(", ")).unwrap();
    }
    rows
}

/// `CCCC_REFRESH=1 cargo test -p cccc-core --test it scenario` writes the table of operations anew.
#[test]
fn the_table_of_operations_is_complete() {
    let (before, rest) = PAGE.split_once(HEAD).unwrap();
    let stated = rest.split_inclusive('\n').take_while(|line| line.starts_with('|')).collect::<String>();
    if std::env::var_os("CCCC_REFRESH").is_some() {
        let page = format!("{before}{HEAD}{}{}", rows(), rest.strip_prefix(&stated).unwrap());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scenarios.md");
        fs::write(path, page).unwrap();
        return;
    }
    for (stated, actual) in stated.lines().zip(rows().lines()) {
        assert_eq!(stated, actual, "CCCC_REFRESH=1 writes the table anew");
    }
    assert_eq!(stated.lines().count(), VERBS.len(), "CCCC_REFRESH=1 writes the table anew");
}

#[test]
fn the_example_holds() {
    let (_, example) = PAGE.split_once("```json\n").unwrap();
    let scenario = Scenario::parse("docs/scenarios.md", example.split_once("```").unwrap().0).unwrap();
    scenario.run(&mut LibraryDoor::new(None)).unwrap_or_else(|error| panic!("{error}"));
}
