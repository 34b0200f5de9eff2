//! Path patterns: what they may look like, and whether two of them have a path in common.
//!
//! | written | means |
//! |---|---|
//! | `src/a.rs` | that path, and everything below it if it is a directory |
//! | `src/` | the same as `src` |
//! | `*` | any number of characters within a name, also none |
//! | `?` | one character |
//! | `**` | as a whole name: any number of names, also none |
//!
//! Paths are relative to the group's directory and separated by `/`. Upper and lower case are not told
//! apart, because some file systems do not: at worst two patterns are said to overlap that do not. That
//! two overlap is never missed: the answer is exact for the patterns as compared.

use crate::error::{Error, Result};

/// Longest pattern, in bytes.
pub const MAX_GLOB_BYTES: usize = 256;

/// Characters that mean something in other tools' patterns; refused so that nobody relies on them.
const FOREIGN: &[char] = &['[', ']', '{', '}', '\\', '!', '"', '\'', '<', '>', '|'];

/// A pattern that parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    segments: Vec<Segment>,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// `**`
    Any,
    /// A name, with or without wildcards.
    Name(Vec<Part>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// `*`
    Some,
    /// `?`
    One,
    /// A character, in lower case.
    Char(char),
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// `Invalid` with the reason if it is absolute, leaves the directory, or uses what is not known here;
    /// `TooLarge` beyond [`MAX_GLOB_BYTES`].
    pub fn parse(text: &str) -> Result<Self> {
        super::bounded("a path pattern", text, MAX_GLOB_BYTES)?;
        let wrong = |why: &str, hint: &str| Error::invalid(format!("{text:?}: {why}")).hint(hint);
        let relative = "write it relative to the group's directory, with `/` between names: src/**/*.rs";
        if text.starts_with('/') || text.get(1..2) == Some(":") {
            return Err(wrong("the path is absolute", relative));
        }
        if let Some(c) = text.chars().find(|c| FOREIGN.contains(c) || c.is_control()) {
            let hint = "use names, `*`, `?` and `**`; give several patterns for alternatives";
            return Err(wrong(&format!("{c:?} has no meaning in a path pattern"), hint));
        }
        let mut names: Vec<&str> = Vec::new();
        for name in text.split('/').filter(|name| !matches!(*name, "" | ".")) {
            match name {
                ".." => return Err(wrong("the path may leave the group's directory", relative)),
                // Two in a row mean the same as one.
                "**" if names.last() == Some(&"**") => {}
                _ if name.contains("**") && name != "**" => {
                    return Err(wrong("`**` stands for whole names", "write a/**/b, or `*` within a name"));
                }
                _ => names.push(name),
            }
        }
        if names.is_empty() {
            return Err(wrong("the path is empty", "write `**` for everything"));
        }
        let mut segments: Vec<Segment> = names.iter().map(|name| segment(name)).collect();
        // A name without wildcards may be a directory, and means all of it.
        if matches!(segments.last(), Some(Segment::Name(parts)) if parts.iter().all(|part| matches!(part, Part::Char(_))))
        {
            segments.push(Segment::Any);
        }
        Ok(Self { segments, text: names.join("/") })
    }

    /// `**`
    #[must_use]
    pub fn everything() -> Self {
        Self { segments: vec![Segment::Any], text: "**".to_owned() }
    }

    /// The pattern in its shortest form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether there is a path that both mean.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        common(
            &self.segments,
            &other.segments,
            |segment| *segment == Segment::Any,
            |a, b| match (a, b) {
                (Segment::Name(a), Segment::Name(b)) => same_name(a, b),
                // One `**` stands for a name that the other means.
                _ => true,
            },
        )
    }

    /// Whether it means this path.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
        let literal: Vec<Segment> =
            names.map(|name| Segment::Name(name.chars().map(|c| Part::Char(fold(c))).collect())).collect();
        let path = Self { segments: literal, text: String::new() };
        !path.segments.is_empty() && self.overlaps(&path)
    }
}

fn segment(name: &str) -> Segment {
    if name == "**" {
        return Segment::Any;
    }
    let part = |c| match c {
        '*' => Part::Some,
        '?' => Part::One,
        c => Part::Char(fold(c)),
    };
    Segment::Name(name.chars().map(part).collect())
}

/// The lower case of a character, where that is one character.
fn fold(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// Whether there is a name that both mean. That a name has at least one character need not be asked for:
/// two that mean the empty name consist of stars.
fn same_name(a: &[Part], b: &[Part]) -> bool {
    common(
        a,
        b,
        |part| *part == Part::Some,
        |a, b| match (a, b) {
            (Part::Char(a), Part::Char(b)) => a == b,
            _ => true,
        },
    )
}

/// Whether two patterns, in which some elements stand for any sequence (`many`) and the others for one
/// symbol, mean a sequence in common.
///
/// Walks all pairs of places that can be reached by reading the same symbols, row by row: `reached` holds
/// for the current place in `a` the places in `b`.
fn common<T>(a: &[T], b: &[T], many: impl Fn(&T) -> bool, meets: impl Fn(&T, &T) -> bool) -> bool {
    let mut reached = vec![false; b.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    skip(&mut reached, b, &many);
    for x in a {
        let mut next = vec![false; b.len() + 1];
        if many(x) {
            // Leaving it out, or reading with it whatever `b` reads.
            let first = reached.iter().position(|there| *there).unwrap_or(next.len());
            next.iter_mut().skip(first).for_each(|there| *there = true);
        } else {
            for (at, y) in b.iter().enumerate() {
                if !reached.get(at).copied().unwrap_or(false) {
                    continue;
                }
                let to = if many(y) {
                    at
                } else if meets(x, y) {
                    at + 1
                } else {
                    continue;
                };
                if let Some(there) = next.get_mut(to) {
                    *there = true;
                }
            }
            skip(&mut next, b, &many);
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

/// What stands for any sequence also stands for none.
fn skip<T>(reached: &mut [bool], b: &[T], many: &impl Fn(&T) -> bool) {
    for (at, y) in b.iter().enumerate() {
        if many(y)
            && reached.get(at).copied().unwrap_or(false)
            && let Some(there) = reached.get_mut(at + 1)
        {
            *there = true;
        }
    }
}

#[cfg(test)]
mod tests;
