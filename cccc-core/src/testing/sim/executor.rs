//! Tasks: threads of which one runs at a time, and the executor for futures within them.

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::{Arc, Condvar, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::Report;
use super::machine::{Machine, Pid, State, Task, TaskId, TaskState};

/// What a task is unwound with when its process is killed. Raised without the panic hook.
struct Killed;

thread_local! {
    static CURRENT: RefCell<Option<(Arc<Machine>, TaskId)>> = const { RefCell::new(None) };
    static THREADS: RefCell<Vec<std::thread::JoinHandle<()>>> = const { RefCell::new(Vec::new()) };
}

/// The task of `machine` that the calling thread is.
pub(super) fn current(machine: &Arc<Machine>) -> Option<TaskId> {
    CURRENT.with_borrow(|current| {
        current.as_ref().filter(|(own, _)| Arc::ptr_eq(own, machine)).map(|(_, task)| *task)
    })
}

/// Ends the calling task, whose process is dead.
pub(super) fn die(state: MutexGuard<'_, State>) -> ! {
    drop(state);
    resume_unwind(Box::new(Killed))
}

/// Gives the turn to whoever is picked, and returns when the task has it again, alive or dead.
pub(super) fn switch<'m>(
    machine: &'m Machine,
    mut state: MutexGuard<'m, State>,
    me: TaskId,
) -> MutexGuard<'m, State> {
    let next = state.pick();
    state.running = next;
    if next == Some(me) {
        state.tasks[me].state = TaskState::Ready;
        return state;
    }
    hand_over(machine, &state);
    let turn: Arc<Condvar> = state.tasks[me].turn.clone();
    while state.running != Some(me) {
        state = turn.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    state.tasks[me].state = TaskState::Ready;
    state
}

fn hand_over(machine: &Machine, state: &State) {
    match state.running {
        Some(task) => state.tasks[task].turn.notify_one(),
        None => machine.finished.notify_all(),
    }
}

pub(super) fn spawn(machine: &Arc<Machine>, pid: Pid, name: String, body: impl FnOnce() + Send + 'static) {
    let turn = Arc::new(Condvar::new());
    let me = {
        let mut state = machine.lock();
        let task =
            Task { pid, name: name.clone(), state: TaskState::Ready, notified: false, turn: turn.clone() };
        state.tasks.push(task);
        state.tasks.len() - 1
    };
    let machine = machine.clone();
    let thread = move || {
        {
            let mut state = machine.lock();
            while state.running != Some(me) {
                state = turn.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        CURRENT.set(Some((machine.clone(), me)));
        let alive = machine.lock().is_alive(pid);
        let result = if alive { catch_unwind(AssertUnwindSafe(body)) } else { Ok(()) };
        // Destructors of the body have run; from here on the thread is no task any more.
        CURRENT.set(None);
        let mut state = machine.lock();
        if let Err(payload) = result
            && !payload.is::<Killed>()
        {
            let task = state.tasks[me].name.clone();
            state.fail(format!("{task} panicked: {}", panic_message(&*payload)));
        }
        state.tasks[me].state = TaskState::Done;
        if state.tasks.iter().all(|task| task.pid != pid || task.state == TaskState::Done) {
            state.end_process(pid);
        }
        state.running = state.pick();
        hand_over(&machine, &state);
    };
    match std::thread::Builder::new().name(name).spawn(thread) {
        Ok(thread) => THREADS.with_borrow_mut(|threads| threads.push(thread)),
        Err(error) => panic!("cannot start a thread: {error}"),
    }
}

fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "?".into())
}

/// Runs the tasks spawned by the calling thread.
pub(super) fn run(machine: &Arc<Machine>) -> Report {
    let mut state = machine.lock();
    state.report = Report::default();
    state.running = state.pick();
    hand_over(machine, &state);
    while state.running.is_some() {
        state = machine.finished.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    state.tasks.clear();
    let report = state.report.clone();
    let orphans = state.take_orphans();
    drop(state);
    drop(orphans);
    for thread in THREADS.take() {
        // Its panics were caught and are in the report.
        let _ = thread.join();
    }
    report
}

struct TaskWaker {
    machine: Arc<Machine>,
    task: TaskId,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        // The task may have ended, and the run with it.
        if let Some(task) = self.machine.lock().tasks.get_mut(self.task) {
            task.notified = true;
        }
    }
}

/// Runs a future to its end on the calling task, on which callbacks of watches run meanwhile.
///
/// # Panics
/// If the calling thread is no task, or if an hour of virtual time passes.
pub fn block_on<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(3600), future).expect("an hour is enough for any future")
}

/// As [`block_on`], for at most `limit` of virtual time; `None` if that did not do.
///
/// # Panics
/// If the calling thread is no task.
pub fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let (machine, me) =
        CURRENT.with_borrow(Clone::clone).expect("futures of a simulation are run by its tasks");
    let waker = Waker::from(Arc::new(TaskWaker { machine: machine.clone(), task: me }));
    let mut future = pin!(future);
    let until = machine.lock().now() + limit;
    // A simulated task is a thread of its own; work that went to a thread outside would not be simulated.
    let _blocked = crate::blocking::Blocked::enter();
    loop {
        machine.lock().tasks[me].notified = false;
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        // Until the future was woken: callbacks may run and wake nobody.
        loop {
            let mut state = machine.lock();
            if state.tasks[me].notified {
                break;
            }
            if state.now() >= until {
                return None;
            }
            state.tasks[me].state = TaskState::Parked { until };
            let mut state = switch(&machine, state, me);
            let pid = state.tasks[me].pid;
            if !state.is_alive(pid) {
                die(state);
            }
            let due = state.take_due(pid);
            drop(state);
            for wake in due {
                wake();
            }
        }
    }
}
