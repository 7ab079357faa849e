-- What took a deployment back, which commits are reverts, what an incident's cause was named, and
-- the repositories that deployments are read from. Types and rules as in 0001_delivery.sql.
--
-- MySQL has no ADD COLUMN IF NOT EXISTS: each statement is made only where its column is missing,
-- so that it may run again.

-- Not a reference: it may be read before the deployment that it names.
SET @add = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()
        AND table_name = 'deployments' AND column_name = 'taken_back_by') = 0,
    'ALTER TABLE deployments ADD COLUMN taken_back_by VARCHAR(400)', 'DO 0');
PREPARE add_column FROM @add;
EXECUTE add_column;
DEALLOCATE PREPARE add_column;

SET @add = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()
        AND table_name = 'deployment_commits' AND column_name = 'reverts') = 0,
    'ALTER TABLE deployment_commits ADD COLUMN reverts BOOLEAN NOT NULL DEFAULT 0', 'DO 0');
PREPARE add_column FROM @add;
EXECUTE add_column;
DEALLOCATE PREPARE add_column;

-- A deployment, a cycle or a commit as it was said, perhaps one that is not known yet.
SET @add = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()
        AND table_name = 'incidents' AND column_name = 'cause') = 0,
    'ALTER TABLE incidents ADD COLUMN cause VARCHAR(400)', 'DO 0');
PREPARE add_column FROM @add;
EXECUTE add_column;
DEALLOCATE PREPARE add_column;

-- A repository is its first commit and where it was cloned from, not the folder that it lies in.
CREATE TABLE IF NOT EXISTS repositories (
    -- Origin of its deployments: `git:` and the beginning of its first commit.
    id          VARCHAR(400) NOT NULL PRIMARY KEY,
    -- '' where a clone is too shallow to hold it.
    root_commit VARCHAR(100) NOT NULL,
    remote      TEXT,
    service     VARCHAR(255) NOT NULL,
    -- A person gave that name.
    named       BOOLEAN      NOT NULL,
    -- How deployments were asked for: `auto`, `tags:v*`, `merges:main`.
    way         TEXT         NOT NULL,
    -- How they were found, and what became of the tags, in words.
    method      TEXT         NOT NULL,
    account     TEXT         NOT NULL,
    -- Where it was read last.
    path        TEXT         NOT NULL,
    synced_at   BIGINT       NOT NULL,
    KEY repositories_root_commit (root_commit)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4
  COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
