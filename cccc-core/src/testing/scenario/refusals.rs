//! Finding all refusals in the source of rules, so that a test can ask whether each is in some scenario.
//!
//! Not a parser of Rust: it knows how this crate writes refusals, `Error::kind("..."` or
//! `Error::kind(format!("..."`, and reports what is written otherwise as a place without a text.

use std::fmt;

/// The constructors of errors that a rule refuses with.
const CONSTRUCTORS: [&str; 9] = [
    "invalid",
    "not_found",
    "refused",
    "conflict",
    "too_large",
    "unavailable",
    "unknown",
    "unsupported",
    "new",
];

/// A place where a rule refuses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// The file, as it was named to [`sites`].
    pub file: String,
    /// Which line, from 1.
    pub line: usize,
    /// The message as it is written, with its `{}`; empty where it is not written there.
    pub template: String,
}

impl Site {
    /// Whether a message may have come from here: the fixed pieces of the template stand in it in order.
    #[must_use]
    pub fn may_have_said(&self, message: &str) -> bool {
        let pieces = pieces(&self.template);
        let Some((first, rest)) = pieces.split_first() else { return false };
        let Some(mut left) = message.strip_prefix(first.as_str()) else { return false };
        for piece in rest {
            let Some(at) = left.find(piece.as_str()) else { return false };
            left = left.get(at + piece.len()..).unwrap_or_default();
        }
        // A template that ends with fixed words ends the message.
        rest.last().map_or(left.is_empty(), |last| last.is_empty() || message.ends_with(last.as_str()))
    }
}

impl Site {
    /// How many bytes of its messages are fixed: of two places that may have said something, the one with
    /// more of them is the more likely.
    #[must_use]
    pub fn fixed_bytes(&self) -> usize {
        pieces(&self.template).iter().map(String::len).sum()
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.template)
    }
}

/// The fixed pieces of a format string: before, between and after its placeholders.
fn pieces(template: &str) -> Vec<String> {
    let (mut pieces, mut piece, mut chars) = (Vec::new(), String::new(), template.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '{' if chars.peek() == Some(&'{') => {
                chars.next();
                piece.push('{');
            }
            '{' => {
                for inside in chars.by_ref() {
                    if inside == '}' {
                        break;
                    }
                }
                pieces.push(std::mem::take(&mut piece));
            }
            '}' if chars.peek() == Some(&'}') => {
                chars.next();
                piece.push('}');
            }
            c => piece.push(c),
        }
    }
    pieces.push(piece);
    pieces
}

/// The refusals in a source file, without those in its tests (everything after `mod tests`).
#[must_use]
pub fn sites(file: &str, source: &str) -> Vec<Site> {
    let source = source.split("\nmod tests {").next().unwrap_or_default();
    let mut sites = Vec::new();
    for (at, _) in source.match_indices("Error::") {
        let (before, rest) = source.split_at(at);
        let rest = rest.strip_prefix("Error::").unwrap_or_default();
        // A comment that speaks of one is none.
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        if before.get(line_start..).is_some_and(|line| line.trim_start().starts_with("//")) {
            continue;
        }
        let Some((name, arguments)) = rest.split_once('(') else { continue };
        if !CONSTRUCTORS.contains(&name) {
            continue;
        }
        sites.push(Site {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            template: literal(arguments).unwrap_or_default(),
        });
    }
    sites
}

/// The string literal that a call begins with, possibly inside `format!(` and after the error's kind.
fn literal(arguments: &str) -> Option<String> {
    let mut rest = arguments.trim_start();
    if let Some((kind, after)) = rest.split_once(',')
        && kind.starts_with("ErrorKind::")
    {
        rest = after.trim_start();
    }
    rest = rest.strip_prefix("format!(").unwrap_or(rest).trim_start();
    let mut chars = rest.strip_prefix('"')?.chars();
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Some(text),
            '\\' => match chars.next()? {
                'n' => text.push('\n'),
                // A line that goes on: the white space of the next one is skipped.
                '\n' => {
                    let skipped = chars.as_str().trim_start();
                    chars = skipped.chars();
                }
                other => text.push(other),
            },
            c => text.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_found_as_they_are_written() {
        let source = r#"
fn a() {
    // Error::refused("in a comment")
    return Err(Error::refused("one"));
    Err(Error::invalid(format!(
        "{who} may not \"{{x}}\" \
         here"
    )).hint("more"));
    Err(Error::new(ErrorKind::Corrupt, format!("two {x}")));
    Err(Error::conflict(text))
}
mod tests {
    Error::refused("in a test")
}"#;
        let found = sites("f.rs", source);
        let templates: Vec<&str> = found.iter().map(|site| site.template.as_str()).collect();
        assert_eq!(templates, ["one", "{who} may not \"{{x}}\" here", "two {x}", ""]);
        assert_eq!(found[0].to_string(), "f.rs:4: one");
        assert!(found[0].may_have_said("one") && !found[0].may_have_said("one more"));
        assert!(found[1].may_have_said("bob may not \"{x}\" here"));
        assert!(!found[1].may_have_said("bob may not \"{x}\" there, or"));
        assert!(found[2].may_have_said("two and more") && !found[2].may_have_said("to"));
    }
}
