//! Small files that people name: configuration, passwords, themes, saved state. Whatever stands
//! under the name, reading it neither waits nor fills the memory; and what is written is there whole
//! or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading. A FIFO does not block, and a device is refused.
///
/// # Errors
/// As opening it; `InvalidInput` for what is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    if !file.metadata()?.is_file() {
        let kind = io::ErrorKind::InvalidInput;
        return Err(io::Error::new(kind, "it is no regular file; name one"));
    }
    Ok(file)
}

/// The text of a regular file of at most `limit` bytes.
///
/// # Errors
/// As [`open`]; `InvalidData` for what is longer or no UTF-8.
pub fn read(path: &Path, limit: u64) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.take(limit + 1).read_to_string(&mut text)?;
    if text.len() as u64 > limit {
        let message = format!("it is longer than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(text)
}

/// Puts a file in the place of the one of this name, if any; once this returns, a power failure does
/// not bring the old one back. Blocking.
///
/// # Errors
/// The folder is not there or cannot be written; what stood there before still does.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_is_replaced_is_whole_and_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        replace(&path, b"a long first text").unwrap();
        replace(&path, b"second").unwrap();
        assert_eq!(read(&path, 12).unwrap(), "second");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace(&folder.path().join("not/there"), b"").is_err());
    }

    #[test]
    fn reads_files_and_refuses_whatever_else_has_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, "twelve bytes").unwrap();
        assert_eq!(read(&path, 12).unwrap(), "twelve bytes");
        assert_eq!(
            read(&path, 11).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        for odd in [pipe.as_path(), Path::new("/dev/zero"), folder.path()] {
            let error = read(odd, 12).unwrap_err();
            assert_eq!(
                error.kind(),
                io::ErrorKind::InvalidInput,
                "{}: {error}",
                odd.display()
            );
        }
    }
}
