//! Which files a tool is about to change, and what a tool is for, as far as its name and its arguments tell.
//!
//! What a command of a shell changes cannot be told, and is not guarded.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

/// Tools that change files, by their names without case, `_` and `-`.
const EDITORS: [&str; 24] = [
    "edit",
    "multiedit",
    "write",
    "notebookedit",
    "applypatch",
    "patch",
    "writefile",
    "replace",
    "editfile",
    "createfile",
    "create",
    "strreplace",
    "strreplacefile",
    "strreplaceeditor",
    "searchreplace",
    "insert",
    "deletefile",
    "delete",
    "savefile",
    "removefiles",
    "movefile",
    "renamefile",
    "editfiles",
    "multireplace",
];

/// Tools that only look.
const READERS: [&str; 27] = [
    "read",
    "readfile",
    "readmanyfiles",
    "readmultiplefiles",
    "view",
    "viewimage",
    "grep",
    "rg",
    "greps",
    "grepsearch",
    "searchfilecontent",
    "search",
    "glob",
    "findfiles",
    "find",
    "ls",
    "list",
    "listdirectory",
    "listdir",
    "notebookread",
    "webfetch",
    "websearch",
    "googlewebsearch",
    "todowrite",
    "todoread",
    "toolsearch",
    "readmediafile",
];

/// Where tools are told which file they change.
const PATHS: [&str; 9] = [
    "file_path",
    "filePath",
    "path",
    "notebook_path",
    "absolute_path",
    "target_file",
    "file",
    "new_path",
    "filename",
];

/// The most paths of one call that are looked at.
const MAX_PATHS: usize = 64;

/// A tool's name without what agents vary.
fn plain(tool: &str) -> String {
    tool.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether a tool only looks, or is one of ours: those are never kept from an agent that has mail.
pub(crate) fn is_harmless(tool: &str, input: &Value) -> bool {
    let ours = tool == "cccc" || tool.split("__").any(|part| part == "cccc") || tool.contains("cccc_");
    let command = input.get("command").or_else(|| input.get("cmd"));
    let first = match command {
        Some(Value::String(line)) => line.split_whitespace().next(),
        Some(Value::Array(words)) => words.first().and_then(Value::as_str),
        _ => None,
    };
    let is_us = first.is_some_and(|word| word.rsplit('/').next() == Some("cccc"));
    ours || is_us || READERS.contains(&plain(tool).as_str())
}

/// The files that a call is about to change, as it names them.
pub(crate) fn changed(tool: &str, input: &Value) -> Vec<String> {
    // Servers' tools carry the server's name before their own.
    let name = tool.rsplit("__").next().unwrap_or(tool);
    if !EDITORS.contains(&plain(name).as_str()) {
        return Vec::new();
    }
    let mut found = Vec::new();
    collect(input, &mut found);
    found.truncate(MAX_PATHS);
    found
}

fn collect(input: &Value, found: &mut Vec<String>) {
    match input {
        Value::String(patch) => found.extend(patched(patch)),
        Value::Object(fields) => {
            for key in PATHS {
                found.extend(fields.get(key).and_then(Value::as_str).map(str::to_owned));
            }
            for key in ["input", "patch", "command", "patchText"] {
                match fields.get(key) {
                    Some(Value::String(patch)) => found.extend(patched(patch)),
                    Some(Value::Array(words)) => {
                        found.extend(words.iter().filter_map(Value::as_str).flat_map(patched));
                    }
                    _ => {}
                }
            }
            for key in ["edits", "files", "file_paths", "paths", "changes"] {
                match fields.get(key) {
                    Some(Value::Array(items)) => {
                        for item in items.iter().take(MAX_PATHS) {
                            match item {
                                Value::String(path) => found.push(path.clone()),
                                item => collect(item, found),
                            }
                        }
                    }
                    Some(Value::Object(by_path)) => found.extend(by_path.keys().take(MAX_PATHS).cloned()),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// The files that a patch names, in the form of `apply_patch`.
fn patched(patch: &str) -> Vec<String> {
    const MARKS: [&str; 4] = ["*** Update File: ", "*** Add File: ", "*** Delete File: ", "*** Move to: "];
    let lines = patch.lines().filter_map(|line| MARKS.iter().find_map(|mark| line.strip_prefix(mark)));
    lines.map(|path| path.trim().to_owned()).take(MAX_PATHS).collect()
}

/// A path relative to one of these directories, with `/` between names; `None` if it is in none of them.
/// Relative paths are meant from `cwd`.
pub(crate) fn within(path: &str, cwd: &Path, roots: &[PathBuf]) -> Option<String> {
    let whole = tidy(&cwd.join(path));
    let real = real(&whole);
    roots.iter().find_map(|root| {
        let rest = real.strip_prefix(root).or_else(|_| whole.strip_prefix(root)).ok()?;
        let names: Option<Vec<&str>> = rest.components().map(|part| part.as_os_str().to_str()).collect();
        names.map(|names| names.join("/")).filter(|path| !path.is_empty())
    })
}

/// Without `.` and `..`, as far as names tell.
fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                tidied.pop();
            }
            part => tidied.push(part),
        }
    }
    tidied
}

/// With links followed, as far as the path is there already.
fn real(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|dir| Some((dir, std::fs::canonicalize(dir).ok()?)));
    match there {
        Some((dir, real)) => path.strip_prefix(dir).map_or(real.clone(), |rest| {
            if rest.as_os_str().is_empty() { real.clone() } else { real.join(rest) }
        }),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_files_that_a_call_changes_are_found() {
        let patch = "*** Begin Patch\n*** Update File: src/a.rs\n@@\n-x\n+*** not one\n*** Add File: b.rs\n";
        for (tool, input, expected) in [
            ("Edit", json!({"file_path": "/w/a", "old_string": "x"}), vec!["/w/a"]),
            ("MultiEdit", json!({"file_path": "a", "edits": [{"new_string": "path"}]}), vec!["a"]),
            ("NotebookEdit", json!({"notebook_path": "n.ipynb"}), vec!["n.ipynb"]),
            ("write_file", json!({"file_path": "a"}), vec!["a"]),
            ("str_replace_editor", json!({"path": "a"}), vec!["a"]),
            ("apply_patch", json!({"input": patch}), vec!["src/a.rs", "b.rs"]),
            ("apply_patch", json!({"command": ["apply_patch", patch]}), vec!["src/a.rs", "b.rs"]),
            ("apply_patch", json!(patch), vec!["src/a.rs", "b.rs"]),
            ("mcp__fs__write_file", json!({"path": "a"}), vec!["a"]),
            ("editFiles", json!({"files": ["a", "b"]}), vec!["a", "b"]),
            ("Read", json!({"file_path": "a"}), vec![]),
            ("Bash", json!({"command": "rm a"}), vec![]),
            ("Edit", json!(null), vec![]),
        ] {
            assert_eq!(changed(tool, &input), expected, "{tool} {input}");
        }
    }

    #[test]
    fn ours_and_what_only_looks_is_harmless() {
        for (tool, input, harmless) in [
            ("mcp__cccc__cccc_inbox_list", json!({}), true),
            ("mcp_cccc_cccc_inbox_list", json!({}), true),
            ("cccc_inbox_list", json!({}), true),
            ("Bash", json!({"command": "cccc inbox"}), true),
            ("shell", json!({"command": ["/usr/bin/cccc", "inbox"]}), true),
            ("Read", json!({}), true),
            ("read_file", json!({}), true),
            ("Bash", json!({"command": "make"}), false),
            ("Edit", json!({}), false),
            ("mcp__other__thing", json!({}), false),
            ("", json!({}), false),
        ] {
            assert_eq!(is_harmless(tool, &input), harmless, "{tool} {input}");
        }
    }

    #[test]
    fn a_path_is_taken_as_the_group_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let base = std::fs::canonicalize(dir.path()).unwrap();
        let root = base.join("p");
        std::fs::create_dir_all(root.join("src")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&root, base.join("link")).unwrap();
        let roots = [root.clone()];
        for (path, cwd, expected) in [
            ("a.rs", root.join("src"), Some("src/a.rs")),
            ("../b/./c.rs", root.join("src"), Some("b/c.rs")),
            ("../../x", root.join("src"), None),
            ("/etc/passwd", root.clone(), None),
            (".", root.clone(), None),
            #[cfg(unix)]
            ("new/d.rs", base.join("link"), Some("new/d.rs")),
        ] {
            assert_eq!(within(path, &cwd, &roots).as_deref(), expected, "{path}");
        }
        let whole = root.join("src/a.rs").display().to_string();
        assert_eq!(within(&whole, Path::new("/"), &roots).as_deref(), Some("src/a.rs"));
    }
}
