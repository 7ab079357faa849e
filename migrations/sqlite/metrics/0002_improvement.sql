-- Targets and Plan-Do-Check-Act cycles. Types as in 0001_delivery.sql.

-- '' as service or team means "all": NULL would not take part in the primary key.
CREATE TABLE targets (
    metric  TEXT NOT NULL,
    service TEXT NOT NULL,
    team    TEXT NOT NULL,
    value   REAL NOT NULL,
    set_at  INTEGER NOT NULL,
    PRIMARY KEY (metric, service, team)
) STRICT;

-- The anchor that events hang on. Everything else about a cycle is folded from its events.
CREATE TABLE pdca_cycles (
    pdca_id    TEXT    NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL
) STRICT;

-- Append-only: what happened stays as it was written, in the order of `seq` (from 1).
CREATE TABLE pdca_events (
    pdca_id TEXT    NOT NULL REFERENCES pdca_cycles (pdca_id),
    seq     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    body    TEXT    NOT NULL CHECK (json_valid(body)),
    PRIMARY KEY (pdca_id, seq)
) STRICT;
CREATE TRIGGER pdca_events_no_update BEFORE UPDATE ON pdca_events
BEGIN SELECT RAISE(ABORT, 'pdca_events is append-only'); END;
CREATE TRIGGER pdca_events_no_delete BEFORE DELETE ON pdca_events
BEGIN SELECT RAISE(ABORT, 'pdca_events is append-only'); END;
