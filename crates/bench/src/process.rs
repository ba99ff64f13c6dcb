//! What a process costs, from the operating system's own accounting in `/proc`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One tick of the times in `/proc/PID/stat`: `USER_HZ` is 100 on every Linux this runs on, whatever the kernel's own.
const TICK: Duration = Duration::from_millis(10);

/// Why a process cannot be accounted for.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is no such process, or no `/proc`.
    #[error("{path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The kernel writes something else than expected.
    #[error("{path}: not of the form of proc(5)", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// What `/proc/PID/stat` says of processor time and descent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The parent's id.
    pub parent: u32,
    /// Time of all its threads, those that ended included, in user and in kernel mode.
    pub own: Duration,
    /// The same of its children that ended and were waited for.
    pub ended_children: Duration,
}

impl Stat {
    /// Reads the file's line. The name in parentheses may hold spaces and parentheses: it ends with the last one.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // proc(5) counts from 1 and the first field here is its third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = |first, second| {
            let ticks = field(first)?.checked_add(field(second)?)?;
            TICK.checked_mul(u32::try_from(ticks).ok()?)
        };
        Some(Self {
            parent: u32::try_from(field(4)?).ok()?,
            own: ticks(14, 15)?,
            ended_children: ticks(16, 17)?,
        })
    }

    /// Of a running process.
    ///
    /// # Errors
    /// [`ProcessError`].
    pub fn of(pid: u32) -> Result<Self, ProcessError> {
        let path = file(pid, "stat");
        let line = read(&path)?;
        Self::parse(&line).ok_or(ProcessError::Malformed { path })
    }
}

/// Memory of a process, from `/proc/PID/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Resident now, in KiB.
    pub resident_kib: u64,
    /// The most that ever was resident, in KiB.
    pub peak_kib: u64,
}

impl Memory {
    /// Reads the file's text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let kib = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix("kB")?.trim().parse().ok()
        };
        Some(Self {
            resident_kib: kib("VmRSS:")?,
            peak_kib: kib("VmHWM:")?,
        })
    }

    /// Of a running process.
    ///
    /// # Errors
    /// [`ProcessError`].
    pub fn of(pid: u32) -> Result<Self, ProcessError> {
        let path = file(pid, "status");
        let text = read(&path)?;
        Self::parse(&text).ok_or(ProcessError::Malformed { path })
    }
}

/// Processor time of a process and of all its children, living or ended: of PostgreSQL with its backends.
///
/// # Errors
/// [`ProcessError`].
pub fn family_time(parent: u32) -> Result<Duration, ProcessError> {
    let own = Stat::of(parent)?;
    let folder = Path::new("/proc");
    let unreadable = |source| ProcessError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    let mut sum = own.own + own.ended_children;
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that ended since the folder was read is in the parent's account the next time.
        if let Ok(stat) = Stat::of(pid)
            && stat.parent == parent
        {
            sum += stat.own + stat.ended_children;
        }
    }
    Ok(sum)
}

fn file(pid: u32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

fn read(path: &Path) -> Result<String, ProcessError> {
    fs::read_to_string(path).map_err(|source| ProcessError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str) -> String {
        format!(
            "4711 ({name}) S 42 4711 4711 0 -1 4194560 900 0 0 0 250 50 7 3 20 0 5 0 123456 1000 200"
        )
    }

    #[test]
    fn the_times_of_all_threads_are_read_whatever_the_name() {
        for name in ["gavah", "a b c", "1) S 7 (x", "((", "))"] {
            let stat = Stat::parse(&line(name));
            let expected = Stat {
                parent: 42,
                own: Duration::from_secs(3),
                ended_children: Duration::from_millis(100),
            };
            assert_eq!(stat, Some(expected), "{name}");
        }
    }

    #[test]
    fn a_line_that_is_cut_off_is_not_read() {
        for bad in ["", "4711", "4711 (gavah)", "4711 (gavah) S 42 1 1 0 -1"] {
            assert_eq!(Stat::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn memory_is_read_now_and_at_its_highest() {
        let text = "Name:\tgavah\nVmPeak:\t  999 kB\nVmHWM:\t   4096 kB\nVmRSS:\t    2048 kB\n";
        let expected = Memory {
            resident_kib: 2048,
            peak_kib: 4096,
        };
        assert_eq!(Memory::parse(text), Some(expected));
        assert_eq!(Memory::parse("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn this_process_can_be_accounted_for() {
        let pid = std::process::id();
        let memory = Memory::of(pid).unwrap();
        assert!(memory.resident_kib > 0 && memory.peak_kib >= memory.resident_kib);
        // Time goes on between the two looks, so its own comes first.
        let own = Stat::of(pid).unwrap().own;
        assert!(family_time(pid).unwrap() >= own);
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(matches!(
            Stat::of(u32::MAX),
            Err(ProcessError::Unreadable { .. })
        ));
    }
}
