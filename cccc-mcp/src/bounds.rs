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

/// As many values, from the first, as fit into an answer; and whether that is all of them.
pub(crate) fn page<T: serde::Serialize>(mut items: Vec<T>) -> (Vec<T>, bool) {
    let all = items.len();
    items.truncate(fitting(&items, ITEMS_BYTES));
    let whole = items.len() == all;
    (items, whole)
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
        assert_eq!(page(vec![1; 100]), (vec![1; MAX_ITEMS], false));
        assert_eq!(page(vec![1; 3]), (vec![1; 3], true));
        let (kept, whole) = page(vec!["x".repeat(2000); 10]);
        assert!(kept.len() == 3 && !whole);
    }
}
