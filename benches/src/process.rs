//! What the operating system says about this process.

use std::fs;
use std::path::Path;

/// Resident memory now and at its highest, in bytes; zero where `/proc` is not there.
pub(crate) fn memory() -> (u64, u64) {
    memory_of("self")
}

/// As [`memory`], of another process.
pub(crate) fn memory_of(process: &str) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"))
            .and_then(|kib| kib.trim().parse::<u64>().ok())
            .map_or(0, |kib| kib * 1024)
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// CPU seconds so far, user and system together; zero where `/proc` is not there.
pub(crate) fn cpu_seconds() -> f64 {
    cpu_seconds_of("self")
}

/// As [`cpu_seconds`], of another process.
pub(crate) fn cpu_seconds_of(process: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The second field is the program's name in parentheses and may hold spaces.
    let Some((_, fields)) = stat.rsplit_once(") ") else {
        return 0.0;
    };
    let ticks: u32 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u32>().ok())
        .sum();
    f64::from(ticks) / 100.0
}

/// Bytes that the files of a directory take on the disk: holes do not count.
pub(crate) fn disk_usage(directory: &Path) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        bytes += entry?.metadata()?.blocks() * 512;
    }
    Ok(bytes)
}
