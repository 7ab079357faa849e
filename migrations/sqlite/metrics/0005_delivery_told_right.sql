-- What took a deployment back, which commits are reverts, what an incident's cause was named, and
-- the repositories that deployments are read from. Types as in 0001_delivery.sql.

-- Not a reference: it may be read before the deployment that it names.
ALTER TABLE deployments ADD COLUMN taken_back_by TEXT;

ALTER TABLE deployment_commits ADD COLUMN reverts INTEGER NOT NULL DEFAULT 0;

-- A deployment, a cycle or a commit as it was said, perhaps one that is not known yet.
ALTER TABLE incidents ADD COLUMN cause TEXT;

-- A repository is its first commit and where it was cloned from, not the folder that it lies in.
CREATE TABLE repositories (
    -- Origin of its deployments: `git:` and the beginning of its first commit.
    id          TEXT    NOT NULL PRIMARY KEY,
    -- '' where a clone is too shallow to hold it.
    root_commit TEXT    NOT NULL,
    remote      TEXT,
    service     TEXT    NOT NULL,
    -- A person gave that name.
    named       INTEGER NOT NULL,
    -- How deployments were asked for: `auto`, `tags:v*`, `merges:main`.
    way         TEXT    NOT NULL,
    -- How they were found, and what became of the tags, in words.
    method      TEXT    NOT NULL,
    account     TEXT    NOT NULL,
    -- Where it was read last.
    path        TEXT    NOT NULL,
    synced_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX repositories_root_commit ON repositories (root_commit);
