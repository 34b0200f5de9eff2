//! Receipts: for a message and each recipient, what became of it.
