//! Wakes the reader when something changes in a directory. Only a hint: the reader looks every
//! second anyway, so an event that is lost (queue overflow, no watches left, a file system that
//! has no events) costs time and no line.

use std::collections::HashSet;
use std::path::PathBuf;

use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::pipeline::Wake;

pub struct FileWatch {
    watcher: Option<RecommendedWatcher>,
    watched: HashSet<PathBuf>,
    problem: Option<String>,
    failed: HashSet<PathBuf>,
}

impl FileWatch {
    pub fn start(wake: impl Fn(Wake) + Send + 'static) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let why = match event {
                Ok(event) if event.need_rescan() => Wake::Rescan,
                Ok(event) => match event.kind {
                    EventKind::Access(_) => return,
                    EventKind::Modify(
                        ModifyKind::Data(_) | ModifyKind::Metadata(_) | ModifyKind::Any,
                    ) => Wake::Look,
                    _ => Wake::Rescan,
                },
                Err(_) => Wake::Rescan,
            };
            wake(why);
        });
        let (watcher, problem) = match watcher {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(says_polling(&error))),
        };
        Self {
            watcher,
            watched: HashSet::new(),
            problem,
            failed: HashSet::new(),
        }
    }

    /// Why there are no events, when there are none.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Watches exactly these directories from now on.
    pub fn watch(&mut self, dirs: &HashSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        if *dirs == self.watched {
            return;
        }
        for dir in self.watched.difference(dirs) {
            // It is gone already when the directory is.
            let _ = watcher.unwatch(dir);
        }
        for dir in dirs.difference(&self.watched) {
            if let Err(error) = watcher.watch(dir, RecursiveMode::NonRecursive)
                && self.failed.insert(dir.clone())
                && self.problem.is_none()
            {
                let problem = says_polling(&error);
                tracing::warn!(target: "atalaya::ingest", dir = %dir.display(), "{problem}");
                self.problem = Some(problem);
            }
        }
        self.watched.clone_from(dirs);
    }
}

fn says_polling(error: &notify::Error) -> String {
    format!("no change events ({error}); files are looked at every second instead")
}
