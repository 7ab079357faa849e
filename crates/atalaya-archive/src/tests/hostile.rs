//! R28: archives that somebody made to do harm. Each is refused before anything is written, and
//! nothing is written outside of the folder that was named.

use super::*;

/// An entry as somebody hostile would write it: the header byte by byte.
struct Entry {
    name: Vec<u8>,
    kind: u8,
    link: Vec<u8>,
    mode: u32,
    /// What the header says; the content may be of another size.
    size: u64,
    content: Vec<u8>,
}

fn entry(name: &str, content: &[u8]) -> Entry {
    Entry {
        name: name.as_bytes().to_vec(),
        kind: b'0',
        link: Vec::new(),
        mode: 0o640,
        size: content.len() as u64,
        content: content.to_vec(),
    }
}

fn tar_of(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        let mut header = [0_u8; 512];
        header[..entry.name.len()].copy_from_slice(&entry.name);
        let mut field = |at: usize, width: usize, number: u64| {
            let text = format!("{number:0width$o}", width = width - 1);
            header[at..at + text.len()].copy_from_slice(text.as_bytes());
        };
        field(100, 8, entry.mode.into());
        field(108, 8, 0);
        field(116, 8, 0);
        field(124, 12, entry.size);
        field(136, 12, 0);
        header[156] = entry.kind;
        header[157..157 + entry.link.len()].copy_from_slice(&entry.link);
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        bytes.extend(header);
        bytes.extend(&entry.content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.extend([0; 1024]);
    bytes
}

/// Compressed and rightly sealed: whoever makes such an archive can do that too.
fn archive(place: &Place, plain: &[u8], name: &str) -> PathBuf {
    let path = place.path("archives").join(name);
    let compressed = zstd::encode_all(plain, 3).unwrap();
    seal_into(&path, &compressed);
    path
}

fn seal_into(path: &Path, compressed: &[u8]) {
    let footer = seal::footer(Compression::Zstd, &blake3::hash(compressed));
    std::fs::write(path, [compressed, &footer].concat()).unwrap();
}

const FILE: &str = "atalaya-backup-20260202_024000.tar.zst";

fn listed(name: &str, content: &[u8]) -> Part {
    Part {
        name: name.to_owned(),
        bytes: content.len() as u64,
        blake3: blake3::hash(content).to_hex().to_string(),
    }
}

/// A manifest that names `parts`, as an entry.
fn head(parts: Vec<Part>) -> Entry {
    let manifest = manifest_for(FILE.strip_suffix(".tar.zst").unwrap(), parts);
    entry(MANIFEST, &serde_json::to_vec(&manifest).unwrap())
}

const CONTENT: &[u8] = b"content";

fn honest() -> Entry {
    entry(METRICS, CONTENT)
}

/// Each with what it tries.
fn all() -> Vec<(&'static str, Vec<Entry>)> {
    let good = || head(vec![listed(METRICS, CONTENT)]);
    let of_kind = |kind: u8, link: &str| Entry {
        kind,
        link: link.as_bytes().to_vec(),
        ..honest()
    };
    let claiming = |name: &str| vec![head(vec![listed(name, CONTENT)]), entry(name, CONTENT)];
    let empty_of_kind = |kind, link| Entry {
        size: 0,
        content: Vec::new(),
        ..of_kind(kind, link)
    };
    let pax = |record: &str| {
        let text = format!("{} {record}\n", record.len() + 4);
        Entry {
            kind: b'x',
            ..entry("pax", text.as_bytes())
        }
    };
    let mut huge = listed(METRICS, CONTENT);
    huge.bytes = u64::MAX;
    let mut twice_huge = listed(LOGS, CONTENT);
    twice_huge.bytes = u64::MAX / 2;
    vec![
        (
            "absolute name, in the manifest too",
            claiming("/tmp/atalaya-hostile"),
        ),
        (
            "parent names, in the manifest too",
            claiming("../../outside"),
        ),
        ("parent in the middle", claiming("quarantine/../../outside")),
        (
            "unknown name, in the manifest too",
            claiming("authorized_keys"),
        ),
        ("backslashes", claiming("..\\outside")),
        (
            "absolute name in the tar alone",
            vec![good(), entry("/tmp/atalaya-hostile", CONTENT)],
        ),
        (
            "parent name in the tar alone",
            vec![good(), entry("../outside", CONTENT)],
        ),
        (
            "the name with a dot before it",
            vec![good(), entry("./metrics.db", CONTENT)],
        ),
        (
            "symbolic link",
            vec![good(), empty_of_kind(b'2', "/etc/passwd")],
        ),
        (
            "hard link",
            vec![good(), empty_of_kind(b'1', "/etc/passwd")],
        ),
        (
            "a file that names a link too",
            vec![good(), of_kind(b'0', "/etc/passwd")],
        ),
        ("character device", vec![good(), empty_of_kind(b'3', "")]),
        ("block device", vec![good(), empty_of_kind(b'4', "")]),
        ("named pipe", vec![good(), empty_of_kind(b'6', "")]),
        ("directory", vec![good(), empty_of_kind(b'5', "")]),
        (
            "directory that becomes a link",
            vec![
                good(),
                Entry {
                    name: b"quarantine".to_vec(),
                    ..empty_of_kind(b'2', "/tmp")
                },
                honest(),
            ],
        ),
        (
            "set-user-id",
            vec![
                good(),
                Entry {
                    mode: 0o4755,
                    ..honest()
                },
            ],
        ),
        ("sparse file", vec![good(), of_kind(b'S', "")]),
        (
            "extended header that renames",
            vec![good(), pax("path=/tmp/atalaya-hostile"), honest()],
        ),
        (
            "extended header with another size",
            vec![good(), pax("size=0"), honest()],
        ),
        (
            "long name of GNU",
            vec![
                good(),
                Entry {
                    kind: b'L',
                    ..entry("././@LongLink", b"/tmp/atalaya-hostile\0")
                },
                honest(),
            ],
        ),
        (
            "global extended header",
            vec![
                good(),
                Entry {
                    kind: b'g',
                    ..pax("path=/tmp/atalaya-hostile")
                },
                honest(),
            ],
        ),
        ("the same part twice", vec![good(), honest(), honest()]),
        (
            "a part that the manifest does not name",
            vec![good(), honest(), entry(LOGS, CONTENT)],
        ),
        ("a part that is missing", vec![good()]),
        ("the manifest last", vec![honest(), good()]),
        ("no manifest", vec![honest()]),
        ("two manifests", vec![good(), good(), honest()]),
        (
            "other content than its sum",
            vec![good(), entry(METRICS, b"CONTENT")],
        ),
        (
            "another size than the manifest's",
            vec![good(), entry(METRICS, b"content that is longer")],
        ),
        (
            "claims to be huge",
            vec![
                head(vec![huge.clone()]),
                Entry {
                    size: 0o77_777_777_777,
                    ..honest()
                },
            ],
        ),
        (
            "sizes that overflow",
            vec![head(vec![huge, twice_huge]), honest()],
        ),
        (
            "a header that claims more than there is",
            vec![
                good(),
                Entry {
                    size: 1 << 30,
                    ..honest()
                },
            ],
        ),
        (
            "a manifest that claims to be huge",
            vec![Entry {
                size: 1 << 32,
                ..good()
            }],
        ),
        (
            "a manifest that is no JSON",
            vec![entry(MANIFEST, b"{"), honest()],
        ),
        (
            "a manifest that is nested deep",
            vec![entry(MANIFEST, "[".repeat(100_000).as_bytes()), honest()],
        ),
    ]
}

#[test]
fn hostile_archives_are_refused_before_anything_is_written() {
    let cases = all();
    assert!(cases.len() >= 25);
    for (what, entries) in cases {
        let place = Place::new();
        let path = archive(&place, &tar_of(&entries), FILE);
        let before = snapshot(place.folder.path());
        let refused = check(&path, &place.identities, &|_| true);
        assert!(
            refused.as_ref().is_err_and(ArchiveError::is_of_the_archive),
            "{what}: {refused:?}"
        );
        assert_eq!(snapshot(place.folder.path()), before, "{what}");
        // And when somebody extracts without checking first, all stays in its folder.
        let out = place.path("out/here");
        std::fs::create_dir(&out).unwrap();
        let refused = extract(&path, &place.identities, &out, &|_| true, &|_| true);
        assert!(refused.is_err(), "{what}");
        std::fs::remove_dir_all(&out).unwrap();
        assert_eq!(snapshot(place.folder.path()), before, "{what}");
        assert!(!Path::new("/tmp/atalaya-hostile").exists(), "{what}");
    }
}

#[test]
fn what_an_honest_archive_holds_is_taken_by_the_same_way() {
    let place = Place::new();
    let entries = [head(vec![listed(METRICS, CONTENT)]), honest()];
    let path = archive(&place, &tar_of(&entries), FILE);
    check(&path, &place.identities, &|_| true).unwrap();
}

/// Streams that are made to fill memory or the disk, and files that are none.
#[test]
fn bombs_and_odd_files_are_refused() {
    let place = Place::new();
    let zeros = vec![0_u8; 64 << 20];
    let mut bomb = tar_of(&[head(vec![listed(METRICS, &zeros)]), entry(METRICS, &zeros)]);
    bomb.resize(512 << 20, 0);
    let path = archive(&place, &bomb, FILE);
    assert!(std::fs::metadata(&path).unwrap().len() < 1 << 20);
    assert!(
        check(&path, &place.identities, &|_| true).is_err(),
        "half a gigabyte of nothing"
    );
    drop(bomb);

    // A frame that asks for 128 MiB to be decompressed.
    let plain = tar_of(&[head(vec![listed(METRICS, CONTENT)]), honest()]);
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&plain).unwrap();
    seal_into(&path, &encoder.finish().unwrap());
    assert!(
        check(&path, &place.identities, &|_| true).is_err(),
        "a window of 128 MiB"
    );

    // A second frame behind the first.
    let compressed = zstd::encode_all(plain.as_slice(), 3).unwrap();
    seal_into(&path, &[compressed.clone(), compressed].concat());
    assert!(
        check(&path, &place.identities, &|_| true).is_err(),
        "a second frame"
    );

    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    assert!(
        check(&path, &place.identities, &|_| true).is_err(),
        "a link"
    );
    std::fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    assert!(
        check(&path, &place.identities, &|_| true).is_err(),
        "a pipe"
    );
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(
        check(&path, &place.identities, &|_| true).is_err(),
        "a folder"
    );
}

/// Every file below, with its content.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.clone(), std::fs::read(path).unwrap());
            }
        }
    }
    found
}
