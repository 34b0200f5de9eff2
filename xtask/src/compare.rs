//! Whether what was printed is what a document says, apart from what differs from run to run: random parts
//! of ids, times, durations, hashes, the person's directory, and the width of columns.

/// The first difference, if there is one: what was expected, and what came instead.
pub(crate) fn difference(expected: &[String], actual: &str, home: &str) -> Option<(String, String)> {
    let actual = actual.replace(home, "/home/you");
    let actual: Vec<String> = meaningful(actual.lines());
    let expected: Vec<String> = meaningful(expected.iter().map(String::as_str));
    matches(&expected, &actual).err()
}

/// Lines in their stable form, without empty ones.
fn meaningful<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    lines.map(stable).filter(|line| !line.is_empty()).collect()
}

fn matches(expected: &[String], actual: &[String]) -> Result<(), (String, String)> {
    match (expected.split_first(), actual.split_first()) {
        (None, None) => Ok(()),
        (None, Some((came, _))) => Err(("nothing more".into(), came.clone())),
        (Some((wanted, rest)), _) if wanted == "..." => {
            // The lines passed over are as few as possible.
            let tails = (0..=actual.len()).filter_map(|skip| actual.get(skip..));
            let mut tries = tails.map(|tail| matches(rest, tail));
            if tries.any(|outcome| outcome.is_ok()) {
                return Ok(());
            }
            Err((format!("... {}", rest.first().map_or("", String::as_str)), actual.join("\n")))
        }
        (Some((wanted, expected)), Some((came, actual))) if wanted == came => matches(expected, actual),
        (Some((wanted, _)), came) => {
            Err((wanted.clone(), came.map_or("nothing more".into(), |(came, _)| came.clone())))
        }
    }
}

/// A line with its unstable words replaced, and one space where there were several.
fn stable(line: &str) -> String {
    let words: Vec<String> = line.split_whitespace().map(stable_word).collect();
    words.join(" ")
}

/// Replaces the unstable parts of a word; parts are divided by whatever is in no id or time.
fn stable_word(word: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_:.".contains(c);
    let mut result = String::new();
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_part(c) != is_part(first)).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        result.push_str(&if is_part(first) { stable_part(run) } else { run.to_owned() });
        rest = tail;
    }
    result
}

fn stable_part(part: &str) -> String {
    let inner = part.trim_end_matches(['.', ':']);
    let punctuation = part.get(inner.len()..).unwrap_or_default();
    format!("{}{punctuation}", stable_name(inner))
}

fn stable_name(part: &str) -> String {
    let nonce = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_digit() || b == b'_' || (b.is_ascii_lowercase() && !b"aeiou".contains(&b)))
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match part.split_once('-') {
        Some((seq, rest)) if digits(seq) && rest.len() == 8 && nonce(rest) => return format!("{seq}-NONCE"),
        _ => {}
    }
    match part.split_once(':') {
        Some((seq, chain)) if digits(seq) && chain.len() == 20 && hex(chain) => {
            return format!("{seq}:CHAIN");
        }
        _ => {}
    }
    if part.strip_prefix('g').is_some_and(|rest| rest.len() == 12 && nonce(rest)) {
        return "GROUP".into();
    }
    if part.len() == 20 && hex(part) {
        return "CHAIN".into();
    }
    if is_duration(part) {
        return "DURATION".into();
    }
    let time = |b: u8| b.is_ascii_digit() || b":-.TZ".contains(&b);
    if part.contains(':') && part.len() >= 5 && part.bytes().all(time) {
        return "TIME".into();
    }
    part.into()
}

/// Numbers with their units, like `0.39s` and `1d17h`.
fn is_duration(text: &str) -> bool {
    let number_end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    !number.is_empty() && ["ms", "s", "m", "h", "d"].contains(&unit) && (rest.is_empty() || is_duration(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(expected: &str, actual: &str) -> bool {
        let expected: Vec<String> = expected.lines().map(Into::into).collect();
        difference(&expected, actual, "/tmp/x").is_none()
    }

    #[test]
    fn what_differs_from_run_to_run_is_no_difference() {
        assert!(same("sent 7-bcdfghjk to alice", "sent  7-0123456_ to alice\n"));
        assert!(!same("sent 7-bcdfghjk to alice", "sent 8-bcdfghjk to alice"));
        assert!(!same("sent 7-bcdfghjk to alice", "sent 7-bcdfghjk to bob"));
        assert!(same("{\"group_id\":\"g0123456789bc\"}", "{\"group_id\":\"gzzzzzzzzzzzz\"}"));
        assert!(same("at 10:04, 2026-11-21T08:38:21.123Z", "at 23:59, 2027-01-01T00:00:00.000Z"));
        assert!(same("due in 15m, 0s ago, 0.39s", "due in 14m, 2s ago, 0.4s"));
        assert!(same("first in 1d18h", "first in 23h59m"));
        assert!(!same("15 messages", "14 messages"));
        assert!(!same("1d18", "1d17"));
        assert!(same("head 9:00112233445566778899.", "head 9:99112233445566778899."));
        assert!(same("/home/you/.cccc", "/tmp/x/.cccc"));
        assert!(!same("general-purpose", "general-porpoise"));
    }

    #[test]
    fn dots_stand_for_any_lines() {
        assert!(same("a\n...\nc", "a\nb\nb\nc"));
        assert!(same("...\nc", "c"));
        assert!(same("a\n...", "a\nb"));
        assert!(!same("a\n...\nc", "a\nb"));
        assert!(!same("a", "a\nb"));
        assert!(!same("a\nb", "a"));
    }
}
