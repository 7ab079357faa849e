-- Health, alerts, jobs, tokens, audit. Types as in 0001_delivery.sql.

CREATE TABLE health_samples (
    component TEXT    NOT NULL,
    measure   TEXT    NOT NULL,
    taken_at  INTEGER NOT NULL,
    value     REAL    NOT NULL,
    PRIMARY KEY (component, measure, taken_at)
) STRICT;
CREATE INDEX health_samples_taken_at ON health_samples (taken_at);

CREATE TABLE alerts (
    id              TEXT    NOT NULL PRIMARY KEY,
    rule            TEXT    NOT NULL,
    state           TEXT    NOT NULL,
    severity        TEXT    NOT NULL,
    value           REAL,
    evidence        TEXT    NOT NULL CHECK (json_valid(evidence)),
    pending_since   INTEGER NOT NULL,
    firing_since    INTEGER,
    resolved_at     INTEGER,
    acknowledged_by TEXT,
    acknowledged_at INTEGER
) STRICT;
CREATE INDEX alerts_state ON alerts (state, rule);

CREATE TABLE jobs (
    name        TEXT    NOT NULL PRIMARY KEY,
    schedule    TEXT    NOT NULL,
    next_run_at INTEGER,
    enabled     INTEGER NOT NULL
) STRICT;

CREATE TABLE job_runs (
    id          INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    job         TEXT    NOT NULL REFERENCES jobs (name),
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    result      TEXT,
    output      TEXT
) STRICT;
CREATE INDEX job_runs_job ON job_runs (job, started_at);

-- Only the hash of a token is ever stored.
CREATE TABLE api_tokens (
    id           TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    hash         TEXT    NOT NULL UNIQUE,
    scopes       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;

-- Append-only; each row's hash covers the one before it.
CREATE TABLE audit_log (
    seq           INTEGER NOT NULL PRIMARY KEY,
    at            INTEGER NOT NULL,
    actor         TEXT    NOT NULL,
    action        TEXT    NOT NULL,
    resource      TEXT    NOT NULL,
    detail        TEXT    NOT NULL CHECK (json_valid(detail)),
    previous_hash TEXT    NOT NULL,
    hash          TEXT    NOT NULL
) STRICT;
CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
