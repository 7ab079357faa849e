-- The memory of backups. Types as in 0001_delivery.sql. The archives say themselves what is in
-- them; here is when each was last found right, and how restores went that were tried out.

CREATE TABLE backups (
    name         TEXT    NOT NULL PRIMARY KEY,
    created_at   INTEGER NOT NULL,
    host         TEXT    NOT NULL,
    seal         TEXT    NOT NULL,
    bytes        INTEGER NOT NULL,
    record_count INTEGER NOT NULL,
    row_count    INTEGER NOT NULL,
    -- The backup that this one builds on; NULL for a whole one.
    base         TEXT,
    verified_at  INTEGER,
    problem      TEXT
) STRICT;
CREATE INDEX backups_created_at ON backups (created_at);

CREATE TABLE backup_drills (
    drilled_at   INTEGER NOT NULL,
    backup       TEXT    NOT NULL,
    rto_ms       INTEGER NOT NULL,
    rpo_seconds  INTEGER NOT NULL,
    record_count INTEGER NOT NULL,
    row_count    INTEGER NOT NULL,
    problem      TEXT,
    PRIMARY KEY (drilled_at, backup)
) STRICT;
