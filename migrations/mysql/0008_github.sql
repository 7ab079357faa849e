-- What is read from services such as GitHub piece by piece. Types and rules as in
-- 0001_delivery.sql; columns are added as in 0005_delivery_told_right.sql.

-- How far each list of a source was read: a run that is cut short goes on from here.
CREATE TABLE IF NOT EXISTS source_cursors (
    source     VARCHAR(300) NOT NULL,
    resource   VARCHAR(100) NOT NULL,
    body       MEDIUMTEXT   NOT NULL,
    changed_at BIGINT       NOT NULL,
    PRIMARY KEY (source, resource)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- Commits whose repository is not on any disk here.
CREATE TABLE IF NOT EXISTS source_commits (
    source       VARCHAR(300) NOT NULL,
    sha          VARCHAR(100) NOT NULL,
    -- Ids, first parent first, and ids of what it says it reverts; with blanks between them.
    parents      MEDIUMTEXT   NOT NULL,
    reverts      MEDIUMTEXT   NOT NULL,
    authored_at  BIGINT       NOT NULL,
    committed_at BIGINT       NOT NULL,
    title        MEDIUMTEXT   NOT NULL,
    request_id   VARCHAR(400),
    PRIMARY KEY (source, sha)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- What a source itself says of a deployment, beside what is concluded from its commits: `hotfix`,
-- `broke`; and what it was compared with (`compared ID`).
CREATE TABLE IF NOT EXISTS source_words (
    source     VARCHAR(300) NOT NULL,
    deployment VARCHAR(300) NOT NULL,
    word       VARCHAR(100) NOT NULL,
    PRIMARY KEY (source, deployment, word)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- A squash merge is told from other merges by the last commit of its branch.
SET @add = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()
        AND table_name = 'pull_requests' AND column_name = 'head_sha') = 0,
    'ALTER TABLE pull_requests ADD COLUMN head_sha VARCHAR(100)', 'DO 0');
PREPARE add_column FROM @add;
EXECUTE add_column;
DEALLOCATE PREPARE add_column;

SET @add = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()
        AND table_name = 'pull_requests' AND column_name = 'last_commit_at') = 0,
    'ALTER TABLE pull_requests ADD COLUMN last_commit_at BIGINT', 'DO 0');
PREPARE add_column FROM @add;
EXECUTE add_column;
DEALLOCATE PREPARE add_column;
