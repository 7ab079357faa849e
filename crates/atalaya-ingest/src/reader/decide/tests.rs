#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use super::super::catalogue::Position;
use super::*;
use crate::generation::Family;
use crate::identity::{FileId, Fingerprint};
use crate::rotation::RotatedName;

const WALL: Timestamp = Timestamp::from_seconds(1_000);
const A_WHILE: Duration = Duration::from_secs(60);

fn origin(number: u128) -> OriginId {
    OriginId::from_u128(number)
}

fn generation(number: u128, name: &str, holder: Holder) -> Generation {
    Generation {
        origin: origin(number),
        file: file(number as u64),
        truncations: 0,
        dir: "/logs".into(),
        name: name.into(),
        family: Family {
            dir: "/logs".into(),
            base: "x.log".into(),
        },
        first_seen: WALL,
        offset: 5_000,
        print: Fingerprint::default(),
        format: None,
        holder,
        begins: 0,
    }
}

fn file(inode: u64) -> FileId {
    FileId {
        device: 1,
        inode,
        born: Some(1),
    }
}

fn catalogue(generations: Vec<Generation>) -> Catalogue {
    Catalogue::new(generations)
}

fn seen(name: &str, why: Why, current: bool) -> Seen {
    Seen {
        path: PathBuf::from("/logs").join(name),
        dir: "/logs".into(),
        name: name.into(),
        rotated: RotatedName::of(name),
        family: Family {
            dir: "/logs".into(),
            base: "x.log".into(),
        },
        file: file(99),
        size: 9_000,
        modified: WALL,
        changed: WALL,
        input: 0,
        why,
        current,
    }
}

fn sight(seen: Seen, found: Found) -> Sight {
    Sight {
        seen,
        age: A_WHILE,
        followed: true,
        found,
    }
}

fn strange(alike: Vec<Alike>) -> Strange {
    Strange {
        truncations: 0,
        length: 9_000,
        complete: true,
        original: None,
        alike,
        goes_on: None,
    }
}

/// Equal up to `verified`, of which 5,000 bytes are stored.
fn alike(number: u128, verified: u64, whole: bool) -> Alike {
    Alike {
        origin: origin(number),
        verified,
        whole,
        resume: 5_000,
    }
}

fn moves(catalogue: &Catalogue, sights: Vec<Sight>) -> Vec<Move> {
    let mut look = Look {
        wall: WALL,
        ..Look::default()
    };
    look.looked_for = catalogue
        .generations
        .values()
        .filter(|generation| generation.holder.is_there())
        .map(|generation| generation.origin)
        .collect();
    look.sights = sights;
    decide(catalogue, &look)
}

const GONE: Holder = Holder::Gone(WALL);
const BEGIN: Move = Move::Begin {
    file: 0,
    truncations: 0,
    behind: None,
};

fn goes_on() -> Move {
    Move::Continue {
        origin: origin(1),
        file: 0,
        resume: 5_000,
        length: 9_000,
    }
}

fn waits(why: &'static str) -> Move {
    Move::Wait { file: 0, why }
}

fn repeats() -> Move {
    Move::Repeats {
        file: 0,
        of: origin(1),
        length: 9_000,
    }
}

/// One unknown file beside one known generation.
#[test]
fn a_strange_file_beside_a_known_one() {
    use Why::{Alike as Likewise, Named, Sibling, Stranger};
    let packed = "x.log.1.gz";
    // Holder of the known one; name, reason and currency of the strange one; what they share.
    let cases: Vec<(&str, Holder, &str, Why, bool, Vec<Alike>, Vec<Move>)> = vec![
        ("new", GONE, "x.log", Named, true, vec![], vec![BEGIN]),
        (
            "a short likeness under the writer's name is chance",
            GONE,
            "x.log",
            Named,
            true,
            vec![alike(1, 300, true)],
            vec![BEGIN],
        ),
        (
            "a long one is not",
            GONE,
            "x.log",
            Named,
            true,
            vec![alike(1, 70_000, true)],
            vec![goes_on()],
        ),
        (
            "renamed by a copy",
            GONE,
            "x.log.1",
            Sibling,
            false,
            vec![alike(1, 20, true)],
            vec![goes_on()],
        ),
        (
            "packed",
            GONE,
            packed,
            Sibling,
            false,
            vec![alike(1, 20, true)],
            vec![goes_on()],
        ),
        (
            "under any name, when it is missing",
            GONE,
            "qwerty",
            Stranger,
            false,
            vec![alike(1, 20, true)],
            vec![goes_on()],
        ),
        (
            "but not a part of it",
            GONE,
            "qwerty",
            Stranger,
            false,
            vec![alike(1, 20, false)],
            vec![],
        ),
        (
            "a stranger that is like nothing",
            GONE,
            "qwerty",
            Stranger,
            false,
            vec![],
            vec![],
        ),
        (
            "called as another was",
            GONE,
            "x-2.log",
            Likewise,
            false,
            vec![],
            vec![BEGIN],
        ),
        (
            "a copy of what is read",
            Holder::Plain,
            "x.log.1",
            Sibling,
            false,
            vec![alike(1, 2_000, true)],
            vec![Move::Miss { origin: origin(1) }, goes_on()],
        ),
    ];
    for (case, holder, name, why, current, alike, expected) in cases {
        let catalogue = catalogue(vec![generation(1, "x.log", holder)]);
        let found = Found::Strange(strange(alike));
        let moves = moves(&catalogue, vec![sight(seen(name, why, current), found)]);
        assert_eq!(moves, expected, "{case}");
    }
}

#[test]
fn a_copy_is_not_read_while_its_original_is_there() {
    let catalogue = catalogue(vec![generation(1, "x.log", Holder::Plain)]);
    let known = Found::Known {
        origin: origin(1),
        resume: None,
    };
    for (verified, age, expected) in [
        (2_000, A_WHILE, repeats()),
        (20, Duration::ZERO, repeats()),
        (20, A_WHILE, BEGIN),
    ] {
        let found = Found::Strange(strange(vec![alike(1, verified, true)]));
        let mut copy = sight(seen("x.log.1", Why::Sibling, false), found);
        copy.age = age;
        let original = sight(
            seen("x.log", Why::Named, true),
            Found::Known {
                origin: origin(1),
                resume: None,
            },
        );
        let moves = moves(&catalogue, vec![copy, original]);
        let keep = Move::Keep {
            origin: origin(1),
            file: 1,
        };
        assert_eq!(moves, [keep, expected], "{verified} {age:?}");
    }
    let lonely = moves(
        &catalogue,
        vec![sight(seen("x.log.1", Why::Sibling, false), known)],
    );
    let keep = Move::Keep {
        origin: origin(1),
        file: 0,
    };
    assert_eq!(lonely, [keep], "renamed");
}

#[test]
fn what_must_be_waited_for() {
    let gone = || vec![generation(1, "x.log", GONE)];
    let sibling = || seen("x.log.1.gz", Why::Sibling, false);
    let fresh = |mut sight: Sight| {
        sight.age = Duration::ZERO;
        sight
    };

    let unfinished = Strange {
        complete: false,
        ..strange(vec![])
    };
    let young = fresh(sight(sibling(), Found::Strange(unfinished.clone())));
    let old = sight(sibling(), Found::Strange(unfinished));
    assert_eq!(
        moves(&catalogue(gone()), vec![young]),
        [waits("is being packed")]
    );
    assert_eq!(
        moves(&catalogue(gone()), vec![old]),
        [BEGIN],
        "damaged, not unfinished"
    );

    let half = Strange {
        length: 100,
        ..strange(vec![alike(1, 90, false)])
    };
    let young = fresh(sight(sibling(), Found::Strange(half.clone())));
    assert_eq!(
        moves(&catalogue(gone()), vec![young]),
        [waits("is being copied")]
    );

    let mut reading = catalogue(gone());
    let position = Position {
        given: 10,
        open: true,
        unread: true,
    };
    reading.positions.insert(origin(1), position);
    let copy = sight(
        sibling(),
        Found::Strange(strange(vec![alike(1, 2_000, true)])),
    );
    assert_eq!(moves(&reading, vec![copy]), [waits(STILL_READ)]);
}

#[test]
fn history_is_passed_over_unless_it_is_asked_for() {
    let catalogue = catalogue(vec![]);
    let pass = Move::PassOver {
        file: 0,
        truncations: 0,
        length: 9_000,
        of: None,
    };
    for (why, followed, expected) in [
        (Why::Sibling, false, pass),
        (Why::Sibling, true, BEGIN),
        (Why::Named, false, BEGIN),
        (Why::Alike, false, pass),
    ] {
        let mut old = sight(seen("x.log.1", why, false), Found::Strange(strange(vec![])));
        old.followed = followed;
        assert_eq!(
            moves(&catalogue, vec![old]),
            [expected],
            "{why:?} {followed}"
        );
    }
}

#[test]
fn overwritten_content_goes_on_in_its_copy_and_the_file_begins_anew() {
    let catalogue = catalogue(vec![generation(1, "x.log", Holder::Plain)]);
    let loss = Loss {
        known: Some((5_000, 9_000)),
        resume: 5_000,
    };
    let now = Strange {
        truncations: 1,
        length: 30,
        ..strange(vec![])
    };
    let truncated = sight(
        seen("x.log", Why::Named, true),
        Found::Changed {
            origin: origin(1),
            loss,
            now,
        },
    );
    for (name, why) in [("x.log.1", Why::Sibling), ("any name", Why::Stranger)] {
        let copy = sight(
            seen(name, why, false),
            Found::Strange(strange(vec![alike(1, 4_000, true)])),
        );
        let truncated = sight(
            truncated.seen.clone(),
            match &truncated.found {
                Found::Changed { origin, loss, now } => Found::Changed {
                    origin: *origin,
                    loss: *loss,
                    now: now.clone(),
                },
                _ => unreachable!(),
            },
        );
        assert_eq!(
            moves(&catalogue, vec![copy, truncated]),
            [
                Move::Lose {
                    origin: origin(1),
                    file: 1,
                    loss
                },
                goes_on(),
                Move::Begin {
                    file: 1,
                    truncations: 1,
                    behind: None,
                },
            ],
            "{name}"
        );
    }
}

#[test]
fn two_copies_of_one_orphan_are_read_once() {
    let catalogue = catalogue(vec![generation(1, "x.log", GONE)]);
    let copy = |name| {
        let found = Found::Strange(strange(vec![alike(1, 2_000, true)]));
        sight(seen(name, Why::Sibling, false), found)
    };
    let second = Move::Repeats {
        file: 1,
        of: origin(1),
        length: 9_000,
    };
    assert_eq!(
        moves(&catalogue, vec![copy("x.log.1"), copy("x.log.2")]),
        [goes_on(), second]
    );
}
