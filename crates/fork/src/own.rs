//! What each process has of its own, although it is written down once.

use std::fmt;
use std::marker::PhantomData;
use std::process;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A value that a process makes for itself when it first needs it, and a forked child makes anew.
///
/// What several threads share is of no use to a forked child. A mutex may have been held by a thread that the child
/// does not have, and is then held for ever; what such threads were to answer is never answered; and a value that
/// was just being made (as in a [`OnceLock`](std::sync::OnceLock)) stays unmade, and whoever wants it waits. A child
/// cannot even find out, for it can only ask that very mutex. So here it looks at nothing of its parent's: it sees
/// by its process id that the value is another's, and makes its own. The parent's is left as it is and never
/// dropped in the child, where dropping it may wait for those who are not there.
///
/// Nothing here ever waits. Where two threads come first together, both make a value, and one of them is dropped.
pub struct Own<T> {
    /// Only ever replaced by a process that has not made its own yet.
    newest: AtomicPtr<Made<T>>,
    owns: PhantomData<T>,
}

struct Made<T> {
    process_id: u32,
    value: T,
}

impl<T> Own<T> {
    /// Nothing is made yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { newest: AtomicPtr::new(ptr::null_mut()), owns: PhantomData }
    }

    /// This process's value, if it was made and `made` is where it would be.
    fn of_this_process<'a>(&'a self, made: *mut Made<T>) -> Option<&'a T> {
        // SAFETY: what was put into `newest` is a box's content, initialised before it was put there, and freed only
        // by `drop`, which nobody outlives who has `&self`.
        let made: &'a Made<T> = unsafe { made.as_ref() }?;
        (made.process_id == process::id()).then_some(&made.value)
    }

    /// The value of this process, if it has one.
    pub fn get(&self) -> Option<&T> {
        self.of_this_process(self.newest.load(Ordering::Acquire))
    }
}

impl<T: Send + Sync> Own<T> {
    /// The value of this process, made if it has none.
    pub fn get_or_make(&self, make: impl FnOnce() -> T) -> &T {
        let found = self.newest.load(Ordering::Acquire);
        if let Some(value) = self.of_this_process(found) {
            return value;
        }
        let new = Box::into_raw(Box::new(Made { process_id: process::id(), value: make() }));
        match self.newest.compare_exchange(found, new, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: as in `of_this_process`. The one that was replaced is left alone, since it is a parent's.
            Ok(_) => unsafe { &(*new).value },
            Err(faster) => {
                // SAFETY: `new` was made above and shown to nobody. `faster` is as in `of_this_process`: another
                // thread of this process made it, for no other process writes here.
                unsafe {
                    drop(Box::from_raw(new));
                    &(*faster).value
                }
            }
        }
    }
}

impl<T> Drop for Own<T> {
    fn drop(&mut self) {
        let newest = *self.newest.get_mut();
        if self.of_this_process(newest).is_some() {
            // SAFETY: it was made by `Box::into_raw`, and nobody has a reference to it any more.
            drop(unsafe { Box::from_raw(newest) });
        }
    }
}

impl<T> Default for Own<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for Own<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Own").field(&self.get()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn all_threads_have_the_same() {
        static SHARED: Own<usize> = Own::new();
        static MADE: AtomicUsize = AtomicUsize::new(1);
        assert_eq!(SHARED.get(), None);
        let get = || SHARED.get_or_make(|| MADE.fetch_add(1, Ordering::SeqCst));
        let seen: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| *get())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
        });
        assert!(seen.iter().all(|one| one == get()), "{seen:?}");
        assert_eq!(SHARED.get(), Some(get()));
    }

    #[test]
    fn what_is_let_go_of_is_dropped_once() {
        let value = Arc::new(());
        let own: Own<Arc<()>> = Own::new();
        drop(Own::<Arc<()>>::new());
        for _ in 0..2 {
            own.get_or_make(|| value.clone());
            assert_eq!(Arc::strong_count(&value), 2);
        }
        drop(own);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
