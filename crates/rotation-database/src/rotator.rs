//! A database credential as something that can be rotated.

use rotation::settings::Source;
use rotation::{
    CURRENT, Checks, Context, Done, Labels, PENDING, Password, PasswordSettings, Result, Rotator,
    SecretValue, Step, Versions,
};

use crate::connect::Proven;
use crate::database::Database;
use crate::engine::Engine;
use crate::error::Error;
use crate::master;
use crate::preflight;
use crate::strategy::{self, Strategy};

/// Rotates the password of one engine's users.
#[derive(Debug)]
pub struct DatabaseRotator<E> {
    database: Database<E>,
    strategy: Box<dyn Strategy<E>>,
}

impl<E: Engine> DatabaseRotator<E> {
    /// Reads the settings of the function and of the engine, and prepares the engine for its first
    /// login.
    ///
    /// # Errors
    /// [`rotation::Error::Setting`] with the name of the variable that cannot be used.
    pub fn new(engine: E, source: Source<'_>) -> Result<Self> {
        let database = Database::new(engine, source)?;
        let strategy = strategy::of(database.settings.strategy);
        Ok(Self { database, strategy })
    }
}

impl<E: Engine> Rotator for DatabaseRotator<E> {
    fn labels(&self) -> Labels {
        Labels {
            engine: E::SPEC.name.to_owned(),
            strategy: self.database.settings.strategy.name().to_owned(),
        }
    }

    fn begin(&self, step: Step, secret_id: &str) {
        self.database.preconnect(step, secret_id);
    }

    fn end(&self) {
        self.database.engine.close_preconnection();
    }

    fn password(&self) -> Option<&PasswordSettings> {
        Some(&self.database.settings.password)
    }

    fn validate(&self, current: &SecretValue) -> Result<()> {
        let current = self.database.parse(current, CURRENT)?;
        self.database.new_user(&current)?;
        Ok(())
    }

    async fn create(
        &self,
        cx: &Context<'_>,
        current: &SecretValue,
        random: Option<Password>,
    ) -> Result<SecretValue> {
        let current = self.database.parse(current, CURRENT)?;
        self.database.remember_server(cx.secret_id(), &current);
        if let (true, Some(arn)) =
            (self.database.settings.strategy.needs_master(), &current.master_arn)
        {
            master::ensure_same_region(arn, cx.secret_id())?;
        }
        let user = self.database.new_user(&current)?;
        let password = random
            .ok_or_else(|| Error::PasswordUnusable { why: "none was generated".to_owned() })?;
        self.database.check_password(&password)?;
        Ok(current.with(&user, &password)?)
    }

    async fn set(&self, cx: &Context<'_>, versions: &Versions) -> Result<Done> {
        self.strategy.set(&self.database, cx, versions).await
    }

    async fn test(&self, cx: &Context<'_>, pending: &SecretValue) -> Result<Done> {
        let pending = self.database.parse(pending, PENDING)?;
        let Proven { session, .. } = self
            .database
            .log_in_with_retries(cx, &pending)
            .await
            .map_err(|cause| self.database.pending_failed(&pending, cause))?;
        let mut done = Done::now(format!(
            "{} accepts the new password of {}.",
            pending.endpoint(),
            pending.username
        ));
        match self.strategy.verify(&self.database, cx, session, &pending).await {
            Ok(note) => done.notes.extend(note),
            Err(error) if self.database.equals_current(cx, &pending).await => {
                done.notes.push(format!(
                    "This credential is the one of AWSCURRENT, so nothing has been rotated yet. \
                     The next rotation changes this: {error}."
                ));
            }
            Err(error) => return Err(error),
        }
        Ok(done)
    }

    async fn preflight(
        &self,
        cx: &Context<'_>,
        current: &SecretValue,
        random: Option<Password>,
        checks: &mut Checks,
    ) {
        preflight::look(&*self.strategy, &self.database, cx, current, random, checks).await;
    }

    async fn confirm(
        &self,
        cx: &Context<'_>,
        pending: &SecretValue,
        current: Option<&SecretValue>,
    ) -> Result<Vec<String>> {
        let pending = self.database.parse(pending, PENDING)?;
        let mut notes = self.database.edit_notes(current, &pending)?;
        // One login only: if it is rejected, Secrets Manager retries the whole rotation, and each
        // rejected login counts towards an account lockout.
        match self.database.prove(cx, &pending, PENDING).await {
            Ok(_) => {}
            Err(cause) if self.database.blocks_promotion(&cause) => {
                return Err(self.database.pending_failed(&pending, cause).into());
            }
            Err(cause) => notes.push(format!(
                "{} could not be checked again for the password of {} ({cause}). testSecret had \
                 logged in.",
                pending.endpoint(),
                pending.username
            )),
        }
        Ok(notes)
    }
}
