//! The last bytes of an archive: BLAKE3 of all bytes before them, in a form that the usual tools
//! pass over.
//!
//! The sums of compressors cover what they decompress to, not how it was written: a flipped bit in
//! a frame's header may go unnoticed. The seal covers every byte, and itself has only one form.

use std::io::{self, Read, Write};

use atalaya_domain::backup::Compression;

/// Hashes what is written through it.
pub(crate) struct SealWriter<W> {
    inner: W,
    hasher: blake3::Hasher,
}

impl<W: Write> SealWriter<W> {
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: blake3::Hasher::new(),
        }
    }

    /// Writes the seal; gives back what was written to, and the sum.
    pub fn finish(mut self, compression: Compression) -> io::Result<(W, blake3::Hash)> {
        let hash = self.hasher.finalize();
        self.inner.write_all(&footer(compression, &hash))?;
        Ok((self.inner, hash))
    }
}

impl<W: Write> Write for SealWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The bytes at the end of an archive.
///
/// Sources of the forms: RFC 8878, section 3.1.2 (skippable frame); RFC 1952, section 2.3 (member
/// with an extra field, and no content).
pub(crate) fn footer(compression: Compression, hash: &blake3::Hash) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    match compression {
        Compression::Zstd => {
            bytes.extend(0x184D_2A5E_u32.to_le_bytes());
            bytes.extend(32_u32.to_le_bytes());
            bytes.extend(hash.as_bytes());
        }
        Compression::Gzip => {
            // Magic, deflate, FEXTRA, no time, no extra flags, unknown system.
            bytes.extend([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255]);
            bytes.extend(36_u16.to_le_bytes());
            bytes.extend(*b"B3");
            bytes.extend(32_u16.to_le_bytes());
            bytes.extend(hash.as_bytes());
            // An empty block; CRC32 and length of nothing.
            bytes.extend([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
    }
    bytes
}

/// Reads everything but the seal, which [`finish`](Self::finish) compares.
pub(crate) struct SealReader<R> {
    inner: R,
    hasher: blake3::Hasher,
    compression: Compression,
    /// Read and not yet given on; the last bytes may be the seal.
    held: Vec<u8>,
    start: usize,
    footer: usize,
    ended: bool,
}

const BLOCK: usize = 64 << 10;

impl<R: Read> SealReader<R> {
    pub fn new(inner: R, compression: Compression) -> Self {
        let footer = footer(compression, &blake3::Hash::from_bytes([0; 32])).len();
        Self {
            inner,
            hasher: blake3::Hasher::new(),
            compression,
            held: Vec::with_capacity(2 * BLOCK),
            start: 0,
            footer,
            ended: false,
        }
    }

    /// Bytes that are not the seal's, once there are any.
    fn fill(&mut self) -> io::Result<usize> {
        while !self.ended && self.held.len() - self.start <= self.footer {
            self.held.drain(..self.start);
            self.start = 0;
            let filled = self.held.len();
            self.held.resize(filled + BLOCK, 0);
            let read = self.inner.read(&mut self.held[filled..]);
            self.held.truncate(filled + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok((self.held.len() - self.start).saturating_sub(self.footer))
    }

    /// Whether nothing but the seal is left, and it is that of what was read.
    pub fn finish(mut self) -> io::Result<blake3::Hash> {
        let wrong = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason);
        if self.fill()? > 0 {
            return Err(wrong("bytes follow behind its end"));
        }
        let hash = self.hasher.finalize();
        if self.held[self.start..] != footer(self.compression, &hash) {
            return Err(wrong(
                "its bytes are not those that were written (the seal differs)",
            ));
        }
        Ok(hash)
    }
}

impl<R: Read> Read for SealReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill()?.min(into.len());
        let bytes = &self.held[self.start..self.start + ready];
        into[..ready].copy_from_slice(bytes);
        self.hasher.update(bytes);
        self.start += ready;
        Ok(ready)
    }
}
