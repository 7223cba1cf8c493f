//! Alternating users: a master user maintains two users. One is active, while the other one gets a
//! new password.

mod comparison;

use rotation::{CURRENT, Checks, Context, Done, PENDING, Password, Result, Versions};

use crate::connect::{self, Proven};
use crate::database::Database;
use crate::engine::{Engine, Session, SessionAccount};
use crate::engine_error::EngineError;
use crate::error::{CredentialSource, LoginAttempt};
use crate::login_error::LoginError;
use crate::master::Master;
use crate::secret::DatabaseSecret;
use crate::shortened::shortened;
use crate::strategy::earlier::{self, Earlier};
use crate::strategy::master_session::{MasterLogin, check_or_close, ensure_not_master};
use crate::strategy::preflight::report_pooler;
use crate::strategy::target_proof::{LoginProof, prove_target};
use crate::strategy::{BoxFuture, Strategy};
use crate::sync::{PasswordRequest, PasswordSet, ProvenUser, SyncReport, SyncRequest};
use crate::user_pair::UserPair;

/// Rotates the one of two users that applications do not use at present.
#[derive(Debug)]
pub(super) struct Alternating;

impl<E: Engine> Strategy<E> for Alternating {
    fn set<'a>(
        &'a self,
        database: &'a Database<E>,
        cx: &'a Context<'a>,
        versions: &'a Versions,
    ) -> BoxFuture<'a, Result<Done>> {
        Box::pin(set(database, cx, versions))
    }

    fn verify<'a>(
        &'a self,
        database: &'a Database<E>,
        cx: &'a Context<'a>,
        session: E::Session,
        pending: &'a DatabaseSecret,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(comparison::verify(database, cx, session, pending))
    }

    fn changes_active_user(&self) -> bool {
        false
    }

    fn preflight<'a>(
        &'a self,
        database: &'a Database<E>,
        cx: &'a Context<'a>,
        current: &'a DatabaseSecret,
        _random: Option<&'a Password>,
        login: Option<Proven<E::Session>>,
        checks: &'a mut Checks,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Some(Proven { mut session, .. }) = login {
                report_pooler(&mut session, current, checks).await;
                session.close().await;
            }
            comparison::preflight(database, cx, current, checks).await;
        })
    }
}

/// Proves that the current credential is valid, and then syncs the users and sets the password of
/// the target user as the master user.
///
/// The order prevents a confused deputy: a writer of the secret must not be able to make a master
/// user act on a server or a user to which the secret's own credential gives no access.
async fn set<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    versions: &Versions,
) -> Result<Done> {
    let (current, pending) = database.parse_both(versions)?;
    let pair = UserPair::of(&current.username, E::SPEC);
    let mut account = None;
    let earlier = match database.prove(cx, &current, CURRENT).await {
        Ok(proven) => {
            account = Some(proven);
            None
        }
        // The password is right but has expired. Applications need the other user, whose new
        // password has not expired.
        Err(cause) if cause.proves_password() => None,
        Err(cause) if cause.is_wrong_password() => {
            match recover(database, cx, &current, &pending, cause).await? {
                Recovery::AlreadySet(done) => return Ok(done),
                Recovery::Earlier(earlier) => Some(*earlier),
            }
        }
        Err(cause) => {
            return Err(connect::failed(
                &database.login(&current),
                CredentialSource::Version(CURRENT),
                cause,
            )
            .into());
        }
    };
    let (opened, note) = match earlier {
        None => ((current, CURRENT), None),
        Some(earlier) => {
            let (label, note) = (earlier.label(), earlier.note());
            earlier.proven.session.close().await;
            account = Some(earlier.proven.account);
            ((earlier.secret, label), Some(note))
        }
    };
    let mut proven = Vec::new();
    proven.extend(account.map(|account| proven_user(&opened.0, account)));
    // If the target is the base user, its origin must be proven before anything of it is changed.
    let prove_now = pending.username == pair.base && !E::SPEC.pairs_provable;
    let is_refused = note.is_some();
    let known = async {
        if prove_now { prove_target(database, cx, &pending, is_refused).await } else { Ok(None) }
    };
    let (master, known) = tokio::join!(Master::fetch(cx, &opened.0, E::SPEC), known);
    let (master, known) = (master?, known?);
    let pair_verified = known.is_some();
    proven
        .extend(known.and_then(LoginProof::account).map(|account| proven_user(&pending, account)));
    let origin = Origin { pair_verified, proven };
    let mut done =
        sync_by_master(database, cx, &master, &pair, origin, (&opened.0, opened.1), &pending)
            .await?;
    done.notes.extend(note);
    Ok(done)
}

/// The facts about the two users that logins have proven.
struct Origin {
    /// `true` if a version of the secret proves the pair, as in [`SyncRequest::pair_verified`].
    pair_verified: bool,
    proven: Vec<ProvenUser>,
}

fn proven_user(secret: &DatabaseSecret, account: SessionAccount) -> ProvenUser {
    ProvenUser { user: secret.username.clone(), account: account.id }
}

/// The way in which a rotation continues if the server rejects `AWSCURRENT`.
enum Recovery<S> {
    /// An earlier attempt has already done the step.
    AlreadySet(Done),
    /// An earlier version logs in as the same user, because the database was restored or the secret
    /// was edited.
    Earlier(Box<Earlier<S>>),
}

/// Decides how to continue after the server has rejected the current password.
///
/// An earlier attempt may have done the step already. If not, an earlier version of the secret must
/// prove the right to use the current user. The right to use the other user is not enough, because
/// that user would get the privileges of the current one.
async fn recover<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    current: &DatabaseSecret,
    pending: &DatabaseSecret,
    refused: LoginError,
) -> Result<Recovery<E::Session>> {
    let mut tried = vec![LoginAttempt {
        label: CURRENT.into(),
        result: format!("{}, {refused}", current.username),
    }];
    match database.prove(cx, pending, PENDING).await {
        Ok(_) => {
            let note =
                format!("The server rejects the AWSCURRENT password of {}.", current.username);
            return Ok(Recovery::AlreadySet(database.already_set(pending).note(note)));
        }
        // The master user can unlock an account.
        Err(cause) if cause.is_wrong_password() || cause.is_account_state() => {
            tried.push(LoginAttempt {
                label: PENDING.into(),
                result: format!("{}, {cause}", pending.username),
            });
        }
        Err(cause) => {
            return Err(connect::failed(
                &database.login(pending),
                CredentialSource::Version(PENDING),
                cause,
            )
            .into());
        }
    }
    match earlier::open(database, cx, current, pending, &mut tried).await? {
        Some(earlier) => Ok(Recovery::Earlier(Box::new(earlier))),
        None => Err(database.refused(current, tried).into()),
    }
}

async fn sync_by_master<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    master: &Master,
    pair: &UserPair,
    Origin { pair_verified, proven }: Origin,
    opened: (&DatabaseSecret, &'static str),
    pending: &DatabaseSecret,
) -> Result<Done> {
    let credential = &master.secret;
    let users = [pair.base.as_str(), pair.alternate.as_str()];
    ensure_not_master(database, master, &users, pending)?;
    let session =
        MasterLogin::of(database, master, opened.0, pending).open_after_proof(cx, opened).await?;
    let mut session = check_or_close(database, master, session, &users, pending).await?;

    let target = &pending.username;
    cx.set_activity(format!(
        "syncing {} with {} and setting the password of {target}",
        pair.alternate, pair.base
    ));
    let mut request = SyncRequest {
        master: &credential.username,
        base: &pair.base,
        alternate: &pair.alternate,
        target,
        password: &pending.password,
        pair_verified,
        logs_in_unencrypted: database.logs_in_unencrypted(pending),
        proven,
    };
    let mut synced = session.sync_users(&request).await;
    let alternate_is_target = request.is_alternate_target();
    if matches!(synced, Err(EngineError::UnverifiedPair { .. }))
        && alternate_is_target
        && let Some(login) = prove_target(database, cx, pending, opened.1 != CURRENT).await?
    {
        request.pair_verified = true;
        request.proven.extend(login.account().map(|account| proven_user(pending, account)));
        synced = session.sync_users(&request).await;
    }
    if database.should_retry_conflict(cx, &synced).await {
        synced = session.sync_users(&request).await;
    }
    session.close().await;
    match synced {
        Ok(synced) => {
            database.store_changes_without_effect(cx, synced.without_effect.clone());
            if synced.password == PasswordSet::InHistory {
                database.confirm_reused_password(cx, pending).await?;
            }
            Ok(describe(&synced, pair, target))
        }
        Err(EngineError::NoSuchUser { user }) if !alternate_is_target => {
            let cause = EngineError::NeedsDecision {
                what: format!(
                    "the base user {user} of the secret's user {} does not exist",
                    pair.alternate
                ),
                remedy: format!(
                    "Create {user}, rename {}, or rotate it as a single user.",
                    pair.alternate
                ),
            };
            Err(database.statement(pending, &credential.username, cause).into())
        }
        Err(cause) => Err(database.statement(pending, &credential.username, cause).into()),
    }
}

/// The maximum number of notes on the two users in a record.
const NOTES: usize = 20;

fn describe(synced: &SyncReport, pair: &UserPair, target: &str) -> Done {
    let UserPair { base, alternate } = pair;
    let mut what = match (synced.created, synced.changes.is_empty()) {
        (true, _) => format!("Created {alternate} with the privileges of {base}"),
        (false, true) => format!("{alternate} was in sync with {base}"),
        (false, false) => format!("Synced {alternate} with {base}"),
    };
    if !synced.changes.is_empty() {
        what.push_str(&format!(" ({})", shortened(&synced.changes, ", ")));
    }
    what.push_str(&match synced.password {
        PasswordSet::Now => format!("; set the password of {target}."),
        PasswordSet::InHistory => format!("; {target} already had the password."),
    });
    let mut done = Done::now(what);
    done.notes.extend(synced.notes.iter().take(NOTES).cloned());
    if let Some(more @ 1..) = synced.notes.len().checked_sub(NOTES) {
        done.notes.push(format!("{more} more notes of this kind are left out."));
    }
    done
}
