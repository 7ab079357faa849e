-- Alerts with their notices, in place of the table of 0003, which nothing has used yet. A name of
-- its own for the new one, so that a repetition after an interruption drops nothing that is used.
-- Types and rules as in 0001_delivery.sql.

DROP TABLE IF EXISTS alerts;

CREATE TABLE IF NOT EXISTS raised_alerts (
    id            VARCHAR(400) NOT NULL PRIMARY KEY,
    rule          VARCHAR(255) NOT NULL,
    -- The rule while the alert is not over: a rule has one alert at a time.
    active_rule   VARCHAR(255) UNIQUE,
    state         VARCHAR(50)  NOT NULL,
    pending_since BIGINT       NOT NULL,
    resolved_at   BIGINT,
    -- Who changes an alert names the version that it read.
    version       BIGINT       NOT NULL,
    body          LONGTEXT     NOT NULL CHECK (JSON_VALID(body)),
    KEY alerts_pending_since (pending_since),
    KEY alerts_rule (rule, pending_since)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE IF NOT EXISTS alert_rules (
    name       VARCHAR(255) NOT NULL PRIMARY KEY,
    body       LONGTEXT     NOT NULL CHECK (JSON_VALID(body)),
    changed_at BIGINT       NOT NULL,
    changed_by TEXT         NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE IF NOT EXISTS alert_silences (
    id         VARCHAR(400) NOT NULL PRIMARY KEY,
    rule       VARCHAR(255) NOT NULL,
    reason     TEXT         NOT NULL,
    actor      TEXT         NOT NULL,
    from_time  BIGINT       NOT NULL,
    until_time BIGINT       NOT NULL,
    KEY alert_silences_until (until_time)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- What the last evaluation measured: one row.
CREATE TABLE IF NOT EXISTS alert_readings (
    id       BIGINT   NOT NULL PRIMARY KEY,
    taken_at BIGINT   NOT NULL,
    body     LONGTEXT NOT NULL CHECK (JSON_VALID(body))
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- Changes of state that are in no message yet.
CREATE TABLE IF NOT EXISTS notices (
    seq         BIGINT       NOT NULL PRIMARY KEY AUTO_INCREMENT,
    channel     VARCHAR(255) NOT NULL,
    notice_key  VARCHAR(255) NOT NULL,
    severity    BIGINT       NOT NULL,
    is_resolved BOOLEAN      NOT NULL,
    body        LONGTEXT     NOT NULL CHECK (JSON_VALID(body)),
    UNIQUE KEY notices_key (channel, notice_key)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- Messages to channels, and what became of them. A message never changes.
CREATE TABLE IF NOT EXISTS outbox (
    seq         BIGINT       NOT NULL PRIMARY KEY AUTO_INCREMENT,
    message_key VARCHAR(255) NOT NULL UNIQUE,
    channel     VARCHAR(255) NOT NULL,
    state       VARCHAR(50)  NOT NULL,
    created_at  BIGINT       NOT NULL,
    attempts    BIGINT       NOT NULL,
    next_at     BIGINT       NOT NULL,
    ended_at    BIGINT,
    answer      TEXT,
    body        LONGTEXT     NOT NULL CHECK (JSON_VALID(body)),
    KEY outbox_channel (channel, state, seq),
    KEY outbox_ended_at (ended_at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
