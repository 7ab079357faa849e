-- The metrics layer: delivery facts. Small, relational, kept for ever.
--
-- Types are kept so plain that each line has one counterpart in MySQL and MariaDB:
--   TEXT of a key      VARCHAR(190), utf8mb4_bin (the old schema's VARCHAR(50) is too short for
--                      ids such as `git:<path>:<tag>`)
--   TEXT otherwise     TEXT
--   *_at INTEGER       BIGINT: microseconds since 1970-01-01T00:00:00Z. TIMESTAMP ends in 2038 and
--                      changes its meaning with the session's zone; an integer does neither.
--   REAL               DOUBLE; duration_seconds is DECIMAL(16,6) there
--   metadata TEXT      JSON; keys in alphabetical order, so equal values are equal text
--   0/1 INTEGER        BOOLEAN
-- Every row that names another row of this schema has a foreign key: there are no orphans.

CREATE TABLE sources (
    name              TEXT    NOT NULL PRIMARY KEY,
    gives_deployments INTEGER NOT NULL,
    gives_incidents   INTEGER NOT NULL,
    synced_at         INTEGER NOT NULL
) STRICT;

-- A summary that is always recomputed from the cycle's phases and deployments, never edited.
CREATE TABLE cycles (
    cycle_id    TEXT    NOT NULL PRIMARY KEY,
    feature_id  TEXT    NOT NULL,
    team        TEXT,
    service     TEXT,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE INDEX cycles_started_at ON cycles (started_at);

-- One row a phase and attempt. The old schema made cycle_id alone unique, which allows one phase
-- per cycle; (cycle_id, phase_name, attempt) lets a cycle have all of them and makes recording
-- idempotent.
CREATE TABLE dora_metrics (
    id               INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    cycle_id         TEXT    NOT NULL REFERENCES cycles (cycle_id),
    feature_id       TEXT    NOT NULL,
    phase_name       TEXT    NOT NULL,
    attempt          INTEGER NOT NULL DEFAULT 1,
    decision         TEXT    NOT NULL,
    duration_seconds REAL    NOT NULL CHECK (duration_seconds >= 0),
    metadata         TEXT    NOT NULL CHECK (json_valid(metadata)),
    created_at       INTEGER NOT NULL,
    team             TEXT GENERATED ALWAYS AS (CAST(json_extract(metadata, '$.team') AS TEXT)) VIRTUAL,
    service          TEXT GENERATED ALWAYS AS (CAST(json_extract(metadata, '$.service') AS TEXT)) VIRTUAL,
    request_id       TEXT GENERATED ALWAYS AS (CAST(json_extract(metadata, '$.request_id') AS TEXT)) VIRTUAL,
    -- A text counts only when it is a whole number: CAST alone would make 0 of `unknown`.
    story_points     REAL GENERATED ALWAYS AS (
        CASE
            WHEN json_type(metadata, '$.story_points') IN ('integer', 'real')
                THEN CAST(json_extract(metadata, '$.story_points') AS REAL)
            WHEN json_type(metadata, '$.story_points') = 'text'
                AND json_extract(metadata, '$.story_points') <> ''
                AND json_extract(metadata, '$.story_points') NOT GLOB '*[^0-9]*'
                THEN CAST(json_extract(metadata, '$.story_points') AS REAL)
        END
    ) VIRTUAL,
    UNIQUE (cycle_id, phase_name, attempt)
) STRICT;
-- The questions about all phases (crates/atalaya-store/src/metrics/questions.rs) read these alone, without touching the rows.
CREATE INDEX dora_metrics_phase_duration ON dora_metrics (phase_name, created_at, decision, duration_seconds);
CREATE INDEX dora_metrics_phase_team ON dora_metrics (phase_name, created_at, team);
CREATE INDEX dora_metrics_phase_points ON dora_metrics (phase_name, created_at, story_points, duration_seconds);
CREATE INDEX dora_metrics_created_at ON dora_metrics (created_at);
CREATE INDEX dora_metrics_feature_id ON dora_metrics (feature_id);
CREATE INDEX dora_metrics_team ON dora_metrics (team);
CREATE INDEX dora_metrics_service ON dora_metrics (service);
CREATE INDEX dora_metrics_request_id ON dora_metrics (request_id);
CREATE INDEX dora_metrics_story_points ON dora_metrics (story_points);

CREATE TABLE deployments (
    id            TEXT    NOT NULL PRIMARY KEY,
    service       TEXT    NOT NULL,
    team          TEXT,
    environment   TEXT    NOT NULL,
    commit_sha    TEXT,
    started_at    INTEGER,
    finished_at   INTEGER NOT NULL,
    result        TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    request_id    TEXT,
    cycle_id      TEXT    REFERENCES cycles (cycle_id),
    origin        TEXT    NOT NULL,
    -- 0: nobody knows what it carried, which is not the same as "nothing new".
    commits_known INTEGER NOT NULL
) STRICT;
CREATE INDEX deployments_finished_at ON deployments (finished_at);
CREATE INDEX deployments_service ON deployments (service, environment, finished_at);
CREATE INDEX deployments_request_id ON deployments (request_id);
CREATE INDEX deployments_cycle_id ON deployments (cycle_id);

CREATE TABLE deployment_commits (
    deployment_id TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    -- Oldest first, from 0.
    position      INTEGER NOT NULL,
    sha           TEXT    NOT NULL,
    authored_at   INTEGER NOT NULL,
    committed_at  INTEGER NOT NULL,
    title         TEXT    NOT NULL,
    PRIMARY KEY (deployment_id, position)
) STRICT;
CREATE INDEX deployment_commits_sha ON deployment_commits (sha);

CREATE TABLE incidents (
    id          TEXT    NOT NULL PRIMARY KEY,
    title       TEXT    NOT NULL,
    service     TEXT,
    severity    TEXT,
    opened_at   INTEGER NOT NULL,
    resolved_at INTEGER,
    -- Only what somebody said; a guess by time is made when the metrics are computed.
    caused_by   TEXT    REFERENCES deployments (id),
    request_id  TEXT,
    origin      TEXT    NOT NULL
) STRICT;
CREATE INDEX incidents_opened_at ON incidents (opened_at);
CREATE INDEX incidents_request_id ON incidents (request_id);
CREATE INDEX incidents_caused_by ON incidents (caused_by);

CREATE TABLE pull_requests (
    id              TEXT    NOT NULL PRIMARY KEY,
    repository      TEXT    NOT NULL,
    number          INTEGER NOT NULL,
    title           TEXT    NOT NULL,
    author          TEXT,
    head_branch     TEXT,
    first_commit_at INTEGER,
    opened_at       INTEGER NOT NULL,
    first_review_at INTEGER,
    merged_at       INTEGER,
    closed_at       INTEGER,
    merge_sha       TEXT,
    deployment_id   TEXT    REFERENCES deployments (id),
    UNIQUE (repository, number)
) STRICT;
CREATE INDEX pull_requests_merge_sha ON pull_requests (merge_sha);
CREATE INDEX pull_requests_merged_at ON pull_requests (merged_at);
CREATE INDEX pull_requests_deployment_id ON pull_requests (deployment_id);
