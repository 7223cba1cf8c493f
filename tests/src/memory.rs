//! Searches of a process's memory.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use anyhow::{Context, Result};

/// Counts how often each text occurs in the writable memory of a child process.
///
/// # Errors
/// Returns an error if the memory cannot be read.
pub fn copies(process: u32, texts: &[&str]) -> Result<Vec<usize>> {
    let maps =
        fs::read_to_string(format!("/proc/{process}/maps")).context("the process is gone")?;
    let memory = File::open(format!("/proc/{process}/mem"))?;
    let mut counts = vec![0; texts.len()];
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        // Only writable memory can hold what was read at run time.
        if !rights.starts_with("rw") {
            continue;
        }
        let Some((from, to)) = range.split_once('-') else { continue };
        let (from, to) = (u64::from_str_radix(from, 16)?, u64::from_str_radix(to, 16)?);
        let mut bytes = vec![0; usize::try_from(to - from)?];
        // Some regions cannot be read, because the kernel keeps them to itself.
        if memory.read_exact_at(&mut bytes, from).is_err() {
            continue;
        }
        for (count, text) in counts.iter_mut().zip(texts) {
            *count += memchr::memmem::find_iter(&bytes, text.as_bytes()).count();
        }
    }
    Ok(counts)
}
