//! What comes in from the outside besides arguments: text on standard input.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use cccc_core::{Error, Result};

/// One byte more than a message may have: enough to be refused as too long, whatever else would come.
const BOUND_BYTES: u64 = (1 << 20) + 1;

/// Whether a path stands for standard input or output.
pub(crate) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Opens a file that is imported. To open a pipe waits for whoever writes to it, perhaps for ever, so nothing but a file
/// is opened; `piped` is the command that reads anything else.
///
/// # Errors
/// `NotFound`; `Invalid` for what is no file; `Unavailable` if the disk refuses.
pub(crate) fn file_to_import(path: &Path, piped: &str) -> Result<File> {
    let failed = |e| Error::io("open", path, e);
    let kind = std::fs::metadata(path).map_err(failed)?.file_type();
    if kind.is_file() {
        return File::open(path).map_err(failed);
    }
    let what = if kind.is_dir() { "a directory" } else { "a pipe, a socket or a device" };
    Err(Error::invalid(format!("{} is {what}, not a file", path.display()))
        .hint(format!("`{piped}` reads what is piped into it")))
}

/// The text of a message: as given, or standard input for `-`, without its last newline.
///
/// # Errors
/// `Invalid` if standard input is no text; `Unavailable` if it cannot be read.
pub(crate) fn text(argument: String) -> Result<String> {
    if argument != "-" {
        return Ok(argument);
    }
    let mut bytes = Vec::new();
    // Two bytes more for the newline that is taken off again.
    std::io::stdin()
        .lock()
        .take(BOUND_BYTES + 2)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::unavailable(format!("cannot read standard input: {e}")))?;
    let cut = u64::try_from(bytes.len()).is_ok_and(|len| len >= BOUND_BYTES + 2);
    let mut text = String::from_utf8(bytes).or_else(|error| {
        // Where the bound cut a character in two, what is before it is text, and is too long anyway.
        let valid = error.utf8_error().valid_up_to();
        let mut bytes = error.into_bytes();
        let within_last_character = bytes.len() - valid < 4;
        bytes.truncate(valid);
        match String::from_utf8(bytes) {
            Ok(text) if cut && within_last_character => Ok(text),
            _ => Err(Error::invalid(format!("standard input is not UTF-8 text (at byte {valid})"))
                .hint("attach it as a file: cccc send TEXT --file PATH")),
        }
    })?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}
