//! A group's directory that is put back as it was, as from a backup.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Puts a copy of a group's directory back in place under whoever has it open: the lines first, then what says how
/// far they go, each written over what is there.
///
/// # Errors
/// Those of the disk.
pub fn restore(from: &Path, to: &Path) -> io::Result<()> {
    for name in ["ledger", "."] {
        let entries = fs::read_dir(from.join(name))?;
        let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
        // `head`, which wakes whoever follows, comes after `tip`.
        files.sort();
        for from in files.into_iter().rev().filter(|path| path.is_file()) {
            let bytes = fs::read(&from)?;
            let to = to.join(name).join(from.file_name().unwrap_or_default());
            let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(to)?;
            file.write_all(&bytes)?;
            file.set_len(bytes.len() as u64)?;
        }
    }
    Ok(())
}

/// Copies a group's directory into a new one, for [`restore`].
///
/// # Errors
/// Those of the disk.
pub fn save(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.join("ledger"))?;
    restore(from, to)
}
