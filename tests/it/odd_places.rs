//! Files, folders and limits that nobody expects: names that are no UTF-8, pipes and devices where a
//! file should be, fewer descriptors than files.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rustix::process::{Pid, Signal, kill_process};

use crate::copied::{done, text};
use crate::pty::LIMIT;

fn command(home: &Path, data: &OsStr, arguments: &[&OsStr]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
    command
        .arg("--data-dir")
        .arg(data)
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .stdin(Stdio::null());
    command
}

fn run(home: &Path, arguments: &[&str]) -> Output {
    let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
    within(command(home, OsStr::new("data"), &arguments))
}

/// What it says, unless it hangs.
fn within(mut command: Command) -> Output {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(LIMIT) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            kill_process(pid, Signal::KILL).unwrap();
            panic!("{command:?} hangs");
        }
    }
}

/// The messages that are stored, in order.
fn stored(home: &Path, data: &OsStr) -> Vec<String> {
    let printed = done(&within(command(
        home,
        data,
        &["logs", "--json", "--limit", "0"].map(OsStr::new),
    )));
    let mut messages: Vec<String> = printed
        .lines()
        .map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            record["message"].as_str().unwrap().to_owned()
        })
        .collect();
    messages.sort();
    messages
}

fn wait_until_stored(home: &Path, data: &OsStr, wanted: &[String]) {
    let began = Instant::now();
    loop {
        let found = stored(home, data);
        if found == wanted {
            return;
        }
        assert!(
            began.elapsed() < LIMIT * 2,
            "{} of {} lines are stored",
            found.len(),
            wanted.len()
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

fn end(mut child: Child) {
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// A name of a file with bytes that are no text.
fn odd_name(random: &mut StdRng) -> OsString {
    let length = random.random_range(1..20);
    let mut bytes: Vec<u8> = (0..length)
        .map(|_| random.random_range(1..=255))
        .filter(|byte| *byte != b'/')
        .collect();
    // Not an option, no glob, and certainly no UTF-8.
    bytes.retain(|byte| !b"*?[{".contains(byte));
    bytes.splice(0..0, *b"x\xff");
    OsString::from_vec(bytes)
}

/// R43: odd files disturb nobody.
#[test]
fn names_that_are_no_utf_8_are_names() {
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..3 {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let (data, log) = (odd_name(&mut random), odd_name(&mut random));
        let named = |arguments: &[&str]| {
            let mut all: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
            all.push(&log);
            command(home, &data, &all)
        };
        let asked = |arguments: &[&str]| {
            let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
            within(command(home, &data, &arguments))
        };
        fs::write(home.join(&log), "one\ntwo\n").unwrap();
        done(&within(named(&["ingest", "--explain", "--json"])));
        let told = within(named(&["ingest", "--json", "--format", "plain"]));
        let told: serde_json::Value = serde_json::from_str(&done(&told)).unwrap();
        assert_eq!(told["totals"]["written"], 2, "seed {seed}: {told}");
        assert_eq!(stored(home, &data), ["one", "two"], "seed {seed}");
        // Each line once, also through a rotation, by a follower.
        let mut wanted = vec!["one".to_owned(), "two".to_owned()];
        let follower = named(&["ingest", "--follow", "--format", "plain"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for (round, part) in ["second", "third"].into_iter().enumerate() {
            let line = format!("a line of the {part} part");
            let mut file = File::options()
                .create(true)
                .append(true)
                .open(home.join(&log))
                .unwrap();
            writeln!(file, "{line}").unwrap();
            wanted.push(line);
            wanted.sort();
            wait_until_stored(home, &data, &wanted);
            if round == 0 {
                let mut rotated = log.clone();
                rotated.push(".1");
                fs::rename(home.join(&log), home.join(rotated)).unwrap();
            }
        }
        end(follower);
        done(&within(named(&["ingest", "--format", "plain"])));
        assert_eq!(stored(home, &data), wanted, "seed {seed}");
        done(&asked(&["dora", "incident", "list"]));
        done(&asked(&["pdca", "list"]));
        done(&asked(&["db", "check"]));
        done(&asked(&["db", "repair", "logs"]));
        done(&asked(&["db", "repair", "metrics"]));
        done(&asked(&["backup", "create"]));
        done(&asked(&["backup", "verify"]));
        assert_eq!(stored(home, &data), wanted, "seed {seed}");
    }
}

/// What stands where a file should be, and reads without an end, or never begins.
fn strange_things(folder: &Path) -> Vec<PathBuf> {
    let pipe = folder.join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let (to_zero, to_pipe) = (folder.join("to-zero"), folder.join("to-pipe"));
    symlink("/dev/zero", &to_zero).unwrap();
    symlink(&pipe, &to_pipe).unwrap();
    vec![
        pipe,
        to_pipe,
        to_zero,
        "/dev/zero".into(),
        "/dev/full".into(),
        folder.to_owned(),
    ]
}

/// R42: what people name is refused by its kind.
#[test]
fn pipes_and_devices_are_no_configuration_and_no_password() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    for strange in strange_things(home) {
        let shown = strange.to_str().unwrap();
        let told = run(home, &["--config", shown, "logs"]);
        let said = text(&told.stderr);
        assert_eq!(told.status.code(), Some(2), "{said}");
        assert!(said.contains(shown), "{said}");
        for (store, address) in [
            ("cassandra", "logs = \"cassandra://127.0.0.1:1/k\""),
            ("mysql", "metrics = \"mysql://a@127.0.0.1:1/d\""),
        ] {
            let config = home.join("config.toml");
            let text_of =
                format!("[stores]\n{address}\n[stores.{store}]\npassword_file = {shown:?}\n");
            fs::write(&config, text_of).unwrap();
            fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
            let told = run(home, &["--config", "config.toml", "logs"]);
            let said = text(&told.stderr);
            assert_eq!(told.status.code(), Some(2), "{said}");
            assert!(said.contains(shown), "{said}");
        }
    }
}

/// R6: whatever stands in place of the checkpoint costs nothing.
#[test]
fn a_strange_checkpoint_is_no_checkpoint() {
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let log = home.join("x.log");
    let things = home.join("things");
    fs::create_dir(&things).unwrap();
    let strange = strange_things(&things);
    let mut wanted = Vec::new();
    for round in 0..8 {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        for part in 0..3 {
            let line = format!("round {round} line {part}");
            writeln!(file, "{line}").unwrap();
            wanted.push(line);
        }
        drop(file);
        done(&run(home, &["ingest", "x.log", "--format", "plain"]));
        assert_eq!(stored(home, OsStr::new("data")), wanted, "seed {seed}");
        for slot in ["checkpoint.0.json", "checkpoint.1.json"] {
            let slot = home.join("data/ingest").join(slot);
            let _ = fs::remove_file(&slot);
            let number = random.random_range(0..strange.len());
            symlink(&strange[number], &slot).unwrap();
        }
    }
}

/// R43: more files than descriptors, in the whole program.
#[test]
fn three_hundred_files_are_followed_with_few_descriptors() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::create_dir(home.join("logs")).unwrap();
    let mut wanted = Vec::new();
    let mut write = |part: usize| {
        for number in 0..300 {
            let path = home.join(format!("logs/{number}.log"));
            let mut file = File::options()
                .create(true)
                .append(true)
                .open(path)
                .unwrap();
            for line in 0..10 {
                let line = format!("file {number} part {part} line {line}");
                writeln!(file, "{line}").unwrap();
                wanted.push(line);
            }
        }
        wanted.sort();
        wanted.clone()
    };
    let all = write(0);
    let few = |arguments: &[&str]| {
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -n 256; exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_atalaya"))
            .args(["--data-dir", "data"])
            .args(arguments)
            .current_dir(home)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", home)
            .stdin(Stdio::null());
        command
    };
    done(&within(few(&["ingest", "logs/*.log", "--format", "plain"])));
    assert_eq!(stored(home, OsStr::new("data")), all);
    let follower = few(&["ingest", "logs/*.log", "--follow", "--format", "plain"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for part in 1..3 {
        let all = write(part);
        wait_until_stored(home, OsStr::new("data"), &all);
    }
    end(follower);
    done(&within(few(&["db", "check"])));
}
