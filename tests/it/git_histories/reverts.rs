//! Reverts on several lines at once: an old one is kept up beside the new one, and takes reverts
//! over from it.

use super::*;

/// A revert as git knows it.
struct Revert {
    sha: String,
    original: String,
    hour: i64,
}

/// Releases from `main` and from an older branch in a random order; changes are reverted on either.
struct TwoLines {
    history: History,
    tags: Vec<(String, i64)>,
    reverts: Vec<Revert>,
    changes: Vec<String>,
}

impl TwoLines {
    fn new(folder: &Path, seed: u64) -> Self {
        let mut history = History::new(folder, "shop", seed);
        history.commit("first");
        git(&history.place, 0, &["branch", "old"]);
        let mut lines = Self {
            history,
            tags: Vec::new(),
            reverts: Vec::new(),
            changes: Vec::new(),
        };
        for number in 0..45 {
            lines.step(number);
        }
        lines
    }

    fn step(&mut self, number: usize) {
        let branch = if self.history.random.random_bool(0.4) {
            "old"
        } else {
            "main"
        };
        git(&self.history.place, 0, &["checkout", "--quiet", branch]);
        match self.history.random.random_range(0..10) {
            0..4 => {
                self.history.commit(&format!("change {number}"));
                self.changes.push(self.history.shas.last().unwrap().clone());
            }
            // On either branch, wherever the change is: a revert is picked to the other one too.
            4..7 if !self.changes.is_empty() => {
                let newest = self.changes.len().saturating_sub(4);
                let one = self.history.random.random_range(newest..self.changes.len());
                let original = self.changes[one].clone();
                let message = format!("Undo\n\nThis reverts commit {original}.");
                self.history.commit(&message);
                self.reverts.push(Revert {
                    sha: self.history.shas.last().unwrap().clone(),
                    original,
                    hour: self.history.hour,
                });
            }
            _ => {
                let name = format!("v{}.{number}.0", if branch == "old" { 1 } else { 2 });
                self.history.pass(10);
                git(
                    &self.history.place,
                    self.history.hour,
                    &["tag", "-a", &name, "-m", &name],
                );
                self.tags.push((name, self.history.hour));
            }
        }
    }

    fn contains(&self, tag: usize, sha: &str) -> bool {
        let tag = &self.tags[tag].0;
        !git(
            &self.history.place,
            0,
            &["tag", "--contains", sha, "--list", tag],
        )
        .is_empty()
    }

    /// The first release, by time, that has a commit.
    fn carrier(&self, sha: &str) -> Option<usize> {
        (0..self.tags.len()).find(|&tag| self.contains(tag, sha))
    }

    /// Which releases failed: they carried a change first and none of its reverts, and a revert that
    /// was made in the week after them went out later.
    fn failed(&self) -> BTreeSet<String> {
        let mut failed = BTreeSet::new();
        for revert in &self.reverts {
            let (Some(carried), Some(by)) =
                (self.carrier(&revert.original), self.carrier(&revert.sha))
            else {
                continue;
            };
            let released = self.tags[carried].1;
            let had_it = self
                .reverts
                .iter()
                .filter(|other| other.original == revert.original)
                .any(|other| self.contains(carried, &other.sha));
            if by > carried && !had_it && (0..=7 * 24).contains(&(revert.hour - released)) {
                failed.insert(format!("shop@{}", self.tags[carried].0));
            }
        }
        failed
    }
}

#[tokio::test]
async fn a_release_failed_that_had_the_change_and_not_its_revert() {
    let mut seen = 0;
    for _ in 0..5 {
        let chosen = std::env::var("ATALAYA_TEST_SEED").ok();
        let seed = chosen.map_or_else(rand::random, |seed| seed.parse().unwrap());
        println!("seed {seed}");
        let store = Store::new().await;
        let lines = TwoLines::new(store.folder.path(), seed);
        let outcome = store.sync(&lines.history.place).await;
        // A version on a commit that is out already is a statement of its own, and not about reverts.
        let again: BTreeSet<&str> = outcome
            .git
            .deployments
            .iter()
            .filter(|made| made.commits.as_ref().is_some_and(Vec::is_empty))
            .map(|made| made.id.as_str())
            .collect();
        let found: BTreeSet<String> = outcome
            .git
            .deployments
            .iter()
            .filter(|made| made.result == DeploymentResult::Failed)
            .filter(|made| !again.contains(made.taken_back_by.as_deref().unwrap()))
            .map(|made| made.id.clone())
            .collect();
        let expected = lines.failed();
        seen += expected.len();
        let by_release: BTreeSet<String> = outcome
            .git
            .deployments
            .iter()
            .filter(|made| again.contains(made.taken_back_by.as_deref().unwrap_or_default()))
            .map(|made| made.id.clone())
            .collect();
        assert_eq!(
            found.union(&by_release).collect::<BTreeSet<_>>(),
            expected.union(&by_release).collect::<BTreeSet<_>>(),
            "seed {seed}"
        );
        store
            .changes_nothing(&lines.history.place, &format!("seed {seed}"))
            .await;
    }
    assert!(seen > 0, "no history had a failed release");
}
