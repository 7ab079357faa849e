//! What rotated files are called by the tools that rotate them: every scheme, while the reader runs
//! and while it does not, under a link and not, packed and not. Nothing is lost, nothing is doubled.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::world::{World, lines};

/// A tool, and what it calls the rotated `x.log` of its n-th rotation.
type Scheme = (&'static str, fn(u32) -> String);

const SCHEMES: [Scheme; 50] = [
    ("logrotate", |n| format!("x.log.{n}")),
    ("logrotate dateext", |n| format!("x.log-202611{n:02}")),
    ("logrotate dateformat -%s", |n| {
        format!("x.log-17638000{n:02}")
    }),
    ("logrotate extension .log", |n| format!("x.{n}.log")),
    ("logrotate extension dateext", |n| {
        format!("x-202611{n:02}.log")
    }),
    ("logrotate dateformat hours", |n| {
        format!("x.log-202611301{n}")
    }),
    ("logrotate dateformat .%Y-%m-%d", |n| {
        format!("x.log.2026-11-{n:02}")
    }),
    ("logrotate olddir", |n| format!("old/x.log.{n}")),
    ("logrotate olddir dateext", |n| {
        format!("archive/x.log-202611{n:02}")
    }),
    ("kubelet", |n| format!("x.log.20261130-1020{n:02}")),
    ("docker json-file", |n| format!("x.log.{n}")),
    ("lumberjack", |n| {
        format!("x-2026-11-30T10-20-{n:02}.123.log")
    }),
    ("timberjack", |n| {
        format!("x-2026-11-30T10-20-{n:02}.123-size.log")
    }),
    ("file-rotatelogs", |n| format!("x.log.202611301020{n:02}")),
    ("Go natefinch by a job", |n| {
        format!("x-2026-11-{n:02}T00-00-00.000.log")
    }),
    ("logback time and size", |n| format!("x.2026-11-30.{n}.log")),
    ("logback time", |n| format!("x.2026-11-{n:02}.log")),
    ("logback fixed window", |n| format!("x.{n}.log")),
    ("log4j2 size", |n| format!("x.{n}.log")),
    ("log4j2 app-%i", |n| format!("x-{n}.log")),
    ("log4j2 date directory", |n| {
        format!("2026-11/x-11-30-2026-{n}.log")
    }),
    ("log4j daily", |n| format!("x.log.2026-11-{n:02}")),
    ("log4j hourly", |n| format!("x.log.2026-11-30-1{n}")),
    ("log4j minutely", |n| format!("x.log.2026-11-30-10-2{n}")),
    ("log4j monthly", |n| format!("x.log.2026-1{n}")),
    ("Python midnight", |n| format!("x.log.2026-11-{n:02}")),
    ("Python hourly", |n| format!("x.log.2026-11-30_1{n}")),
    ("Python by minutes", |n| format!("x.log.2026-11-30_10-2{n}")),
    ("Python by seconds", |n| {
        format!("x.log.2026-11-30_10-20-0{n}")
    }),
    ("loguru", |n| format!("x.2026-11-30_10-20-0{n}_123456.log")),
    ("pino-roll", |n| format!("x.{n}.log")),
    ("winston", |n| format!("x{n}.log")),
    ("winston-daily-rotate-file", |n| {
        format!("x.log.2026-11-30.{n}")
    }),
    ("bunyan", |n| format!("x.log.{n}")),
    ("log4js date", |n| format!("x.2026-11-30-1{n}.log")),
    ("rotating-file-stream", |n| {
        format!("20261130-102{n}-0{n}-x.log")
    }),
    ("nginx by hand", |n| format!("x.log.{n}.bak")),
    ("mv .bak", |n| {
        format!(
            "x.log.bak{}",
            if n == 1 { String::new() } else { n.to_string() }
        )
    }),
    ("emacs", |n| {
        if n == 1 {
            "x.log~".into()
        } else {
            format!("x.log.~{n}~")
        }
    }),
    ("mv .prev", |n| {
        format!("x.log.prev{}", if n == 1 { "" } else { ".2" })
    }),
    ("syslogd .old", |n| {
        format!("x.log{}.old", if n == 1 { "" } else { ".2" })
    }),
    ("NLog archive", |n| format!("x.{n:02}.log")),
    ("NLog date and sequence", |n| format!("x.20261130.{n}.log")),
    ("Serilog size", |n| format!("x_00{n}.log")),
    ("spdlog", |n| format!("x.{n}.log")),
    ("Boost.Log", |n| format!("x_2026-11-30_0000{n}.log")),
    ("multilog, svlogd", |n| {
        format!("@4000000067{n:02}deadbeef.s")
    }),
    ("newsyslog", |n| format!("x.log.{n:05}")),
    ("Oracle and others by pid", |n| {
        format!("x.log_20261130_102{n}")
    }),
    ("Apache Tomcat by hand", |n| format!("x_20261130_{n}.log")),
];

#[derive(Clone, Copy, Debug)]
struct Case {
    down: bool,
    link: bool,
    packed: Option<&'static str>,
}

/// A world in which the followed name may be a link to another directory.
struct Site {
    world: World,
    home: PathBuf,
}

impl Site {
    fn new(link: bool) -> Self {
        let world = World::new("x.log");
        let home = if link {
            let pods = world.dir.path().join("pods/pod/container");
            fs::create_dir_all(&pods).unwrap();
            File::create(pods.join("x.log")).unwrap();
            std::os::unix::fs::symlink(pods.join("x.log"), world.path("x.log")).unwrap();
            pods
        } else {
            world.dir.path().join("logs")
        };
        Self { world, home }
    }

    fn write(&mut self, lines: &[String]) {
        let path = self.home.join("x.log");
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        self.world.write(&mut file, lines);
    }

    fn rotate(&self, name: &str, packed: Option<&str>) {
        let to = self.home.join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::rename(self.home.join("x.log"), &to).unwrap();
        if let Some(suffix) = packed {
            pack(&to, suffix);
        }
    }
}

/// As the tools do: beside the original, which then goes.
pub fn pack(path: &Path, suffix: &str) {
    let bytes = fs::read(path).unwrap();
    let packed = match suffix {
        ".gz" => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        }
        ".bz2" => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        }
        ".zst" => zstd::encode_all(&bytes[..], 1).unwrap(),
        ".xz" => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        }
        other => panic!("{other} is not written here"),
    };
    let to = format!("{}{suffix}", path.display());
    fs::write(to, packed).unwrap();
    fs::remove_file(path).unwrap();
}

fn run(tool: &str, name: impl Fn(u32) -> String, case: Case) {
    let mut site = Site::new(case.link);
    site.write(&lines("first", 40));
    site.world.look();
    if case.down {
        site.world.kill();
    }
    for n in 1..=2 {
        site.write(&lines(&format!("round {n}"), 30));
        site.rotate(&name(n), case.packed);
        if !case.down {
            site.write(&lines(&format!("after {n}"), 10));
            site.world.look();
        }
    }
    site.write(&lines("last", 20));
    if case.down {
        site.world.begin();
    }
    site.world.look();
    site.world.restart();
    site.world.look();
    let what = format!("{tool}: {}, {case:?}", name(1));
    site.world.assert_each_line_once_in(&what);
}

/// R8: rotations that nobody saw.
#[test]
fn every_scheme_loses_and_doubles_nothing() {
    let packings = [".gz", ".zst", ".bz2", ".xz"];
    for (index, (tool, name)) in SCHEMES.into_iter().enumerate() {
        for number in 0..8 {
            let case = Case {
                down: number & 1 != 0,
                link: number & 2 != 0,
                packed: (number & 4 != 0).then(|| packings[index % packings.len()]),
            };
            // Two rotations under names with nothing in common but the tool: who was not there cannot
            // know the second.
            run(tool, name, case);
        }
    }
}

/// As `copytruncate` does it, under the name of every scheme; one rotation between two looks, since a
/// second copy of what nobody has seen is no copy of anything known.
///
/// R11: truncated under load.
#[test]
fn every_scheme_that_copies_loses_and_doubles_nothing() {
    let packings = [".gz", ".zst", ".bz2", ".xz"];
    for (index, (tool, name)) in SCHEMES.into_iter().enumerate() {
        let case = Case {
            down: index % 2 == 0,
            link: index % 3 == 0,
            packed: (index % 5 < 3).then(|| packings[index % packings.len()]),
        };
        let mut site = Site::new(case.link);
        site.write(&lines("first", 40));
        site.world.look();
        for n in 1..=2 {
            if case.down {
                site.world.kill();
            }
            site.write(&lines(&format!("unread {n}"), 30));
            let to = site.home.join(name(n));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(site.home.join("x.log"), &to).unwrap();
            let file = File::options().write(true).open(site.home.join("x.log"));
            file.unwrap().set_len(0).unwrap();
            if let Some(suffix) = case.packed {
                pack(&to, suffix);
            }
            site.write(&lines(&format!("after {n}"), 10));
            if case.down {
                site.world.begin();
            }
            site.world.look();
        }
        site.world.restart();
        site.world.look();
        let what = format!("{tool}: {}, {case:?}, copied", name(1));
        site.world.assert_each_line_once_in(&what);
    }
}

/// Names that nobody thought of; one rotation between two looks.
///
/// R8: rotations that nobody saw.
#[test]
fn any_name_at_all_loses_and_doubles_nothing() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let letters: Vec<char> = "abcXYZ019._-~@+ ñ".chars().collect();
    for round in 0..40 {
        let mut site = Site::new(random.random_bool(0.3));
        site.write(&lines("first", 40));
        site.world.look();
        for rotation in 0..4 {
            let down = random.random_bool(0.6);
            if down {
                site.world.kill();
            }
            let size = random.random_range(1..60);
            site.write(&lines(&format!("unread {rotation}"), size));
            let mut name: String = (0..random.random_range(1..14))
                .map(|_| letters[random.random_range(0..letters.len())])
                .collect();
            name.push_str(&format!("q{rotation}"));
            if random.random_bool(0.2) {
                name = format!("sub{rotation}/{name}");
            }
            println!("round {round}: {name:?} down {down}");
            let packed = random
                .random_bool(0.4)
                .then(|| [".gz", ".zst", ".bz2", ".xz"][random.random_range(0..4)]);
            if random.random_bool(0.3) {
                let to = site.home.join(&name);
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(site.home.join("x.log"), &to).unwrap();
                let file = File::options().write(true).open(site.home.join("x.log"));
                file.unwrap().set_len(0).unwrap();
                if let Some(suffix) = packed {
                    pack(&to, suffix);
                }
            } else {
                site.rotate(&name, packed);
            }
            let size = random.random_range(0..20);
            site.write(&lines(&format!("after {rotation}"), size + 1));
            if down {
                site.world.begin();
            }
            site.world.look();
        }
        site.world.restart();
        site.world.look();
        site.world
            .assert_each_line_once_in(&format!("seed {seed} round {round}"));
    }
}

/// The machine was started again, or the volume is mounted elsewhere: other device numbers.
///
/// R9: files known by content.
#[test]
fn another_device_number_is_the_same_file() {
    for rotated in [false, true] {
        let mut site = Site::new(false);
        site.write(&lines("first", 300));
        site.world.look();
        site.world.kill();
        for slot in ["checkpoint.0.json", "checkpoint.1.json"] {
            let path = site.world.state().join(slot);
            let text = fs::read_to_string(&path).unwrap();
            let (_, json) = text.split_once('\n').unwrap();
            let at = json.find("\"device\":").unwrap() + 9;
            let end = at + json[at..].find(',').unwrap();
            let json = format!("{}77{}", &json[..at], &json[end..]);
            let sum = blake3::hash(json.as_bytes()).to_hex();
            fs::write(&path, format!("atalaya-checkpoint {sum}\n{json}")).unwrap();
        }
        site.write(&lines("second", 30));
        if rotated {
            site.rotate("something else", None);
            site.write(&lines("third", 30));
        }
        site.world.begin();
        site.world.look();
        site.world.restart();
        site.world.look();
        site.world.assert_each_line_once_in("device");
    }
}

/// The store was removed, the checkpoint not.
///
/// R6: damaged checkpoint.
#[test]
fn a_store_that_knows_nothing_is_believed() {
    for packed in [None, Some(".gz")] {
        let mut site = Site::new(false);
        site.write(&lines("first", 300));
        site.world.look();
        site.rotate("x.log.1", None);
        site.write(&lines("second", 30));
        site.world.look();
        if let Some(suffix) = packed {
            pack(&site.home.join("x.log.1"), suffix);
            site.world.look();
        }
        site.world.kill();
        *site.world.port.store.lock().unwrap() = super::world::Store::default();
        site.world.begin();
        site.world.look();
        site.world.restart();
        site.world.look();
        site.world.assert_each_line_once_in("store removed");
    }
}

/// Between the start and the first look, which a slow store or a kill puts off.
///
/// R8: rotations that nobody saw.
#[test]
fn what_is_rotated_before_the_first_look_is_read() {
    for killed in [false, true] {
        for written_before in [false, true] {
            let mut site = Site::new(false);
            site.world.kill();
            fs::remove_dir_all(site.world.state()).unwrap();
            for n in 1..4 {
                fs::write(
                    site.home.join(format!("x.log.{n}")),
                    format!("history {n}\n"),
                )
                .unwrap();
            }
            if written_before {
                site.write(&lines("before it was asked for", 20));
            }
            std::thread::sleep(std::time::Duration::from_millis(40));
            site.world.begin();
            if killed {
                site.world.kill();
            }
            if !written_before {
                site.write(&lines("first", 20));
            }
            for n in (1..4).rev() {
                site.world
                    .rename(&format!("x.log.{n}"), &format!("x.log.{}", n + 1));
            }
            site.rotate("x.log.1", None);
            site.write(&lines("second", 20));
            if killed {
                site.world.begin();
            }
            site.world.look();
            site.world
                .assert_each_line_once_in(&format!("{killed} {written_before}"));
        }
    }
}
