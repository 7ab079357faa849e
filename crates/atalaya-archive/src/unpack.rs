//! Reads an archive as if a stranger had made it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use age::stream::StreamReader;

use atalaya_domain::backup::{ArchiveName, Compression, Manifest, Part};

use super::keys::Identities;
use super::seal::SealReader;
use super::{ArchiveError, MANIFEST, Watch};

/// A manifest is a few kilobytes; one with a full quarantine a few megabytes.
const MOST_MANIFEST: u64 = 16 << 20;
/// One byte of an archive becomes at most so many: rows that repeat compress to a hundredth.
const MOST_GROWTH: u64 = 1_000;
/// What a small archive may become all the same.
const SMALL: u64 = 64 << 20;
/// Zeros behind the last entry: the tar's end, and what tools add to fill a block.
const MOST_PADDING: u64 = 1 << 20;
/// 8 MiB: what decompressing may take as memory. Ours needs 2 MiB.
const WINDOW_LOG: u32 = 23;
const BLOCK: usize = 64 << 10;

/// An archive that was read to its end.
#[derive(Clone, Debug)]
pub struct Checked {
    pub manifest: Manifest,
    /// In hex.
    pub seal: String,
    /// Of the file.
    pub bytes: u64,
}

/// Only the manifest: nothing else is read, and nothing of it proven.
pub fn manifest(path: &Path, keys: &Identities) -> Result<Manifest, ArchiveError> {
    let (mut archive, file_bytes) = open(path, keys)?;
    let reading = Reading {
        path,
        watch: &|_| true,
    };
    let entries = archive.entries().map_err(|error| reading.broken(&error))?;
    reading.manifest(&mut entries.raw(true), file_bytes)
}

/// Writes one part below `into` and reads no further: the part is what the manifest says, and
/// nothing else is proven.
pub fn first_part(
    path: &Path,
    keys: &Identities,
    name: &str,
    into: &Path,
) -> Result<Manifest, ArchiveError> {
    let (mut archive, file_bytes) = open(path, keys)?;
    let reading = Reading {
        path,
        watch: &|_| true,
    };
    let target = Target {
        into,
        wanted: &|part| part == name,
    };
    let mut entries = archive
        .entries()
        .map_err(|error| reading.broken(&error))?
        .raw(true);
    let manifest = reading.manifest(&mut entries, file_bytes)?;
    for part in &manifest.parts {
        reading.next_part(&mut entries, part, Some(&target))?;
        if part.name == name {
            return Ok(manifest);
        }
    }
    Err(reading.refused(format!("`{name}` is not in it")))
}

/// Reads everything, and writes nothing.
pub fn check(path: &Path, keys: &Identities, watch: Watch<'_>) -> Result<Checked, ArchiveError> {
    read(path, keys, None, watch)
}

/// As [`check`], and writes the parts that are `wanted` below `into`, a folder of its own.
pub fn extract(
    path: &Path,
    keys: &Identities,
    into: &Path,
    wanted: &dyn Fn(&str) -> bool,
    watch: Watch<'_>,
) -> Result<Checked, ArchiveError> {
    read(path, keys, Some(Target { into, wanted }), watch)
}

struct Target<'a> {
    into: &'a Path,
    wanted: &'a dyn Fn(&str) -> bool,
}

impl Target<'_> {
    /// A new file for the part; the name has been checked.
    fn create(&self, part: &Part) -> Result<Option<File>, ArchiveError> {
        if !(self.wanted)(&part.name) {
            return Ok(None);
        }
        let path = self.into.join(&part.name);
        let unwritable = |source| ArchiveError::Unwritable {
            path: path.clone(),
            source,
        };
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(unwritable)?;
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(unwritable)?;
        Ok(Some(file))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a target is read into once")]
fn read(
    path: &Path,
    keys: &Identities,
    target: Option<Target<'_>>,
    watch: Watch<'_>,
) -> Result<Checked, ArchiveError> {
    let (mut archive, file_bytes) = open(path, keys)?;
    let reading = Reading { path, watch };
    let manifest = {
        let mut entries = archive
            .entries()
            .map_err(|error| reading.broken(&error))?
            .raw(true);
        let manifest = reading.manifest(&mut entries, file_bytes)?;
        for part in &manifest.parts {
            reading.next_part(&mut entries, part, target.as_ref())?;
        }
        if let Some(more) = entries.next() {
            more.map_err(|error| reading.broken(&error))?;
            return Err(reading.refused("there is more in it than its manifest names".to_owned()));
        }
        manifest
    };
    let seal = reading.end(archive.into_inner())?;
    let named = path.file_name().and_then(|name| name.to_str());
    if named
        .and_then(|name| name.parse::<ArchiveName>().ok())
        .is_none_or(|name| name.name != manifest.name)
    {
        return Err(reading.refused(format!(
            "its name is that of another one: it says that it is {}",
            manifest.name
        )));
    }
    Ok(Checked {
        manifest,
        seal,
        bytes: file_bytes,
    })
}

type Archive = tar::Archive<Unpacker>;

/// The archive below its encryption and compression, and the size of the file.
fn open(path: &Path, keys: &Identities) -> Result<(Archive, u64), ArchiveError> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let name: ArchiveName = name.parse().map_err(|source| ArchiveError::Name {
        path: path.to_owned(),
        source,
    })?;
    let unreadable = |source| ArchiveError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = super::open(path)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    let file = BufReader::with_capacity(BLOCK, file);
    let inner = if name.is_encrypted() {
        Inner::Encrypted(Box::new(decrypted(file, path, keys)?))
    } else {
        Inner::Plain(file)
    };
    let sealed = BufReader::with_capacity(BLOCK, SealReader::new(inner, name.compression()));
    let unpacker = Unpacker::new(sealed, name.compression()).map_err(unreadable)?;
    Ok((tar::Archive::new(unpacker), bytes))
}

fn decrypted(
    file: BufReader<File>,
    path: &Path,
    keys: &Identities,
) -> Result<StreamReader<BufReader<File>>, ArchiveError> {
    if keys.is_empty() {
        return Err(ArchiveError::Locked {
            path: path.to_owned(),
            reason: "name the file of its identity with --identity or in backup.identity_file"
                .to_owned(),
        });
    }
    let damaged = |error: age::DecryptError| ArchiveError::Unusable {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let decryptor = age::Decryptor::new(file).map_err(damaged)?;
    let each = keys.0.iter().map(|key| key as &dyn age::Identity);
    decryptor.decrypt(each).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => ArchiveError::Locked {
            path: path.to_owned(),
            reason: "and not for the identity that was named".to_owned(),
        },
        other => damaged(other),
    })
}

struct Reading<'a> {
    path: &'a Path,
    watch: Watch<'a>,
}

impl Reading<'_> {
    fn refused(&self, reason: String) -> ArchiveError {
        ArchiveError::Unusable {
            path: self.path.to_owned(),
            reason,
        }
    }

    fn broken(&self, error: &io::Error) -> ArchiveError {
        self.refused(format!("it cannot be read to its end: {error}"))
    }

    /// The first entry, checked.
    fn manifest<'e>(
        &self,
        entries: &mut impl Iterator<Item = io::Result<tar::Entry<'e, Unpacker>>>,
        file_bytes: u64,
    ) -> Result<Manifest, ArchiveError> {
        let entry = self.entry(entries, MANIFEST)?;
        if entry.size() > MOST_MANIFEST {
            return Err(self.refused("its manifest is too large".to_owned()));
        }
        let mut text = Vec::new();
        entry
            .take(MOST_MANIFEST)
            .read_to_end(&mut text)
            .map_err(|error| self.broken(&error))?;
        let manifest: Manifest = serde_json::from_slice(&text)
            .map_err(|error| self.refused(format!("its manifest cannot be read: {error}")))?;
        manifest.check().map_err(|source| ArchiveError::Manifest {
            path: self.path.to_owned(),
            source,
        })?;
        let most = file_bytes.saturating_mul(MOST_GROWTH).saturating_add(SMALL);
        let total = manifest
            .parts
            .iter()
            .try_fold(0_u64, |total, part| total.checked_add(part.bytes));
        if total.is_none_or(|total| total > most) {
            return Err(
                self.refused("it claims to hold more than a file of its size can".to_owned())
            );
        }
        Ok(manifest)
    }

    /// The next entry, which has to be the regular file of this name.
    fn entry<'e>(
        &self,
        entries: &mut impl Iterator<Item = io::Result<tar::Entry<'e, Unpacker>>>,
        name: &str,
    ) -> Result<tar::Entry<'e, Unpacker>, ArchiveError> {
        let entry = match entries.next() {
            Some(Ok(entry)) => entry,
            Some(Err(error)) => return Err(self.broken(&error)),
            None => return Err(self.refused(format!("`{name}` is missing"))),
        };
        let header = entry.header();
        let plain = header.entry_type() == tar::EntryType::Regular
            && header.link_name_bytes().is_none()
            && header.mode().is_ok_and(|mode| mode & !0o777 == 0);
        if !plain {
            return Err(self.refused(format!(
                "where `{name}` should be is something that is no plain file"
            )));
        }
        if *entry.path_bytes() != *name.as_bytes() {
            return Err(self.refused(format!("where `{name}` should be is another file")));
        }
        Ok(entry)
    }

    /// The next entry, which has to be this part.
    fn next_part<'e>(
        &self,
        entries: &mut impl Iterator<Item = io::Result<tar::Entry<'e, Unpacker>>>,
        part: &Part,
        target: Option<&Target<'_>>,
    ) -> Result<(), ArchiveError> {
        let entry = self.entry(entries, &part.name)?;
        if entry.size() != part.bytes {
            return Err(self.refused(format!(
                "`{}` is not of the size that its manifest says",
                part.name
            )));
        }
        let file = target.map(|target| target.create(part)).transpose()?;
        self.part(
            entry,
            part,
            file.flatten(),
            target.map(|target| target.into),
        )
    }

    /// Reads one part, and writes it into `file` when there is one.
    fn part(
        &self,
        mut entry: tar::Entry<'_, Unpacker>,
        part: &Part,
        mut file: Option<File>,
        into: Option<&Path>,
    ) -> Result<(), ArchiveError> {
        let unwritable = |source| ArchiveError::Unwritable {
            path: into.unwrap_or(self.path).join(&part.name),
            source,
        };
        let mut hasher = blake3::Hasher::new();
        let mut block = vec![0; BLOCK];
        let mut left = part.bytes;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
            let read = match entry.read(&mut block[..most]) {
                Ok(0) => return Err(self.refused(format!("`{}` is cut", part.name))),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.broken(&error)),
            };
            hasher.update(&block[..read]);
            left -= read as u64;
            if let Some(file) = &mut file {
                file.write_all(&block[..read]).map_err(unwritable)?;
            }
            if !(self.watch)(read as u64) {
                return Err(ArchiveError::Cancelled);
            }
        }
        if hasher.finalize().to_hex().as_str() != part.blake3 {
            return Err(self.refused(format!(
                "`{}` is not what was written (its sum differs)",
                part.name
            )));
        }
        if let Some(file) = file {
            file.sync_all().map_err(unwritable)?;
        }
        Ok(())
    }

    /// Nothing but zeros may follow, and then the seal.
    fn end(&self, mut unpacker: Unpacker) -> Result<String, ArchiveError> {
        let mut block = vec![0; BLOCK];
        let mut padding = 0;
        loop {
            match unpacker.read(&mut block) {
                Ok(0) => break,
                Ok(read) => {
                    padding += read as u64;
                    if padding > MOST_PADDING || block[..read].iter().any(|byte| *byte != 0) {
                        return Err(self.refused("something follows behind its end".to_owned()));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(&error)),
            }
        }
        let sealed = unpacker.into_inner();
        let left = !sealed.buffer().is_empty();
        let seal = sealed.into_inner().finish();
        match seal {
            Ok(_) if left => Err(self.refused("something follows behind its end".to_owned())),
            Ok(hash) => Ok(hash.to_hex().to_string()),
            Err(error) => Err(self.broken(&error)),
        }
    }
}

enum Inner {
    Plain(BufReader<File>),
    Encrypted(Box<StreamReader<BufReader<File>>>),
}

impl Read for Inner {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(into),
            Self::Encrypted(stream) => stream.read(into),
        }
    }
}

type Sealed = BufReader<SealReader<Inner>>;

/// One frame, or one member: a second one is something behind the end.
enum Unpacker {
    Zstd(zstd::Decoder<'static, Sealed>),
    Gzip(flate2::bufread::GzDecoder<Sealed>),
}

impl Unpacker {
    fn new(sealed: Sealed, compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(sealed)?.single_frame();
                decoder.window_log_max(WINDOW_LOG)?;
                Self::Zstd(decoder)
            }
            Compression::Gzip => Self::Gzip(flate2::bufread::GzDecoder::new(sealed)),
        })
    }

    fn into_inner(self) -> Sealed {
        match self {
            Self::Zstd(decoder) => decoder.finish(),
            Self::Gzip(decoder) => decoder.into_inner(),
        }
    }
}

impl Read for Unpacker {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Zstd(decoder) => decoder.read(into),
            Self::Gzip(decoder) => decoder.read(into),
        }
    }
}
