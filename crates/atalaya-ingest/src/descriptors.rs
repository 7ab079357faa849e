//! How many files may be open at a time. A shell gives 1,024 descriptors or fewer to a process that
//! could have many more; and a reader that takes the last one keeps the store from writing.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors of everything but followed files: the store and its journals, the spool, sockets, the
/// terminal, the events of directories. A third of few, and never more than this.
const RESERVE: u64 = 512;
/// With fewer, nothing works.
const FEWEST: usize = 8;

/// Raises the soft limit of descriptors as far as this process may, and says how many of the files
/// that are wanted can be open.
pub fn room_for(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        // Refused in some sandboxes: then it stays as it is.
        let _ = setrlimit(Resource::Nofile, raised);
    }
    room_within(getrlimit(Resource::Nofile).current, wanted)
}

fn room_within(limit: Option<u64>, wanted: usize) -> usize {
    let Some(limit) = limit else {
        return wanted;
    };
    let room = limit - (limit / 3).min(RESERVE);
    wanted
        .min(usize::try_from(room).unwrap_or(usize::MAX))
        .max(FEWEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_keeps_its_share() {
        let cases = [
            (Some(256), 171),
            (Some(1_024), 683),
            (Some(20), 14),
            (Some(3), 8),
            (Some(1 << 20), 16_384),
            (None, 16_384),
        ];
        for (limit, files) in cases {
            assert_eq!(room_within(limit, 16_384), files, "{limit:?}");
        }
    }
}
