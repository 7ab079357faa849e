-- The embedded log store: chunks of up to 500 records, compressed, with summaries beside them.
--
-- All times are microseconds since 1970, UTC. layer: 0 application, 1 infrastructure.

-- What every process that opens the file must agree on.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

INSERT INTO settings VALUES ('bucket_minutes', 10);

-- Kept with every write, because counting a few million summaries takes longer than a frame may.
CREATE TABLE totals (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    chunks  INTEGER NOT NULL,
    records INTEGER NOT NULL
) STRICT;

INSERT INTO totals VALUES (1, 0, 0);

-- An origin is named by all of its fields: a file whose source is renamed in the configuration
-- keeps its id, and its older chunks keep the older name.
CREATE TABLE origins (
    ref    INTEGER PRIMARY KEY,
    id     BLOB NOT NULL,
    layer  INTEGER NOT NULL,
    source TEXT NOT NULL,
    host   TEXT NOT NULL,
    UNIQUE (id, layer, source, host)
) STRICT;

-- How far an origin is stored. Eight bytes, big-endian: compares like the unsigned number it is,
-- which SQLite's signed integers cannot hold. A table of its own, as an origin may have read on
-- without a record.
CREATE TABLE watermarks (
    origin    BLOB PRIMARY KEY,
    stored_to BLOB NOT NULL
) WITHOUT ROWID, STRICT;

-- Summaries, about 80 bytes each. The records are in a table of their own, so that listing a bucket
-- reads a few pages and not one for every chunk.
--
-- The key is the arrival number: handed out under the write lock, it grows in the order of commits,
-- whichever process writes; AUTOINCREMENT, so that none is used again after chunks expired. A
-- follower needs nothing else.
CREATE TABLE chunks (
    arrival  INTEGER PRIMARY KEY AUTOINCREMENT,
    layer    INTEGER NOT NULL,
    bucket   INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    id       BLOB NOT NULL,
    origin   INTEGER NOT NULL,
    minutes  BLOB NOT NULL -- counts by minute and level; codec in crates/atalaya-store/src/sqlite/codec.rs
) STRICT;

-- Finds a chunk by key, lists a bucket in order, and gives the directory of buckets by skipping
-- from one to the next. Unique here and not on `id` alone: writes then touch the pages of the
-- present bucket only, where random ids would touch pages everywhere.
CREATE UNIQUE INDEX chunks_by_key ON chunks (layer, bucket, first_at DESC, id);

-- The records, compressed by column: codec in crates/atalaya-store/src/sqlite/codec.rs,
-- with a checksum (seal.rs beside it).
CREATE TABLE blocks (
    arrival INTEGER PRIMARY KEY,
    data    BLOB NOT NULL
) STRICT;

-- Request index: the first 48 bits of BLAKE3(request id) -> chunk. A reader compares the real ids
-- after decoding, so a collision costs a read and nothing else.
--
-- `part` is arrival / 4096. Hashes are random, so one big tree would have each write dirty a page
-- for every row (measured: several times the input's own size into the write-ahead log). Within
-- one part all of them fall on a few hundred pages; a look-up seeks once in each part, about one
-- for every 800,000 records.
CREATE TABLE requests (
    part  INTEGER NOT NULL,
    hash  INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    PRIMARY KEY (part, hash, chunk)
) WITHOUT ROWID, STRICT;
