//! How fast lines become records, format by format, on one core, beside `wc -l`, and for nginx
//! beside lnav and goaccess on the same file.
//!
//! `parse [FORMAT…] [--mb N]`: the formats named (all by default), files of N MB (200).

mod app_lines;
mod lines;

use std::fs::File;
use std::io::{BufWriter, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use atalaya::domain::time::Timestamp;
use atalaya::ingest::format::{Choice, Decoder, Parsed, Shape, SourceZone, TimeHint, all};
use atalaya::ingest::lines::LineCutter;

pub fn run(arguments: &[String]) {
    let mut megabytes = 200;
    let mut wanted: Vec<&str> = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--mb" {
            megabytes = rest
                .next()
                .and_then(|number| number.parse().ok())
                .unwrap_or(megabytes);
        } else {
            wanted.push(argument);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    println!(
        "{megabytes} MB a file, one core; parse: line to fields, decode: file to records; ratio: to wc -l\n"
    );
    println!(
        "{:<16} {:>10} {:>12} {:>10} {:>12} {:>12} {:>8}",
        "format", "parse MB/s", "lines/s", "decode MB/s", "records/s", "wc -l MB/s", "ratio"
    );
    for format in all() {
        if !(wanted.is_empty() || wanted.contains(&format.name())) {
            continue;
        }
        let Some(make) = lines::maker(format.name()) else {
            println!("{:<16} no lines to measure with", format.name());
            continue;
        };
        let path = folder.path().join(format.name());
        write_file(&path, make, megabytes);
        measure(format, &path);
        if format.name() == "nginx-access" {
            peers(&path);
        }
        std::fs::remove_file(&path).unwrap();
    }
}

/// A block of varied lines, repeated up to the size.
fn write_file(path: &Path, make: lines::Maker, megabytes: usize) {
    let mut block = String::new();
    let mut random = lines::Random::new();
    for index in 0..50_000 {
        make(&mut block, &mut random, index);
        block.push('\n');
    }
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut written = 0;
    while written < megabytes * 1_000_000 {
        file.write_all(block.as_bytes()).unwrap();
        written += block.len();
    }
    file.flush().unwrap();
}

fn hint() -> TimeHint {
    TimeHint {
        reference: Timestamp::from_seconds(1_795_314_069),
        zone: SourceZone::Utc,
    }
}

fn measure(format: Shape, path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let size = text.len() as f64 / 1e6;

    let start = Instant::now();
    let mut lines = 0_u64;
    let mut mismatched = 0_u64;
    let hint_ = hint();
    let mut parsed = Parsed::default();
    for line in text.lines() {
        let read = match format {
            Shape::Format(format) => format.parse(line, &hint_, &mut parsed).is_ok(),
            Shape::Envelope(envelope) => envelope.open(line, &hint_, &mut parsed).is_ok(),
            Shape::Plain => true,
        };
        mismatched += u64::from(!read);
        std::hint::black_box(&parsed);
        parsed = parsed.recycle();
        lines += 1;
    }
    let parse = start.elapsed();
    drop(parsed);
    drop(text);

    let start = Instant::now();
    let mut decoder = Decoder::new(Choice::Any(None), hint());
    let mut cutter = LineCutter::new(0);
    let mut file = File::open(path).unwrap();
    let mut buffer = vec![0; 256 * 1024];
    let mut records = 0_u64;
    loop {
        let count = file.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        cutter.feed(&buffer[..count], |line| {
            decoder.line(line, &mut |entry| {
                std::hint::black_box(&entry);
                records += 1;
            });
        });
    }
    decoder.finish(&mut |_| records += 1);
    let decode = start.elapsed();

    // Twice: the first may still wait for the file to be written out.
    let counted = (0..2)
        .filter_map(|_| timed(Command::new("wc").arg("-l").arg(path)))
        .min()
        .unwrap_or_default();
    println!(
        "{:<16} {:>10.0} {:>12.0} {:>10.0} {:>12.0} {:>12.0} {:>8.1}",
        format.name(),
        size / parse.as_secs_f64(),
        lines as f64 / parse.as_secs_f64(),
        size / decode.as_secs_f64(),
        records as f64 / decode.as_secs_f64(),
        size / counted.as_secs_f64(),
        decode.as_secs_f64() / counted.as_secs_f64(),
    );
    let lost = decoder.counts().records - decoder.tally().of(format.name());
    if mismatched + lost > 0 {
        println!(
            "{:<16} {mismatched} lines and {lost} records did not fit the format",
            ""
        );
    }
}

/// The same file through other programs.
fn peers(path: &Path) {
    let size = std::fs::metadata(path).unwrap().len() as f64 / 1e6;
    let mut lnav = Command::new("lnav");
    lnav.args(["-n", "-c", ";SELECT count(*) FROM access_log"])
        .arg(path);
    let mut goaccess = Command::new("goaccess");
    goaccess
        .arg(path)
        .args(["--log-format=COMBINED", "--no-progress", "-o", "json"]);
    for (name, command) in [("lnav -n", &mut lnav), ("goaccess", &mut goaccess)] {
        match timed(command) {
            Some(taken) => println!(
                "  {name:<14} {:>10.0} MB/s ({:.1} s)",
                size / taken.as_secs_f64(),
                taken.as_secs_f64()
            ),
            None => println!("  {name:<14} not installed or failed: apt-get install lnav goaccess"),
        }
    }
}

/// Wall time of a program that ends well.
fn timed(command: &mut Command) -> Option<Duration> {
    let start = Instant::now();
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .ok()?;
    status.success().then(|| start.elapsed())
}
