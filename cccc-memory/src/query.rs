//! What is looked for: filters, and a text made into a full-text query that is well-formed whatever it was.
//!
//! The index splits text at everything that is no letter and no digit, and folds case and accents. Scripts that
//! are written without spaces (Chinese, Japanese, Thai...) are split into their characters, both in what is
//! indexed and in what is asked, so that a word of them is found as the characters that follow one another. That
//! serves words of one and two characters as well, which an index of trigrams does not find, at a third of its size.

use cccc_core::{Label, Principal, Timestamp};

use crate::note::Scope;

/// The most notes of one answer.
pub const MAX_LIMIT: usize = 1000;
/// Notes of one answer unless another number is asked for.
const DEFAULT_LIMIT: usize = 20;
/// How many words of a text are looked for; the rest is not.
const MAX_TERMS: usize = 32;
/// How much of a text is looked at, in characters.
const MAX_CHARS: usize = 4096;
/// Words of fewer characters are not taken for the beginning of longer ones.
const MIN_PREFIX_CHARS: usize = 3;
/// What is put between characters of scripts without spaces: it is in no word, and is taken out of what is shown.
pub(crate) const BETWEEN: char = '\u{1f}';

/// Which notes, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// Those that hold.
    #[default]
    Current,
    /// Those that another note says better.
    Superseded,
    /// Those that were forgotten and are not purged yet; for the foreman and the user.
    Forgotten,
    /// All that are there.
    All,
}

/// What is looked for. All of it must hold.
#[derive(Clone, Debug)]
pub struct Query {
    /// For a search: words, `"phrases"`, and `beginnings*`. Whatever else is in it is no error.
    pub text: String,
    /// With all of these tags.
    pub tags: Vec<Label>,
    /// By this author.
    pub author: Option<Principal>,
    /// Only the group's, or only actors' own.
    pub scope: Option<Scope>,
    /// Written or changed at that time or later.
    pub since: Option<Timestamp>,
    /// Written or changed before that time.
    pub until: Option<Timestamp>,
    /// What became of them. A search finds only those that hold.
    pub which: Which,
    /// At most so many; 1 to [`MAX_LIMIT`]. Default: 20.
    pub limit: usize,
    /// After these first ones.
    pub skip: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            text: String::new(),
            tags: Vec::new(),
            author: None,
            scope: None,
            since: None,
            until: None,
            which: Which::default(),
            limit: DEFAULT_LIMIT,
            skip: 0,
        }
    }
}

impl Query {
    /// All that holds, the newest first.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What has to do with this text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// How the words of a text were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Matched {
    /// Every note has all of the words.
    All,
    /// No note has all of the words; these have some.
    Any,
    /// No note has any of them.
    None,
}

/// The words of a text, each as the index knows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Terms(Vec<String>);

impl Terms {
    pub(crate) fn of(text: &str) -> Self {
        let text: String = text.chars().take(MAX_CHARS).map(|c| if c == '\0' { ' ' } else { c }).collect();
        let mut terms = Vec::new();
        // Between an odd quote and the next, or the end, is a phrase.
        for (i, part) in text.split('"').enumerate() {
            if i % 2 == 1 {
                terms.extend(phrase(part, false));
            } else {
                terms.extend(part.split_whitespace().filter_map(|word| {
                    let bare = word.trim_end_matches('*');
                    phrase(bare, bare.len() < word.len() || bare.chars().count() >= MIN_PREFIX_CHARS)
                }));
            }
        }
        let mut seen = std::collections::HashSet::new();
        terms.retain(|term| seen.insert(term.clone()));
        terms.truncate(MAX_TERMS);
        Self(terms)
    }

    /// The query for notes with all of them; `None` if there is none.
    pub(crate) fn all(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join(" AND "))
    }

    /// The query for notes with any of them, if that is another.
    pub(crate) fn any(&self) -> Option<String> {
        (self.0.len() > 1).then(|| self.0.join(" OR "))
    }
}

/// A string of the query language; `None` for what the index has no word of.
fn phrase(text: &str, prefix: bool) -> Option<String> {
    let star = if prefix { " *" } else { "" };
    text.chars().any(char::is_alphanumeric).then(|| format!("\"{}\"{star}", separated(text)))
}

/// A text as it is indexed: characters of scripts without spaces are words of their own.
pub(crate) fn separated(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut after_dense = false;
    for c in text.chars() {
        let dense = is_dense(c);
        if dense || after_dense {
            out.push(BETWEEN);
        }
        out.push(c);
        after_dense = dense;
    }
    out
}

/// Whether words of this script are written without spaces between them.
fn is_dense(c: char) -> bool {
    matches!(u32::from(c),
        // Thai and Lao, Myanmar, Khmer
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff
        // Kana; CJK ideographs, their extensions and compatibility forms; halfwidth kana
        | 0x3005..=0x3007 | 0x3040..=0x30ff | 0x31f0..=0x31ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff
        | 0xf900..=0xfaff | 0xff66..=0xff9f | 0x2_0000..=0x3_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_words_phrases_and_beginnings() {
        for (text, all) in [
            ("deploy to staging", "\"deploy\" * AND \"to\" AND \"staging\" *"),
            ("\"run twice\" x", "\"run twice\" AND \"x\""),
            ("te* a b a", "\"te\" * AND \"a\" AND \"b\""),
            ("src/auth.rs", "\"src/auth.rs\" *"),
            ("\"open phrase", "\"open phrase\""),
            (
                "a AND NOT (b OR c) NEAR^",
                "\"a\" AND \"AND\" * AND \"NOT\" * AND \"(b\" AND \"OR\" AND \"c)\" AND \"NEAR^\" *",
            ),
            ("x\0y", "\"x\" AND \"y\""),
            ("部署 ab", "\"\u{1f}部\u{1f}署\" AND \"ab\""),
        ] {
            assert_eq!(Terms::of(text).all().as_deref(), Some(all), "{text}");
        }
        for nothing in ["", "   ", "!!! ??", "\"", "\"\" ***", "\0"] {
            assert_eq!(Terms::of(nothing).all(), None, "{nothing:?}");
        }
        assert_eq!(Terms::of("one").any(), None);
        assert_eq!(Terms::of("ab cd").any().as_deref(), Some("\"ab\" OR \"cd\""));
        let many: String = (0..10_000).map(|n| format!("w{n} ")).collect();
        assert_eq!(Terms::of(&many).0.len(), MAX_TERMS);
    }

    #[test]
    fn scripts_without_spaces_are_taken_apart() {
        assert_eq!(separated("a 部署b"), "a \u{1f}部\u{1f}署\u{1f}b");
        assert_eq!(separated("Größe"), "Größe");
    }
}
