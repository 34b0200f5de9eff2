//! Loaded before the C library (`LD_PRELOAD`), it lets one system call of a program fail.
//!
//! It counts the calls that touch what lies below a directory, and at the one it is told to it kills the
//! program, stops it, does half of a write and kills it, or returns an error instead. It is told by
//! variables, because the program knows nothing of it:
//!
//!     CCCC_FAULT_BELOW   the directory
//!     CCCC_FAULT_AT      the number of the call, from 1 on; none: only count
//!     CCCC_FAULT         kill, stop, half, eio, enospc, or full: no call that needs room succeeds any more
//!     CCCC_FAULT_LOG     a file that gets a line for each call that was counted
//!
//! The test compiles this file by itself. It uses the standard library for atomics and text alone: whatever
//! does input or output there would come back to the functions below.
#![allow(non_camel_case_types, clippy::missing_safety_doc, reason = "the names of the C library")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

type off64_t = i64;
type ssize_t = isize;

const RTLD_NEXT: *mut c_void = -1isize as *mut c_void;
const EIO: c_int = 5;
const ENOSPC: c_int = 28;
const SIGKILL: c_int = 9;
/// The same number on x86-64, ARM64 and RISC-V.
const SIGSTOP: c_int = 19;
const F_DUPFD: c_int = 0;
const F_DUPFD_CLOEXEC: c_int = 1030;
const O_WRONLY: c_int = 1;
const O_CREAT: c_int = 0o100;
const O_APPEND: c_int = 0o2000;
const O_CLOEXEC: c_int = 0o2_000_000;

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
    fn getenv(name: *const c_char) -> *const c_char;
    fn getpid() -> c_int;
    fn kill(pid: c_int, signal: c_int) -> c_int;
    fn pause() -> c_int;
    fn __errno_location() -> *mut c_int;
}

#[repr(C)]
pub struct iovec {
    base: *const c_void,
    len: usize,
}

/// Calls the C library's own function of a name.
macro_rules! real {
    ($name:literal, fn($($kind:ty),*) -> $result:ty, $($argument:expr),*) => {{
        static FOUND: AtomicUsize = AtomicUsize::new(0);
        let mut found = FOUND.load(Ordering::Relaxed);
        if found == 0 {
            found = unsafe { dlsym(RTLD_NEXT, concat!($name, "\0").as_ptr().cast()) } as usize;
            FOUND.store(found, Ordering::Relaxed);
        }
        let real: unsafe extern "C" fn($($kind),*) -> $result = unsafe { std::mem::transmute(found) };
        unsafe { real($($argument),*) }
    }};
}

/// What this process was told.
struct Orders {
    below: &'static [u8],
    at: u64,
    fault: &'static [u8],
    /// The file of the log; negative if there is none.
    log: c_int,
}

static COUNT: AtomicU64 = AtomicU64::new(0);
/// Which descriptors lead below the directory.
static OPEN: [AtomicBool; 4096] = [const { AtomicBool::new(false) }; 4096];

fn variable(name: &CStr) -> &'static [u8] {
    let value = unsafe { getenv(name.as_ptr()) };
    if value.is_null() { b"" } else { unsafe { CStr::from_ptr(value) }.to_bytes() }
}

fn orders() -> &'static Orders {
    static ORDERS: OnceLock<Orders> = OnceLock::new();
    ORDERS.get_or_init(|| {
        let log = variable(c"CCCC_FAULT_LOG");
        let flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
        let log = match log {
            [] => -1,
            path => {
                real!("open64", fn(*const c_char, c_int, c_uint) -> c_int, path.as_ptr().cast(), flags, 0o600)
            }
        };
        Orders {
            below: variable(c"CCCC_FAULT_BELOW"),
            at: std::str::from_utf8(variable(c"CCCC_FAULT_AT"))
                .ok()
                .and_then(|n| n.parse().ok())
                .unwrap_or(0),
            fault: variable(c"CCCC_FAULT"),
            log,
        }
    })
}

/// Whether a path leads below the directory; a relative one does if what it is relative to does.
fn lies_below(directory: c_int, path: *const c_char) -> bool {
    if path.is_null() {
        return false;
    }
    let path = unsafe { CStr::from_ptr(path) }.to_bytes();
    let below = orders().below;
    match path.first() {
        Some(b'/') => {
            !below.is_empty() && path.starts_with(below) && matches!(path.get(below.len()), None | Some(b'/'))
        }
        _ => is_open(directory),
    }
}

fn is_open(fd: c_int) -> bool {
    usize::try_from(fd).ok().and_then(|fd| OPEN.get(fd)).is_some_and(|open| open.load(Ordering::Relaxed))
}

fn opened(fd: c_int, below: bool) -> c_int {
    if let Some(open) = usize::try_from(fd).ok().and_then(|fd| OPEN.get(fd)) {
        open.store(below, Ordering::Relaxed);
    }
    fd
}

fn log(number: u64, call: &str, path: &[u8]) {
    let mut line = [0u8; 320];
    let text = format!("{number} {call} ");
    let parts = [text.as_bytes(), path.get(..path.len().min(250)).unwrap_or_default(), b"\n"];
    let mut len = 0;
    for part in parts {
        line[len..len + part.len()].copy_from_slice(part);
        len += part.len();
    }
    real!("write", fn(c_int, *const c_void, usize) -> ssize_t, orders().log, line.as_ptr().cast(), len);
}

/// Counts a call. If it is the one, this may not return; `Some` is the error that it has to fail with.
///
/// `room`: whether it needs room on the disk. `half` does a part of what the call would do.
fn count(call: &str, path: &[u8], room: bool, half: impl FnOnce()) -> Option<c_int> {
    let orders = orders();
    let number = COUNT.fetch_add(1, Ordering::SeqCst) + 1;
    if orders.log >= 0 {
        log(number, call, path);
    }
    if orders.at == 0 || number < orders.at {
        return None;
    }
    if orders.fault == b"full" {
        return room.then_some(ENOSPC);
    }
    if number > orders.at {
        return None;
    }
    match orders.fault {
        b"kill" => die(),
        b"half" => {
            half();
            die()
        }
        b"stop" => {
            unsafe { kill(getpid(), SIGSTOP) };
            None
        }
        b"eio" => Some(EIO),
        b"enospc" => Some(ENOSPC),
        _ => None,
    }
}

fn die() -> ! {
    unsafe { kill(getpid(), SIGKILL) };
    loop {
        unsafe { pause() };
    }
}

fn path_of(path: *const c_char) -> &'static [u8] {
    unsafe { CStr::from_ptr(path) }.to_bytes()
}

fn fail(error: c_int) -> c_int {
    unsafe { *__errno_location() = error };
    -1
}

/// Names.
macro_rules! of_path {
    ($name:ident, $text:literal, ($directory:expr, $path:ident), $room:expr, ($($argument:ident: $kind:ty),*)) => {
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($argument: $kind),*) -> c_int {
            if lies_below($directory, $path)
                && let Some(error) = count($text, path_of($path), $room, || ())
            {
                return fail(error);
            }
            real!($text, fn($($kind),*) -> c_int, $($argument),*)
        }
    };
}

of_path!(mkdir, "mkdir", (-1, path), true, (path: *const c_char, mode: c_uint));
of_path!(mkdirat, "mkdirat", (directory, path), true, (directory: c_int, path: *const c_char, mode: c_uint));
of_path!(rmdir, "rmdir", (-1, path), false, (path: *const c_char));
of_path!(unlink, "unlink", (-1, path), false, (path: *const c_char));
of_path!(unlinkat, "unlinkat", (directory, path), false, (directory: c_int, path: *const c_char, flags: c_int));
of_path!(rename, "rename", (-1, to), true, (from: *const c_char, to: *const c_char));
of_path!(
    renameat, "renameat", (to_directory, to), true,
    (from_directory: c_int, from: *const c_char, to_directory: c_int, to: *const c_char)
);
of_path!(
    renameat2, "renameat2", (to_directory, to), true,
    (from_directory: c_int, from: *const c_char, to_directory: c_int, to: *const c_char, flags: c_uint)
);
of_path!(
    linkat, "linkat", (to_directory, to), true,
    (from_directory: c_int, from: *const c_char, to_directory: c_int, to: *const c_char, flags: c_int)
);

/// Opening. The mode is a variable argument in C, and is passed like any other on the machines there are.
macro_rules! opening {
    ($name:ident, $text:literal, ($($directory:ident)?)) => {
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($directory: c_int,)? path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
            let below = lies_below(-1 $(.max($directory))?, path);
            if below && let Some(error) = count($text, path_of(path), flags & O_CREAT != 0, || ()) {
                return fail(error);
            }
            let fd = opening!(@real $text, ($($directory)?), path, flags, mode);
            opened(fd, below)
        }
    };
    (@real $text:literal, (), $path:ident, $flags:ident, $mode:ident) => {
        real!($text, fn(*const c_char, c_int, c_uint) -> c_int, $path, $flags, $mode)
    };
    (@real $text:literal, ($directory:ident), $path:ident, $flags:ident, $mode:ident) => {
        real!($text, fn(c_int, *const c_char, c_int, c_uint) -> c_int, $directory, $path, $flags, $mode)
    };
}

opening!(open, "open", ());
opening!(open64, "open64", ());
opening!(openat, "openat", (directory));
opening!(openat64, "openat64", (directory));

#[unsafe(no_mangle)]
pub unsafe extern "C" fn opendir(path: *const c_char) -> *mut c_void {
    if lies_below(-1, path)
        && let Some(error) = count("opendir", path_of(path), false, || ())
    {
        fail(error);
        return std::ptr::null_mut();
    }
    real!("opendir", fn(*const c_char) -> *mut c_void, path)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn close(fd: c_int) -> c_int {
    opened(fd, false);
    real!("close", fn(c_int) -> c_int, fd)
}

/// A second descriptor of the same file. Both names lead to one function of the C library.
macro_rules! duplicating {
    ($name:ident, $text:literal) => {
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(fd: c_int, command: c_int, argument: usize) -> c_int {
            let done = real!($text, fn(c_int, c_int, usize) -> c_int, fd, command, argument);
            if matches!(command, F_DUPFD | F_DUPFD_CLOEXEC) { opened(done, is_open(fd)) } else { done }
        }
    };
}

duplicating!(fcntl, "fcntl");
duplicating!(fcntl64, "fcntl64");

/// What is done with a descriptor.
macro_rules! of_file {
    ($name:ident, $text:literal, $room:expr, (fd $(, $argument:ident: $kind:ty)*)) => {
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(fd: c_int $(, $argument: $kind)*) -> c_int {
            if is_open(fd) && let Some(error) = count($text, b"", $room, || ()) {
                return fail(error);
            }
            real!($text, fn(c_int $(, $kind)*) -> c_int, fd $(, $argument)*)
        }
    };
}

of_file!(fsync, "fsync", true, (fd));
of_file!(fdatasync, "fdatasync", true, (fd));
of_file!(ftruncate64, "ftruncate64", false, (fd, len: off64_t));
of_file!(flock, "flock", false, (fd, operation: c_int));

#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, len: usize) -> ssize_t {
    let half = || {
        real!("write", fn(c_int, *const c_void, usize) -> ssize_t, fd, bytes, len / 2);
    };
    if is_open(fd)
        && let Some(error) = count("write", b"", true, half)
    {
        return fail(error) as ssize_t;
    }
    real!("write", fn(c_int, *const c_void, usize) -> ssize_t, fd, bytes, len)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn writev(fd: c_int, parts: *const iovec, parts_len: c_int) -> ssize_t {
    let half = || {
        real!("writev", fn(c_int, *const iovec, c_int) -> ssize_t, fd, parts, parts_len / 2);
    };
    if is_open(fd)
        && let Some(error) = count("writev", b"", true, half)
    {
        return fail(error) as ssize_t;
    }
    real!("writev", fn(c_int, *const iovec, c_int) -> ssize_t, fd, parts, parts_len)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(fd: c_int, bytes: *const c_void, len: usize, offset: off64_t) -> ssize_t {
    let half = || {
        real!("pwrite64", fn(c_int, *const c_void, usize, off64_t) -> ssize_t, fd, bytes, len / 2, offset);
    };
    if is_open(fd)
        && let Some(error) = count("pwrite64", b"", true, half)
    {
        return fail(error) as ssize_t;
    }
    real!("pwrite64", fn(c_int, *const c_void, usize, off64_t) -> ssize_t, fd, bytes, len, offset)
}

/// `std` copies files with it where it can, past `write`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn copy_file_range(
    from: c_int,
    from_offset: *mut off64_t,
    to: c_int,
    to_offset: *mut off64_t,
    len: usize,
    flags: c_uint,
) -> ssize_t {
    if is_open(to)
        && let Some(error) = count("copy_file_range", b"", true, || ())
    {
        return fail(error) as ssize_t;
    }
    real!(
        "copy_file_range",
        fn(c_int, *mut off64_t, c_int, *mut off64_t, usize, c_uint) -> ssize_t,
        from,
        from_offset,
        to,
        to_offset,
        len,
        flags
    )
}
