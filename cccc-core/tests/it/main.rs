//! Core from outside: as a program uses it, as many processes use it, and as faults meet it.

mod crowd;
mod handle;
mod home;
