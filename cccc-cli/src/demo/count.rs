//! The work that the demo's actors do: which files there are, and how many lines and TODO marks they have.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use cccc_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Directories that hold no sources of one's own.
const SKIPPED: [&str; 6] = [".git", ".hg", ".svn", "target", "node_modules", "__pycache__"];

/// A demo ends in seconds; a directory with more files is not for it.
const MAX_FILES: usize = 20_000;

/// Larger files are data rather than sources.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// What was counted in some files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Tally {
    pub(crate) files: u64,
    /// Newlines, as `wc -l` counts.
    pub(crate) lines: u64,
    /// How often the word TODO stands there.
    pub(crate) todos: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.lines += other.lines;
        self.todos += other.todos;
    }
}

/// Tallies by language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Counts(pub(crate) BTreeMap<String, Tally>);

impl Counts {
    /// Adds what another has.
    pub(crate) fn add(&mut self, other: &Self) {
        for (language, tally) in &other.0 {
            self.0.entry(language.clone()).or_default().add(*tally);
        }
    }

    /// All languages together.
    pub(crate) fn total(&self) -> Tally {
        let mut total = Tally::default();
        self.0.values().for_each(|tally| total.add(*tally));
        total
    }
}

/// A file to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// Below the root, with `/`.
    pub(crate) path: String,
    pub(crate) bytes: u64,
}

/// The text files below a directory, by path. Symbolic links are not followed; what cannot be read, and
/// names that are not plain text, are passed over.
///
/// # Errors
/// `NotFound`, `TooLarge` beyond 20,000 files.
pub(crate) fn sources(root: &Path) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    // The root itself must be readable; of what is below, what is not is passed over.
    let names = fs::read_dir(root).map_err(|e| Error::io("list", root, e))?;
    walk(names, "", &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn walk(names: fs::ReadDir, below: &str, found: &mut Vec<Source>) -> Result<()> {
    for entry in names.flatten() {
        let (name, Ok(kind)) = (entry.file_name(), entry.file_type()) else { continue };
        let Some(name) = name.to_str().filter(|name| !name.chars().any(char::is_control)) else { continue };
        let path = format!("{below}{name}");
        if kind.is_dir() && !SKIPPED.contains(&name) {
            if let Ok(names) = fs::read_dir(entry.path()) {
                walk(names, &format!("{path}/"), found)?;
            }
        } else if kind.is_file()
            && let Some(bytes) = text_length(&entry.path())
        {
            found.push(Source { path, bytes });
            if found.len() > MAX_FILES {
                return Err(Error::too_large(format!("there are more than {MAX_FILES} files"))
                    .hint("name a smaller directory: cccc demo PATH"));
            }
        }
    }
    Ok(())
}

/// How long a file is, if it is a text of a size worth counting.
fn text_length(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let len = file.metadata().ok()?.len();
    let mut head = Vec::new();
    file.by_ref().take(8192).read_to_end(&mut head).ok()?;
    (len <= MAX_FILE_BYTES && !head.contains(&0)).then_some(len)
}

/// Counts these files.
///
/// # Errors
/// `NotFound`, `Unavailable` with the path, for one that was readable before.
pub(crate) fn count<'a>(root: &Path, paths: impl IntoIterator<Item = &'a String>) -> Result<Counts> {
    let mut counts = Counts::default();
    for path in paths {
        let file = root.join(path);
        let bytes = fs::read(&file).map_err(|e| Error::io("read", &file, e))?;
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        let tally = Tally { files: 1, lines: number(lines), todos: number(todos(&bytes)) };
        counts.0.entry(language(path).to_owned()).or_default().add(tally);
    }
    Ok(counts)
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// How often TODO stands there as a word of its own.
fn todos(bytes: &[u8]) -> usize {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let whole = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        !is_word(before) && !is_word(bytes.get(at + 4))
    };
    bytes.windows(4).enumerate().filter(|(at, word)| *word == b"TODO" && whole(*at)).count()
}

/// The language of a file by the ending of its name.
fn language(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("rs") => "Rust",
        Some("py" | "pyi") => "Python",
        Some("ts" | "tsx" | "mts" | "cts") => "TypeScript",
        Some("js" | "jsx" | "mjs" | "cjs") => "JavaScript",
        Some("c" | "h") => "C",
        Some("cc" | "cpp" | "cxx" | "hpp" | "hh") => "C++",
        Some("go") => "Go",
        Some("java") => "Java",
        Some("kt" | "kts") => "Kotlin",
        Some("swift") => "Swift",
        Some("rb") => "Ruby",
        Some("php") => "PHP",
        Some("cs") => "C#",
        Some("sh" | "bash" | "zsh") => "Shell",
        Some("sql") => "SQL",
        Some("html" | "htm") => "HTML",
        Some("css" | "scss") => "CSS",
        Some("md" | "markdown") => "Markdown",
        Some("toml") => "TOML",
        Some("json" | "jsonl") => "JSON",
        Some("yml" | "yaml") => "YAML",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_marks_are_counted_by_language() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("src/target")).unwrap();
        fs::write(dir.path().join("src/a.rs"), "// TODO one\nfn f() {} // TODOS no, XTODO no\n").unwrap();
        fs::write(dir.path().join("src/b.rs"), "no newline TODO").unwrap();
        fs::write(dir.path().join("readme.md"), "\n\nTODO: TODO\n").unwrap();
        fs::write(dir.path().join("src/target/x.rs"), "skipped\n").unwrap();
        fs::write(dir.path().join("image"), b"\0\n").unwrap();
        let found = sources(dir.path()).unwrap();
        let paths: Vec<String> = found.iter().map(|source| source.path.clone()).collect();
        assert_eq!(paths, ["readme.md", "src/a.rs", "src/b.rs"]);
        let counts = count(dir.path(), &paths).unwrap();
        assert_eq!(counts.0["Rust"], Tally { files: 2, lines: 2, todos: 2 });
        assert_eq!(counts.0["Markdown"], Tally { files: 1, lines: 3, todos: 2 });
        assert_eq!(counts.total(), Tally { files: 3, lines: 5, todos: 4 });
    }

    #[test]
    fn what_is_not_there_is_an_error_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        assert!(sources(&dir.path().join("none")).unwrap_err().to_string().contains("none"));
        assert!(count(dir.path(), &["gone.rs".to_owned()]).unwrap_err().to_string().contains("gone.rs"));
    }
}
