//! What a machine's disk holds: what programs see, and what would be left if the power went now.
//!
//! It knows no processes, locks or time. Names and contents are each durable by their own sync only.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};

use crate::testing::Random;

/// What the medium writes in one piece.
const SECTOR_BYTES: usize = 512;
/// Beyond so many unsynced operations on a file the oldest reach the medium by themselves.
const MAX_PENDING: usize = 512;

/// Number of a file or directory, never used again.
pub(super) type Inode = usize;

/// All files and directories.
#[derive(Debug)]
pub(super) struct Storage {
    nodes: Vec<Node>,
}

#[derive(Debug)]
enum Node {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Debug, Default)]
struct FileNode {
    /// What programs read.
    cached: Vec<u8>,
    /// What is certainly on the medium.
    stored: Vec<u8>,
    /// What may or may not be there too. Bytes lost by a failed sync are in `cached` alone.
    pending: Vec<FileOp>,
    /// How many operations came before `pending`.
    settled: u64,
    /// How many syncs failed.
    failures: u64,
}

#[derive(Clone, Debug)]
enum FileOp {
    Write { offset: usize, bytes: Vec<u8> },
    Resize(usize),
}

#[derive(Debug, Default)]
struct DirNode {
    cached: BTreeMap<String, Inode>,
    stored: BTreeMap<String, Inode>,
    pending: Vec<DirOp>,
}

#[derive(Clone, Debug)]
enum DirOp {
    Link(String, Inode),
    Unlink(String),
    Rename(String, String, Inode),
}

impl FileOp {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
            Self::Resize(len) => content.resize(*len, 0),
        }
    }
}

impl DirOp {
    fn apply(&self, names: &mut BTreeMap<String, Inode>) {
        match self {
            Self::Link(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
            Self::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }
}

impl Storage {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::Dir(DirNode::default())] }
    }

    fn file(&self, inode: Inode) -> &FileNode {
        match &self.nodes[inode] {
            Node::File(file) => file,
            Node::Dir(_) => unreachable!("handles lead to files only"),
        }
    }

    fn file_mut(&mut self, inode: Inode) -> &mut FileNode {
        match &mut self.nodes[inode] {
            Node::File(file) => file,
            Node::Dir(_) => unreachable!("handles lead to files only"),
        }
    }

    fn dir(&self, inode: Inode) -> io::Result<&DirNode> {
        match &self.nodes[inode] {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn dir_mut(&mut self, inode: Inode) -> io::Result<&mut DirNode> {
        match &mut self.nodes[inode] {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn add(&mut self, node: Node) -> Inode {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn change_dir(&mut self, dir: Inode, op: DirOp) -> io::Result<()> {
        let dir = self.dir_mut(dir)?;
        op.apply(&mut dir.cached);
        dir.pending.push(op);
        Ok(())
    }

    /// Where a path leads to.
    pub(super) fn find(&self, path: &Path) -> io::Result<Inode> {
        names(path)?.iter().try_fold(0, |inode, name| {
            self.dir(inode)?.cached.get(*name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
        })
    }

    /// As [`find`](Self::find), for what must be a file.
    pub(super) fn find_file(&self, path: &Path) -> io::Result<Inode> {
        let inode = self.find(path)?;
        match self.nodes[inode] {
            Node::File(_) => Ok(inode),
            Node::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn parent<'p>(&self, path: &'p Path) -> io::Result<(Inode, &'p str)> {
        let names = names(path)?;
        let (name, dirs) = names.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        let dir = dirs.iter().try_fold(0, |inode, name| {
            self.dir(inode)?.cached.get(*name).copied().ok_or(io::Error::from(io::ErrorKind::NotFound))
        })?;
        self.dir(dir)?;
        Ok((dir, name))
    }

    /// Makes an empty file whose name is not taken.
    pub(super) fn create_file(&mut self, path: &Path) -> io::Result<Inode> {
        let (dir, name) = self.parent(path)?;
        let inode = self.add(Node::File(FileNode::default()));
        self.change_dir(dir, DirOp::Link(name.into(), inode))?;
        Ok(inode)
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        let mut inode = 0;
        for name in names(path)? {
            inode = match self.dir(inode)?.cached.get(name) {
                Some(inode) => *inode,
                None => {
                    let made = self.add(Node::Dir(DirNode::default()));
                    self.change_dir(inode, DirOp::Link(name.into(), made))?;
                    made
                }
            };
        }
        self.dir(inode).map(|_| ())
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        Ok(self.dir(self.find(path)?)?.cached.keys().cloned().collect())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.find_file(path)?;
        let (dir, name) = self.parent(path)?;
        self.change_dir(dir, DirOp::Unlink(name.into()))
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.find_file(from)?;
        let ((from_dir, from), (to_dir, to)) = (self.parent(from)?, self.parent(to)?);
        if from_dir == to_dir {
            return self.change_dir(from_dir, DirOp::Rename(from.into(), to.into(), inode));
        }
        self.change_dir(to_dir, DirOp::Link(to.into(), inode))?;
        self.change_dir(from_dir, DirOp::Unlink(from.into()))
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.find(path)?;
        let dir = self.dir_mut(inode)?;
        dir.stored = dir.cached.clone();
        dir.pending.clear();
        Ok(())
    }

    /// Whether a name leads to it.
    pub(super) fn is_linked(&self, inode: Inode) -> bool {
        self.nodes
            .iter()
            .any(|node| matches!(node, Node::Dir(dir) if dir.cached.values().any(|one| *one == inode)))
    }

    pub(super) fn len(&self, inode: Inode) -> usize {
        self.file(inode).cached.len()
    }

    pub(super) fn read(&self, inode: Inode, buffer: &mut [u8], offset: u64) -> usize {
        let content = &self.file(inode).cached;
        let start = usize::try_from(offset).map_or(content.len(), |start| start.min(content.len()));
        let found = &content[start..content.len().min(start.saturating_add(buffer.len()))];
        buffer[..found.len()].copy_from_slice(found);
        found.len()
    }

    pub(super) fn write(&mut self, inode: Inode, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.change_file(inode, FileOp::Write { offset, bytes: bytes.to_vec() });
        Ok(())
    }

    pub(super) fn resize(&mut self, inode: Inode, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.change_file(inode, FileOp::Resize(len));
        Ok(())
    }

    fn change_file(&mut self, inode: Inode, op: FileOp) {
        let file = self.file_mut(inode);
        op.apply(&mut file.cached);
        file.pending.push(op);
        if file.pending.len() > MAX_PENDING {
            let covered = file.settled + MAX_PENDING as u64 / 2;
            for op in file.take_pending(covered) {
                op.apply(&mut file.stored);
            }
        }
    }

    /// How many operations on the file there were so far: a sync that begins now covers those.
    pub(super) fn operations(&self, inode: Inode) -> u64 {
        let file = self.file(inode);
        file.settled + file.pending.len() as u64
    }

    /// Ends a sync that began after `covered` operations.
    pub(super) fn sync(&mut self, inode: Inode, covered: u64) {
        let file = self.file_mut(inode);
        for op in file.take_pending(covered) {
            op.apply(&mut file.stored);
        }
    }

    /// A sync fails: what it covered stays readable, but nobody will write it any more, except for what
    /// by chance had reached the medium. A change of length by itself is not lost: file systems keep that
    /// in their journal. If `evict`, the cache forgets what was lost too, sooner or later.
    pub(super) fn fail_sync(&mut self, inode: Inode, covered: u64, evict: bool, random: &mut Random) {
        let file = self.file_mut(inode);
        file.failures += 1;
        let mut kept = Vec::new();
        for op in file.take_pending(covered) {
            match op {
                FileOp::Resize(_) => kept.push(op),
                FileOp::Write { .. } if random.chance(200_000) => op.apply(&mut file.stored),
                FileOp::Write { .. } => {}
            }
        }
        file.settled -= kept.len() as u64;
        file.pending.splice(..0, kept);
        if evict {
            let mut seen = file.stored.clone();
            file.pending.iter().for_each(|op| op.apply(&mut seen));
            // The length is in the inode, which stays in memory.
            seen.resize(file.cached.len(), 0);
            file.cached = seen;
        }
    }

    /// How many syncs of a file failed so far.
    pub(super) fn failures(&self, inode: Inode) -> u64 {
        self.file(inode).failures
    }

    /// The power goes: of what was not synced, each file and each directory keeps what chance decides.
    pub(super) fn power_cut(&mut self, random: &mut Random) {
        for node in &mut self.nodes {
            match node {
                Node::File(file) => file.settle(random),
                Node::Dir(dir) => dir.settle(random),
            }
        }
    }
}

impl FileNode {
    /// Those of the first `covered` operations that no other sync has settled.
    fn take_pending(&mut self, covered: u64) -> Vec<FileOp> {
        let count = usize::try_from(covered.saturating_sub(self.settled)).unwrap_or(usize::MAX);
        let count = count.min(self.pending.len());
        self.settled += count as u64;
        self.pending.drain(..count).collect()
    }

    fn settle(&mut self, random: &mut Random) {
        let ops = self.take_pending(u64::MAX);
        if !ops.is_empty() {
            match random.below(5) {
                0 => {}
                1 => ops.iter().for_each(|op| op.apply(&mut self.stored)),
                2 => self.keep_prefix(&ops, random),
                _ => self.keep_sectors(&ops, random),
            }
        }
        self.cached = self.stored.clone();
    }

    /// Operations reached the medium in order; the last one up to any byte.
    fn keep_prefix(&mut self, ops: &[FileOp], random: &mut Random) {
        let kept = random.index(ops.len());
        ops[..kept].iter().for_each(|op| op.apply(&mut self.stored));
        match &ops[kept] {
            FileOp::Write { offset, bytes } => {
                let bytes = bytes[..random.index(bytes.len() + 1)].to_vec();
                FileOp::Write { offset: *offset, bytes }.apply(&mut self.stored);
            }
            FileOp::Resize(_) => {}
        }
    }

    /// Each sector is of any version that it ever had since the last sync, and so is the length. Where
    /// no version reached the medium there are zeros.
    fn keep_sectors(&mut self, ops: &[FileOp], random: &mut Random) {
        let mut version = std::mem::take(&mut self.stored);
        let mut longest = version.len();
        for op in ops {
            match op {
                FileOp::Write { offset, bytes } => longest = longest.max(offset + bytes.len()),
                FileOp::Resize(len) => longest = longest.max(*len),
            }
        }
        let pick = |random: &mut Random| match random.below(3) {
            0 => 0,
            1 => ops.len(),
            _ => random.index(ops.len() + 1),
        };
        let chosen: Vec<usize> = (0..longest.div_ceil(SECTOR_BYTES)).map(|_| pick(random)).collect();
        let chosen_len = pick(random);
        let mut result = vec![0; longest];
        let mut len = 0;
        for i in 0..=ops.len() {
            if chosen_len == i {
                len = version.len();
            }
            for (sector, _) in chosen.iter().enumerate().filter(|(_, version)| **version == i) {
                let start = (sector * SECTOR_BYTES).min(version.len());
                let end = (start + SECTOR_BYTES).min(version.len());
                result[start..end].copy_from_slice(&version[start..end]);
            }
            if let Some(op) = ops.get(i) {
                op.apply(&mut version);
            }
        }
        result.truncate(len);
        self.stored = result;
    }
}

impl DirNode {
    fn settle(&mut self, random: &mut Random) {
        let ops = std::mem::take(&mut self.pending);
        match random.below(4) {
            0 => {}
            1 => ops.iter().for_each(|op| op.apply(&mut self.stored)),
            2 => ops[..random.index(ops.len() + 1)].iter().for_each(|op| op.apply(&mut self.stored)),
            _ => ops.iter().filter(|_| random.chance(500_000)).for_each(|op| op.apply(&mut self.stored)),
        }
        self.cached = self.stored.clone();
    }
}

/// The names on an absolute path.
fn names(path: &Path) -> io::Result<Vec<&str>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_str().ok_or(io::ErrorKind::InvalidFilename)?),
            Component::RootDir => {}
            Component::CurDir | Component::ParentDir | Component::Prefix(_) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(storage: &Storage, path: &str) -> Option<Vec<u8>> {
        let inode = storage.find_file(Path::new(path)).ok()?;
        let mut bytes = vec![0; storage.len(inode)];
        storage.read(inode, &mut bytes, 0);
        Some(bytes)
    }

    /// What is left of `make` after a power cut, for many seeds.
    fn outcomes(make: impl Fn(&mut Storage)) -> std::collections::BTreeSet<Option<Vec<u8>>> {
        let cut = |seed| {
            let mut storage = Storage::new();
            make(&mut storage);
            storage.power_cut(&mut Random::new(seed));
            content(&storage, "/f")
        };
        (0..2000).map(cut).collect()
    }

    #[test]
    fn what_was_synced_with_its_name_survives() {
        let left = outcomes(|storage| {
            let inode = storage.create_file(Path::new("/f")).unwrap();
            storage.write(inode, b"abc", 0).unwrap();
            storage.sync(inode, storage.operations(inode));
            storage.sync_dir(Path::new("/")).unwrap();
        });
        assert_eq!(left.into_iter().collect::<Vec<_>>(), [Some(b"abc".to_vec())]);
    }

    #[test]
    fn names_and_bytes_are_lost_or_kept_or_torn() {
        let left = outcomes(|storage| {
            let inode = storage.create_file(Path::new("/f")).unwrap();
            storage.write(inode, b"abc", 0).unwrap();
        });
        for expected in [None, Some(b"".to_vec()), Some(b"ab".to_vec()), Some(b"abc".to_vec())] {
            assert!(left.contains(&expected), "{expected:?}");
        }
    }

    #[test]
    fn an_overwritten_page_may_be_any_version_or_a_mix_by_sector() {
        let page = |fill| vec![fill; 2 * SECTOR_BYTES];
        let left = outcomes(|storage| {
            let inode = storage.create_file(Path::new("/f")).unwrap();
            storage.sync_dir(Path::new("/")).unwrap();
            for fill in 1..4 {
                storage.write(inode, &page(fill), 0).unwrap();
            }
        });
        let mix = [vec![2; SECTOR_BYTES], vec![3; SECTOR_BYTES]].concat();
        for expected in [page(1), page(2), page(3), mix] {
            assert!(left.contains(&Some(expected)));
        }
    }

    #[test]
    fn a_sync_covers_only_what_was_written_before_it_began() {
        let left = outcomes(|storage| {
            let inode = storage.create_file(Path::new("/f")).unwrap();
            storage.sync_dir(Path::new("/")).unwrap();
            storage.write(inode, b"a", 0).unwrap();
            let covered = storage.operations(inode);
            storage.write(inode, b"b", 1).unwrap();
            storage.sync(inode, covered);
        });
        assert!(left.contains(&Some(b"a".to_vec())) && left.contains(&Some(b"ab".to_vec())));
        assert!(left.iter().flatten().all(|bytes| bytes.first() == Some(&b'a')));
    }

    #[test]
    fn a_failed_sync_leaves_bytes_that_a_later_sync_does_not_save() {
        let lost = |evict| {
            move |storage: &mut Storage| {
                let inode = storage.create_file(Path::new("/f")).unwrap();
                storage.sync_dir(Path::new("/")).unwrap();
                storage.write(inode, b"a", 0).unwrap();
                storage.fail_sync(inode, 1, evict, &mut Random::new(1));
                storage.write(inode, b"b", 1).unwrap();
                let seen: &[u8] = if evict { b"\0b" } else { b"ab" };
                assert_eq!(content(storage, "/f").unwrap(), seen);
                storage.sync(inode, storage.operations(inode));
            }
        };
        for evict in [false, true] {
            let left: Vec<_> = outcomes(lost(evict)).into_iter().collect();
            assert_eq!(left, [Some(b"\0b".to_vec())]);
        }
    }

    #[test]
    fn a_rename_happens_wholly_or_not_at_all() {
        let left = outcomes(|storage| {
            let root = Path::new("/");
            for (path, byte) in [("/f", b"1"), ("/g", b"2")] {
                let inode = storage.create_file(Path::new(path)).unwrap();
                storage.write(inode, byte, 0).unwrap();
                storage.sync(inode, 1);
            }
            storage.sync_dir(root).unwrap();
            storage.rename(Path::new("/g"), Path::new("/f")).unwrap();
            assert_eq!(storage.list(root).unwrap(), ["f"]);
        });
        assert_eq!(left.into_iter().collect::<Vec<_>>(), [Some(b"1".to_vec()), Some(b"2".to_vec())]);
    }
}
