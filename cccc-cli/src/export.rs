//! Where an export goes: to a new file, which is there whole or not at all, or to standard output. A failure names it.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use cccc_core::Result;

use crate::input::is_standard;
use crate::new_file::{self, NewFile};
use crate::output::Failure;
use crate::progress::Progress;

/// Has an export written to a file, or to standard output if there is none or it is `-`. What `write` buffers, it
/// flushes.
pub(crate) async fn export<T>(
    file: Option<&Path>,
    write: impl AsyncFnOnce(BufWriter<Outlet>) -> Result<T>,
) -> std::result::Result<T, Failure> {
    let refusal = Refusal::default();
    let outlet = |to| BufWriter::new(Outlet { to, refusal: refusal.clone() });
    let Some(file) = file.filter(|file| !is_standard(file)) else {
        let written = write(outlet(Box::new(io::stdout()))).await;
        return written.map_err(|error| refusal.take().map_or_else(|| error.into(), Failure::from));
    };
    let target = NewFile::create(file)?;
    let progress = Progress::start("exporting");
    let written = write(outlet(Box::new(target.writer()?))).await;
    let exported = written.map_err(|error| match refusal.take() {
        Some(why) => new_file::refused("write", file, why),
        None => error,
    })?;
    target.finish()?;
    drop(progress);
    Ok(exported)
}

/// Takes what is exported, and keeps why it could not be written: what was written knows nothing of where it goes.
pub(crate) struct Outlet {
    to: Box<dyn Write + Send>,
    refusal: Refusal,
}

#[derive(Clone, Default)]
struct Refusal(Arc<Mutex<Option<io::Error>>>);

impl Refusal {
    fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let same = io::Error::from(error.kind());
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            same
        })
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes);
        self.refusal.keep(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.to.flush();
        self.refusal.keep(flushed)
    }
}
