//! The bytes of a generation, wherever they are: in a plain file, packed, or coming in a stream.
//! Offsets are always those of the unpacked content.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use super::identity::{Fingerprint, Likeness, Mark, PROBE};
use super::rotation::Packing;

/// What the decoder of an xz file may need; `xz -9` asks for 65 MiB.
const XZ_MEMORY: u64 = 128 << 20;

/// Opens for reading without ever waiting for the other end of a pipe and without following the
/// console's controlling terminal.
pub fn open_file(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    Bytes(usize),
    /// Nothing now; a plain file may grow, a stream may bring more.
    Nothing,
    /// The end of packed content or of a stream: nothing more will ever come.
    End,
}

pub enum Content {
    Plain(File),
    /// Read once, in order. `at` is the offset of the next byte that it gives.
    Packed {
        reader: Box<dyn Read + Send>,
        at: u64,
    },
    Stream(Stream),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(file) => formatter.debug_tuple("Plain").field(file).finish(),
            Self::Packed { at, .. } => formatter
                .debug_struct("Packed")
                .field("at", at)
                .finish_non_exhaustive(),
            Self::Stream(_) => formatter.write_str("Stream"),
        }
    }
}

impl Content {
    pub fn of(file: File, packing: Option<Packing>) -> io::Result<Self> {
        match packing {
            None => Ok(Self::Plain(file)),
            Some(packing) => Ok(Self::Packed {
                reader: unpack(file, packing)?,
                at: 0,
            }),
        }
    }

    /// Reads at `offset`, which never goes back for packed content and streams.
    pub fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<Got> {
        match self {
            Self::Plain(file) => match retrying(|| file.read_at(buffer, offset))? {
                0 => Ok(Got::Nothing),
                size => Ok(Got::Bytes(size)),
            },
            Self::Packed { reader, at } => {
                while *at < offset {
                    let step = usize::try_from(offset - *at)
                        .map_or(buffer.len(), |gap| gap.min(buffer.len()));
                    let size = retrying(|| reader.read(&mut buffer[..step]))?;
                    if size == 0 {
                        return Ok(Got::End);
                    }
                    *at += size as u64;
                }
                let size = retrying(|| reader.read(buffer))?;
                *at += size as u64;
                Ok(if size == 0 {
                    Got::End
                } else {
                    Got::Bytes(size)
                })
            }
            Self::Stream(stream) => stream.read_at(offset, buffer),
        }
    }
}

fn retrying(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn unpack(file: File, packing: Packing) -> io::Result<Box<dyn Read + Send>> {
    Ok(match packing {
        Packing::Gzip => Box::new(Gunzip::new(file)),
        Packing::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(BufReader::with_capacity(
            1 << 16,
            file,
        ))),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(file)?),
        Packing::Xz => {
            let decoder = liblzma::stream::Stream::new_stream_decoder(
                XZ_MEMORY,
                liblzma::stream::CONCATENATED,
            )?;
            Box::new(liblzma::read::XzDecoder::new_stream(file, decoder))
        }
    })
}

/// Members of a gzip file one after the other, and the zeros that tapes and block devices add.
struct Gunzip {
    /// `None` when all was read.
    member: Option<flate2::bufread::GzDecoder<BufReader<File>>>,
}

impl Gunzip {
    fn new(file: File) -> Self {
        let file = BufReader::with_capacity(1 << 16, file);
        Self {
            member: Some(flate2::bufread::GzDecoder::new(file)),
        }
    }
}

impl Read for Gunzip {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let size = member.read(buffer)?;
            if size > 0 || buffer.is_empty() {
                return Ok(size);
            }
            let Some(member) = self.member.take() else {
                break;
            };
            let mut file = member.into_inner();
            if skip_padding(&mut file)? {
                self.member = Some(flate2::bufread::GzDecoder::new(file));
            }
        }
        Ok(0)
    }
}

/// Whether anything but zeros follows.
fn skip_padding(file: &mut BufReader<File>) -> io::Result<bool> {
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(false);
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let is_over = zeros == bytes.len();
        file.consume(zeros);
        if !is_over {
            return Ok(true);
        }
    }
}

/// A stream read by a thread of its own, so that a writer that pauses does not hold up the rest.
/// At most four pieces of 64 KiB wait.
pub struct Stream {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    used: usize,
    at: u64,
}

impl Stream {
    /// `wake` is called whenever something came.
    pub fn start(
        mut reader: Box<dyn Read + Send>,
        wake: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, pieces) = sync_channel(4);
        std::thread::Builder::new()
            .name("ingest-stream".into())
            .spawn(move || {
                loop {
                    let mut piece = vec![0_u8; 1 << 16];
                    let message = retrying(|| reader.read(&mut piece)).map(|size| {
                        piece.truncate(size);
                        piece
                    });
                    let last = message.as_ref().map_or(true, Vec::is_empty);
                    if sender.send(message).is_err() || last {
                        break;
                    }
                    wake();
                }
                wake();
            })?;
        Ok(Self {
            pieces,
            piece: Vec::new(),
            used: 0,
            at: 0,
        })
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<Got> {
        loop {
            if self.used == self.piece.len() {
                match self.pieces.try_recv() {
                    Ok(Ok(piece)) if piece.is_empty() => return Ok(Got::End),
                    Ok(piece) => (self.piece, self.used) = (piece?, 0),
                    Err(TryRecvError::Empty) => return Ok(Got::Nothing),
                    Err(TryRecvError::Disconnected) => return Ok(Got::End),
                }
            }
            let rest = &self.piece[self.used..];
            if self.at < offset {
                let skipped =
                    usize::try_from(offset - self.at).map_or(rest.len(), |gap| gap.min(rest.len()));
                self.used += skipped;
                self.at += skipped as u64;
                continue;
            }
            let size = rest.len().min(buffer.len());
            buffer[..size].copy_from_slice(&rest[..size]);
            self.used += size;
            self.at += size as u64;
            return Ok(Got::Bytes(size));
        }
    }
}

/// Reads what is there at an offset; nothing at the end.
pub fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    retrying(|| file.read_at(buffer, offset))
}

/// Reads exactly this part of a plain file; shorter only at its end.
pub fn read_range(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0_u8; length];
    let mut filled = 0;
    while filled < length {
        match retrying(|| file.read_at(&mut bytes[filled..], offset + filled as u64))? {
            0 => break,
            size => filled += size,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// What a file that is not known yet turned out to hold, compared with known fingerprints.
#[derive(Debug)]
pub struct Comparison {
    /// Length of the (unpacked) content.
    pub length: u64,
    /// False for packed content that breaks off: still being written, or damaged.
    pub complete: bool,
    /// One for each fingerprint asked about, in their order.
    pub likeness: Vec<Likeness>,
}

/// Compares content with fingerprints. Packed content whose head fits none of them is not unpacked
/// further; its length is then that of what was looked at.
pub fn compare(
    path: &Path,
    packing: Option<Packing>,
    prints: &[&Fingerprint],
) -> io::Result<Comparison> {
    let Some(packing) = packing else {
        let file = open_file(path)?;
        let length = file.metadata()?.len();
        let likeness = prints
            .iter()
            .map(|print| {
                print
                    .samples(length)
                    .compare(|at, size| read_range(&file, at, size))
            })
            .collect::<io::Result<_>>()?;
        return Ok(Comparison {
            length,
            complete: true,
            likeness,
        });
    };
    let mut reader = unpack(open_file(path)?, packing)?;
    let mut probe = PackedProbe::new(prints);
    let mut buffer = vec![0_u8; 1 << 16];
    let mut complete = true;
    loop {
        match retrying(|| reader.read(&mut buffer)) {
            Ok(0) => break,
            Ok(size) => {
                probe.feed(&buffer[..size]);
                if !probe.any_head_fits() {
                    break;
                }
            }
            Err(error) if is_broken_off(&error) => {
                complete = false;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Comparison {
        length: probe.length,
        complete,
        likeness: probe.likeness(prints),
    })
}

/// Whether packed content ended too early, or is not what its name says.
fn is_broken_off(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::Other
    )
}

/// Collects, in one pass, the bytes at all marks of the fingerprints.
struct PackedProbe<'a> {
    length: u64,
    head: Vec<u8>,
    window: Vec<u8>,
    heads: Vec<&'a Mark>,
    /// Ascending by offset, those not passed yet last.
    marks: Vec<(&'a Mark, bool)>,
    passed: usize,
}

impl<'a> PackedProbe<'a> {
    fn new(prints: &[&'a Fingerprint]) -> Self {
        let mut marks: Vec<_> = prints
            .iter()
            .flat_map(|print| print.marks.iter())
            .map(|mark| (mark, false))
            .collect();
        marks.sort_by_key(|(mark, _)| mark.offset);
        let heads = prints
            .iter()
            .filter_map(|print| print.head.as_ref())
            .collect();
        Self {
            length: 0,
            head: Vec::new(),
            window: Vec::new(),
            heads,
            marks,
            passed: 0,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let room = (PROBE - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        let end = self.length + bytes.len() as u64;
        // The window and the new bytes, as one run that begins at `base`.
        let base = self.length - self.window.len() as u64;
        self.window.extend_from_slice(bytes);
        while let Some((mark, found)) = self
            .marks
            .get_mut(self.passed)
            .filter(|(mark, _)| mark.offset <= end)
        {
            if let Some(from) = mark.start().checked_sub(base) {
                let from = from as usize;
                *found = mark.is(&self.window[from..from + mark.length as usize]);
            }
            self.passed += 1;
        }
        let excess = self.window.len().saturating_sub(PROBE);
        self.window.drain(..excess);
        self.length = end;
    }

    fn any_head_fits(&self) -> bool {
        self.heads.iter().any(|head| {
            self.head.len() < head.length as usize || head.is(&self.head[..head.length as usize])
        })
    }

    fn likeness(&self, prints: &[&Fingerprint]) -> Vec<Likeness> {
        prints
            .iter()
            .map(|print| {
                let samples = print.samples(self.length);
                let answer = samples.compare(|at, size| {
                    if at == 0 && size <= self.head.len() {
                        return Ok(self.head[..size].to_vec());
                    }
                    Err(at + size as u64)
                });
                match answer {
                    Ok(likeness) => likeness,
                    // The head fits; the last mark was compared on the way.
                    Err(offset) => {
                        let fits = self.marks.iter().any(|(mark, found)| {
                            mark.offset == offset && *found && print.marks.contains(mark)
                        });
                        if fits {
                            Likeness::Same {
                                verified: offset,
                                whole: offset == print.reach(),
                            }
                        } else {
                            Likeness::Different
                        }
                    }
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::Write;

    use super::*;

    fn content(lines: usize) -> Vec<u8> {
        (0..lines)
            .map(|line| format!("line {line} of the file\n"))
            .collect::<String>()
            .into_bytes()
    }

    fn print(bytes: &[u8], step: usize) -> Fingerprint {
        let mut print = Fingerprint {
            head: Some(Mark::new(
                bytes.len().min(PROBE) as u64,
                &bytes[..bytes.len().min(PROBE)],
            )),
            ..Fingerprint::default()
        };
        for end in (step..=bytes.len()).step_by(step) {
            print.note(end as u64, &bytes[..end]);
        }
        print
    }

    fn pack(bytes: &[u8], packing: Packing) -> Vec<u8> {
        match packing {
            Packing::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Packing::Bzip2 => {
                let mut encoder =
                    bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Packing::Zstd => zstd::encode_all(bytes, 1).unwrap(),
            Packing::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    #[test]
    fn packed_and_plain_content_compare_alike() {
        let dir = tempfile::tempdir().unwrap();
        let whole = content(20_000);
        let known = [
            print(&whole, 10_000),
            print(&whole[..100_000], 7_000),
            print(&content(3), 10),
            print(b"else\n", 5),
        ];
        let known: Vec<_> = known.iter().collect();
        let plain = dir.path().join("x.log");
        std::fs::write(&plain, &whole).unwrap();
        let expected = compare(&plain, None, &known).unwrap();
        assert!(
            matches!(
                expected.likeness[..],
                [
                    Likeness::Same { whole: true, .. },
                    Likeness::Same { whole: true, .. },
                    Likeness::Same { .. },
                    Likeness::Different
                ]
            ),
            "{expected:?}"
        );
        for packing in Packing::ALL {
            let path = dir.path().join("packed");
            std::fs::write(&path, pack(&whole, packing)).unwrap();
            let found = compare(&path, Some(packing), &known).unwrap();
            assert_eq!(found.likeness, expected.likeness, "{packing:?}");
            assert_eq!((found.length, found.complete), (whole.len() as u64, true));

            let mut reader = Content::of(open_file(&path).unwrap(), Some(packing)).unwrap();
            let mut buffer = vec![0; 1_000];
            assert_eq!(
                reader.read_at(77_777, &mut buffer).unwrap(),
                Got::Bytes(1_000).min_with(&buffer)
            );
            assert_eq!(buffer[..200], whole[77_777..77_977]);
        }
    }

    impl Got {
        /// A decoder may give less than asked for; the test compares the first 200 bytes.
        fn min_with(self, buffer: &[u8]) -> Self {
            assert!(buffer.len() >= 200);
            self
        }
    }

    #[test]
    fn zeros_after_a_packed_file_are_padding() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log.1.gz");
        let whole = content(2_000);
        for padding in [0, 1, 511, 200_000] {
            let mut packed = pack(&whole[..10_000], Packing::Gzip);
            packed.extend(pack(&whole[10_000..], Packing::Gzip));
            packed.extend(vec![0; padding]);
            std::fs::write(&path, packed).unwrap();
            let mut bytes = Vec::new();
            let file = open_file(&path).unwrap();
            unpack(file, Packing::Gzip)
                .unwrap()
                .read_to_end(&mut bytes)
                .unwrap();
            assert_eq!(bytes, whole, "{padding}");
        }
    }

    #[test]
    fn a_packed_file_that_breaks_off_is_not_complete() {
        let dir = tempfile::tempdir().unwrap();
        let whole = content(20_000);
        let path = dir.path().join("x.log.1.gz");
        let packed = pack(&whole, Packing::Gzip);
        std::fs::write(&path, &packed[..packed.len() / 2]).unwrap();
        let found = compare(&path, Some(Packing::Gzip), &[&print(&whole, 10_000)]).unwrap();
        assert!(!found.complete);
    }
}
