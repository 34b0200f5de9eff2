//! The integration tests of `cccc-core`, as one program.

mod format_doc;
