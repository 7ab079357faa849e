//! Many repositories in one store: what each part and each release is called, and that it stays.

use super::*;

const REMOTES: [&str; 4] = [
    "git@github.com:acme/api.git",
    "https://gitlab.com/acme/api.git",
    "https://example.org/api.git",
    "ssh://git@github.com/ana/api",
];

/// Tags of the whole and of two parts, at least one of them.
fn tag_parts(random: &mut StdRng, place: &Path) -> usize {
    let mut made = 0;
    for (number, hour) in (1..=3).zip(10..) {
        commit(
            place,
            hour,
            &format!("change {number} of {}", place.display()),
        );
        for prefix in ["v", "mail-v", "web@", "api-v"] {
            if random.random_bool(0.5) || prefix == "v" && number == 1 {
                git(place, hour, &["tag", &format!("{prefix}1.{number}.0")]);
                made += 1;
            }
        }
    }
    made
}

/// Repositories of one name, forks among them, with remotes and without: each keeps its services
/// and its releases, however often and in whatever order they are read.
#[tokio::test]
async fn repositories_of_one_name_keep_their_parts() {
    for _ in 0..3 {
        let seed = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let store = Store::new().await;
        let mut places = Vec::new();
        for number in 0..6 {
            let folder = store.path(&format!("folder-{number}"));
            std::fs::create_dir(&folder).unwrap();
            let is_fork = number > 0 && random.random_bool(0.5);
            let api = if is_fork {
                let original: &PathBuf = &places[random.random_range(0..places.len())];
                git(
                    &folder,
                    0,
                    &[
                        "clone",
                        "--quiet",
                        "--no-tags",
                        original.to_str().unwrap(),
                        "api",
                    ],
                );
                git(&folder.join("api"), 0, &["remote", "remove", "origin"]);
                folder.join("api")
            } else {
                let api = repository(&folder, "api");
                commit(&api, 1, &format!("first of {number}"));
                api
            };
            // A fork without a remote is the repository that it was copied from.
            if let Some(remote) = REMOTES.get(number) {
                git(&api, 0, &["remote", "add", "origin", remote]);
            } else if is_fork {
                continue;
            }
            tag_parts(&mut random, &api);
            places.push(api);
        }
        let mut made = 0;
        for place in &places {
            made += store.sync(place).await.git.deployments.len();
        }
        assert_eq!(store.live().await.len(), made, "seed {seed}");
        let mut owners: BTreeMap<String, String> = BTreeMap::new();
        for deployment in store.live().await {
            let owner = owners
                .entry(deployment.service.clone())
                .or_insert_with(|| deployment.origin.clone());
            assert_eq!(
                *owner, deployment.origin,
                "seed {seed}: {}",
                deployment.service
            );
        }
        for round in 0..2 {
            for index in 0..places.len() {
                let other = random.random_range(0..places.len());
                for place in [&places[index], &places[other]] {
                    let why = format!("seed {seed}, round {round}: {}", place.display());
                    store.changes_nothing(place, &why).await;
                }
            }
        }
    }
}

/// Whatever people write before a version, each tag on a commit of its own is a release, and its id
/// is the same in a history whose commits have other ids.
#[tokio::test]
async fn the_id_of_a_release_is_of_its_tag_alone() {
    let spellings = [
        "v1.0.0",
        "1.0.0",
        "api-v1.0.0",
        "api/v1.0.0",
        "api@v1.0.0",
        "api_v1.0.0",
        "mail-v1.0.0",
        "mail/v1.0.0",
        "mail@v1.0.0",
        "mail_v1.0.0",
        "mail@1.0.0",
        "release-1.0.0",
        "mail-release-1.0.0",
        "services/mail/v1.0.0",
        "@acme/api@1.0.0",
    ];
    for name in ["api", "shop", "mail"] {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let mut ids: Vec<BTreeSet<String>> = Vec::new();
        for round in 0..2 {
            let store = Store::new().await;
            let place = repository(store.folder.path(), name);
            let mut tags = spellings.to_vec();
            for hour in 1.. {
                if tags.is_empty() {
                    break;
                }
                let tag = tags.swap_remove(random.random_range(0..tags.len()));
                commit(&place, hour, &format!("round {round}"));
                git(&place, hour, &["tag", tag]);
            }
            let outcome = store.sync(&place).await;
            store.changes_nothing(&place, name).await;
            let found: BTreeSet<String> =
                store.live().await.into_iter().map(|made| made.id).collect();
            let account = outcome.git.tags.unwrap();
            assert_eq!(
                found.len(),
                spellings.len(),
                "seed {seed}: {}",
                account.words()
            );
            ids.push(found);
        }
        assert_eq!(ids[0], ids[1], "seed {seed}");
    }
}

/// The configured repository is read when it is due itself, whatever else was read meanwhile.
#[tokio::test]
async fn another_repository_does_not_stand_for_the_configured_one() {
    let store = Store::new().await;
    let (shop, other) = (
        random_history(store.folder.path(), "shop", 14),
        random_history(store.folder.path(), "other", 21),
    );
    let config = DoraConfig {
        repository: Some(shop.clone()),
        ..DoraConfig::default()
    };
    let due = async || {
        dora::sync_due(&*store.store, &config, &other, Timestamp::now(), |_| {})
            .await
            .unwrap()
    };
    store.sync(&other).await;
    assert_eq!(
        due().await.unwrap().git.repository,
        shop.canonicalize().unwrap()
    );
    assert!(due().await.is_none());
}
