//! Writes an archive: parts of a folder, as a manifest names them.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use age::stream::StreamWriter;

use atalaya_domain::backup::{ArchiveName, Compression, Manifest, Part};

use super::keys::Recipients;
use super::seal::SealWriter;
use super::{ArchiveError, MANIFEST, Watch};

/// The large part is compressed by itself already.
const ZSTD_LEVEL: i32 = 3;
const GZIP_LEVEL: u32 = 6;
const BLOCK: usize = 64 << 10;

/// What a manifest says of a file. `name` is the part's.
pub fn part_of(folder: &Path, name: &str) -> Result<Part, ArchiveError> {
    let path = folder.join(name);
    let unreadable = |source| ArchiveError::Unreadable {
        path: path.clone(),
        source,
    };
    let mut file = super::open(&path)?;
    let mut hasher = blake3::Hasher::new();
    let mut block = vec![0; BLOCK];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut block).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        hasher.update(&block[..read]);
        bytes += read as u64;
    }
    Ok(Part {
        name: name.to_owned(),
        bytes,
        blake3: hasher.finalize().to_hex().to_string(),
    })
}

/// Writes the archive into `file`, whose place `path` is for messages, and syncs it. Returns the
/// seal in hex.
pub fn write(
    (file, path): (File, &Path),
    name: &ArchiveName,
    recipients: &Recipients,
    manifest: &Manifest,
    folder: &Path,
    watch: Watch<'_>,
) -> Result<String, ArchiveError> {
    manifest.check().map_err(|source| ArchiveError::Manifest {
        path: path.to_owned(),
        source,
    })?;
    let unwritable = |source| ArchiveError::Unwritable {
        path: path.to_owned(),
        source,
    };
    let outer = Outer::new(file, recipients).map_err(unwritable)?;
    let packer = Packer::new(SealWriter::new(outer), name.compression()).map_err(unwritable)?;
    let mut tar = tar::Builder::new(packer);
    let text = serde_json::to_vec_pretty(manifest)
        .map_err(io::Error::other)
        .map_err(unwritable)?;
    let seconds = u64::try_from(manifest.created_at.micros() / 1_000_000).unwrap_or(0);
    let mut head = header(MANIFEST, text.len() as u64, seconds).map_err(unwritable)?;
    tar.append(&head, text.as_slice()).map_err(unwritable)?;
    for part in &manifest.parts {
        let from = folder.join(&part.name);
        let mut content = Content {
            file: super::open(&from)?,
            watch,
            failed: None,
        };
        head = header(&part.name, part.bytes, seconds).map_err(unwritable)?;
        let written = tar.append(&head, (&mut content).take(part.bytes));
        match content.failed {
            Some(Failed::Stopped) => return Err(ArchiveError::Cancelled),
            Some(Failed::Read(source)) => {
                return Err(ArchiveError::Unreadable { path: from, source });
            }
            None => written.map_err(unwritable)?,
        }
    }
    let sealed = tar.into_inner().and_then(Packer::finish);
    let (outer, hash) = sealed
        .and_then(|seal| seal.finish(name.compression()))
        .map_err(unwritable)?;
    let file = outer.finish().map_err(unwritable)?;
    file.sync_all().map_err(unwritable)?;
    Ok(hash.to_hex().to_string())
}

/// Of a regular file that nobody owns.
fn header(name: &str, bytes: u64, seconds: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_size(bytes);
    header.set_mode(0o640);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(seconds);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    Ok(header)
}

enum Failed {
    Stopped,
    Read(io::Error),
}

/// Reads a part, so that what went wrong with it is told from what went wrong with the archive.
struct Content<'a> {
    file: File,
    watch: Watch<'a>,
    failed: Option<Failed>,
}

impl Read for &mut Content<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.file.read(into) {
            Ok(read) if (self.watch)(read as u64) => Ok(read),
            Ok(_) => {
                self.failed = Some(Failed::Stopped);
                Err(io::Error::other("stopped"))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.failed = Some(Failed::Read(error));
                Err(io::Error::other("unreadable"))
            }
        }
    }
}

/// The file, or what encrypts into it.
enum Outer {
    Plain(BufWriter<File>),
    Encrypted(StreamWriter<BufWriter<File>>),
}

impl Outer {
    fn new(file: File, recipients: &Recipients) -> io::Result<Self> {
        let file = BufWriter::with_capacity(BLOCK, file);
        if recipients.is_empty() {
            return Ok(Self::Plain(file));
        }
        let each = recipients.0.iter().map(|key| key as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(each).map_err(io::Error::other)?;
        Ok(Self::Encrypted(encryptor.wrap_output(file)?))
    }

    fn finish(self) -> io::Result<File> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Encrypted(stream) => stream.finish()?,
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

impl Write for Outer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Encrypted(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Encrypted(stream) => stream.flush(),
        }
    }
}

enum Packer<W: Write> {
    Zstd(zstd::Encoder<'static, W>),
    Gzip(flate2::write::GzEncoder<W>),
}

impl<W: Write> Packer<W> {
    fn new(inner: W, compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(inner, ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
            Compression::Gzip => Self::Gzip(flate2::write::GzEncoder::new(
                inner,
                flate2::Compression::new(GZIP_LEVEL),
            )),
        })
    }

    fn finish(self) -> io::Result<W> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.flush(),
            Self::Gzip(encoder) => encoder.flush(),
        }
    }
}
