-- The metrics layer: delivery facts. Small, relational, kept for ever. The counterpart of
-- migrations/sqlite/metrics; the same statements of the program run on both.
--
-- Written for MariaDB 10.6 and later and MySQL 8.0.17 and later (run on MariaDB 10.11; checked
-- against MySQL's manual, not run there): no RETURNING, no JSON_TABLE, no functional indexes.
--
-- Types:
--   ids               VARCHAR(400). The old schema's VARCHAR(50) is too short for ids such as
--                     `git:<path>:<tag>`; 400 characters keep every index under InnoDB's 3,072 bytes.
--   names             VARCHAR(255): service, team, environment, metric …
--   *_at BIGINT       microseconds since 1970-01-01T00:00:00Z, so that an instant comes back as it
--                     was. TIMESTAMP ends in 2038 and changes with the session's zone, DATETIME has
--                     no zone at all and ends at both sides; an integer does neither.
--   dora_metrics      keeps the columns that it has always had, `created_at` among them, as a date
--                     that people and older queries can read (UTC). It is generated from
--                     `created_us`, which is what the program reads.
--   duration_seconds  DECIMAL(16,6), was (10,2): whole microseconds, up to 317 years.
--   metadata JSON     native in MySQL; LONGTEXT with a check in MariaDB.
--
-- Text is compared by code point and to its last character: `req-1`, `REQ-1` and `req-1 ` are three
-- ids. The two servers have that collation under different names, and utf8mb4_bin is not it (it
-- ignores trailing spaces); the comments below are executed by the server that they are for.
--
-- Every row that names another row of this schema has a foreign key: there are no orphans.
-- Each statement may run again: DDL commits by itself, so a migration that was interrupted is
-- finished by starting it anew.

CREATE TABLE IF NOT EXISTS sources (
    name              VARCHAR(400) NOT NULL PRIMARY KEY,
    gives_deployments BOOLEAN      NOT NULL,
    gives_incidents   BOOLEAN      NOT NULL,
    synced_at         BIGINT       NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- A summary that is always recomputed from the cycle's phases and deployments, never edited. Its
-- row is what writers of one cycle lock first.
CREATE TABLE IF NOT EXISTS cycles (
    cycle_id    VARCHAR(400) NOT NULL PRIMARY KEY,
    feature_id  TEXT         NOT NULL,
    team        TEXT,
    service     TEXT,
    started_at  BIGINT       NOT NULL,
    finished_at BIGINT,
    KEY cycles_started_at (started_at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- One row a phase and attempt. The old schema made cycle_id alone unique, which allows one phase
-- per cycle; (cycle_id, phase_name, attempt) lets a cycle have all of them and makes recording
-- idempotent.
--
-- Generated columns are STORED, not VIRTUAL: they are a few dozen bytes, and an index on a stored
-- column is an ordinary index on both servers. Longer values than 255 characters are cut there
-- (only for searching; metadata has them whole).
CREATE TABLE IF NOT EXISTS dora_metrics (
    id               BIGINT        NOT NULL PRIMARY KEY AUTO_INCREMENT,
    cycle_id         VARCHAR(400)  NOT NULL,
    feature_id       VARCHAR(400)  NOT NULL,
    phase_name       VARCHAR(50)   NOT NULL,
    attempt          INT UNSIGNED  NOT NULL DEFAULT 1,
    decision         VARCHAR(20)   NOT NULL,
    duration_seconds DECIMAL(16,6) NOT NULL,
    metadata         JSON          NOT NULL,
    created_us       BIGINT        NOT NULL,
    -- NULL outside of the years 1 to 9999.
    created_at       DATETIME(6)   GENERATED ALWAYS AS (
        CASE WHEN created_us BETWEEN -62135596800000000 AND 253402300799999999
            THEN TIMESTAMP'1970-01-01 00:00:00' + INTERVAL created_us MICROSECOND END
    ) STORED,
    team             VARCHAR(255)  GENERATED ALWAYS AS (
        CASE WHEN JSON_TYPE(JSON_EXTRACT(metadata, '$.team')) <> 'NULL'
            THEN LEFT(JSON_UNQUOTE(JSON_EXTRACT(metadata, '$.team')), 255) END
    ) STORED,
    service          VARCHAR(255)  GENERATED ALWAYS AS (
        CASE WHEN JSON_TYPE(JSON_EXTRACT(metadata, '$.service')) <> 'NULL'
            THEN LEFT(JSON_UNQUOTE(JSON_EXTRACT(metadata, '$.service')), 255) END
    ) STORED,
    request_id       VARCHAR(255)  GENERATED ALWAYS AS (
        CASE WHEN JSON_TYPE(JSON_EXTRACT(metadata, '$.request_id')) <> 'NULL'
            THEN LEFT(JSON_UNQUOTE(JSON_EXTRACT(metadata, '$.request_id')), 255) END
    ) STORED,
    -- A text counts only when it is a whole number: a conversion alone would make 0 of `unknown`.
    story_points     DOUBLE        GENERATED ALWAYS AS (
        CASE
            WHEN JSON_TYPE(JSON_EXTRACT(metadata, '$.story_points'))
                IN ('INTEGER', 'UNSIGNED INTEGER', 'DOUBLE', 'DECIMAL')
                THEN JSON_UNQUOTE(JSON_EXTRACT(metadata, '$.story_points')) + 0E0
            WHEN JSON_TYPE(JSON_EXTRACT(metadata, '$.story_points')) = 'STRING'
                AND JSON_UNQUOTE(JSON_EXTRACT(metadata, '$.story_points')) REGEXP _utf8mb4'^[0-9]{1,15}$' COLLATE utf8mb4_bin
                THEN JSON_UNQUOTE(JSON_EXTRACT(metadata, '$.story_points')) + 0E0
        END
    ) STORED,
    UNIQUE KEY dora_metrics_once (cycle_id, phase_name, attempt),
    -- The questions about all phases (crates/atalaya-store/src/metrics/questions.rs) read this alone, without touching the rows.
    -- One index for all of them: of several with the same beginning the optimizer takes any, also
    -- one that does not hold what is asked for (measured: 8 times slower over a whole year).
    KEY dora_metrics_questions (phase_name, created_us, decision, duration_seconds, team, story_points),
    KEY dora_metrics_created_us (created_us),
    KEY dora_metrics_created_at (created_at),
    KEY dora_metrics_feature_id (feature_id),
    KEY dora_metrics_team (team),
    KEY dora_metrics_service (service),
    KEY dora_metrics_request_id (request_id),
    KEY dora_metrics_story_points (story_points),
    CONSTRAINT dora_metrics_cycle FOREIGN KEY (cycle_id) REFERENCES cycles (cycle_id),
    CONSTRAINT dora_metrics_duration CHECK (duration_seconds >= 0)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE IF NOT EXISTS deployments (
    id            VARCHAR(400) NOT NULL PRIMARY KEY,
    service       VARCHAR(255) NOT NULL,
    team          VARCHAR(255),
    environment   VARCHAR(255) NOT NULL,
    commit_sha    TEXT,
    started_at    BIGINT,
    finished_at   BIGINT       NOT NULL,
    result        VARCHAR(20)  NOT NULL,
    kind          VARCHAR(20)  NOT NULL,
    request_id    VARCHAR(400),
    cycle_id      VARCHAR(400),
    origin        TEXT         NOT NULL,
    -- 0: nobody knows what it carried, which is not the same as "nothing new".
    commits_known BOOLEAN      NOT NULL,
    KEY deployments_finished_at (finished_at),
    KEY deployments_service (service, environment, finished_at),
    KEY deployments_request_id (request_id),
    KEY deployments_cycle_id (cycle_id),
    CONSTRAINT deployments_cycle FOREIGN KEY (cycle_id) REFERENCES cycles (cycle_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE IF NOT EXISTS deployment_commits (
    deployment_id VARCHAR(400) NOT NULL,
    -- Oldest first, from 0. (Backquoted: the name of a function.)
    `position`    BIGINT       NOT NULL,
    sha           VARCHAR(400) NOT NULL,
    authored_at   BIGINT       NOT NULL,
    committed_at  BIGINT       NOT NULL,
    title         MEDIUMTEXT   NOT NULL,
    PRIMARY KEY (deployment_id, `position`),
    KEY deployment_commits_sha (sha),
    CONSTRAINT deployment_commits_deployment
        FOREIGN KEY (deployment_id) REFERENCES deployments (id) ON DELETE CASCADE
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE IF NOT EXISTS incidents (
    id          VARCHAR(400) NOT NULL PRIMARY KEY,
    title       MEDIUMTEXT   NOT NULL,
    service     VARCHAR(255),
    severity    TEXT,
    opened_at   BIGINT       NOT NULL,
    resolved_at BIGINT,
    -- Only what somebody said; a guess by time is made when the metrics are computed.
    caused_by   VARCHAR(400),
    request_id  VARCHAR(400),
    origin      TEXT         NOT NULL,
    KEY incidents_opened_at (opened_at),
    KEY incidents_request_id (request_id),
    KEY incidents_caused_by (caused_by),
    CONSTRAINT incidents_deployment FOREIGN KEY (caused_by) REFERENCES deployments (id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE IF NOT EXISTS pull_requests (
    id              VARCHAR(400) NOT NULL PRIMARY KEY,
    repository      VARCHAR(400) NOT NULL,
    number          BIGINT       NOT NULL,
    title           MEDIUMTEXT   NOT NULL,
    author          TEXT,
    head_branch     TEXT,
    first_commit_at BIGINT,
    opened_at       BIGINT       NOT NULL,
    first_review_at BIGINT,
    merged_at       BIGINT,
    closed_at       BIGINT,
    merge_sha       VARCHAR(400),
    deployment_id   VARCHAR(400),
    UNIQUE KEY pull_requests_once (repository, number),
    KEY pull_requests_merge_sha (merge_sha),
    KEY pull_requests_merged_at (merged_at),
    KEY pull_requests_deployment_id (deployment_id),
    CONSTRAINT pull_requests_deployment FOREIGN KEY (deployment_id) REFERENCES deployments (id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
