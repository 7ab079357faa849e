-- Runs of pipelines. Types as in 0001_delivery.sql. The body is the run with its steps as JSON
-- (crates/atalaya-domain/src/pipeline.rs); each change raises the version, and is made only to the
-- version that it was thought for.

CREATE TABLE pipeline_runs (
    id         TEXT    NOT NULL PRIMARY KEY,
    state      TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    body       TEXT    NOT NULL
) STRICT;
CREATE INDEX pipeline_runs_started_at ON pipeline_runs (started_at);
