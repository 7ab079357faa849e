//! How a file is named to SQLite. Its driver takes names in UTF-8 alone, and a name that begins with
//! `file:` is something else to it: both become a URI.
//!
//! Source: <https://www.sqlite.org/uri.html>.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

/// Which locks whoever opens it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locks {
    All,
    /// None, and the log beside it is not looked at: nobody writes.
    Immutable,
    /// None, but the log is read.
    None,
}

pub(crate) fn options(path: &Path, locks: Locks) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new().disable_statement_logging();
    let name = name(path);
    if matches!(name, Cow::Borrowed(_)) {
        let options = options.filename(path);
        return match locks {
            Locks::All => options,
            Locks::Immutable => options.immutable(true),
            Locks::None => options.vfs(WITHOUT_LOCKS),
        };
    }
    // The driver would make a URI of the URI.
    options.filename(match locks {
        Locks::All => name.into_owned(),
        Locks::Immutable => format!("{name}?immutable=1"),
        Locks::None => format!("{name}?vfs={WITHOUT_LOCKS}"),
    })
}

const WITHOUT_LOCKS: &str = "unix-none";

/// The path as it is, or its URI.
pub(crate) fn name(path: &Path) -> Cow<'_, str> {
    if let Some(text) = path.to_str().filter(|text| !text.starts_with("file:")) {
        return text.into();
    }
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte) {
            uri.push(byte.into());
        } else {
            let _ = write!(uri, "%{byte:02x}");
        }
    }
    uri.into()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::ffi::OsStr;

    use proptest::prelude::*;
    use sqlx::Connection as _;

    use super::*;

    async fn run(path: &Path, locks: Locks, sql: &'static str) {
        let options = options(path, locks).create_if_missing(locks == Locks::All);
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_file_of_any_name_is_that_file(
            name in proptest::collection::vec(1_u8..=255, 1..40),
            begins_like_a_uri in any::<bool>(),
        ) {
            let mut name: Vec<u8> = name.into_iter().filter(|byte| *byte != b'/').collect();
            name.insert(0, b'x');
            if begins_like_a_uri {
                name.splice(0..0, *b"file:");
            }
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(OsStr::from_bytes(&name));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                run(&path, Locks::All, "CREATE TABLE t (n)").await;
                for locks in [Locks::Immutable, Locks::None] {
                    run(&path, locks, "SELECT n FROM t").await;
                }
            });
            let found: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
            prop_assert_eq!(found.len(), 1);
            prop_assert!(path.is_file());
        }
    }
}
