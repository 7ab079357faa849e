-- Targets and Plan-Do-Check-Act cycles. Types and rules as in 0001_delivery.sql.

-- '' as service or team means "all": NULL would not take part in the primary key.
CREATE TABLE IF NOT EXISTS targets (
    metric  VARCHAR(100) NOT NULL,
    service VARCHAR(255) NOT NULL,
    team    VARCHAR(255) NOT NULL,
    value   DOUBLE       NOT NULL,
    set_at  BIGINT       NOT NULL,
    PRIMARY KEY (metric, service, team)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- The anchor that events hang on. Everything else about a cycle is folded from its events.
CREATE TABLE IF NOT EXISTS pdca_cycles (
    pdca_id    VARCHAR(400) NOT NULL PRIMARY KEY,
    created_at BIGINT       NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- Append-only: what happened stays as it was written, in the order of `seq` (from 1). The program
-- has no statement that changes or deletes an event. In SQLite triggers refuse it too; here they
-- are left out, because with a binary log CREATE TRIGGER asks for SUPER (error 1419), which the
-- role of an application should not have. The server can hold it without triggers: grant the role
-- SELECT and INSERT only on this table and on audit_log.
CREATE TABLE IF NOT EXISTS pdca_events (
    pdca_id VARCHAR(400) NOT NULL,
    seq     INT UNSIGNED NOT NULL,
    `at`    BIGINT       NOT NULL,
    actor   TEXT         NOT NULL,
    -- Text, not JSON: compared byte by byte to tell a repetition from a change.
    body    LONGTEXT     NOT NULL CHECK (JSON_VALID(body)),
    PRIMARY KEY (pdca_id, seq),
    CONSTRAINT pdca_events_cycle FOREIGN KEY (pdca_id) REFERENCES pdca_cycles (pdca_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
