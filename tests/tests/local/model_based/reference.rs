//! A simple model of a secret, as AWS's documentation describes it.

use std::collections::{BTreeMap, BTreeSet};

/// An operation on the secret.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Create { token: &'static str, value: Option<&'static str> },
    Put { token: &'static str, value: &'static str, labels: Option<Vec<&'static str>> },
    Update { token: &'static str, value: Option<&'static str> },
    Move { label: &'static str, from: Option<&'static str>, to: Option<&'static str> },
    Rotate { token: &'static str },
    Cancel,
    Delete,
    Restore,
    Force,
    Tag { key: &'static str, value: &'static str },
    Untag { key: &'static str },
}

/// The id, the value and the staging labels of a version.
pub(crate) type Version = (String, Option<String>, BTreeSet<String>);

/// The state of the secret.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Plain {
    pub(crate) exists: bool,
    pub(crate) is_deleted: bool,
    pub(crate) description: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// `RotationEnabled`; `None` until rotation is configured.
    pub(crate) rotates: Option<bool>,
    /// The versions in the order of their creation.
    pub(crate) versions: Vec<Version>,
}

const NOT_FOUND: &str = "ResourceNotFoundException";
const PARAMETER: &str = "InvalidParameterException";
const REQUEST: &str = "InvalidRequestException";
const EXISTS: &str = "ResourceExistsException";

impl Plain {
    /// Performs an operation. Returns the code of the error if the service rejects it; then nothing
    /// changes.
    pub(crate) fn perform(&mut self, op: &Op) -> Option<&'static str> {
        let mut after = self.clone();
        let refused = after.try_to(op).err();
        if refused.is_none() {
            *self = after;
        }
        refused
    }

    fn try_to(&mut self, op: &Op) -> Result<(), &'static str> {
        match op {
            Op::Create { token, value } => return self.create(token, *value),
            Op::Force => {
                *self = Self::default();
                return Ok(());
            }
            _ if !self.exists => return Err(NOT_FOUND),
            Op::Restore => {
                self.is_deleted = false;
                return Ok(());
            }
            _ if self.is_deleted => return Err(REQUEST),
            _ => {}
        }
        match op.clone() {
            Op::Put { token, value, labels } => self.put(token, value, labels)?,
            Op::Update { token, value } => {
                self.description = Some("words".into());
                if let Some(value) = value {
                    if self.find(token).is_some_and(|(_, value, _)| value.is_some()) {
                        return Err(EXISTS);
                    }
                    self.put(token, value, None)?;
                }
            }
            Op::Move { label, from, to } => self.move_label(label, from, to)?,
            Op::Rotate { token } => self.rotate(token)?,
            Op::Cancel => self.rotates = self.rotates.map(|_| false),
            Op::Delete => self.is_deleted = true,
            Op::Tag { key, value } => drop(self.tags.insert(key.into(), value.into())),
            Op::Untag { key } => drop(self.tags.remove(key)),
            Op::Create { .. } | Op::Restore | Op::Force => {}
        }
        Ok(())
    }

    fn create(&mut self, token: &str, value: Option<&str>) -> Result<(), &'static str> {
        if self.is_deleted {
            return Err(REQUEST);
        }
        if self.exists {
            let same = self
                .find(token)
                .is_some_and(|(_, stored, _)| stored.is_some() && stored.as_deref() == value);
            return if same { Ok(()) } else { Err(EXISTS) };
        }
        self.exists = true;
        match value {
            Some(value) => self.put(token, value, None),
            None => Ok(()),
        }
    }

    /// Removes the versions that no operation shows: those without a value and without labels.
    pub(crate) fn remove_invisible(&mut self) {
        self.versions.retain(|(_, value, labels)| value.is_some() || !labels.is_empty());
        self.versions.sort();
    }

    fn find(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|(known, _, _)| known == id)
    }

    fn holder(&self, label: &str) -> Option<String> {
        let holder = self.versions.iter().find(|(_, _, labels)| labels.contains(label));
        holder.map(|(id, _, _)| id.clone())
    }

    fn put(
        &mut self,
        token: &str,
        value: &str,
        labels: Option<Vec<&str>>,
    ) -> Result<(), &'static str> {
        let is_first = self.versions.iter().all(|(_, value, _)| value.is_none());
        match self.versions.iter_mut().find(|(id, _, _)| id == token) {
            Some((_, Some(stored), _)) if stored == value => return Ok(()),
            Some((_, Some(_), _)) => return Err(EXISTS),
            Some((_, nothing, _)) => *nothing = Some(value.to_owned()),
            None => self.versions.push((token.to_owned(), Some(value.to_owned()), BTreeSet::new())),
        }
        let has_current = self.holder("AWSCURRENT").is_some();
        for label in labels.unwrap_or_else(|| vec!["AWSCURRENT"]) {
            self.attach(label, token);
        }
        if is_first && !has_current {
            self.attach("AWSCURRENT", token);
        }
        Ok(())
    }

    /// A staging label is on one version at a time. The version that loses `AWSCURRENT` gets
    /// `AWSPREVIOUS` and loses `AWSPENDING`.
    fn attach(&mut self, label: &str, to: &str) {
        let holder = self.holder(label);
        if holder.as_deref() == Some(to) {
            return;
        }
        self.detach(label);
        for (id, _, labels) in &mut self.versions {
            if id == to {
                labels.insert(label.to_owned());
            }
        }
        if let ("AWSCURRENT", Some(loser)) = (label, holder) {
            for (id, _, labels) in &mut self.versions {
                if *id == loser {
                    labels.remove("AWSPENDING");
                }
            }
            self.detach("AWSPREVIOUS");
            for (id, _, labels) in &mut self.versions {
                if *id == loser {
                    labels.insert("AWSPREVIOUS".to_owned());
                }
            }
        }
    }

    fn detach(&mut self, label: &str) {
        for (_, _, labels) in &mut self.versions {
            labels.remove(label);
        }
    }

    fn move_label(
        &mut self,
        label: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<(), &'static str> {
        if [from, to].into_iter().flatten().any(|id| self.find(id).is_none()) {
            return Err(NOT_FOUND);
        }
        let holder = self.holder(label);
        let is_there = holder.as_deref() == to && to.is_some();
        match (holder.as_deref(), from) {
            // The request must name the version that has the label, and no other version.
            (holder, Some(from)) if holder != Some(from) => return Err(PARAMETER),
            (Some(_), None) if !is_there => return Err(PARAMETER),
            _ => {}
        }
        match to {
            Some(to) => self.attach(label, to),
            None if from.is_none() || label == "AWSCURRENT" => return Err(PARAMETER),
            None => self.detach(label),
        }
        Ok(())
    }

    fn rotate(&mut self, token: &str) -> Result<(), &'static str> {
        if let Some(pending) = self.holder("AWSPENDING")
            && pending != token
            && self.holder("AWSCURRENT").as_ref() != Some(&pending)
        {
            return Err(REQUEST);
        }
        let is_of_it = ["AWSCURRENT", "AWSPENDING"]
            .iter()
            .any(|label| self.holder(label).as_deref() == Some(token));
        if !is_of_it && self.find(token).is_some_and(|(_, value, _)| value.is_some()) {
            // The version already had another purpose.
            return Err(PARAMETER);
        }
        self.rotates = Some(true);
        if is_of_it {
            return Ok(());
        }
        if self.find(token).is_none() {
            self.versions.push((token.to_owned(), None, BTreeSet::new()));
        }
        self.attach("AWSPENDING", token);
        Ok(())
    }
}
