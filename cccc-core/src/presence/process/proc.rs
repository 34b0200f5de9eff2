//! What Linux says of processes: files under `/proc`.

use std::fs;

use cccc_fork::Own;

use super::Stat;

/// Whether this system says it in this way, and to this process.
pub(super) fn is_there() -> bool {
    static IS_THERE: Own<bool> = Own::new();
    *IS_THERE.get_or_make(|| stat(std::process::id()).is_some())
}

/// Reads what the kernel says: after the name in parentheses, which may itself have any character, the 1st
/// field is the condition, the 2nd the parent, the 20th the time of the start.
pub(super) fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&text)
}

fn parse_stat(text: &str) -> Option<Stat> {
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        started: (*fields.get(19)?).to_owned(),
        ended: matches!(*fields.first()?, "Z" | "X"),
    })
}

pub(super) fn arguments(pid: u32) -> Option<Vec<String>> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    Some(words.map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

/// The boot and the container that numbers of processes belong to.
pub(super) fn place() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let container = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    match boot.trim() {
        "" => String::new(),
        boot => format!("{boot} {}", container.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let rest: Vec<String> = (5..=22).map(|n| n.to_string()).collect();
        let stat = parse_stat(&format!("7 (a) b) S 42 {} 99", rest.join(" "))).unwrap();
        assert_eq!((stat.parent, stat.started.as_str(), stat.ended), (42, "22", false));
        assert!(parse_stat("7 (a) Z 1").is_none());
        assert!(parse_stat("").is_none());
    }
}
