-- The index of ids holds users and sessions too: the first 48 bits of BLAKE3("u\0" user) and
-- BLAKE3("s\0" session). Chunks up to this arrival were written before and have only their requests;
-- while one of them is there, the records of a user are looked for in all chunks.
INSERT INTO settings
SELECT 'ids_from', coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'chunks'), 0);
