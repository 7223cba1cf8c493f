//! The replications that have not finished, and the delays and failures that tests want.

use std::collections::BTreeMap;

use crate::secret::Secret;

/// Delays replication to a Region or to an account, or makes it fail, for tests of clients. See
/// [`Service::control_replication`](crate::Service::control_replication).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReplicationControl {
    /// The number of seconds, of the service's clock, from a change to its arrival at the replica.
    pub delay: f64,
    /// The message of the status `Failed`. `None` lets replication succeed.
    pub failure: Option<String>,
}

/// The replications that have not finished, and the controls of tests.
#[derive(Debug, Default)]
pub(crate) struct ReplicationQueue {
    controls: BTreeMap<String, ReplicationControl>,
    /// The time at which each is due. `None` until the operation that caused it has ended.
    due: BTreeMap<Job, Option<f64>>,
}

/// A replication that has not finished.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Job {
    /// The ARN of the primary.
    pub(crate) primary: String,
    /// The Region of the primary.
    pub(crate) region: String,
    /// The Region of the replica, or the id of its account.
    pub(crate) destination: String,
}

impl ReplicationQueue {
    /// Adds the unfinished replications of a primary secret. The delays of those that a change has
    /// restarted start again.
    pub(crate) fn add(&mut self, primary: &Secret, restarted: &[String]) {
        for destination in primary.replication.unfinished() {
            let is_restarted = restarted.contains(&destination);
            let (arn, region) = (primary.arn.clone(), primary.region.clone());
            let due = self.due.entry(Job { primary: arn, region, destination }).or_default();
            if is_restarted {
                *due = None;
            }
        }
    }

    pub(crate) fn set_control(&mut self, destination: &str, control: ReplicationControl) {
        self.controls.insert(destination.to_owned(), control);
    }

    /// Starts the delays of the replications that an operation has caused.
    pub(crate) fn start(&mut self, now: f64) {
        for (job, due) in self.due.iter_mut().filter(|(_, due)| due.is_none()) {
            let delay = self.controls.get(&job.destination).map_or(0.0, |control| control.delay);
            *due = Some(now + delay);
        }
    }

    /// Starts the delay of a replication again.
    pub(crate) fn add_again(&mut self, job: Job) {
        self.due.insert(job, None);
    }

    /// Removes the replications that are due, and returns them with the failures that tests want.
    pub(crate) fn take_due(&mut self, now: f64) -> Vec<(Job, Option<String>)> {
        let due = self.due.extract_if(.., |_, due| due.is_some_and(|due| due <= now));
        let due: Vec<Job> = due.map(|(job, _)| job).collect();
        due.into_iter()
            .map(|job| {
                let control = self.controls.get(&job.destination);
                (job.clone(), control.and_then(|control| control.failure.clone()))
            })
            .collect()
    }
}
