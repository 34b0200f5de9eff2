//! What may stand in the place of a file.

use std::io;
use std::path::Path;
use std::process::Command;

/// Makes a named pipe. By the program of that name, since not every system lets a safe call do it.
///
/// # Errors
/// If there is no such program, or it fails.
pub fn make_pipe(path: &Path) -> io::Result<()> {
    match Command::new("mkfifo").arg(path).status()? {
        status if status.success() => Ok(()),
        status => Err(io::Error::other(format!("mkfifo {}: {status}", path.display()))),
    }
}
