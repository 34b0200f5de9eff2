-- Version 1. Times are milliseconds since 1970. Ids are not used again, even when a note was purged.
CREATE TABLE note (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The actor whose own it is, and where that was added; both NULL for a note of the group.
    owner         TEXT,
    owner_at      INTEGER,
    author        TEXT NOT NULL,
    author_at     INTEGER,
    version       INTEGER NOT NULL,
    edited_by     TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    superseded_by INTEGER,
    forgotten_at  INTEGER,
    forgotten_by  TEXT,
    -- Of whose it is and what it says.
    digest        BLOB NOT NULL,
    -- The key it was added under, and a digest of all that was said then.
    client_id     TEXT,
    key_digest    BLOB,
    -- Last, so that looking at the rest does not read it.
    text          TEXT NOT NULL
) STRICT;
CREATE INDEX note_by_digest ON note (digest);
CREATE INDEX note_by_time ON note (updated_at, id);
CREATE INDEX note_by_author ON note (author, updated_at, id);
CREATE UNIQUE INDEX note_by_key ON note (author, ifnull(author_at, 0), client_id) WHERE client_id IS NOT NULL;

CREATE TABLE tag (
    tag  TEXT NOT NULL,
    note INTEGER NOT NULL,
    PRIMARY KEY (tag, note)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_by_note ON tag (note, tag);

CREATE TABLE source (
    note     INTEGER NOT NULL,
    position INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    kind     TEXT NOT NULL,
    by       TEXT NOT NULL,
    PRIMARY KEY (note, position)
) STRICT, WITHOUT ROWID;
