//! The README's table of limits says what the code's constants say.

use cccc_core::rule::{
    actor, address, approval, context, group, message, person, pin, question, reading, relay, reservation,
    schedule, task, vote,
};
use cccc_core::state::{RATE, RATE_WINDOW};
use cccc_core::{MAX_BLOB_BYTES, id, ledger};

const README: &str = include_str!("../../../README.md");

/// As people write it: `1 MiB`, `10,000`.
fn bytes(count: u64) -> String {
    match count {
        _ if count.is_multiple_of(1 << 20) => format!("{} MiB", count >> 20),
        _ if count.is_multiple_of(1 << 10) => format!("{} KiB", count >> 10),
        _ => format!("{count} bytes"),
    }
}

fn number(count: usize) -> String {
    if count < 1000 { count.to_string() } else { format!("{},{:03}", count / 1000, count % 1000) }
}

#[test]
fn the_limits_are_those_of_the_code() {
    let limits = [
        ("text of a message".into(), bytes(message::MAX_TEXT_BYTES as u64)),
        ("an attachment".into(), bytes(MAX_BLOB_BYTES)),
        ("attachments of a message".into(), number(message::MAX_ATTACHMENTS)),
        ("addresses of a message".into(), number(address::MAX_ADDRESSES)),
        (
            format!("references of a message, {} each", bytes(message::MAX_REF_BYTES as u64)),
            number(message::MAX_REFS),
        ),
        ("a quote".into(), bytes(message::MAX_QUOTE_BYTES as u64)),
        ("one event on the ledger".into(), bytes(ledger::MAX_LINE_BYTES as u64)),
        ("an id or label".into(), bytes(id::MAX_NAME_BYTES as u64)),
        ("actors of a group".into(), number(actor::MAX_ACTORS)),
        ("people of a group beside the user".into(), number(person::MAX_PEOPLE)),
        ("labels of an actor".into(), number(actor::MAX_LABELS)),
        ("directories of a group".into(), number(group::MAX_SCOPES)),
        ("open obligations of one actor".into(), number(message::MAX_OWED)),
        ("messages in one answer of an inbox".into(), number(reading::MAX_EVENTS)),
        ("recipients that a peer may oblige at once".into(), number(message::MAX_OBLIGED_BY_PEER)),
        (
            format!(
                "messages from one to another that are pushed, in {} minutes",
                RATE_WINDOW.as_secs() / 60
            ),
            number(RATE),
        ),
        ("tasks that are not settled".into(), number(task::MAX_TASKS)),
        ("dependencies of a task".into(), number(task::MAX_DEPENDENCIES)),
        ("entries of the shared context".into(), number(context::MAX_ENTRIES)),
        ("all of the shared context".into(), bytes(context::MAX_CONTEXT_BYTES as u64)),
        ("reservations that hold".into(), number(reservation::MAX_RESERVATIONS)),
        ("open votes".into(), number(vote::MAX_VOTES)),
        ("voters of a vote".into(), number(vote::MAX_VOTERS)),
        ("open questions with options".into(), number(question::MAX_QUESTIONS)),
        (
            format!("options of a question, {} each", bytes(question::MAX_OPTION_BYTES as u64)),
            number(question::MAX_OPTIONS),
        ),
        ("open requests for approval".into(), number(approval::MAX_APPROVALS)),
        ("pinned messages".into(), number(pin::MAX_PINS)),
        ("schedules".into(), number(schedule::MAX_SCHEDULES)),
        ("messages on their way to other groups".into(), number(relay::MAX_RELAYS)),
    ];
    let (_, table) = README.split_once("## Limits").unwrap();
    let (table, after) = table.split_once("\n\nBeyond").unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    let expected: Vec<String> = limits.iter().map(|(what, most)| format!("| {what} | {most} |")).collect();
    assert_eq!(rows, expected);
    let hours = format!("remembered for {} hours", message::KEY_RETENTION.as_secs() / 3600);
    assert!(after.contains(&hours), "{hours}");
}
