//! Facts from outside: git history, the older tool's files.
