-- Runs of pipelines. Types and rules as in 0001_delivery.sql. The body is the run with its steps as
-- JSON (crates/atalaya-domain/src/pipeline.rs); each change raises the version, and is made only to
-- the version that it was thought for.

CREATE TABLE IF NOT EXISTS pipeline_runs (
    id         VARCHAR(255) NOT NULL PRIMARY KEY,
    state      VARCHAR(32)  NOT NULL,
    version    BIGINT       NOT NULL,
    started_at BIGINT       NOT NULL,
    body       MEDIUMTEXT   NOT NULL,
    KEY pipeline_runs_started_at (started_at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
