-- Who runs the jobs of several processes, and what became of their runs. Types as in
-- 0001_delivery.sql. The tables of 0003 that are made anew here were never written to.

-- One row for each lease: `store` for what one process of all does, `host/<name>` for what one
-- process of a host does. The row stays when the lease is given back, so that its fence only grows.
CREATE TABLE leases (
    name       TEXT    NOT NULL PRIMARY KEY,
    holder     TEXT    NOT NULL,
    host       TEXT    NOT NULL,
    pid        INTEGER NOT NULL,
    fence      INTEGER NOT NULL,
    length_us  INTEGER NOT NULL,
    taken_at   INTEGER NOT NULL,
    renewed_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

DROP TABLE job_runs;
DROP TABLE jobs;

-- `enabled` is what a person said; NULL: as it is configured. `next_run_at` is the slot that is
-- waited for.
CREATE TABLE jobs (
    lease        TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    schedule     TEXT    NOT NULL,
    enabled      INTEGER,
    next_run_at  INTEGER,
    requested_at INTEGER,
    requested_by TEXT,
    PRIMARY KEY (lease, name)
) STRICT;

-- One row for each slot: a slot that was cut off by the end of its host is begun again in its row.
CREATE TABLE job_runs (
    id          INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    lease       TEXT    NOT NULL,
    job         TEXT    NOT NULL,
    slot_at     INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    cause       TEXT    NOT NULL,
    fence       INTEGER NOT NULL,
    host        TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    result      TEXT,
    output      TEXT    NOT NULL,
    UNIQUE (lease, job, slot_at),
    FOREIGN KEY (lease, job) REFERENCES jobs (lease, name)
) STRICT;
CREATE INDEX job_runs_of_job ON job_runs (lease, job, started_at);
CREATE INDEX job_runs_started_at ON job_runs (started_at);
CREATE INDEX job_runs_unfinished ON job_runs (lease) WHERE finished_at IS NULL;
