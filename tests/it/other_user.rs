//! Files and folders that belong to somebody else: what may not be read or written is named with the
//! reason and the remedy, and the rest is done.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use portable_pty::CommandBuilder;

use crate::pty::{Pty, settled};

/// `nobody`, whom Linux lets own nothing.
const NOBODY: u32 = 65_534;

/// A folder that everyone may enter, with a home for the program in it.
struct Place {
    folder: tempfile::TempDir,
    /// Of somebody who may do less than the owner of the files: where the tests run as root, to whom
    /// nothing is refused, another user.
    program: Vec<OsString>,
}

impl Place {
    fn new() -> Self {
        let everyone = fs::Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new()
            .permissions(everyone)
            .tempdir()
            .unwrap();
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        let built = Path::new(env!("CARGO_BIN_EXE_atalaya"));
        if fs::metadata(&home).unwrap().uid() != 0 {
            return Self {
                folder,
                program: vec![built.into()],
            };
        }
        std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
        // The folder that it was built in may be closed to others.
        let binary = folder.path().join("atalaya");
        fs::hard_link(built, &binary)
            .or_else(|_| fs::copy(built, &binary).map(drop))
            .unwrap();
        let as_nobody = format!("--reuid={NOBODY} --regid={NOBODY} --clear-groups");
        let mut program: Vec<OsString> = vec!["setpriv".into()];
        program.extend(as_nobody.split(' ').map(Into::into));
        program.push(binary.into());
        Self { folder, program }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file or folder that its owner alone may use; here its owner is not even allowed to.
    fn closed(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
        path
    }

    fn run(&self, data: &Path, arguments: &[&str]) -> Output {
        Command::new(&self.program[0])
            .args(&self.program[1..])
            .arg("--data-dir")
            .arg(data)
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .output()
            .unwrap()
    }

    /// As [`run`](Self::run), with the exit code and what was said to the user.
    fn told(&self, data: &Path, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.run(data, arguments);
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }
}

impl Drop for Place {
    /// What was closed can be removed again.
    fn drop(&mut self) {
        for entry in fs::read_dir(self.folder.path())
            .into_iter()
            .flatten()
            .flatten()
        {
            let _ = fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o755));
        }
    }
}

#[test]
fn a_log_that_may_not_be_read_is_named_and_others_are_read() {
    let place = Place::new();
    let data = place.path("home").join("data");
    fs::write(place.path("open.log"), "one\ntwo\n").unwrap();
    fs::write(place.path("secret.log"), "three\n").unwrap();
    place.closed("secret.log");

    let (code, said) = place.told(&data, &["ingest", "secret.log"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("secret.log") && said.contains("Permission denied"),
        "{said}"
    );
    assert!(said.contains("a user or group that may read it"), "{said}");

    let (code, said) = place.told(&data, &["ingest", "--format", "plain", "*.log"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("secret.log is not read: Permission denied"),
        "{said}"
    );
    let found = place.run(&data, &["logs", "", "--json"]);
    assert!(found.status.success());
    assert_eq!(
        String::from_utf8(found.stdout).unwrap().lines().count(),
        2,
        "the open one is stored"
    );
}

#[test]
fn a_data_folder_of_somebody_else_is_refused_with_the_remedy() {
    let place = Place::new();
    fs::create_dir(place.path("closed")).unwrap();
    let data = place.closed("closed").join("data");
    for arguments in [&["logs", ""][..], &["dora", "report"], &["pdca", "list"]] {
        let (code, said) = place.told(&data, arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.contains(&data.display().to_string()), "{said}");
        assert!(
            said.contains("Permission denied") && said.contains("--data-dir"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "one error, no backtrace: {said}");
    }
    let health = place.run(&data, &["health"]);
    let said = String::from_utf8(health.stdout).unwrap();
    assert_eq!(health.status.code(), Some(2), "{said}");
    assert!(
        said.contains("Permission denied") && said.contains("--data-dir"),
        "{said}"
    );
}

#[test]
fn stores_of_somebody_else_are_refused_with_the_remedy() {
    let place = Place::new();
    let data = place.path("home").join("data");
    fs::write(place.path("x.log"), "one\n").unwrap();
    let (code, said) = place.told(&data, &["ingest", "--format", "plain", "x.log"]);
    assert_eq!(code, Some(0), "{said}");
    let stores = [
        ("logs.db", ["logs", ""], ["pdca", "list"]),
        ("metrics.db", ["pdca", "list"], ["logs", ""]),
    ];
    for (name, needs_it, needs_the_other) in stores {
        let path = data.join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
        let (code, said) = place.told(&data, &needs_the_other);
        assert_eq!(code, Some(0), "{said}");
        let (code, said) = place.told(&data, &needs_it);
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains(&path.display().to_string()) && said.contains("Permission denied"),
            "{said}"
        );
        assert!(said.contains("owner and mode"), "{said}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let found = place.run(&data, &["logs", "", "--json"]);
    assert_eq!(
        (found.status.code(), found.stdout.is_empty()),
        (Some(0), false),
        "nothing was lost"
    );
}

/// R24: rights to read and none to write.
#[test]
fn stores_that_may_only_be_read_are_read() {
    let place = Place::new();
    let data = place.path("home").join("data");
    fs::write(place.path("x.log"), "one\n").unwrap();
    let (code, said) = place.told(&data, &["ingest", "--format", "plain", "x.log"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = place.told(&data, &["pdca", "list"]);
    assert_eq!(code, Some(0), "{said}");
    let mode = |path: &Path, bits| {
        fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
    };
    // A file at rest: a process may end before its index is taken away.
    for _ in 0..20 {
        if data.join("logs.db-shm").exists() {
            place.run(&data, &["logs", ""]);
        }
    }
    // In this order: a reader may leave an index beside the file, where it may make one, and with
    // that the file can be written in a folder that cannot.
    for (of_files, of_folder) in [(0o600, 0o500), (0o400, 0o500), (0o400, 0o700)] {
        for name in ["logs.db", "metrics.db"] {
            mode(&data.join(name), of_files);
        }
        mode(&data, of_folder);
        let found = place.run(&data, &["logs", ""]);
        let (shown, said) = (
            String::from_utf8(found.stdout).unwrap(),
            String::from_utf8(found.stderr).unwrap(),
        );
        assert_eq!(found.status.code(), Some(0), "{said}");
        assert!(
            shown.contains("one") && said.contains("only read"),
            "{shown}{said}"
        );
        let (code, said) = place.told(&data, &["pdca", "list"]);
        assert_eq!(code, Some(0), "{said}");
        let (code, said) = place.told(&data, &["ingest", "--format", "plain", "x.log"]);
        assert_eq!(code, Some(1), "{said}");
        mode(&data, 0o700);
    }
}

#[test]
fn a_console_says_which_logs_it_may_not_read() {
    let place = Place::new();
    fs::write(place.path("open.log"), "a line for everyone\n").unwrap();
    fs::write(place.path("secret.log"), "a line for few\n").unwrap();
    let secret = place.closed("secret.log");
    let config = place.path("config.toml");
    let files = [place.path("open.log"), secret].map(|path| {
        format!(
            "[[ingest.files]]\npath = '{}'\nformat = 'plain'\n",
            path.display()
        )
    });
    fs::write(
        &config,
        format!("[ingest]\ndiscover = false\n{}", files.concat()),
    )
    .unwrap();

    let mut command = settled(CommandBuilder::new(&place.program[0]), &place.path("home"));
    command.args(&place.program[1..]);
    command.args(["--config".as_ref(), config.as_os_str()]);
    let mut terminal = Pty::start(command, 30, 160);
    terminal.send("2");
    terminal.wait_for_text("a line for everyone");
    terminal.send("3");
    terminal.wait("the file and the reason", |screen| {
        screen
            .contents()
            .lines()
            .any(|line| line.contains("secret.log") && line.contains("Permission denied"))
    });
    terminal.send("q");
    assert!(terminal.ended().success());
}
