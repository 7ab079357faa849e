-- Health, alerts, jobs, tokens, audit. Types and rules as in 0001_delivery.sql.

CREATE TABLE IF NOT EXISTS health_samples (
    component VARCHAR(400) NOT NULL,
    measure   VARCHAR(255) NOT NULL,
    taken_at  BIGINT       NOT NULL,
    value     DOUBLE       NOT NULL,
    PRIMARY KEY (component, measure, taken_at),
    KEY health_samples_taken_at (taken_at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE IF NOT EXISTS alerts (
    id              VARCHAR(400) NOT NULL PRIMARY KEY,
    rule            VARCHAR(255) NOT NULL,
    state           VARCHAR(50)  NOT NULL,
    severity        VARCHAR(50)  NOT NULL,
    value           DOUBLE,
    evidence        LONGTEXT     NOT NULL CHECK (JSON_VALID(evidence)),
    pending_since   BIGINT       NOT NULL,
    firing_since    BIGINT,
    resolved_at     BIGINT,
    acknowledged_by TEXT,
    acknowledged_at BIGINT,
    KEY alerts_state (state, rule)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE IF NOT EXISTS jobs (
    name        VARCHAR(255) NOT NULL PRIMARY KEY,
    schedule    TEXT         NOT NULL,
    next_run_at BIGINT,
    enabled     BOOLEAN      NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE IF NOT EXISTS job_runs (
    id          BIGINT       NOT NULL PRIMARY KEY AUTO_INCREMENT,
    job         VARCHAR(255) NOT NULL,
    started_at  BIGINT       NOT NULL,
    finished_at BIGINT,
    result      TEXT,
    output      LONGTEXT,
    KEY job_runs_job (job, started_at),
    CONSTRAINT job_runs_of_job FOREIGN KEY (job) REFERENCES jobs (name)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- Only the hash of a token is ever stored.
CREATE TABLE IF NOT EXISTS api_tokens (
    id           VARCHAR(400) NOT NULL PRIMARY KEY,
    name         TEXT         NOT NULL,
    hash         VARCHAR(255) NOT NULL UNIQUE,
    scopes       TEXT         NOT NULL,
    created_at   BIGINT       NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    revoked_at   BIGINT
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- Append-only (see pdca_events); each row's hash covers the one before it.
CREATE TABLE IF NOT EXISTS audit_log (
    seq           BIGINT   NOT NULL PRIMARY KEY,
    `at`          BIGINT   NOT NULL,
    actor         TEXT     NOT NULL,
    action        TEXT     NOT NULL,
    resource      TEXT     NOT NULL,
    detail        LONGTEXT NOT NULL CHECK (JSON_VALID(detail)),
    previous_hash TEXT     NOT NULL,
    hash          TEXT     NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
