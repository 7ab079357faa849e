-- Alerts with their notices, in place of the table of 0003, which nothing has used yet.
-- Types as in 0001_delivery.sql.

DROP TABLE alerts;

CREATE TABLE raised_alerts (
    id            TEXT    NOT NULL PRIMARY KEY,
    rule          TEXT    NOT NULL,
    -- The rule while the alert is not over: a rule has one alert at a time.
    active_rule   TEXT    UNIQUE,
    state         TEXT    NOT NULL,
    pending_since INTEGER NOT NULL,
    resolved_at   INTEGER,
    -- Who changes an alert names the version that it read.
    version       INTEGER NOT NULL,
    body          TEXT    NOT NULL CHECK (json_valid(body))
) STRICT;
CREATE INDEX alerts_pending_since ON raised_alerts (pending_since);
CREATE INDEX alerts_rule ON raised_alerts (rule, pending_since);

CREATE TABLE alert_rules (
    name       TEXT    NOT NULL PRIMARY KEY,
    body       TEXT    NOT NULL CHECK (json_valid(body)),
    changed_at INTEGER NOT NULL,
    changed_by TEXT    NOT NULL
) STRICT;

CREATE TABLE alert_silences (
    id         TEXT    NOT NULL PRIMARY KEY,
    rule       TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    from_time  INTEGER NOT NULL,
    until_time INTEGER NOT NULL
) STRICT;
CREATE INDEX alert_silences_until ON alert_silences (until_time);

-- What the last evaluation measured: one row.
CREATE TABLE alert_readings (
    id       INTEGER NOT NULL PRIMARY KEY,
    taken_at INTEGER NOT NULL,
    body     TEXT    NOT NULL CHECK (json_valid(body))
) STRICT;

-- Changes of state that are in no message yet.
CREATE TABLE notices (
    seq         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    channel     TEXT    NOT NULL,
    notice_key  TEXT    NOT NULL,
    severity    INTEGER NOT NULL,
    is_resolved INTEGER NOT NULL,
    body        TEXT    NOT NULL CHECK (json_valid(body)),
    UNIQUE (channel, notice_key)
) STRICT;

-- Messages to channels, and what became of them. A message never changes.
CREATE TABLE outbox (
    seq         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    message_key TEXT    NOT NULL UNIQUE,
    channel     TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    next_at     INTEGER NOT NULL,
    ended_at    INTEGER,
    answer      TEXT,
    body        TEXT    NOT NULL CHECK (json_valid(body))
) STRICT;
CREATE INDEX outbox_channel ON outbox (channel, state, seq);
CREATE INDEX outbox_ended_at ON outbox (ended_at);
