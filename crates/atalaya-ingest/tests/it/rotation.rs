//! Every line once, whatever is done to the files: rename, copytruncate, packing, deletion, inode
//! reuse, restarts. The reader is driven step by step with its own clock, on a real file system
//! (ext4 gives the inode of a deleted file to the next one; a tmpfs would prove nothing).

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use atalaya_domain::record::Level;
use atalaya_domain::time::Timestamp;
use atalaya_ingest::reader::Reader;
use atalaya_ingest::{IngestConfig, IngestInput, Mode};
use rand::{RngExt, SeedableRng};

use super::world::{FakePort, World, lines};

#[test]
fn appended_lines_and_half_lines() {
    let mut world = World::new("x.log");
    world.append("x.log", &lines("a", 10));
    world.look();
    let mut file = File::options()
        .append(true)
        .open(world.path("x.log"))
        .unwrap();
    file.write_all(b"half a li").unwrap();
    world.look();
    assert_eq!(world.stored(), 10, "a line without its end waits");
    file.write_all(b"ne\n").unwrap();
    world.expected.push("half a line".into());
    world.look();
    world.assert_each_line_once();
}

/// R10: renamed, then packed.
#[test]
fn rotation_by_rename_with_a_writer_that_closes_late() {
    let mut world = World::new("x.log");
    world.append("x.log", &lines("a", 100));
    world.glance();
    let mut old = File::options()
        .append(true)
        .open(world.path("x.log"))
        .unwrap();
    world.rename("x.log", "x.log.1");
    world.append("x.log", &lines("b", 100));
    world.glance();
    world.write(&mut old, &lines("late", 50));
    world.look();
    world.write(
        &mut old,
        &lines("very late, after the descriptor was closed", 50),
    );
    old.write_all(b"and no newline at the end").unwrap();
    world.expected.push("and no newline at the end".into());
    world.look();
    world.assert_each_line_once();
    assert_eq!(world.events(), []);
}

/// R8: rotations that nobody saw.
#[test]
fn two_rotations_between_two_looks_and_five_while_down() {
    for restarts in [false, true] {
        let mut world = World::new("x.log");
        world.append("x.log", &lines("first", 100));
        world.look();
        if restarts {
            world.kill();
        }
        let rotations = if restarts { 5 } else { 2 };
        for round in 0..rotations {
            world.append("x.log", &lines(&format!("round {round}"), 70));
            for number in (1..=round).rev() {
                world.rename(&format!("x.log.{number}"), &format!("x.log.{}", number + 1));
            }
            world.rename("x.log", "x.log.1");
        }
        world.append("x.log", &lines("last", 30));
        if restarts {
            world.begin();
        }
        world.look();
        world.assert_each_line_once();
    }
}

/// R10: renamed, then packed.
#[test]
fn each_line_once_through_rename_and_packing() {
    for restarts in [false, true] {
        for pattern in ["x.log", "x.log*"] {
            let mut world = World::new(pattern);
            for round in 0..4 {
                world.append("x.log", &lines(&format!("round {round}"), 300));
                world.look();
                if restarts {
                    world.kill();
                    world.append("x.log", &lines(&format!("while down {round}"), 50));
                }
                if world.path("x.log.1").exists() {
                    world.gzip("x.log.1", &format!("x.log.{}.gz", round + 2));
                }
                world.rename("x.log", "x.log.1");
                if restarts {
                    world.begin();
                }
                world.look();
            }
            world.assert_each_line_once();
            assert_eq!(world.events(), [], "{pattern} {restarts}");
        }
    }
}

/// R10: renamed, then packed.
#[test]
fn unread_lines_are_read_from_the_packed_file() {
    let mut world = World::new("x.log");
    world.append("x.log", &lines("a", 200));
    world.look();
    world.kill();
    world.append("x.log", &lines("b", 200));
    world.rename("x.log", "x.log.1");
    world.gzip("x.log.1", "x.log.2.gz");
    world.append("x.log", &lines("c", 10));
    world.begin();
    world.look();
    world.restart();
    world.look();
    world.assert_each_line_once();
    assert_eq!(world.events(), []);
}

#[test]
fn copytruncate_with_unread_lines_goes_on_in_the_copy() {
    let mut world = World::new("x.log");
    for round in 0..5 {
        world.append("x.log", &lines(&format!("read {round}"), 300));
        world.look();
        world.append("x.log", &lines(&format!("unread {round}"), 100));
        for number in (1..=round).rev() {
            world.rename(&format!("x.log.{number}"), &format!("x.log.{}", number + 1));
        }
        world.copytruncate("x.log", "x.log.1");
        world.append("x.log", &lines(&format!("after {round}"), 20));
        world.look();
    }
    world.assert_each_line_once();
    assert_eq!(world.events(), []);
}

/// R11: truncated under load.
#[test]
fn copytruncate_while_down_and_regrown_past_the_old_offset() {
    let mut world = World::new("x.log");
    world.append("x.log", &lines("read", 300));
    world.look();
    world.kill();
    world.append("x.log", &lines("unread", 100));
    world.copytruncate("x.log", "x.log.1");
    world.append("x.log", &lines("regrown beyond what was there before", 900));
    world.begin();
    world.look();
    world.restart();
    world.look();
    world.assert_each_line_once();
    assert_eq!(world.events(), []);
}

#[test]
fn regrown_past_the_old_offset_while_running() {
    let mut world = World::new("x.log");
    world.append("x.log", &lines("read", 300));
    world.look();
    world.copytruncate("x.log", "x.log.1");
    world.append(
        "x.log",
        &lines("other and longer lines, more of them than before", 900),
    );
    world.look();
    world.assert_each_line_once();
}

/// R11: truncated under load.
#[test]
fn a_busy_writer_and_fifty_copytruncates() {
    let mut world = World::new("x.log");
    world.append("x.log", &lines("before the first rotation", 40));
    for round in 0..50 {
        // Between copy and truncation the writer goes on, and the ingest reads it.
        fs::copy(world.path("x.log"), world.path("x.log.1")).unwrap();
        world.append("x.log", &lines(&format!("in between {round}"), 20));
        world.glance();
        File::options()
            .write(true)
            .open(world.path("x.log"))
            .unwrap()
            .set_len(0)
            .unwrap();
        if round % 3 == 0 {
            world.append("x.log", &lines(&format!("regrown a lot {round}"), 200));
        }
        world.glance();
        world.append("x.log", &lines(&format!("after {round}"), 25));
        world.glance();
        if round % 7 == 0 {
            world.restart();
        }
    }
    world.look();
    world.assert_each_line_once();
}

/// R11: the look that finds the file truncated misses its copy, as one that is renamed meanwhile, and
/// the reading had stopped in the middle of a line.
#[test]
fn a_copy_that_one_look_misses_is_read_on_at_the_beginning_of_a_line() {
    let mut cut = 0;
    for round in 0..4 {
        let mut world = World::new("x.log");
        let line = "x".repeat(round);
        world.append("x.log", &lines(&format!("first {line}"), 20));
        world.look();
        world.append("x.log", &lines(&format!("read in part {line}"), 22_000));
        world.glance_at_one_turn();
        let stored = world.stored();
        assert!((20..22_000).contains(&stored), "{stored}");
        let hidden = world.dir.path().join("hidden");
        fs::copy(world.path("x.log"), &hidden).unwrap();
        File::options()
            .write(true)
            .open(world.path("x.log"))
            .unwrap()
            .set_len(0)
            .unwrap();
        world.append("x.log", &lines(&format!("after {line}"), 20));
        world.glance();
        cut += usize::from(
            world
                .events()
                .iter()
                .any(|(_, text)| text.contains("no copy")),
        );
        fs::rename(&hidden, world.path("x.log.1")).unwrap();
        world.look();
        world.restart();
        world.look();
        world.assert_each_line_once_in(&format!("round {round}"));
    }
    assert!(cut > 0, "no look missed the copy");
}

/// R11: truncated under load.
#[test]
fn a_truncation_that_costs_lines_is_a_row() {
    let mut world = World::new("x.log");
    world.append("x.log", &lines("read", 30));
    world.look();
    world.kill();
    File::options()
        .write(true)
        .open(world.path("x.log"))
        .unwrap()
        .set_len(0)
        .unwrap();
    world.append("x.log", &lines("new", 3));
    world.begin();
    world.look();
    world.restart();
    world.look();
    world.assert_each_line_once();
    let events = world.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].0, Level::Warning);
    assert!(
        events[0]
            .1
            .contains("truncated or overwritten while nobody was reading"),
        "{events:?}"
    );
}

/// R9: files known by content.
#[test]
fn inodes_are_used_again_and_nothing_is_taken_for_something_else() {
    let mut world = World::new("x.log");
    let mut inodes = std::collections::BTreeSet::new();
    let seed = 0x000a_7a1a;
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    for cycle in 0..200 {
        let count = random.random_range(0..4);
        match cycle % 4 {
            0 => fs::write(world.path("x.log"), b"").unwrap(),
            1 => world.append("x.log", &["x".to_owned()]),
            _ => {
                let mut content = vec!["# one header for all of them".to_owned()];
                content.extend(lines(&format!("cycle {cycle}"), count));
                world.append("x.log", &content);
            }
        }
        inodes.insert(std::os::unix::fs::MetadataExt::ino(
            &fs::metadata(world.path("x.log")).unwrap(),
        ));
        match cycle % 5 {
            0 => world.restart(),
            1 => world.look(),
            _ => {}
        }
        world.glance();
        world.look();
        // The descriptor is closed by now: the file system may give the inode away.
        fs::remove_file(world.path("x.log")).unwrap();
        world.look();
    }
    assert!(
        inodes.len() < 100,
        "this file system never uses an inode again: {} of 200",
        inodes.len()
    );
    world.assert_each_line_once();
}

/// R9: files known by content.
#[test]
fn fifty_files_with_one_header_and_tiny_and_empty_ones() {
    let mut world = World::new("*.log*");
    for index in 0..50 {
        world.append(
            &format!("same-{index}.log"),
            &["a header that all of them begin with".to_owned()],
        );
    }
    for index in 0..5 {
        world.append(&format!("tiny.log.{index}"), &["x".to_owned()]);
        fs::write(world.path(&format!("empty-{index}.log")), b"").unwrap();
    }
    world.look();
    world.restart();
    for index in 0..50 {
        world.append(
            &format!("same-{index}.log"),
            &lines(&format!("own lines of {index}"), index),
        );
    }
    for index in 0..5 {
        world.append(&format!("empty-{index}.log"), &lines("no longer empty", 2));
    }
    world.look();
    world.look();
    world.assert_each_line_once();
}

/// R6: damaged checkpoint.
#[test]
fn a_damaged_checkpoint_neither_repeats_nor_loses() {
    let damages: [fn(&Path); 4] = [
        |path| fs::write(path, vec![0; 512]).unwrap(),
        |path| {
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(40)
                .unwrap();
        },
        |path| fs::remove_file(path).unwrap(),
        |path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
            fs::write(path, bytes).unwrap();
        },
    ];
    for damage in damages {
        for both in [false, true] {
            let mut world = World::new("x.log");
            world.append("x.log", &lines("a", 200));
            world.look();
            world.append("x.log", &lines("b", 200));
            world.look();
            world.kill();
            for slot in ["checkpoint.0.json", "checkpoint.1.json"] {
                if both || slot == "checkpoint.1.json" {
                    damage(&world.state().join(slot));
                }
            }
            world.append("x.log", &lines("c", 50));
            world.begin();
            world.look();
            world.assert_each_line_once();
        }
    }
}

/// R6: damaged checkpoint.
#[test]
fn an_older_checkpoint_is_overtaken_by_the_store() {
    let mut world = World::new("x.log");
    world.append("x.log", &lines("a", 200));
    world.look();
    world.kill();
    let kept = world.dir.path().join("kept");
    copy_dir(&world.state(), &kept);
    world.begin();
    world.append("x.log", &lines("b", 200));
    world.look();
    world.rename("x.log", "x.log.1");
    world.append("x.log", &lines("c", 200));
    world.look();
    world.kill();
    fs::remove_dir_all(world.state()).unwrap();
    copy_dir(&kept, &world.state());
    world.append("x.log", &lines("d", 5));
    world.begin();
    world.look();
    world.assert_each_line_once();
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// R7: one reader of a state.
#[test]
fn a_second_reader_of_the_same_state_is_refused() {
    let world = World::new("x.log");
    let config = IngestConfig::new(
        vec![IngestInput::detected("x.log")],
        world.state(),
        "host",
        Mode::Follow,
    );
    let error = Reader::new(config, FakePort::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("another atalaya is reading files"),
        "{error}"
    );
}

/// R43: long lines take little memory.
#[test]
fn odd_files_are_named_once_and_disturb_nobody() {
    let mut world = World::new("*");
    world.append("x.log", &lines("a", 10));
    fs::create_dir(world.path("directory")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        world.path("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    std::os::unix::fs::symlink(world.path("loop"), world.path("loop")).unwrap();
    fs::write(world.path("wtmp"), [7, 0, 0, 0, b't', 0, 0, 0].repeat(48)).unwrap();
    world.look();
    world.look();
    world.assert_each_line_once();
    let elapsed = world.elapsed;
    let now = world.start + elapsed;
    let status = world
        .reader
        .as_mut()
        .unwrap()
        .status(now, Timestamp::now(), None);
    let unread: Vec<_> = status
        .unread
        .iter()
        .map(|unread| unread.path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(unread, ["directory", "fifo", "loop", "wtmp"]);
    assert_eq!(status.notices.len(), 4, "{:?}", status.notices);
}

/// Any order of what writers, rotations and kills do.
///
/// R12: any order of faults.
#[test]
fn any_order_of_events_keeps_each_line_once() {
    for seed in 0..60_u64 {
        let mut random = rand::rngs::StdRng::seed_from_u64(seed);
        let mut world = World::new(if seed % 2 == 0 { "x.log" } else { "x.log*" });
        // A file that was rotated away before its family was ever seen is history.
        world.append("x.log", &lines(&format!("seed {seed} first"), 3));
        world.look();
        let mut history = Vec::new();
        let mut next_packed = 100;
        for round in 0..40 {
            let action = random.random_range(0..9);
            history.push(action);
            match action {
                0 | 1 => {
                    let count = random.random_range(1..60);
                    world.append(
                        "x.log",
                        &lines(&format!("seed {seed} round {round}"), count),
                    );
                }
                2 => world.glance(),
                3 => world.look(),
                4 if world.path("x.log").exists() => {
                    shift(&world);
                    world.rename("x.log", "x.log.1");
                }
                5 if world.path("x.log").exists()
                    && fs::metadata(world.path("x.log")).unwrap().len() > 0 =>
                {
                    // Two copies of a file that nobody ever looked at cannot be told from two files.
                    world.look();
                    shift(&world);
                    world.copytruncate("x.log", "x.log.1");
                }
                6 if world.path("x.log.1").exists() => {
                    world.gzip("x.log.1", &format!("x.log.{next_packed}.gz"));
                    next_packed += 1;
                }
                7 => world.restart(),
                8 if world.path("x.log").exists() => {
                    world.look(); // what can be read is read before it is destroyed
                    fs::remove_file(world.path("x.log")).unwrap();
                }
                _ => {}
            }
        }
        world.look();
        world.look();
        println!("seed {seed}: {history:?}"); // shown when it fails
        world.assert_each_line_once();
    }
}

fn shift(world: &World) {
    for number in (1..60).rev() {
        if world.path(&format!("x.log.{number}")).exists() {
            world.rename(&format!("x.log.{number}"), &format!("x.log.{}", number + 1));
        }
    }
}
