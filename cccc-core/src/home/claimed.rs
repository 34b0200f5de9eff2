//! A directory whose group the registry does not name, because the registry was lost or an old copy of it was put
//! back: which directories belong to a group is also on the group's ledger.

use std::path::{Path, PathBuf};

use super::{Home, Scope};
use crate::blocking::block_on;
use crate::error::{Error, ErrorKind, Result};
use crate::id::GroupId;

/// A group that is to be put into the registry again.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) id: GroupId,
    /// The directory for which it was looked, or the nearest above that is its.
    pub(super) path: PathBuf,
    /// All directories that are its.
    pub(super) scopes: Vec<PathBuf>,
}

impl Home {
    /// The group to which a directory belongs, or the nearest above that belongs to one, by the ledgers of those
    /// groups of which the registry names no directory. Reads all of them. Blocks.
    ///
    /// # Errors
    /// `Conflict` if several claim the directory. If none does and some cannot be read, it may be one of these: what
    /// is wrong with the first.
    pub(super) fn claimed(&self, scope: &Scope) -> Result<Option<Claim>> {
        let registry = self.registry()?;
        let (mut claims, mut unreadable) = (Vec::new(), None);
        for id in self.group_ids()? {
            if !registry.scopes_of(&id).is_empty() {
                continue;
            }
            match block_on(self.scopes_on_ledger(&id)) {
                Ok(scopes) if scopes.is_empty() => {}
                Ok(scopes) => claims.push((id, scopes)),
                // What is left of a group that was half made, or one that was deleted just now.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => unreadable = unreadable.or(Some((id, error))),
            }
        }
        let is_claimed = |path: &PathBuf| claims.iter().any(|(_, scopes)| scopes.contains(path));
        let Some(path) = scope.ancestors().find(is_claimed) else {
            return unreadable.map_or(Ok(None), |(id, error)| Err(may_be_its(&id, scope.path(), &error)));
        };
        claims.retain(|(_, scopes)| scopes.contains(&path));
        match claims.as_slice() {
            [(id, scopes)] => Ok(Some(Claim { id: id.clone(), path, scopes: scopes.clone() })),
            several => Err(claimed_by_several(&path, several.iter().map(|(id, _)| id))),
        }
    }

    /// The directories that belong to a group by its ledger, as far as they are here.
    async fn scopes_on_ledger(&self, id: &GroupId) -> Result<Vec<PathBuf>> {
        let scopes = self.group(id).await?.scopes().await?;
        let here = scopes.into_iter().filter_map(|(key, path)| {
            let scope = Scope::of(Path::new(&path)).ok()?;
            (scope.key() == key).then(|| scope.path().to_owned())
        });
        Ok(here.collect())
    }
}

fn may_be_its(id: &GroupId, dir: &Path, error: &Error) -> Error {
    let text = format!(
        "no group is known to be that of {}, and it may be group {id}, which cannot be read: {}",
        dir.display(),
        error.message_text()
    );
    let hint = error.hint_text().unwrap_or("see `cccc doctor`");
    // Nobody knows yet that this directory is the group's, so each command has to name it.
    let hint = hint.replace(" ledger ", &format!(" --group {id} ledger "));
    Error::new(error.kind(), text).hint(format!(
        "{hint}; or make another one: `cccc group create --title NAME`, then `cccc --group ID group scope add DIR`"
    ))
}

fn claimed_by_several<'a>(dir: &Path, ids: impl Iterator<Item = &'a GroupId>) -> Error {
    let ids: Vec<&str> = ids.map(GroupId::as_str).collect();
    let first = ids.first().copied().unwrap_or_default();
    Error::conflict(format!("{} belongs to several groups: {}", dir.display(), ids.join(", ")))
        .hint(format!("say to which: `cccc --group {first} group scope add {}`", dir.display()))
}
