//! The real program following files into a store, to be killed and started again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use atalaya::config::{Request, Settings};
use atalaya::store::chunks::ChunkStore;

/// One data directory and configuration, and at most one running program on it.
pub struct Follower {
    folder: PathBuf,
    files: Vec<PathBuf>,
    child: Option<Child>,
}

impl Follower {
    /// `configuration` is the text of its `config.toml`.
    pub fn new(folder: &Path, configuration: &str, files: Vec<PathBuf>) -> Self {
        fs::create_dir_all(folder.join("data")).unwrap();
        fs::write(folder.join("config.toml"), configuration).unwrap();
        Self {
            folder: folder.to_path_buf(),
            files,
            child: None,
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
        command
            .arg("--config")
            .arg(self.folder.join("config.toml"))
            .arg("--data-dir")
            .arg(self.folder.join("data"))
            .env("XDG_CONFIG_HOME", self.folder.join("xdg"))
            .env_remove("ATALAYA_CONFIG");
        command
    }

    /// Runs another subcommand on the same configuration to its end, and expects success.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "atalaya {}: {}\n{text}{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    pub fn start(&mut self) {
        assert!(self.child.is_none(), "one at a time");
        let stderr = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("stderr"))
            .unwrap();
        let child = self
            .command()
            .args(["ingest", "--follow", "--format", "plain"])
            .args(&self.files)
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// SIGKILL. Fails when the program had ended by itself.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let ended = child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "the program ended by itself: {ended:?}\n{}",
                self.words()
            );
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// What it wrote on its error stream, all runs together.
    pub fn words(&self) -> String {
        fs::read_to_string(self.folder.join("stderr")).unwrap_or_default()
    }

    /// The settings that the program resolves.
    pub fn settings(&self) -> Settings {
        let request = Request {
            file: Some(self.folder.join("config.toml")),
            data_dir: Some(self.folder.join("data")),
        };
        Settings::load(&request).unwrap()
    }

    /// The log store of its configuration, opened beside it.
    pub async fn store(&self) -> Arc<dyn ChunkStore> {
        atalaya::service::stores::open_logs(&self.settings())
            .await
            .unwrap()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
