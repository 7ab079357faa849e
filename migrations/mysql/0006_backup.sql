-- The memory of backups. Types and rules as in 0001_delivery.sql. The archives say themselves what
-- is in them; here is when each was last found right, and how restores went that were tried out.

CREATE TABLE IF NOT EXISTS backups (
    name         VARCHAR(255) NOT NULL PRIMARY KEY,
    created_at   BIGINT       NOT NULL,
    host         TEXT         NOT NULL,
    seal         TEXT         NOT NULL,
    bytes        BIGINT       NOT NULL,
    record_count BIGINT       NOT NULL,
    row_count    BIGINT       NOT NULL,
    -- The backup that this one builds on; NULL for a whole one.
    base         TEXT,
    verified_at  BIGINT,
    problem      TEXT,
    KEY backups_created_at (created_at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE IF NOT EXISTS backup_drills (
    drilled_at   BIGINT       NOT NULL,
    backup       VARCHAR(255) NOT NULL,
    rto_ms       BIGINT       NOT NULL,
    rpo_seconds  BIGINT       NOT NULL,
    record_count BIGINT       NOT NULL,
    row_count    BIGINT       NOT NULL,
    problem      TEXT,
    PRIMARY KEY (drilled_at, backup)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
