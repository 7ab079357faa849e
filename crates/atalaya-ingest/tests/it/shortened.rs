//! Files that lose a part of what was read, holes, half lines, other encodings.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;

use atalaya_ingest::Mode;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::world::{World, lines};

fn content(world: &World) -> Vec<String> {
    let text = fs::read_to_string(world.path("x.log")).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A power failure takes the end, `tail` and `sed -i` the beginning or the middle; lines go on.
///
/// R11: truncated under load.
#[test]
fn what_is_left_of_a_shortened_file_is_not_read_again() {
    let chosen = std::env::var("ATALAYA_TEST_SEED").ok();
    let seed: u64 = chosen.map_or_else(rand::random, |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for round in 0..60 {
        let mut world = World::new(if round % 2 == 0 { "x.log" } else { "*.log" });
        let size = random.random_range(8..1_500);
        world.append("x.log", &lines("first", size));
        world.look();
        for step in 0..3 {
            let down = random.random_bool(0.5);
            if down {
                world.kill();
            }
            let all = content(&world);
            let how = random.random_range(0..4);
            println!("round {round}: {} lines, how {how}, down {down}", all.len());
            let left = match how {
                0 => {
                    // The end is lost, and with it half a line stays at times.
                    let left = random.random_range(4..=all.len());
                    let left = left.max(all.len().saturating_sub(1_900));
                    let file = File::options().write(true).open(world.path("x.log"));
                    file.unwrap()
                        .set_len(text(&all[..left]).len() as u64)
                        .unwrap();
                    None
                }
                1 => {
                    let left = random.random_range(4..=all.len());
                    Some(all[all.len() - left..].to_vec())
                }
                2 => {
                    let gone = random.random_range(0..all.len().saturating_sub(5).max(1));
                    let mut left = all.clone();
                    left.remove(gone);
                    fs::remove_file(world.path("x.log")).unwrap(); // as `sed -i`: another inode
                    Some(left)
                }
                _ => Some(all.clone()),
            };
            if let Some(left) = left {
                fs::write(world.path("x.log"), text(&left)).unwrap();
            }
            if random.random_bool(0.5) {
                world.append("x.log", &lines(&format!("new {step}"), 7));
            }
            if down {
                world.begin();
            }
            world.look();
            world.append("x.log", &lines(&format!("later {step}"), 5));
            world.look();
            if random.random_bool(0.3) {
                world.restart();
                world.look();
            }
        }
        world.assert_each_line_once_in(&format!("seed {seed} round {round}"));
    }
}

/// `: > x.log` under a writer that keeps its own offset.
///
/// R11: truncated under load.
#[test]
fn holes_before_lines_are_left_out() {
    for pattern in ["x.log", "*.log"] {
        let mut world = World::new(pattern);
        let writer = File::create(world.path("x.log")).unwrap();
        let mut at = 0;
        for round in 0..6 {
            let lines = lines(&format!("round {round}"), 900);
            let text = text(&lines);
            writer.write_all_at(text.as_bytes(), at).unwrap();
            at += text.len() as u64;
            world.expected.extend(lines);
            world.look();
            let file = File::options().write(true).open(world.path("x.log"));
            file.unwrap().set_len(0).unwrap();
            if round % 2 == 0 {
                world.look();
            }
        }
        writer.write_all_at(b"last\n", at).unwrap();
        world.expected.push("last".into());
        world.look();
        world.assert_each_line_once();
    }
}

#[test]
fn files_in_utf16_are_read() {
    for big in [false, true] {
        let mut world = World::new("*.log");
        let write = |text: &str, mark: bool| {
            let mark = mark.then_some('\u{feff}');
            let units: Vec<u16> = mark
                .into_iter()
                .chain(text.chars())
                .collect::<String>()
                .encode_utf16()
                .collect();
            let bytes: Vec<u8> = units
                .into_iter()
                .flat_map(|unit| {
                    if big {
                        unit.to_be_bytes()
                    } else {
                        unit.to_le_bytes()
                    }
                })
                .collect();
            let mut file = File::options()
                .create(true)
                .append(true)
                .open(world.path("x.log"))
                .unwrap();
            file.write_all(&bytes).unwrap();
        };
        write("first line ñ\r\nsecond\r\n", true);
        world.look();
        world.restart();
        let write = |text: &str| {
            let bytes: Vec<u8> = text
                .encode_utf16()
                .flat_map(|unit| {
                    if big {
                        unit.to_be_bytes()
                    } else {
                        unit.to_le_bytes()
                    }
                })
                .collect();
            let mut file = File::options()
                .append(true)
                .open(world.path("x.log"))
                .unwrap();
            file.write_all(&bytes).unwrap();
        };
        write("third\r\n");
        world.look();
        world.expected = ["first line ñ", "second", "third"]
            .map(String::from)
            .to_vec();
        world.assert_each_line_once_in(&format!("big {big}"));
    }
}

/// The end of a line that was taken for a line comes after all.
#[test]
fn a_line_that_was_given_out_in_part_is_completed() {
    let mut world = World::new("x.log");
    world.append("x.log", &lines("first", 10));
    world.look();
    world.rename("x.log", "x.log.1");
    let mut late = File::options()
        .append(true)
        .open(world.path("x.log.1"))
        .unwrap();
    late.write_all(b"a line in two").unwrap();
    world.append("x.log", &lines("next", 10));
    world.look();
    world.restart();
    late.write_all(b" halves\nand another\n").unwrap();
    world.look();
    world.look();
    world
        .expected
        .extend(["a line in two", "a line in two halves", "and another"].map(String::from));
    world.assert_each_line_once();
}

/// A run that reads once meets a writer in the middle of a line.
#[test]
fn a_run_that_reads_once_waits_for_the_end_of_a_line() {
    let mut world = World::new("x.log");
    world.kill();
    world.append("x.log", &lines("first", 10));
    let mut file = File::options()
        .append(true)
        .open(world.path("x.log"))
        .unwrap();
    file.write_all(b"half a li").unwrap();
    world.begin_in(Mode::Once);
    world.glance();
    world.glance();
    assert_eq!(world.stored(), 0, "it waits for the rest");
    file.write_all(b"ne\n").unwrap();
    world.expected.push("half a line".into());
    world.look();
    world.assert_each_line_once();
}
