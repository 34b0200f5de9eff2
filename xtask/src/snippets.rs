//! The commands in README.md and docs/ are run, and must print what is written there; the library example is
//! the same in all its places.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::document::{Block, Shown, blocks};
use crate::steps::{Scratch, cargo, clean, files, finish, target};
use crate::{Failure, compare, print};

/// Runs every document's commands, each document in an empty home of its own.
pub(crate) fn check(root: &Path) -> Result<(), Failure> {
    same_example(root)?;
    cargo(root, &["build", "--package", "cccc-cli"], &[])?;
    let mut documents = files(&root.join("docs"), "md")?;
    documents.insert(0, root.join("README.md"));
    for path in documents {
        let text = read(&path)?;
        let consoles = blocks(&text).into_iter().filter(|block| block.info == "console");
        let commands: Vec<Shown> = consoles.flat_map(|block| block.commands()).collect();
        if !commands.is_empty() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            run(root, &name, &commands)?;
            print(&format!("   {name}: {} commands do what they say\n", commands.len()));
        }
    }
    Ok(())
}

/// Runs commands one after the other in one shell, so that `cd` and variables last, and compares.
fn run(root: &Path, name: &str, commands: &[Shown]) -> Result<(), Failure> {
    let place = Scratch::new(name)?;
    let (script, printed) = (place.path().join("script"), place.path().join("printed"));
    let home = place.path().join("home");
    std::fs::create_dir(&home).map_err(|e| format!("cannot make {}: {e}", home.display()))?;
    // A line that no command prints divides the outputs and carries the exit codes.
    let divider = format!("{name} {}", std::process::id());
    let mut text = String::from("exec 2>&1\n");
    for shown in commands {
        text.push_str(&format!("{}\nprintf '\\n%s %s\\n' '{divider}' $?\n", shown.command));
    }
    std::fs::write(&script, text).map_err(|e| format!("cannot write {}: {e}", script.display()))?;
    let output = File::create(&printed).map_err(|e| format!("cannot write {}: {e}", printed.display()))?;
    let child = clean(Command::new("sh").arg(&script), &home, &[&target(root).join("debug")])
        .current_dir(&home)
        .stdin(Stdio::null())
        .stdout(output)
        .spawn()
        .map_err(|e| format!("cannot run sh: {e}"))?;
    finish(child, name)?;
    let printed = read(&printed)?;
    let mut rest = printed.as_str();
    for shown in commands {
        let place = format!("{name}:{}: $ {}", shown.line, shown.command);
        let ended = rest.split_once(&format!("\n{divider} "));
        let (output, after) = ended.ok_or_else(|| format!("{place}\nthe shell ended here:\n{rest}"))?;
        let (code, after) = after.split_once('\n').unwrap_or((after, ""));
        rest = after;
        // A command that is shown to be refused shows the refusal.
        let refused = shown.output.iter().any(|line| line.contains("error"));
        if (code != "0") != refused {
            return Err(format!("{place}\nexit code {code}:\n{output}"));
        }
        if let Some((expected, came)) = compare::difference(&shown.output, output, &home.to_string_lossy()) {
            return Err(format!("{place}\nexpected: {expected}\nprinted:  {came}\n\nin full:\n{output}"));
        }
    }
    Ok(())
}

/// The README's first Rust block, the first example of `cccc-core/src/lib.rs` and `examples/quickstart.rs`
/// say the same, line by line. The latter two are run, so the first is true as well.
fn same_example(root: &Path) -> Result<(), Failure> {
    let readme = first_rust(&read(&root.join("README.md"))?)?;
    let library = read(&root.join("cccc-core/src/lib.rs"))?;
    let docs: Vec<&str> = library.lines().filter_map(|line| line.strip_prefix("//!")).collect();
    let docs: Vec<&str> = docs.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let library = first_rust(&docs.join("\n"))?;
    if readme != library {
        return Err(first_difference("README.md", &readme, "cccc-core/src/lib.rs", &library));
    }
    let program = read(&root.join("examples/quickstart.rs"))?;
    let mut lines = program.lines().map(str::trim);
    match readme.iter().find(|wanted| !lines.any(|line| line == wanted.trim())) {
        Some(line) => Err(format!("examples/quickstart.rs lacks, or has elsewhere: {line}")),
        None => Ok(()),
    }
}

/// The visible lines of the first Rust block.
fn first_rust(text: &str) -> Result<Vec<String>, Failure> {
    let is_rust = |block: &Block| block.info == "rust" || block.info.is_empty();
    let block = blocks(text).into_iter().find(is_rust).ok_or("there is no Rust example")?;
    let hidden = |line: &String| line == "#" || line.starts_with("# ");
    Ok(block.content.into_iter().filter(|line| !hidden(line)).collect())
}

fn first_difference(name: &str, one: &[String], other_name: &str, other: &[String]) -> Failure {
    let at = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(|| "(its end)".into());
    format!("the library example differs\n{name}: {}\n{other_name}: {}", line(one), line(other))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}
