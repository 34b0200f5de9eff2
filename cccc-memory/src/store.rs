//! The database: where it lies, how it is made and opened, and what its failures mean.
//!
//! One file per group, `memory.db`, beside the group's ledger and gone with it. It has a rollback journal rather
//! than a write-ahead log: there are few writes, and so what is there between two of them is one file, which can
//! be copied, without memory shared between processes. A process that is killed in a write leaves its journal,
//! and whoever comes next undoes with it what was not whole.
//!
//! Nothing of this crate opens that file but SQLite: its locks belong to the process, and closing any other
//! handle of the file would drop them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cccc_core::{Error, ErrorKind, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

/// Name of the file in the group's directory.
pub const FILE: &str = "memory.db";

/// What makes a SQLite file ours: `CCCM`.
const APPLICATION_ID: i64 = 0x4343_434d;

/// How long a call waits for other processes.
const PATIENCE: Duration = Duration::from_secs(10);

/// What makes version `i + 1` of the database out of version `i`.
const MIGRATIONS: [&str; 1] = [include_str!("schema.sql")];

/// The full-text index, without its content: what [`rebuild`](crate::Memory::rebuild) makes anew.
pub(crate) const INDEX: &str = "CREATE VIRTUAL TABLE note_index USING fts5(
    text, tags, tokenize = \"unicode61 remove_diacritics 2\")";

/// The version of the database that this version writes.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

/// An open database.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    connection: Connection,
}

impl Store {
    /// Opens the database of a group's directory; `None` if there is none yet.
    ///
    /// # Errors
    /// `Corrupt` if it is damaged or something else, `Unsupported` if a newer version wrote it, `Unavailable` if
    /// it cannot be read now.
    pub(crate) fn open(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(FILE);
        match path.try_exists() {
            Ok(true) => Self::open_file(path).map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(Error::io("look at", &path, error)),
        }
    }

    /// Opens the database of a group's directory, made if there is none.
    pub(crate) fn open_or_make(directory: &Path) -> Result<Self> {
        if let Some(store) = Self::open(directory)? {
            return Ok(store);
        }
        let path = directory.join(FILE);
        // Whole before it has its name, so that an empty file is never taken for a new database. The file is
        // made for its owner alone.
        let temporary = tempfile::Builder::new()
            .prefix(".memory-")
            .tempfile_in(directory)
            .map_err(|error| Error::io("make a file in", directory, error))?
            .into_temp_path();
        let mut new = Self::connect(temporary.to_path_buf())?;
        new.migrate(0)?;
        drop(new);
        match temporary.persist_noclobber(&path) {
            Ok(()) => sync(directory)?,
            // Another process was faster.
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("make", &path, error.error)),
        }
        Self::open_file(path)
    }

    fn open_file(path: PathBuf) -> Result<Self> {
        let mut store = Self::connect(path)?;
        let (application, version) = (store.number("application_id")?, store.number("user_version")?);
        if application != APPLICATION_ID || version < 1 {
            return Err(damaged(&store.path, "it is no memory of a group"));
        }
        if version > VERSION {
            return Err(Error::unsupported(format!(
                "{} is of version {version}, and this program knows {VERSION}",
                store.path.display()
            ))
            .hint("upgrade cccc, then try again"));
        }
        if version < VERSION {
            store.migrate(version)?;
        }
        Ok(store)
    }

    fn connect(path: PathBuf) -> Result<Self> {
        check_files(&path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let prepared = Connection::open_with_flags(&path, flags).and_then(|connection| {
            connection.busy_timeout(PATIENCE)?;
            // Whatever a file says, it makes nothing run that is not asked for here.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
            connection.pragma_update(None, "cell_size_check", true)?;
            // What is deleted is overwritten, and what is committed survives a loss of power.
            connection.pragma_update(None, "secure_delete", true)?;
            connection.pragma_update(None, "synchronous", "EXTRA")?;
            Ok(connection)
        });
        match prepared {
            Ok(connection) => Ok(Self { path, connection }),
            Err(error) => Err(failed(&path, error)),
        }
    }

    /// Brings the database from a version to this one, in one step.
    fn migrate(&mut self, from: i64) -> Result<()> {
        let first = usize::try_from(from).unwrap_or(usize::MAX);
        let is_new = from == 0;
        self.write(|transaction| {
            let now: i64 = transaction.query_row("PRAGMA user_version", (), |row| row.get(0))?;
            // Another process may have done it meanwhile.
            if now != from {
                return Ok(());
            }
            for step in MIGRATIONS.iter().skip(first) {
                transaction.execute_batch(step)?;
            }
            if is_new {
                transaction.execute_batch(INDEX)?;
                transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            }
            transaction.pragma_update(None, "user_version", VERSION)?;
            Ok(())
        })
    }

    fn number(&self, pragma: &str) -> Result<i64> {
        self.read(|connection| Ok(connection.query_row(&format!("PRAGMA {pragma}"), (), |row| row.get(0))?))
    }

    /// Looks, at one state of the database.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Connection) -> Done<T>) -> Result<T> {
        let looked = self.connection.unchecked_transaction().map_err(Trouble::from).and_then(|transaction| {
            let seen = look(&transaction)?;
            transaction.commit()?;
            Ok(seen)
        });
        looked.map_err(|trouble| self.told(trouble))
    }

    /// Changes all of it or nothing.
    pub(crate) fn write<T>(&mut self, change: impl FnOnce(&Transaction<'_>) -> Done<T>) -> Result<T> {
        // Begun as a writer, since one that becomes it later cannot wait for another.
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let changed = begun.map_err(Trouble::from).and_then(|transaction| {
            let done = change(&transaction)?;
            transaction.commit()?;
            Ok(done)
        });
        changed.map_err(|trouble| self.told(trouble))
    }

    /// Does what is no transaction.
    pub(crate) fn run(&self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(|error| failed(&self.path, error))
    }

    fn told(&self, trouble: Trouble) -> Error {
        match trouble {
            Trouble::Said(error) => error,
            Trouble::Database(error) => failed(&self.path, error),
        }
    }
}

/// What a step within a transaction comes to.
pub(crate) type Done<T> = std::result::Result<T, Trouble>;

/// Why a transaction was given up.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Something about what was asked.
    Said(Error),
    /// Something about the database.
    Database(rusqlite::Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Said(error)
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// A database that is not what was written.
/// Refuses what is no file where the database or a file of its own belongs, before anything tries to use it as one.
fn check_files(path: &Path) -> Result<()> {
    for suffix in ["", "-journal", "-wal", "-shm"] {
        let mut at = path.as_os_str().to_owned();
        at.push(suffix);
        let at = PathBuf::from(at);
        match std::fs::metadata(&at) {
            Ok(found) if !found.is_file() => {
                let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is not a file");
                return Err(Error::io("open", &at, error).hint("move it away, then repeat"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn damaged(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{} is damaged: {why}", path.display())).hint(format!(
        "`cccc memory verify` says more, and `cccc memory rebuild` mends the search index; else move {FILE} and \
         {FILE}-journal out of the way together, and `cccc memory import` an export"
    ))
}

/// What a failure of the database means for whoever asked.
fn failed(path: &Path, error: rusqlite::Error) -> Error {
    let place = path.display();
    let unavailable = |what: &str| Error::unavailable(format!("cannot use {place}: {what}"));
    let told = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            unavailable(&format!("other processes have kept it busy for {} s", PATIENCE.as_secs()))
                .hint("try again; `cccc memory stats` tells whether it is usable")
                .retry_after(Duration::from_secs(1))
        }
        Some(ErrorCode::DiskFull) => {
            unavailable("the disk is full").hint("free space on that disk, then repeat")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            unavailable(&error.to_string()).hint("check the owner and the permissions of that file")
        }
        Some(ErrorCode::SystemIoFailure | ErrorCode::FileLockingProtocolFailed | ErrorCode::OutOfMemory) => {
            unavailable(&error.to_string()).hint("check the disk, then repeat")
        }
        // Whatever else goes wrong, the statements are ours and known to be right for what we wrote.
        _ => damaged(path, &error),
    };
    told.source(error)
}

/// Makes the name of a new file durable.
fn sync(directory: &Path) -> Result<()> {
    #[cfg(unix)]
    std::fs::File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| Error::io("sync", directory, error))?;
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}
