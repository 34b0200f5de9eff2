//! What an answer may hold: 8 kB, 20 items, 2 kB of text each.
//!
//! An agent pays for every byte it is shown, and an inbox of a thousand messages must not stall it.

use serde_json::Value;

/// The most bytes of one answer, as JSON.
pub const MAX_ANSWER_BYTES: usize = 8 * 1024;
/// The most items of one answer.
pub const MAX_ITEMS: usize = 20;
/// The most bytes of one text.
pub const MAX_TEXT_BYTES: usize = 2 * 1024;
/// What the frame and `you` take of an answer, at most.
const FRAME_BYTES: usize = 1400;
/// The most bytes of all items of an answer.
pub(crate) const ITEMS_BYTES: usize = MAX_ANSWER_BYTES - FRAME_BYTES;

/// The beginning of a text, at most so many bytes as JSON has it, and whether that is all of it.
pub(crate) fn head(text: &str, max_bytes: usize) -> (&str, bool) {
    let mut bytes = 0;
    for (at, c) in text.char_indices() {
        bytes += escaped_len(c);
        if bytes > max_bytes {
            return (text.get(..at).unwrap_or_default(), false);
        }
    }
    (text, true)
}

/// A part of a text, from a place, at most so many bytes as JSON has it; and where the rest begins.
pub(crate) fn part(text: &str, from: usize, max_bytes: usize) -> (&str, Option<usize>) {
    let from = (0..=from.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (shown, whole) = head(text.get(from..).unwrap_or_default(), max_bytes);
    (shown, (!whole).then_some(from + shown.len()))
}

/// How many bytes a character takes in JSON.
fn escaped_len(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        c if u32::from(c) < 0x20 => 6,
        c => c.len_utf8(),
    }
}

/// How many bytes a value takes as JSON.
pub(crate) fn size(value: &impl serde::Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
}

/// How many of these values, from the first, fit into so many bytes; at most [`MAX_ITEMS`].
pub(crate) fn fitting<T: serde::Serialize>(items: &[T], max_bytes: usize) -> usize {
    let mut left = max_bytes;
    let fits = |item: &&T| match left.checked_sub(size(*item) + 1) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    items.iter().take(MAX_ITEMS).take_while(fits).count()
}

/// A part of a list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// How many to skip to see what follows; `None` at the end.
    pub(crate) next: Option<usize>,
}

impl<T> Page<T> {
    /// The call that shows what follows: a tool with its arguments but for `skip`.
    pub(crate) fn call(&self, tool: &str, arguments: &str) -> Option<String> {
        let comma = if arguments.is_empty() { "" } else { "," };
        self.next.map(|skip| format!("{tool} {{{arguments}{comma}\"skip\":{skip}}}"))
    }
}

/// As many values as fit into an answer, after these first ones. A value that is too long for any answer is one,
/// and is cut when it is answered.
pub(crate) fn page<T: serde::Serialize>(items: Vec<T>, skip: Option<usize>) -> Page<T> {
    let (skip, all) = (skip.unwrap_or(0), items.len());
    let mut items: Vec<T> = items.into_iter().skip(skip).collect();
    items.truncate(fitting(&items, ITEMS_BYTES).max(1));
    let seen = skip.saturating_add(items.len());
    Page { items, next: (seen < all).then_some(seen) }
}

/// Cuts a value until it fits, whatever is in it: first long texts, then the ends of long lists. Says whether
/// anything had to be cut. Tools that page do so themselves, so this is for what nobody foresaw.
pub(crate) fn trim(value: &mut Value, max_bytes: usize) -> bool {
    if size(value) <= max_bytes {
        return false;
    }
    let mut limit = MAX_TEXT_BYTES;
    loop {
        cut_texts(value, limit);
        if size(value) <= max_bytes {
            return true;
        }
        if limit <= 128 {
            break;
        }
        limit /= 2;
    }
    while size(value) > max_bytes && halve_lists(value) {}
    if size(value) > max_bytes {
        *value = Value::Object(serde_json::Map::new());
    }
    true
}

fn cut_texts(value: &mut Value, max_bytes: usize) {
    match value {
        Value::String(text) => {
            if let (kept, false) = head(text, max_bytes) {
                *text = format!("{kept}…");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| cut_texts(item, max_bytes)),
        Value::Object(map) => map.values_mut().for_each(|item| cut_texts(item, max_bytes)),
        _ => {}
    }
}

/// Drops the second half of every list; says whether there was anything to drop.
fn halve_lists(value: &mut Value) -> bool {
    match value {
        Value::Array(items) => {
            let before = items.len();
            items.truncate(before / 2);
            let mut cut = before > 0;
            for item in items {
                cut |= halve_lists(item);
            }
            cut
        }
        Value::Object(map) => map.values_mut().fold(false, |cut, item| halve_lists(item) | cut),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_cut_by_what_json_makes_of_it_and_never_within_a_character() {
        assert_eq!(head("abc", 3), ("abc", true));
        assert_eq!(head("abc", 2), ("ab", false));
        assert_eq!(head("äöü", 3), ("ä", false));
        assert_eq!(head("\n\n\n", 4), ("\n\n", false));
        assert_eq!(head("\u{1}x", 5), ("", false));
        for text in ["a\"b", "\u{1}\u{8}\u{c}\t", "😀", "\u{7f}"] {
            let escaped: usize = text.chars().map(escaped_len).sum();
            assert_eq!(escaped + 2, serde_json::to_string(text).unwrap().len(), "{text:?}");
        }
    }

    #[test]
    fn parts_of_a_text_make_the_whole() {
        let text = "äöü\n€".repeat(50);
        let (mut all, mut at) = (String::new(), Some(0));
        while let Some(from) = at {
            let (shown, next) = part(&text, from, 9);
            all.push_str(shown);
            at = next;
        }
        assert_eq!(all, text);
        assert_eq!(part("ä", 1, 9), ("ä", None));
        assert_eq!(part("ä", 99, 9), ("", None));
    }

    #[test]
    fn whatever_it_is_it_fits_in_the_end() {
        for mut value in [
            json!({"a": "x".repeat(100_000)}),
            json!({"a": vec!["x".repeat(100); 1000]}),
            json!({"a": vec![vec![1; 100]; 100]}),
            json!(vec![json!({"t": "\u{1}".repeat(3000)}); 40]),
            Value::Object((0..5000).map(|n| (n.to_string(), json!(n))).collect()),
        ] {
            assert!(trim(&mut value, MAX_ANSWER_BYTES));
            assert!(size(&value) <= MAX_ANSWER_BYTES);
        }
        let mut small = json!({"a": [1, 2]});
        assert!(!trim(&mut small, MAX_ANSWER_BYTES));
        assert_eq!(small, json!({"a": [1, 2]}));
    }

    #[test]
    fn a_page_is_what_fits() {
        let first = page(vec![1; 100], None);
        assert_eq!((first.items.len(), first.next), (MAX_ITEMS, Some(MAX_ITEMS)));
        assert_eq!(first.call("t", "\"a\":1").as_deref(), Some("t {\"a\":1,\"skip\":20}"));
        assert_eq!(page(vec![1; 100], Some(95)), Page { items: vec![1; 5], next: None });
        assert_eq!(page(vec![1; 3], Some(7)), Page { items: vec![], next: None });
        assert_eq!(page(vec!["x".repeat(2000); 10], None).next, Some(3));
        assert_eq!(page(vec!["x".repeat(20_000); 2], None).next, Some(1));
    }
}
