-- Who runs the jobs of several processes, and what became of their runs. Types and rules as in
-- 0001_delivery.sql. The tables of 0003 that are made anew here were never written to.

-- One row for each lease: `store` for what one process of all does, `host/<name>` for what one
-- process of a host does. The row stays when the lease is given back, so that its fence only grows.
CREATE TABLE IF NOT EXISTS leases (
    name       VARCHAR(255) NOT NULL PRIMARY KEY,
    holder     VARCHAR(255) NOT NULL,
    host       VARCHAR(255) NOT NULL,
    pid        BIGINT       NOT NULL,
    fence      BIGINT       NOT NULL,
    length_us  BIGINT       NOT NULL,
    taken_at   BIGINT       NOT NULL,
    renewed_at BIGINT       NOT NULL,
    expires_at BIGINT       NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

DROP TABLE IF EXISTS job_runs;
DROP TABLE IF EXISTS jobs;

-- `enabled` is what a person said; NULL: as it is configured. `next_run_at` is the slot that is
-- waited for.
CREATE TABLE jobs (
    lease        VARCHAR(255) NOT NULL,
    name         VARCHAR(255) NOT NULL,
    schedule     TEXT         NOT NULL,
    enabled      BOOLEAN,
    next_run_at  BIGINT,
    requested_at BIGINT,
    requested_by TEXT,
    PRIMARY KEY (lease, name)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- One row for each slot: a slot that was cut off by the end of its host is begun again in its row.
CREATE TABLE job_runs (
    id          BIGINT       NOT NULL PRIMARY KEY AUTO_INCREMENT,
    lease       VARCHAR(255) NOT NULL,
    job         VARCHAR(255) NOT NULL,
    slot_at     BIGINT       NOT NULL,
    attempt     BIGINT       NOT NULL,
    cause       VARCHAR(50)  NOT NULL,
    fence       BIGINT       NOT NULL,
    host        VARCHAR(255) NOT NULL,
    started_at  BIGINT       NOT NULL,
    finished_at BIGINT,
    result      VARCHAR(50),
    output      LONGTEXT     NOT NULL,
    UNIQUE KEY job_runs_slot (lease, job, slot_at),
    KEY job_runs_by_start (lease, job, started_at),
    KEY job_runs_started_at (started_at),
    KEY job_runs_unfinished (lease, finished_at),
    CONSTRAINT job_runs_of_job FOREIGN KEY (lease, job) REFERENCES jobs (lease, name)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
