-- What is read from services such as GitHub piece by piece. Types as in 0001_delivery.sql.

-- How far each list of a source was read: a run that is cut short goes on from here.
CREATE TABLE source_cursors (
    source     TEXT    NOT NULL,
    resource   TEXT    NOT NULL,
    body       TEXT    NOT NULL CHECK (json_valid(body)),
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (source, resource)
) STRICT;

-- Commits whose repository is not on any disk here.
CREATE TABLE source_commits (
    source       TEXT    NOT NULL,
    sha          TEXT    NOT NULL,
    -- Ids, first parent first, and ids of what it says it reverts; with blanks between them.
    parents      TEXT    NOT NULL,
    reverts      TEXT    NOT NULL,
    authored_at  INTEGER NOT NULL,
    committed_at INTEGER NOT NULL,
    title        TEXT    NOT NULL,
    request_id   TEXT,
    PRIMARY KEY (source, sha)
) STRICT;

-- What a source itself says of a deployment, beside what is concluded from its commits: `hotfix`,
-- `broke`; and what it was compared with (`compared ID`).
CREATE TABLE source_words (
    source     TEXT NOT NULL,
    deployment TEXT NOT NULL,
    word       TEXT NOT NULL,
    PRIMARY KEY (source, deployment, word)
) STRICT;

-- A squash merge is told from other merges by the last commit of its branch.
ALTER TABLE pull_requests ADD COLUMN head_sha TEXT;
ALTER TABLE pull_requests ADD COLUMN last_commit_at INTEGER;
