//! Directories as scopes of groups.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::{self, Links};

/// The largest file of git's that is read: each is a line.
const MAX_GIT_BYTES: u64 = 64 << 10;

/// A directory that exists, in its one spelling; for a git worktree, its main repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    path: PathBuf,
}

impl Scope {
    /// The scope that a directory is in itself.
    ///
    /// # Errors
    /// `NotFound`, or `Invalid` for something that is no directory.
    pub fn of(dir: &Path) -> Result<Self> {
        let path = fs::canonicalize(dir).map_err(|e| Error::io("find", dir, e))?;
        if !path.is_dir() {
            return Err(Error::invalid(format!("{} is not a directory", path.display())));
        }
        Ok(Self { path: main_repository(&path).unwrap_or(path) })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory as text, for the ledger.
    pub(super) fn path_text(&self) -> Result<String> {
        let text = self.path.to_str().map(ToOwned::to_owned);
        text.ok_or_else(|| Error::invalid(format!("{} is not UTF-8", self.path.display())))
    }

    /// Its short stable key.
    #[must_use]
    pub fn key(&self) -> String {
        Self::key_of(&self.path)
    }

    /// The key of a directory: the beginning of the BLAKE3 hash of its path.
    #[must_use]
    pub fn key_of(path: &Path) -> String {
        let hex = blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex();
        hex.get(..12).unwrap_or_default().into()
    }

    /// What to call a group made for it.
    #[must_use]
    pub fn title(&self) -> String {
        self.path.file_name().map_or_else(|| "/".into(), |name| name.to_string_lossy().into_owned())
    }

    /// The directory and those above it, nearest first, each worktree followed by its main repository.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = PathBuf> {
        self.path.ancestors().flat_map(|dir| [Some(dir.to_owned()), main_repository(dir)]).flatten()
    }
}

/// A small file of git's, if it is one.
fn text(path: &Path) -> Option<String> {
    String::from_utf8(files::read(path, Links::Followed, MAX_GIT_BYTES).ok()?).ok()
}

/// The main repository of a linked git worktree: its `.git` is a file that names
/// `<main>/.git/worktrees/<name>`, in which `commondir` leads to `<main>/.git`.
fn main_repository(dir: &Path) -> Option<PathBuf> {
    let pointer = text(&dir.join(".git"))?;
    let git_dir = dir.join(pointer.trim().strip_prefix("gitdir:")?.trim());
    let common = text(&git_dir.join("commondir"))?;
    let common = fs::canonicalize(git_dir.join(common.trim())).ok()?;
    (common.file_name()? == ".git").then(|| common.parent().map(Path::to_owned))?
}

/// The git branch that a directory is on: of the repository or linked worktree at or above it.
pub(crate) fn git_branch(dir: &Path) -> Option<String> {
    let dir = fs::canonicalize(dir).ok()?;
    let git_dir = dir.ancestors().find_map(|dir| {
        let git = dir.join(".git");
        match text(&git) {
            Some(text) => Some(dir.join(text.trim().strip_prefix("gitdir:")?.trim())),
            None => git.is_dir().then_some(git),
        }
    })?;
    let head = text(&git_dir.join("HEAD"))?;
    head.trim().strip_prefix("ref: refs/heads/").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worktree_belongs_to_its_main_repository() {
        let dir = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(dir.path()).unwrap();
        let (main, tree) = (base.join("main"), base.join("tree"));
        fs::create_dir_all(main.join(".git/worktrees/tree")).unwrap();
        fs::create_dir_all(tree.join("src")).unwrap();
        fs::write(main.join(".git/worktrees/tree/commondir"), "../..\n").unwrap();
        fs::write(tree.join(".git"), "gitdir: ../main/.git/worktrees/tree\n").unwrap();
        assert_eq!(Scope::of(&tree).unwrap().path(), main);
        assert!(Scope::of(&tree.join("src")).unwrap().ancestors().any(|path| path == main));
        assert_eq!(Scope::of(&main).unwrap().path(), main);
        fs::write(main.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(main.join(".git/worktrees/tree/HEAD"), "ref: refs/heads/feature/x\n").unwrap();
        assert_eq!(git_branch(&main).as_deref(), Some("main"));
        assert_eq!(git_branch(&tree.join("src")).as_deref(), Some("feature/x"));
        assert_eq!(git_branch(&base), None);
    }

    #[test]
    fn what_is_no_directory_is_no_scope() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(Scope::of(&file).unwrap_err().kind(), crate::ErrorKind::Invalid);
        assert_eq!(Scope::of(&dir.path().join("none")).unwrap_err().kind(), crate::ErrorKind::NotFound);
    }
}
