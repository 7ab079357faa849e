//! Configuration: file, environment and flags, resolved once into [`Settings`].

/// Everything that was configured, checked and with defaults filled in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the embedded stores, the checkpoint and the console's state are.
    pub data_dir: std::path::PathBuf,
}
