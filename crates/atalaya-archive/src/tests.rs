#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::print_stdout, reason = "seeds, shown when a test fails")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use age::secrecy::ExposeSecret as _;
use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};
use secrecy::SecretString;

use atalaya_domain::backup::{
    ArchiveName, BUCKETS, Compression, FORMAT, LOGS, LogsFacts, LogsSum, METRICS, Manifest,
    MetricsFacts, Part,
};
use atalaya_domain::time::Timestamp;

use super::*;

mod hostile;

const AT: Timestamp = Timestamp::from_seconds(1_770_000_000);

/// A folder with parts, and one of archives.
struct Place {
    folder: tempfile::TempDir,
    recipients: Recipients,
    identities: Identities,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["parts", "archives", "out"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let identity = age::x25519::Identity::generate();
        let text = SecretString::from(identity.to_string().expose_secret().to_owned());
        Self {
            folder,
            recipients: Recipients::parse([identity.to_public().to_string().as_str()]).unwrap(),
            identities: Identities::parse(&text).unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An archive of these parts.
    fn write(
        &self,
        compression: Compression,
        encrypted: bool,
        parts: &[(&str, Vec<u8>)],
    ) -> PathBuf {
        let mut listed = Vec::new();
        for (name, content) in parts {
            let path = self.path("parts").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, content).unwrap();
            listed.push(part_of(&self.path("parts"), name).unwrap());
        }
        let name = ArchiveName::new(AT, compression, encrypted);
        let path = self.path("archives").join(name.to_string());
        let recipients = if encrypted {
            self.recipients.clone()
        } else {
            Recipients::default()
        };
        let file = File::create(&path).unwrap();
        let manifest = manifest_for(&name.name, listed);
        write(
            (file, &path),
            &name,
            &recipients,
            &manifest,
            &self.path("parts"),
            &|_| true,
        )
        .unwrap();
        path
    }
}

fn manifest_for(name: &str, parts: Vec<Part>) -> Manifest {
    let has = |name| parts.iter().any(|part: &Part| part.name == name);
    Manifest {
        format: FORMAT,
        program: "test".to_owned(),
        name: name.to_owned(),
        created_at: AT,
        host: "host".to_owned(),
        chain: Vec::new(),
        metrics: has(METRICS).then(|| MetricsFacts {
            store: String::new(),
            schema: 1,
            schema_hash: String::new(),
            tables: Vec::new(),
        }),
        logs: has(LOGS).then(|| LogsFacts {
            store: String::new(),
            bucket_minutes: 10,
            from: Timestamp::MIN,
            total: LogsSum::default(),
            own: LogsSum::default(),
        }),
        parts,
        left_out: Vec::new(),
    }
}

const ALL: [(Compression, bool); 4] = [
    (Compression::Zstd, false),
    (Compression::Gzip, false),
    (Compression::Zstd, true),
    (Compression::Gzip, true),
];

/// Text and noise, as stores are.
fn content(random: &mut StdRng, bytes: usize) -> Vec<u8> {
    let mut content = b"a line that is there again and again\n".repeat(bytes / 74 + 1);
    let mut noise = vec![0; bytes / 2 + 1];
    random.fill_bytes(&mut noise);
    content.extend(noise);
    content
}

fn seeded() -> StdRng {
    let seed: u64 = std::env::var("ATALAYA_TEST_SEED")
        .map_or_else(|_| rand::rng().next_u64(), |text| text.parse().unwrap());
    println!("ATALAYA_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

fn sample(
    place: &Place,
    random: &mut StdRng,
    (compression, encrypted): (Compression, bool),
) -> PathBuf {
    place.write(
        compression,
        encrypted,
        &[
            (BUCKETS, content(random, 2_000)),
            (METRICS, content(random, 4_000)),
            (LOGS, content(random, 8_000)),
            ("quarantine/a-1.group", content(random, 100)),
        ],
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_read(
        sizes in prop::collection::vec(0_usize..200_000, 2..3), form in 0_usize..4, seed: u64,
    ) {
        let mut random = StdRng::seed_from_u64(seed);
        let place = Place::new();
        let parts: Vec<(&str, Vec<u8>)> = [BUCKETS, LOGS]
            .into_iter()
            .zip(&sizes)
            .map(|(name, bytes)| (name, content(&mut random, *bytes)))
            .collect();
        let path = place.write(ALL[form].0, ALL[form].1, &parts);
        let checked = check(&path, &place.identities, &|_| true).unwrap();
        prop_assert_eq!(&manifest(&path, &place.identities).unwrap(), &checked.manifest);
        let out = place.path("out");
        let extracted = extract(&path, &place.identities, &out, &|_| true, &|_| true).unwrap();
        prop_assert_eq!(extracted.seal, checked.seal);
        for (name, content) in parts {
            prop_assert_eq!(std::fs::read(out.join(name)).unwrap(), content);
        }
    }
}

/// R26: one bit anywhere, in every form of archive.
#[test]
fn every_flipped_bit_is_found() {
    let mut random = seeded();
    let place = Place::new();
    for form in ALL {
        let path = sample(&place, &mut random, form);
        let whole = std::fs::read(&path).unwrap();
        check(&path, &place.identities, &|_| true).unwrap();
        for _ in 0..250 {
            let mut bytes = whole.clone();
            let at = random.random_range(0..bytes.len());
            let bit = 1 << random.random_range(0..8);
            bytes[at] ^= bit;
            std::fs::write(&path, &bytes).unwrap();
            let found = check(&path, &place.identities, &|_| true);
            assert!(
                found.is_err(),
                "{form:?}: byte {at} of {}, bit {bit}",
                bytes.len()
            );
        }
        if form.1 {
            continue; // encrypted: every byte is covered alike
        }
        // The places that a sum of content does not cover.
        for at in (0..64).chain(whole.len() - 100..whole.len()) {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                std::fs::write(&path, &bytes).unwrap();
                let found = check(&path, &place.identities, &|_| true);
                assert!(
                    found.is_err(),
                    "{form:?}: byte {at} of {}, bit {bit}",
                    bytes.len()
                );
            }
        }
    }
}

/// R26: cut anywhere, or with something behind it.
#[test]
fn every_cut_is_found() {
    let mut random = seeded();
    let place = Place::new();
    for form in ALL {
        let path = sample(&place, &mut random, form);
        let whole = std::fs::read(&path).unwrap();
        let lengths: Vec<usize> = (0..100)
            .map(|_| random.random_range(0..whole.len()))
            .chain([0, 1, whole.len() - 1])
            .collect();
        for length in lengths {
            std::fs::write(&path, &whole[..length]).unwrap();
            let found = check(&path, &place.identities, &|_| true);
            assert!(
                found.is_err(),
                "{form:?}: {length} of {} bytes",
                whole.len()
            );
        }
        for more in [vec![0], vec![0; 512], whole.clone()] {
            std::fs::write(&path, [whole.as_slice(), &more].concat()).unwrap();
            let found = check(&path, &place.identities, &|_| true);
            assert!(found.is_err(), "{form:?}: {} bytes too many", more.len());
        }
    }
}

#[test]
fn without_the_right_identity_it_stays_closed() {
    let (place, other) = (Place::new(), Place::new());
    let mut random = seeded();
    let path = sample(&place, &mut random, (Compression::Zstd, true));
    for keys in [&Identities::default(), &other.identities] {
        let error = check(&path, keys, &|_| true).unwrap_err();
        assert!(matches!(error, ArchiveError::Locked { .. }), "{error}");
    }
    let bytes = std::fs::read(&path).unwrap();
    let readable = b"a line that is there again";
    assert!(!bytes.windows(readable.len()).any(|part| part == readable));
}

#[test]
fn keys_that_are_none_are_named_and_not_shown() {
    let secret = "AGE-SECRET-KEY-1CANARYCANARYCANARY";
    let error = Recipients::parse([secret]).unwrap_err().to_string();
    assert!(!error.contains("CANARY"), "{error}");
    let text = SecretString::from(format!("# comment\n{secret}\n"));
    let error = Identities::parse(&text).unwrap_err();
    assert_eq!(error, KeyError::Identity(2));
    assert!(!error.to_string().contains("CANARY"));
    assert_eq!(
        Identities::parse(&SecretString::from("# none\n")).unwrap_err(),
        KeyError::NoIdentity
    );
}

#[test]
fn the_work_stops_when_it_is_told_to() {
    let place = Place::new();
    let path = sample(&place, &mut seeded(), (Compression::Zstd, false));
    let stopped = check(&path, &place.identities, &|_| false).unwrap_err();
    assert!(matches!(stopped, ArchiveError::Cancelled));
}

/// The usual tools read it, seal and all.
#[test]
fn other_tools_read_it_too() {
    let place = Place::new();
    let mut random = seeded();
    for (compression, flag) in [(Compression::Gzip, "-tzf"), (Compression::Zstd, "-tf")] {
        let path = sample(&place, &mut random, (compression, false));
        let bytes = std::fs::read(&path).unwrap();
        let mut plain = Vec::new();
        match compression {
            Compression::Gzip => flate2::read::MultiGzDecoder::new(bytes.as_slice())
                .read_to_end(&mut plain)
                .unwrap(),
            Compression::Zstd => zstd::Decoder::new(bytes.as_slice())
                .unwrap()
                .read_to_end(&mut plain)
                .unwrap(),
        };
        let names: BTreeMap<String, u64> = tar::Archive::new(plain.as_slice())
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().display().to_string(), entry.size())
            })
            .collect();
        assert_eq!(names.len(), 5, "{flag}: {names:?}");
    }
    let path = sample(&place, &mut random, (Compression::Gzip, false));
    let listed = std::process::Command::new("tar")
        .arg("-tzf")
        .arg(&path)
        .output()
        .unwrap();
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    std::io::stdout().flush().unwrap();
}
