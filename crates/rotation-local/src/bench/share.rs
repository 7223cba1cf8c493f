//! A CPU quota like that of Lambda, which a Linux control group enforces.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The memory in MB with which a function gets one whole CPU ([Configure Lambda function
/// memory](https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html)).
const WHOLE_CPU_MB: u64 = 1769;
/// The period of the quota in µs.
const PERIOD: u64 = 20_000;

const GROUPS: &str = "/sys/fs/cgroup";

/// A control group with a CPU quota. Dropping it removes the group.
pub(super) struct CpuQuota {
    folder: PathBuf,
}

impl CpuQuota {
    /// Creates a control group with the quota of a function with this much memory (in MB).
    pub(super) fn of_memory(memory: u32) -> Result<Self> {
        Self::in_groups(Path::new(GROUPS), memory).context(
            "--memory needs Linux control groups and the permission to create one; run \
             rotation-local as root, and a container with --privileged",
        )
    }

    fn in_groups(groups: &Path, memory: u32) -> Result<Self> {
        let quota = quota(memory);
        let name = format!("rotation-bench-{}", std::process::id());
        let is_second_version = groups.join("cgroup.controllers").exists();
        if is_second_version {
            // This may fail without permission, but the controller can already be enabled.
            let _ = fs::write(groups.join("cgroup.subtree_control"), "+cpu");
        }
        let folder =
            if is_second_version { groups.join(name) } else { groups.join("cpu").join(name) };
        fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        let share = Self { folder };
        if is_second_version {
            share.write("cpu.max", &format!("{quota} {PERIOD}"))?;
        } else {
            share.write("cpu.cfs_period_us", &PERIOD.to_string())?;
            share.write("cpu.cfs_quota_us", &quota.to_string())?;
        }
        Ok(share)
    }

    /// Adds a process with all its threads to the group. All processes in the group share the
    /// quota.
    pub(super) fn give(&self, process: u32) -> Result<()> {
        self.write("cgroup.procs", &process.to_string())
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.folder.join(file);
        fs::write(&path, text).with_context(|| path.display().to_string())
    }
}

impl Drop for CpuQuota {
    fn drop(&mut self) {
        // If this fails, an empty group remains, which has no effect.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Returns the CPU time per period in µs of a function with this much memory (in MB).
fn quota(memory: u32) -> u64 {
    PERIOD * u64::from(memory) / WHOLE_CPU_MB
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_is_written_to_both_cgroup_versions() {
        let groups = tempfile::tempdir().unwrap();
        assert!(CpuQuota::in_groups(groups.path(), 128).is_err());
        fs::create_dir(groups.path().join("cpu")).unwrap();
        let share = CpuQuota::in_groups(groups.path(), 128).unwrap();
        share.give(17).unwrap();
        let read =
            |share: &CpuQuota, file: &str| fs::read_to_string(share.folder.join(file)).unwrap();
        let first = ["cpu.cfs_period_us", "cpu.cfs_quota_us", "cgroup.procs"]
            .map(|file| read(&share, file));
        assert_eq!(first, ["20000", "1447", "17"]);

        fs::write(groups.path().join("cgroup.controllers"), "cpu io").unwrap();
        let share = CpuQuota::in_groups(groups.path(), 1769).unwrap();
        assert_eq!(read(&share, "cpu.max"), "20000 20000");
        assert_eq!(
            fs::read_to_string(groups.path().join("cgroup.subtree_control")).unwrap(),
            "+cpu"
        );
    }
}
