use proptest::prelude::*;

use super::*;

/// Owner and whether it is a pre-release.
fn told(tag: &str) -> Option<(Option<&str>, bool)> {
    read(tag).map(|read| (read.owner, read.prerelease))
}

#[test]
fn releases_of_the_whole_repository() {
    for tag in [
        "v1.2.3",
        "1.2",
        "v3",
        "V2.0.1.4",
        "v1.2.3+build.5",
        "v2.0.0-hotfix.1",
        "release/1.2.3",
        "release-1.2.3",
        "releases/v1.2",
        "Release_1.2.3",
        "rel-1.4",
        "REL_14_2",
        "version-2.0",
        "deploy-1711334567",
        "deploy/1711334567",
        "prod-42",
        "production/2024-03-25",
        "release-2024-03-25",
        "release-2024-03-25.2",
        "2024-03-25",
        "2024.03.25",
        "20240325",
        "v20240325",
        "release-20240325-1530",
        "4.1.0-stable",
        "4.2.0-final",
        "2.1.0.RELEASE",
        "5.4.0.Final",
        "1.0.0-GA",
        "v20.11.0-lts",
        "go1.21.3",
        "n4.3.1",
        "7.1.1-29",
        "1.2.3-1",
        "v1.2.3.post1",
        "1.0-p2",
        "1.1.1k",
        "7_88_1",
        "v1.2.3-security.2",
        "1.2.3-patch4",
        "v1.0.0-r2",
        "stable-2.3",
        "v2024.1",
        "hotfix-1.2.4",
    ] {
        assert_eq!(told(tag), Some((None, false)), "{tag}");
    }
}

#[test]
fn releases_of_a_part() {
    for (tag, owner) in [
        ("syslog-ng-4.11.0", "syslog-ng"),
        ("tokio-console-v0.1.9", "tokio-console"),
        ("@acme/shop@1.0.0", "@acme/shop"),
        ("@acme/shop@v1.0.0", "@acme/shop"),
        ("services/mail/v1.2.0", "services/mail"),
        ("api-v1.0.0", "api"),
        ("client-v1.0.0", "client"),
        ("client_v1.0.0", "client"),
        ("shop@1.2.3", "shop"),
        ("mail/v1.2.3", "mail"),
        ("shop-release-1.2.3", "shop"),
        ("release/shop/1.2.3", "shop"),
        ("shop/deploy-1711334567", "shop"),
        ("api-2024-03-25", "api"),
        ("log4j-2.17.1", "log4j"),
        ("OpenSSL_1_1_1k", "OpenSSL"),
        ("k8s-agent/v3", "k8s-agent"),
        ("pkg==1.0.0", "pkg"),
        ("web2-v1.0", "web2"),
    ] {
        assert_eq!(told(tag), Some((Some(owner), false)), "{tag}");
    }
}

#[test]
fn pre_releases() {
    for (tag, owner) in [
        ("v2.0.0-rc.1", None),
        ("v0.5.2rc1", None),
        ("4.3.0-beta", None),
        ("1.0a1", None),
        ("1.0.0b2", None),
        ("2.0.0-M3", None),
        ("v1.0.0-alpha", None),
        ("v1.0.0-SNAPSHOT", None),
        ("v1.0.0-dev.3", None),
        ("v1.0.0-next.0", None),
        ("v1.0.0-hotfix-rc1", None),
        ("v1.0.0-feature-x", None),
        ("REL_14_RC1", None),
        ("mail/v1.2.3-beta", Some("mail")),
        ("@acme/shop@1.0.0-canary.4", Some("@acme/shop")),
        ("tokio-console-v0.2.0-alpha.1", Some("tokio-console")),
    ] {
        assert_eq!(told(tag), Some((owner, true)), "{tag}");
    }
}

#[test]
fn no_versions() {
    for tag in [
        "7",
        "nightly",
        "vnext",
        "latest",
        "backup-before-v2",
        "before-1.2.3",
        "nightly-2024-03-25",
        "archive/v1.2.3",
        "v1.2.x",
        "v",
        "",
        "-",
        "v1.",
        "release",
        "build-123",
        "sha-0a1b2c",
        "wip-1.0",
        "v1 .2",
        "tokio-console-v2",
    ] {
        assert_eq!(told(tag), None, "{tag}");
    }
}

#[test]
fn a_floating_name_moves_on_with_its_version() {
    let floats = |one: &str, other: &str| {
        read(one)
            .zip(read(other))
            .map(|(one, other)| one.floats_over(&other))
    };
    for (one, other, expected) in [
        ("v1", "v1.2.3", true),
        ("v1.2", "v1.2.3", true),
        ("1.2.3", "v1.2.3", true),
        ("release-1.2.3", "v1.2.3", true),
        ("v1.0.0", "v1.1.1", false),
        ("v1.2.3", "v1.2", false),
        ("v1.2.3-1", "v1.2.3", false),
        ("v2", "v1.2.3", false),
    ] {
        assert_eq!(floats(one, other), Some(expected), "{one} {other}");
    }
}

proptest! {
    /// Whatever a project calls itself, and however it writes its versions, name and numbers come
    /// out as they went in.
    #[test]
    fn names_and_numbers_come_back(
        name in "[a-z][a-z]{2,8}(-[a-z]{2,6}){0,2}",
        scope in proptest::option::of("@[a-z]{3,8}/"),
        separator in prop_oneof![Just("@"), Just("/"), Just("-"), Just("_")],
        v in prop_oneof![Just("v"), Just("V"), Just("")],
        numbers in proptest::collection::vec(0_u64..1_000, 2..5),
        suffix in prop_oneof![
            Just(("", false)), Just(("-stable", false)), Just(("-hotfix.2", false)),
            Just(("+build.7", false)), Just(("-rc.1", true)), Just(("rc3", true)),
            Just(("-beta2", true)), Just((".dev4", true)),
        ],
    ) {
        let words: Vec<&str> = name.split('-').collect();
        prop_assume!(!words.iter().any(|word| {
            RELEASE_NAMES.contains(word) || MARKER_WORDS.contains(word)
        }));
        let owner = format!("{}{name}", scope.unwrap_or_default());
        let dotted: Vec<String> = numbers.iter().map(u64::to_string).collect();
        let version = format!("{v}{}{}", dotted.join("."), suffix.0);
        let tag = format!("{owner}{separator}{version}");
        let found = read(&tag);
        prop_assert!(found.is_some(), "{}", tag);
        if let Some(found) = found {
            prop_assert_eq!(found.owner, Some(owner.as_str()), "{}", &tag);
            prop_assert_eq!(found.version, version.as_str());
            prop_assert_eq!(&found.numbers, &numbers);
            prop_assert_eq!(found.prerelease, suffix.1, "{}", &tag);
            prop_assert!(found.floats_over(&found));
        }
        let bare = read(&version).map(|found| (found.owner, found.prerelease));
        prop_assert_eq!(bare, Some((None, suffix.1)), "{}", &version);
    }

    #[test]
    fn no_tag_breaks_it(tag in "\\PC{0,40}", like in "[a-zA-Z0-9@/._+v-]{0,24}") {
        for tag in [tag, like] {
            if let Some(found) = read(&tag) {
                prop_assert!(tag.ends_with(found.version));
                prop_assert!(!found.numbers.is_empty());
                prop_assert!(found.owner.is_none_or(|owner| tag.contains(owner) && !owner.is_empty()));
            }
        }
    }
}
